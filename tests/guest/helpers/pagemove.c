// SPDX-License-Identifier: GPL-2.0-only
/*
 * pagemove: move_pages() and migrate_pages() from a shell, on pages whose
 * content is checked after the move.
 */
#define _GNU_SOURCE
#include "nodes.h"

static const char usage_text[] =
"usage: pagemove [-g CGROUP] [-a] move NODE SIZE [FROM]\n"
"           allocate SIZE (bound to node FROM), move_pages() it to NODE, check it\n"
"       pagemove [-a] migrate PID FROM-NODES TO-NODES\n"
"           migrate_pages() of PID (0 or self: this process)\n"
"  -a  MPOL_MF_MOVE_ALL instead of MPOL_MF_MOVE\n"
"move prints STATUS=PAGES pairs (a node, or the name of an error), migrate the\n"
"count of pages that stayed; a refused call prints its error's name.\n"
"Exit status: 0 done, 1 refused or content changed, 2 usage.\n";

__attribute__((noreturn))
static void usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

static unsigned long word_of(size_t page)
{
	return 0x9e3779b97f4a7c15UL * (page + 1);
}

static int content_changed(const char *start, size_t count, size_t page_size)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned long *words = (const unsigned long *)(start + i * page_size);

		for (size_t w = 0; w < page_size / sizeof(*words); w++) {
			if (words[w] == word_of(i))
				continue;
			fprintf(stderr, "pagemove: page %zu changed at byte %zu\n", i,
				w * sizeof(*words));
			return 1;
		}
	}
	return 0;
}

static void print_status(const int *status, size_t count)
{
	enum { ERRORS = 256 };
	static unsigned long nodes[NODES_MAX], errors[ERRORS];
	const char *space = "";

	for (size_t i = 0; i < count; i++) {
		if (status[i] >= 0)
			nodes[status[i] % NODES_MAX]++;
		else
			errors[-status[i] % ERRORS]++;
	}
	for (int i = 0; i < NODES_MAX; i++) {
		if (nodes[i]) {
			printf("%s%d=%lu", space, i, nodes[i]);
			space = " ";
		}
	}
	for (int i = 0; i < ERRORS; i++) {
		if (errors[i]) {
			printf("%s%s=%lu", space, errno_name(i), errors[i]);
			space = " ";
		}
	}
	putchar('\n');
}

static int move(int node, size_t length, const char *from, int flags)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE), count = length / page_size;
	char *start = map_memory(length);
	void **pages = calloc(count, sizeof(*pages));
	int *nodes = calloc(count, sizeof(*nodes)), *status = calloc(count, sizeof(*status));

	if (!pages || !nodes || !status)
		die_errno("calloc");
	if (from) {
		struct policy policy = { .mode = MPOL_BIND, .nodes = nodes_parse(from) };

		if (sys_mbind(start, length, &policy, 0))
			die_errno("mbind");
	}
	for (size_t i = 0; i < count; i++) {
		unsigned long *words = (unsigned long *)(start + i * page_size);

		for (size_t w = 0; w < page_size / sizeof(*words); w++)
			words[w] = word_of(i);
		pages[i] = words;
		nodes[i] = node;
		status[i] = -EUCLEAN;	/* stays where the kernel reports nothing */
	}
	if (sys_move_pages(0, count, pages, nodes, status, flags) < 0) {
		puts(errno_name(errno));
		content_changed(start, count, page_size);
		return HELPER_FAILED;
	}
	print_status(status, count);
	return content_changed(start, count, page_size) ? HELPER_FAILED : HELPER_DONE;
}

static int migrate(const char *who, const char *from_text, const char *to_text)
{
	const pid_t pid = strcmp(who, "self") ? (pid_t)parse_number(who) : 0;
	const struct nodes from = nodes_parse(from_text), to = nodes_parse(to_text);
	const long stayed = syscall(SYS_migrate_pages, pid, NODES_MAX + 1UL, from.bits, to.bits);

	if (stayed < 0) {
		puts(errno_name(errno));
		return HELPER_FAILED;
	}
	printf("%ld\n", stayed);
	return HELPER_DONE;
}

int main(int argc, char **argv)
{
	int option, flags = MPOL_MF_MOVE;

	while ((option = getopt(argc, argv, "+g:ah")) != -1) {
		if (option == 'g')
			join_cgroup(optarg);
		else if (option == 'a')
			flags = MPOL_MF_MOVE_ALL;
		else
			usage(option == 'h' ? HELPER_DONE : HELPER_USAGE);
	}
	argv += optind;
	argc -= optind;
	if ((argc == 3 || argc == 4) && !strcmp(argv[0], "move"))
		return move((int)parse_number(argv[1]), parse_size(argv[2]), argv[3], flags);
	if (argc == 4 && !strcmp(argv[0], "migrate"))
		return migrate(argv[1], argv[2], argv[3]);
	usage(HELPER_USAGE);
}
