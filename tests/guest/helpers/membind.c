// SPDX-License-Identifier: GPL-2.0-only
/*
 * membind: the memory policy system calls from a shell. A call that the
 * kernel refuses prints the name of its error ("EINVAL") and exits with 1.
 */
#define _GNU_SOURCE
#include "nodes.h"

static const char usage_text[] =
"usage: membind [-g CGROUP] [-f strict,move,move-all] ACTION ...\n"
"  range POLICY NODES SIZE      mbind() fresh memory, touch it, print where it is\n"
"  late POLICY NODES SIZE       touch memory, then mbind() it (-f), print where it is\n"
"  task POLICY NODES SIZE       set_mempolicy(), touch memory, print where it is\n"
"  home HOME POLICY NODES SIZE  as range, with set_mempolicy_home_node() to HOME\n"
"  set POLICY NODES [COMMAND..] set_mempolicy(), then run COMMAND (default: get)\n"
"  get                          get_mempolicy(): POLICY NODES\n"
"  allowed                      get_mempolicy(MPOL_F_MEMS_ALLOWED): NODES\n"
"POLICY: default, local, bind, preferred, preferred-many, interleave,\n"
"weighted-interleave; +static or +relative. NODES: 0,2-3 or none. SIZE: 64M.\n"
"Where it is: NODE=PAGES pairs. Exit status: 0 done, 1 refused, 2 usage.\n";

static unsigned int mbind_flags;

__attribute__((noreturn))
static void usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

__attribute__((noreturn))
static void refused(void)
{
	puts(errno_name(errno));
	exit(HELPER_FAILED);
}

static unsigned int parse_flags(char *text)
{
	unsigned int flags = 0;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		if (!strcmp(word, "strict"))
			flags |= MPOL_MF_STRICT;
		else if (!strcmp(word, "move"))
			flags |= MPOL_MF_MOVE;
		else if (!strcmp(word, "move-all"))
			flags |= MPOL_MF_MOVE_ALL;
		else
			die("not a flag of mbind(): '%s'", word);
	}
	return flags;
}

static void print_range(void *start, size_t length)
{
	struct node_counts *counts = calloc(1, sizeof(*counts));

	if (!counts || count_nodes(0, (unsigned long)start, length, counts))
		die_errno("move_pages");
	print_counts(counts);
	putchar('\n');
	free(counts);
}

/* The actions that touch memory: what is bound, and when. */
static void place(const char *action, const struct policy *policy, size_t length, long home)
{
	void *start = map_memory(length);

	if (!strcmp(action, "late"))
		touch_memory(start, length);
	if (!strcmp(action, "task") ? sys_set_mempolicy(policy)
				    : sys_mbind(start, length, policy, mbind_flags))
		refused();
	if (home >= 0 &&
	    syscall(SYS_set_mempolicy_home_node, (unsigned long)start, length, home, 0UL))
		refused();
	touch_memory(start, length);
	print_range(start, length);
}

static void print_policy(unsigned int flags)
{
	struct policy policy;

	if (sys_get_mempolicy(&policy, NULL, flags))
		refused();
	if (!(flags & MPOL_F_MEMS_ALLOWED)) {
		fputs(policy_name(policy.mode), stdout);
		if (!nodes_empty(&policy.nodes))
			putchar(' ');
	}
	nodes_print(&policy.nodes);
	putchar('\n');
}

int main(int argc, char **argv)
{
	const char *action;
	struct policy policy = { 0 };
	long home = -1;
	int option;

	while ((option = getopt(argc, argv, "+g:f:h")) != -1) {
		if (option == 'g')
			join_cgroup(optarg);
		else if (option == 'f')
			mbind_flags = parse_flags(optarg);
		else
			usage(option == 'h' ? HELPER_DONE : HELPER_USAGE);
	}
	argv += optind;
	argc -= optind;
	if (argc < 1)
		usage(HELPER_USAGE);
	action = *argv++;
	argc--;
	if (!strcmp(action, "get") || !strcmp(action, "allowed")) {
		if (argc)
			usage(HELPER_USAGE);
		print_policy(*action == 'a' ? MPOL_F_MEMS_ALLOWED : 0);
		return HELPER_DONE;
	}
	if (!strcmp(action, "home") && argc == 4) {
		home = (long)parse_number(*argv++);
		argc--;
	}
	if (argc < 2)
		usage(HELPER_USAGE);
	policy.mode = policy_parse(argv[0]);
	policy.nodes = nodes_parse(argv[1]);
	if (!strcmp(action, "set")) {
		if (sys_set_mempolicy(&policy))
			refused();
		if (argc == 2) {
			print_policy(0);
			return HELPER_DONE;
		}
		execvp(argv[2], argv + 2);
		die_errno(argv[2]);
	}
	if (argc != 3 || (strcmp(action, "range") && strcmp(action, "late") &&
			  strcmp(action, "task") && strcmp(action, "home")))
		usage(HELPER_USAGE);
	place(action, &policy, parse_size(argv[2]), home);
	return HELPER_DONE;
}
