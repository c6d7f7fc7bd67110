// SPDX-License-Identifier: GPL-2.0-only
/*
 * sample: free memory of each node and the pages that zswap stores, again and
 * again, for a chart of what a case does. Nothing is held open between two
 * samples, so that nodes come and go and file systems can be unmounted.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "arguments.h"

static const char usage_text[] =
"usage: sample MILLISECONDS [COUNT]\n"
"prints a head, and a line each MILLISECONDS (at least 20; COUNT of them, or until nobody reads):\n"
"  seconds node0 ... zswap: CLOCK_MONOTONIC, KiB free on each possible node, pages that zswap stores.\n"
"  A node that is not online has 0, and zswap where the kernel has none.\n"
"  An empty line follows each sample: it was written whole. They are written once a second, not one by one:\n"
"  what brings them out of the guest costs more than they do.\n"
"Exit status: 0 done, 2 usage or no node is known.\n";

enum { NODES = 64, SMALL = 4096 };

/* The first bytes of a file; how many, or -1. */
static ssize_t read_file(const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return -1;
	size = read(fd, text, SMALL - 1);
	close(fd);
	text[size > 0 ? size : 0] = '\0';
	return size;
}

/* The numbers of a list like "0-3,5". */
static int possible_nodes(unsigned int *nodes)
{
	char text[SMALL], *at = text;
	int count = 0;

	if (read_file("/sys/devices/system/node/possible", text) <= 0)
		die_errno("/sys/devices/system/node/possible");
	while (isdigit((unsigned char)*at)) {
		unsigned long first = strtoul(at, &at, 10), last = first;

		if (*at == '-')
			last = strtoul(at + 1, &at, 10);
		for (; first <= last && count < NODES; first++)
			nodes[count++] = (unsigned int)first;
		if (*at == ',')
			at++;
	}
	return count;
}

/* The KiB behind a word of a file; 0 where it is not there. */
static unsigned long kib(const char *path, const char *word)
{
	char text[SMALL];
	const char *found;

	if (read_file(path, text) <= 0)
		return 0;
	found = strstr(text, word);
	return found ? strtoul(found + strlen(word), NULL, 10) : 0;
}

static unsigned long free_kib(unsigned int node)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
	return kib(path, "MemFree:");
}

/* Its counter of stored pages without debugfs, which only some tests mount (fs/proc/meminfo.c). */
static unsigned long zswap_pages(void)
{
	return kib("/proc/meminfo", "Zswapped:") / ((unsigned long)sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
	unsigned int nodes[NODES];
	unsigned long wait, left = 0;
	struct timespec next;
	time_t written = 0;
	int count;

	if (argc > 1 && !strcmp(argv[1], "-h")) {
		fputs(usage_text, stdout);
		return HELPER_DONE;
	}
	if (argc < 2 || argc > 3) {
		fputs(usage_text, stderr);
		return HELPER_USAGE;
	}
	wait = parse_number(argv[1]);
	if (wait < 20 || wait > 3600000)
		die("MILLISECONDS is %lu, expected 20 to 3600000", wait);
	if (argc > 2)
		left = parse_number(argv[2]);
	count = possible_nodes(nodes);
	if (!count)
		die("no node is known");
	printf("seconds");
	for (int i = 0; i < count; i++)
		printf("\tnode%u", nodes[i]);
	printf("\tzswap\n");
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		printf("%lld.%03ld", (long long)now.tv_sec, now.tv_nsec / 1000000);
		for (int i = 0; i < count; i++)
			printf("\t%lu", free_kib(nodes[i]));
		printf("\t%lu\n\n", zswap_pages());
		if (left && !--left)
			return HELPER_DONE;
		if (now.tv_sec != written && fflush(stdout))
			return HELPER_DONE;
		written = now.tv_sec;
		next.tv_nsec += (long)(wait % 1000) * 1000000;
		next.tv_sec += (time_t)(wait / 1000) + next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
	}
}
