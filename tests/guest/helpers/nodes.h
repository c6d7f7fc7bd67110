/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NUMA nodes: sets of them in the kernel's list format, the memory policy
 * system calls (raw, without libnuma), and where pages of a range are.
 */
#ifndef HELPERS_NODES_H
#define HELPERS_NODES_H

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "arguments.h"

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif
#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif
/* Linux 6.9: fa3bea4e1f82 ("mm/mempolicy: introduce MPOL_WEIGHTED_INTERLEAVE") */
#define POLICY_WEIGHTED_INTERLEAVE 6

enum { NODES_MAX = 1024, NODES_WORD = 8 * sizeof(unsigned long) };

struct nodes {
	unsigned long bits[NODES_MAX / NODES_WORD];
};

static inline int nodes_test(const struct nodes *nodes, unsigned int node)
{
	return nodes->bits[node / NODES_WORD] >> (node % NODES_WORD) & 1;
}

/* "0,2-3" as in cpuset.mems; "" and "none" are the empty set. */
static inline struct nodes nodes_parse(const char *text)
{
	struct nodes nodes = { { 0 } };
	const char *at = text;

	if (!strcmp(text, "none"))
		return nodes;
	while (*at) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (end == at)
			die("not a list of nodes: '%s'", text);
		if (*end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
			if (end == at)
				die("not a list of nodes: '%s'", text);
		}
		if (last < first || last >= NODES_MAX || (*end && *end != ','))
			die("not a list of nodes: '%s'", text);
		for (; first <= last; first++)
			nodes.bits[first / NODES_WORD] |= 1UL << first % NODES_WORD;
		at = *end ? end + 1 : end;
	}
	return nodes;
}

/* Print the set in the kernel's list format ("0,2-3"; nothing if empty). */
static inline void nodes_print(const struct nodes *nodes)
{
	const char *comma = "";

	for (unsigned int node = 0; node < NODES_MAX; node++) {
		unsigned int first = node;

		if (!nodes_test(nodes, node))
			continue;
		while (node + 1 < NODES_MAX && nodes_test(nodes, node + 1))
			node++;
		printf(first == node ? "%s%u" : "%s%u-%u", comma, first, node);
		comma = ",";
	}
}

struct policy {
	int mode;	/* MPOL_* with its mode flags */
	struct nodes nodes;
};

/* "bind", "interleave+static" and so on. */
static inline int policy_parse(const char *text)
{
	static const struct { const char *name; int value; } words[] = {
		{ "default", MPOL_DEFAULT }, { "preferred", MPOL_PREFERRED },
		{ "bind", MPOL_BIND }, { "interleave", MPOL_INTERLEAVE },
		{ "local", MPOL_LOCAL }, { "preferred-many", MPOL_PREFERRED_MANY },
		{ "weighted-interleave", POLICY_WEIGHTED_INTERLEAVE },
		{ "static", MPOL_F_STATIC_NODES }, { "relative", MPOL_F_RELATIVE_NODES },
	};
	char *copy = strdup(text), *rest = NULL;
	int mode = 0;

	for (char *word = strtok_r(copy, "+", &rest); word; word = strtok_r(NULL, "+", &rest)) {
		size_t i = 0;

		while (i < sizeof(words) / sizeof(*words) && strcmp(words[i].name, word))
			i++;
		if (i == sizeof(words) / sizeof(*words))
			die("not a memory policy: '%s'", text);
		mode |= words[i].value;
	}
	free(copy);
	return mode;
}

static inline const char *policy_name(int mode)
{
	static const char *const names[] = {
		"default", "preferred", "bind", "interleave", "local",
		"preferred-many", "weighted-interleave",
	};

	mode &= ~(MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING);
	return mode >= 0 && (size_t)mode < sizeof(names) / sizeof(*names) ? names[mode] : "unknown";
}

static inline int nodes_empty(const struct nodes *nodes)
{
	static const struct nodes none;

	return !memcmp(nodes, &none, sizeof(none));
}

/* The kernel reads maxnode - 1 bits; default and local want no mask at all. */
static inline int sys_mbind(void *start, size_t length, const struct policy *policy,
			    unsigned int flags)
{
	const int none = nodes_empty(&policy->nodes);

	return (int)syscall(SYS_mbind, start, length, policy->mode,
			    none ? NULL : policy->nodes.bits, none ? 0UL : NODES_MAX + 1UL, flags);
}

static inline int sys_set_mempolicy(const struct policy *policy)
{
	const int none = nodes_empty(&policy->nodes);

	return (int)syscall(SYS_set_mempolicy, policy->mode,
			    none ? NULL : policy->nodes.bits, none ? 0UL : NODES_MAX + 1UL);
}

static inline int sys_get_mempolicy(struct policy *policy, void *address, unsigned int flags)
{
	memset(policy, 0, sizeof(*policy));
	return (int)syscall(SYS_get_mempolicy, flags & MPOL_F_MEMS_ALLOWED ? NULL : &policy->mode,
			    policy->nodes.bits, NODES_MAX + 0UL, address, flags);
}

static inline long sys_move_pages(pid_t pid, unsigned long count, void **pages,
				  const int *nodes, int *status, int flags)
{
	return syscall(SYS_move_pages, pid, count, pages, nodes, status, flags);
}

struct node_counts {
	unsigned long node[NODES_MAX];
	unsigned long absent;	/* not mapped now: swapped out or never touched */
	unsigned long failed;	/* any other status of move_pages() */
};

/*
 * Add the nodes of the pages in [start, start + length) of process PID (0 is
 * this one) to *counts. Returns 0, or -1 with errno set.
 */
static inline int count_nodes(pid_t pid, unsigned long start, size_t length,
			      struct node_counts *counts)
{
	enum { BATCH = 4096 };
	static void *pages[BATCH];
	static int status[BATCH];
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t done = 0, batch; done < length / page; done += batch) {
		batch = length / page - done < BATCH ? length / page - done : BATCH;
		for (size_t i = 0; i < batch; i++)
			pages[i] = (void *)(start + (done + i) * page);
		if (sys_move_pages(pid, batch, pages, NULL, status, 0) < 0)
			return -1;
		for (size_t i = 0; i < batch; i++) {
			if (status[i] >= 0 && status[i] < NODES_MAX)
				counts->node[status[i]]++;
			else if (status[i] == -ENOENT || status[i] == -EFAULT)
				counts->absent++;
			else
				counts->failed++;
		}
	}
	return 0;
}

/* "0=12 1=4 absent=3" (absent and failed only where there are some). */
static inline void print_counts(const struct node_counts *counts)
{
	const char *space = "";

	for (unsigned int node = 0; node < NODES_MAX; node++) {
		if (!counts->node[node])
			continue;
		printf("%s%u=%lu", space, node, counts->node[node]);
		space = " ";
	}
	if (counts->absent) {
		printf("%sabsent=%lu", space, counts->absent);
		space = " ";
	}
	if (counts->failed)
		printf("%sfailed=%lu", space, counts->failed);
}

/* Anonymous private memory in base pages, not yet touched. */
static inline void *map_memory(size_t length)
{
	void *start = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		die_errno("mmap");
	madvise(start, length, MADV_NOHUGEPAGE);	/* EINVAL without THP is fine */
	return start;
}

static inline void touch_memory(void *start, size_t length)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t at = 0; at < length; at += page)
		((volatile char *)start)[at] = 1;
}

#endif /* HELPERS_NODES_H */
