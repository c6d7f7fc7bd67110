// SPDX-License-Identifier: GPL-2.0-only
/*
 * nodeused: how many pages of a NUMA node are in use, to the page. MemFree of
 * a node leaves out the per-CPU lists and lags by the per-CPU counters; this
 * folds the counters (vm.stat_refresh) and adds the lists, by /proc/zoneinfo.
 */
#define _GNU_SOURCE
#include <stdio.h>

#include "arguments.h"

static const char usage_text[] =
"usage: nodeused NODE...\n"
"prints a line for each: node=N used=PAGES free=PAGES lists=PAGES managed=PAGES hits=COUNT\n"
"  lists are free pages in per-CPU lists, hits the pages allocated on the node so far.\n"
"  A node without memory online has 0 of each.\n"
"Exit status: 0 done, 2 usage or /proc/zoneinfo cannot be read.\n";

enum { NODES = 1024 };

struct node {
	unsigned long managed, free, lists, hits;
};

static struct node nodes[NODES];

/* The values of each zone, summed up by node. */
static void read_zones(void)
{
	char line[512], name[64];
	FILE *file = fopen("/proc/zoneinfo", "re");
	unsigned int at = 0;
	unsigned long value;

	if (!file)
		die_errno("/proc/zoneinfo");
	memset(nodes, 0, sizeof(nodes));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %u, zone", &at) == 1) {
			if (at >= NODES)
				die("node %u is more than expected", at);
			continue;
		}
		if (sscanf(line, " %63s %lu", name, &value) != 2)
			continue;
		if (!strcmp(name, "managed"))
			nodes[at].managed += value;
		else if (!strcmp(name, "nr_free_pages"))
			nodes[at].free += value;
		else if (!strcmp(name, "count:"))
			nodes[at].lists += value;
		else if (!strcmp(name, "numa_hit") || !strcmp(name, "numa_miss"))
			nodes[at].hits += value;
	}
	fclose(file);
}

static void refresh(void)
{
	char none;
	const int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, &none, 1) < 0)
		die_errno("/proc/sys/vm/stat_refresh");
	close(fd);
}

/*
 * A CPU that drains its lists between refresh() and read_zones() makes free too
 * small until the next refresh, so it takes two readings that agree in both.
 */
static void read_settled(int count, char **numbers)
{
	struct node before[NODES];

	for (int tries = 0, same = 0; tries < 50 && !same; tries++) {
		memcpy(before, nodes, sizeof(before));
		refresh();
		read_zones();
		same = tries > 0;
		for (int i = 0; i < count; i++) {
			const unsigned long number = parse_number(numbers[i]);

			if (number >= NODES)
				die("not a node: '%s'", numbers[i]);
			same = same && !memcmp(&before[number], &nodes[number], sizeof(*before));
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-') {
		fputs(usage_text, argc < 2 ? stderr : stdout);
		return argc < 2 ? HELPER_USAGE : HELPER_DONE;
	}
	read_settled(argc - 1, argv + 1);
	for (int i = 1; i < argc; i++) {
		const unsigned long number = parse_number(argv[i]);
		const struct node *node = &nodes[number];

		printf("node=%lu used=%ld free=%lu lists=%lu managed=%lu hits=%lu\n", number,
		       (long)(node->managed - node->free - node->lists), node->free,
		       node->lists, node->managed, node->hits);
	}
	return HELPER_DONE;
}
