// SPDX-License-Identifier: GPL-2.0-only
/*
 * nodepages: on which NUMA nodes the pages of a running process are, from
 * move_pages() without a target, so it shows what is mapped at this moment.
 */
#define _GNU_SOURCE
#include <stdint.h>

#include "nodes.h"

static const char usage_text[] =
"usage: nodepages [-l] [-a] PID [START-END]\n"
"  Count the pages of PID's writable private mappings by node: NODE=PAGES pairs;\n"
"  absent=PAGES are swapped out or were never touched.\n"
"  START-END  only this range (hexadecimal, as in /proc/PID/maps)\n"
"  -l  one line per mapping   -a  every mapping, files and shared ones too\n"
"Exit status: 0 done, 1 the process cannot be read, 2 usage.\n";

__attribute__((noreturn))
static void usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

static void print_line(const char *what, const struct node_counts *counts)
{
	if (what)
		printf("%s: ", what);
	print_counts(counts);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct node_counts *counts = calloc(1, sizeof(*counts));
	unsigned long low = 0, high = ~0UL;
	int option, each = 0, all = 0;
	char name[64], line[4400];
	pid_t pid;
	FILE *maps;

	while ((option = getopt(argc, argv, "lah")) != -1) {
		if (option == 'l')
			each = 1;
		else if (option == 'a')
			all = 1;
		else
			usage(option == 'h' ? HELPER_DONE : HELPER_USAGE);
	}
	if (argc - optind < 1 || argc - optind > 2)
		usage(HELPER_USAGE);
	pid = (pid_t)parse_number(argv[optind]);
	if (argv[optind + 1] && sscanf(argv[optind + 1], "%lx-%lx", &low, &high) != 2)
		die("not a range: '%s'", argv[optind + 1]);
	snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	maps = fopen(name, "re");
	if (!maps || !counts) {
		fprintf(stderr, "nodepages: %s: %s\n", name, strerror(errno));
		return HELPER_FAILED;
	}
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char mode[8], range[64];

		if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) != 3)
			continue;
		if ((!all && (mode[1] != 'w' || mode[3] != 'p')) || start >= high || end <= low)
			continue;
		start = start < low ? low : start;
		end = end > high ? high : end;
		if (count_nodes(pid, start, end - start, counts)) {
			fprintf(stderr, "nodepages: %d: %s\n", (int)pid, strerror(errno));
			return HELPER_FAILED;
		}
		if (each) {
			snprintf(range, sizeof(range), "%lx-%lx", start, end);
			print_line(range, counts);
			memset(counts, 0, sizeof(*counts));
		}
	}
	fclose(maps);
	if (!each)
		print_line(NULL, counts);
	return HELPER_DONE;
}
