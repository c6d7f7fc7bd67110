/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel says of the pages of one NUMA node: its online memory
 * blocks, the counters of its zones, its numastat and vmstat, and the flags of
 * every page. Paths are below state_root (empty on a real system).
 */
#ifndef HELPERS_NODESTATE_H
#define HELPERS_NODESTATE_H

#include <dirent.h>
#include <linux/kernel-page-flags.h>
#include <stdint.h>

#include "arguments.h"

static const char *state_root = "";

static inline FILE *state_open(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline FILE *state_open(const char *format, ...)
{
	char path[4096];
	int at = snprintf(path, sizeof(path), "%s", state_root);
	va_list args;

	va_start(args, format);
	vsnprintf(path + at, sizeof(path) - (size_t)at, format, args);
	va_end(args);
	return fopen(path, "re");
}

/* PFN ranges of the node that are online, by its memory blocks. */
struct ranges {
	unsigned int count;
	struct { unsigned long start, end; } at[256];
};

static inline int block_is_online(int node, unsigned long block)
{
	FILE *file = state_open("/sys/devices/system/node/node%d/memory%lu/state", node, block);
	char text[32] = "";

	if (file) {
		if (!fgets(text, sizeof(text), file))
			*text = '\0';
		fclose(file);
	}
	return !strncmp(text, "online", 6);
}

static inline void read_ranges(int node, struct ranges *ranges)
{
	const long page = sysconf(_SC_PAGESIZE);
	FILE *file = state_open("/sys/devices/system/memory/block_size_bytes");
	unsigned long size = 0, block;
	char path[4096];
	struct dirent *entry;
	DIR *folder;

	ranges->count = 0;
	if (!file || fscanf(file, "%lx", &size) != 1)
		die("the kernel has no memory blocks (CONFIG_MEMORY_HOTPLUG)");
	fclose(file);
	size /= (unsigned long)page;
	snprintf(path, sizeof(path), "%s/sys/devices/system/node/node%d", state_root, node);
	folder = opendir(path);
	if (!folder)
		return; /* offline: it has none */
	while ((entry = readdir(folder))) {
		if (sscanf(entry->d_name, "memory%lu", &block) != 1 || !block_is_online(node, block))
			continue;
		if (ranges->count == sizeof(ranges->at) / sizeof(*ranges->at))
			die("node %d has more than %u memory blocks", node, ranges->count);
		ranges->at[ranges->count].start = block * size;
		ranges->at[ranges->count++].end = (block + 1) * size;
	}
	closedir(folder);
}

static inline int in_ranges(const struct ranges *ranges, unsigned long pfn)
{
	for (unsigned int i = 0; i < ranges->count; i++)
		if (pfn >= ranges->at[i].start && pfn < ranges->at[i].end)
			return 1;
	return 0;
}

/* Sums over the zones of a node, in pages; pcp: free, but in per-CPU lists. */
struct zone_counts {
	unsigned long managed, free, pcp;
};

static inline void read_zones(int node, struct zone_counts *zones)
{
	FILE *file = state_open("/proc/zoneinfo");
	unsigned long value;
	char line[256];
	int here, ours = 0;

	memset(zones, 0, sizeof(*zones));
	if (!file)
		die_errno("/proc/zoneinfo");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %d, zone", &here) == 1)
			ours = here == node;
		else if (!ours)
			continue;
		else if (sscanf(line, " pages free %lu", &value) == 1)
			zones->free += value;
		else if (sscanf(line, " managed %lu", &value) == 1)
			zones->managed += value;
		else if (sscanf(line, " count: %lu", &value) == 1)
			zones->pcp += value;
	}
	fclose(file);
}

/* Fold the per-CPU differences of all counters into what files show. */
static inline void refresh_counters(void)
{
	FILE *file = *state_root ? NULL : fopen("/proc/sys/vm/stat_refresh", "we");

	if (file) {
		fputs("1", file);
		fclose(file);
	}
}

/* One line of the node's numastat or vmstat; 0 for a node that is offline. */
static inline long node_counter(int node, const char *table, const char *name)
{
	FILE *file = state_open("/sys/devices/system/node/node%d/%s", node, table);
	long value, found = 0;
	char word[64];

	while (file && fscanf(file, "%63s %ld", word, &value) == 2)
		if (!strcmp(word, name))
			found = value;
	if (file)
		fclose(file);
	return found;
}

/* How often a page allocation was served by the node, since boot. */
static inline long allocations_on(int node)
{
	return node_counter(node, "numastat", "numa_hit") + node_counter(node, "numastat", "numa_miss");
}

#define PAGE_FLAG(name) (UINT64_C(1) << KPF_##name)
#define KPF_RESERVED_HERE 32 /* include/linux/kernel-page-flags.h: not in the uapi header */

/* What a page is by its flags: free, nobody's to give, of a kind, or in use with nothing known of it. */
enum page_class { CLASS_FREE, CLASS_ABSENT, CLASS_RESERVED, CLASS_TYPED, CLASS_UNTYPED };

static const struct { uint64_t flag; const char *name; } page_types[] = {
	{ PAGE_FLAG(SLAB), "slab" }, { PAGE_FLAG(PGTABLE), "page table" },
	{ PAGE_FLAG(HUGE), "hugetlb" }, { PAGE_FLAG(THP), "large folio" },
	{ PAGE_FLAG(ANON), "anonymous" }, { PAGE_FLAG(SWAPCACHE), "swap cache" },
	{ PAGE_FLAG(SWAPBACKED), "shmem" }, { PAGE_FLAG(LRU), "page cache" },
	{ PAGE_FLAG(MMAP), "mapped" }, { PAGE_FLAG(UNEVICTABLE), "unevictable" },
};

enum { PAGE_TYPES = sizeof(page_types) / sizeof(*page_types) };

static inline enum page_class classify(uint64_t flags, unsigned int *type)
{
	if (flags & (PAGE_FLAG(NOPAGE) | PAGE_FLAG(OFFLINE)))
		return CLASS_ABSENT;
	if (flags & PAGE_FLAG(BUDDY))
		return CLASS_FREE;
	for (*type = 0; *type < PAGE_TYPES; ++*type)
		if (flags & page_types[*type].flag)
			return CLASS_TYPED;
	return flags & UINT64_C(1) << KPF_RESERVED_HERE ? CLASS_RESERVED : CLASS_UNTYPED;
}

struct flag_counts {
	unsigned long by_class[CLASS_UNTYPED + 1], by_type[PAGE_TYPES];
	unsigned long first_of_type[PAGE_TYPES];	/* PFN */
	unsigned long maps;				/* sum of /proc/kpagecount */
};

static inline void add_table(const char *path, const struct ranges *ranges,
			     void (*add)(struct flag_counts *, unsigned long, uint64_t),
			     struct flag_counts *counts)
{
	enum { BATCH = 8192 };
	static uint64_t words[BATCH];
	char full[4096];
	int fd;

	snprintf(full, sizeof(full), "%s%s", state_root, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die_errno(full);
	for (unsigned int i = 0; i < ranges->count; i++) {
		unsigned long pfn = ranges->at[i].start;

		while (pfn < ranges->at[i].end) {
			unsigned long want = ranges->at[i].end - pfn;
			ssize_t got = pread(fd, words, (want < BATCH ? want : BATCH) * sizeof(*words),
					    (off_t)(pfn * sizeof(*words)));

			if (got < (ssize_t)sizeof(*words))
				die("%s ends before PFN %#lx", path, pfn);
			for (size_t w = 0; w < (size_t)got / sizeof(*words); w++)
				add(counts, pfn++, words[w]);
		}
	}
	close(fd);
}

static inline void add_flags(struct flag_counts *counts, unsigned long pfn, uint64_t flags)
{
	unsigned int type;
	enum page_class class = classify(flags, &type);

	counts->by_class[class]++;
	if (class == CLASS_TYPED && !counts->by_type[type]++)
		counts->first_of_type[type] = pfn;
}

static inline void add_maps(struct flag_counts *counts, unsigned long pfn, uint64_t maps)
{
	(void)pfn;
	counts->maps += maps;
}

/* Count the pages of the ranges by /proc/kpageflags, and their mappings by /proc/kpagecount. */
static inline void count_flags(const struct ranges *ranges, struct flag_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	add_table("/proc/kpageflags", ranges, add_flags, counts);
}

static inline void count_maps(const struct ranges *ranges, struct flag_counts *counts)
{
	add_table("/proc/kpagecount", ranges, add_maps, counts);
}

#endif /* HELPERS_NODESTATE_H */
