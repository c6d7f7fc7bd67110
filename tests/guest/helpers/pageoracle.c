// SPDX-License-Identifier: GPL-2.0-only
/*
 * pageoracle: who has the pages of a NUMA node. Every allocated page must be
 * its owner's by the stack that allocated it (debugfs page_owner); without that
 * file by its flags. Zone counters, page flags and page owner must agree.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <time.h>

#include "nodestate.h"

static const char usage_text[] =
"usage: pageoracle [options] NODE\n"
"  -o FUNCTION  a stack with a function that begins so is the owner's, unless\n"
"               slab or another pool is what it asked\n"
"  -m PAGES     without page owner: the owner has at most PAGES, without type;\n"
"               or a file that has the number\n"
"  -w           watch until SIGTERM: allocations that come and go count as well\n"
"  -r FOLDER    files below FOLDER instead of / (for tests)\n"
"Prints what is foreign, then a line NAME=PAGES. -o and -m say that the owner is\n"
"active; else no allocation at all may happen. Exit status: 0 nothing foreign,\n"
"1 foreign pages or files that disagree, 2 usage or files that are missing.\n";

enum { GROUPS = 256, OWNERS = 8, SETTLE_TRIES = 5, SETTLE_MS = 1500, REPORTS = 3 };

/*
 * A look at page owner ends at so many foreign allocations: more of them change no verdict, and the kernel looks up the
 * names of each one's stack, a millisecond with KASAN under TCG.
 */
enum { ENOUGH = 2048 };

/* Memory for objects of many users: never the owner's alone, whoever asked first. */
static const char *const shared_pools[] = {
	"new_slab", "allocate_slab", "___slab_alloc", "___kmalloc_large_node", "__kmalloc_large_node",
	"zs_malloc", "zpool_malloc", "z3fold_alloc", "zbud_alloc", "__vmalloc", "pcpu_populate_chunk",
};

/* Allocations with the same stack. */
struct group {
	char *stack, *first;	/* first: the lines before the stack, of the first */
	unsigned long allocations, pages;
	int owner;
};

struct scan {
	unsigned long owner, foreign;	/* pages, by page owner */
	unsigned long foreign_allocations;
	unsigned int groups;
	struct group group[GROUPS];
};

static struct {
	int node, watch;
	const char *owners[OWNERS];
	unsigned int owner_count;
	const char *limit;	/* a number, or a file with one */
} options;

static int page_owner = -1;	/* the file */
static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

__attribute__((noreturn))
static void usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

static int owner_is_active(void)
{
	return options.owner_count || options.limit;
}

static int begins_with_one(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strncmp(text, names[i], strlen(names[i])))
			return 1;
	return 0;
}

/* The innermost function that is the owner's or a shared pool's decides: reclaim for anybody may end in the owner. */
static int is_owner_stack(const char *stack)
{
	for (const char *line = stack; line && *line; line = strchr(line, '\n')) {
		line += strspn(line, " \n");
		if (begins_with_one(line, shared_pools, sizeof(shared_pools) / sizeof(*shared_pools)))
			return 0;
		if (begins_with_one(line, options.owners, options.owner_count))
			return 1;
	}
	return 0;
}

static void add_group(struct scan *scan, const char *head, const char *stack, unsigned long pages)
{
	unsigned int at = 0;

	while (at < scan->groups && strcmp(scan->group[at].stack, stack))
		at++;
	if (at == GROUPS)
		at--; /* counted with the last one: nothing is lost but its name */
	if (at == scan->groups) {
		scan->group[at] = (struct group){ .stack = strdup(stack), .first = strdup(head),
						  .owner = is_owner_stack(stack) };
		scan->groups++;
	}
	scan->group[at].allocations++;
	scan->group[at].pages += pages;
	if (is_owner_stack(stack)) {
		scan->owner += pages;
	} else {
		scan->foreign += pages;
		scan->foreign_allocations++;
	}
}

static int has_enough(const struct scan *scan)
{
	return scan->foreign_allocations >= ENOUGH;
}

/* One record of page owner: two lines, the stack, perhaps remarks. Returns 0 past the end of the ranges. */
static int add_record(struct scan *scan, const struct ranges *ranges, char *record)
{
	unsigned long pfn, last = 0;
	unsigned int order;
	char *second = strchr(record, '\n'), *stack, *end;

	if (!second || sscanf(record, "Page allocated via order %u", &order) != 1 ||
	    sscanf(second, "\nPFN %lx", &pfn) != 1)
		die("not a record of page_owner: %.80s", record);
	for (unsigned int i = 0; i < ranges->count; i++)
		last = ranges->at[i].end > last ? ranges->at[i].end : last;
	if (pfn >= last)
		return 0;
	if (!in_ranges(ranges, pfn))
		return 1;
	stack = strchr(second + 1, '\n');
	if (stack)
		*stack++ = '\0';
	for (end = stack; end && *end == ' '; end += strcspn(end, "\n"), end += *end != '\0')
		;
	if (end)
		*end = '\0'; /* remarks: migrated, charged to a group */
	add_group(scan, record, stack ? stack : "", 1UL << order);
	return 1;
}

static void free_scan(struct scan *scan)
{
	for (unsigned int i = 0; i < scan->groups; i++) {
		free(scan->group[i].stack);
		free(scan->group[i].first);
	}
	memset(scan, 0, sizeof(*scan));
}

/*
 * The kernel has a buffer of the size asked for; one of a page costs half as much again where slab objects are poisoned. A
 * record that does not fit is ENOMEM and does not move the offset.
 */
static ssize_t read_records(char *text, size_t room)
{
	enum { MOST_RECORDS = 2048 };
	ssize_t got = read(page_owner, text, room < MOST_RECORDS ? room : MOST_RECORDS);

	return got < 0 && errno == ENOMEM ? read(page_owner, text, room) : got;
}

/* A read() of the real file gives one record and searches from the PFN that the offset is. */
static void scan_from(struct scan *scan, const struct ranges *ranges, off_t pfn)
{
	static char text[65536];
	size_t have = 0;
	ssize_t got;
	int more = 1;

	if (lseek(page_owner, *state_root ? 0 : pfn, SEEK_SET) < 0)
		die_errno("seeking in page_owner (it can since Linux 6.0)");
	while (more && !stopped && (got = read_records(text + have, sizeof(text) - have - 1)) > 0) {
		char *record = text, *end;

		have += (size_t)got;
		text[have] = '\0';
		while (more && (end = strstr(record, "\n\n"))) {
			end[1] = '\0';
			more = add_record(scan, ranges, record) && !has_enough(scan);
			record = end + 2;
		}
		have = (size_t)(text + have - record);
		memmove(text, record, have);
	}
}

static void scan_owners(struct scan *scan, const struct ranges *ranges)
{
	unsigned long first = ~0UL;

	free_scan(scan);
	for (unsigned int i = 0; i < ranges->count; i++)
		first = ranges->at[i].start < first ? ranges->at[i].start : first;
	if (page_owner >= 0 && ranges->count)
		scan_from(scan, ranges, (off_t)first);
}

/* The file is there only where the kernel was started with page_owner=on. */
static void open_page_owner(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/sys/kernel/debug/page_owner", state_root);
	page_owner = open(path, O_RDONLY | O_CLOEXEC);
}

static void print_groups(const struct scan *scan)
{
	for (unsigned int i = 0; i < scan->groups; i++) {
		const struct group *group = &scan->group[i];

		if (group->owner)
			continue;
		printf("foreign: %lu pages in %lu allocations with this stack, the first:\n%s\n%s",
		       group->pages, group->allocations, group->first, group->stack);
	}
}

static void print_types(const struct flag_counts *flags)
{
	for (unsigned int type = 0; type < PAGE_TYPES; type++)
		if (flags->by_type[type])
			printf("foreign: %lu pages of type %s, the first PFN %#lx\n",
			       flags->by_type[type], page_types[type].name, flags->first_of_type[type]);
}

static unsigned long by_flags(const struct flag_counts *flags, const struct zone_counts *zones)
{
	unsigned long used = flags->by_class[CLASS_TYPED] + flags->by_class[CLASS_UNTYPED];

	return used > zones->pcp ? used - zones->pcp : 0;
}

static unsigned long by_zones(const struct zone_counts *zones)
{
	unsigned long free = zones->free + zones->pcp;

	return zones->managed > free ? zones->managed - free : 0;
}

/* Counts of the node's vmstat that are about pages of others, all of them 0 where only an owner may be. */
static unsigned int judge_vmstat(void)
{
	static const char *const names[] = {
		"nr_anon_pages", "nr_file_pages", "nr_mapped", "nr_shmem", "nr_slab_reclaimable",
		"nr_slab_unreclaimable", "nr_kernel_stack", "nr_page_table_pages", "nr_mlock",
		"nr_active_anon", "nr_inactive_anon", "nr_active_file", "nr_inactive_file", "nr_unevictable",
		"nr_anon_transparent_hugepages", "nr_shmem_hugepages", "nr_sec_page_table_pages",
	};
	unsigned int wrong = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const long value = node_counter(options.node, "vmstat", names[i]);

		if (value) {
			printf("vmstat: %s is %ld\n", names[i], value);
			wrong++;
		}
	}
	return wrong;
}

static void nap(long milliseconds)
{
	const struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Look until all sources agree, as pages change hands between one look and the next; 0 if they never do. A look that
 * ended early has nothing to agree with.
 */
static int settle(struct scan *scan, struct flag_counts *flags, struct zone_counts *zones,
		  struct ranges *ranges)
{
	const long start = milliseconds();

	for (int i = 0; i < SETTLE_TRIES || milliseconds() - start < SETTLE_MS; i++) {
		struct zone_counts again;

		if (i && *state_root)
			break;
		if (i)
			nap(25);
		read_ranges(options.node, ranges);
		refresh_counters();
		read_zones(options.node, zones);
		count_flags(ranges, flags);
		scan_owners(scan, ranges);
		refresh_counters();
		read_zones(options.node, &again);
		if (has_enough(scan))
			return 1;
		if (!memcmp(zones, &again, sizeof(again)) && by_flags(flags, zones) == by_zones(zones) &&
		    (page_owner < 0 || scan->owner + scan->foreign == by_zones(zones)))
			return 1;
	}
	return 0;
}

static unsigned long untyped_limit(void)
{
	unsigned long limit = 0;
	FILE *file;

	if (!options.limit)
		return 0;
	if (*options.limit != '/')
		return parse_number(options.limit);
	file = state_open("%s", options.limit);
	if (!file || fscanf(file, "%lu", &limit) != 1)
		die("%s has no number", options.limit);
	fclose(file);
	return limit;
}

/* Print everything that is not as it should be; the number of such things. */
static unsigned int judge(struct scan *scan)
{
	struct flag_counts flags;
	struct zone_counts zones;
	struct ranges ranges;
	unsigned long used, untyped, owner, foreign, limit = untyped_limit();
	unsigned int wrong = !settle(scan, &flags, &zones, &ranges);

	used = by_flags(&flags, &zones);
	untyped = used > flags.by_class[CLASS_TYPED] ? used - flags.by_class[CLASS_TYPED] : 0;
	if (wrong)
		printf("disagree: %lu pages in use by zoneinfo, %lu by kpageflags, %lu by page_owner\n",
		       by_zones(&zones), used, scan->owner + scan->foreign);
	print_groups(scan);
	if (has_enough(scan))
		printf("foreign: after %d allocations page_owner was not read further\n", ENOUGH);
	print_types(&flags);
	foreign = page_owner >= 0 ? scan->foreign : flags.by_class[CLASS_TYPED];
	if (page_owner < 0 && untyped > limit) {
		printf("foreign: %lu pages without type, at most %lu are the owner's\n", untyped, limit);
		foreign += untyped - limit;
	}
	if (flags.by_class[CLASS_TYPED] || foreign) {
		count_maps(&ranges, &flags);
		printf("kpagecount: %lu mappings\n", flags.maps);
	}
	wrong += foreign || flags.by_class[CLASS_TYPED];
	wrong += judge_vmstat();
	owner = used > foreign ? used - foreign : 0;
	if (has_enough(scan))
		owner = scan->owner;
	printf("node=%d by=%s used=%lu owner=%lu foreign=%lu reserved=%lu pcp=%lu free=%lu", options.node,
	       page_owner >= 0 ? "page_owner" : "kpageflags", used, owner, foreign, flags.by_class[CLASS_RESERVED],
	       zones.pcp, zones.free);
	return wrong;
}

/* A look by kpageflags costs little: none that saw something else than those before goes untold. */
static int is_worth_telling(const struct flag_counts *flags)
{
	static unsigned char told[PAGE_TYPES];
	static unsigned int looks;
	int is_new = looks < REPORTS;

	looks++;
	for (unsigned int type = 0; type < PAGE_TYPES; type++) {
		is_new |= flags->by_type[type] && !told[type];
		told[type] |= flags->by_type[type] != 0;
	}
	return is_new;
}

/* What is foreign at this moment, without waiting for counters to settle; 1 if something is. */
static int glance(struct scan *scan)
{
	struct ranges ranges;
	struct flag_counts flags = { 0 };

	read_ranges(options.node, &ranges);
	if (page_owner >= 0)
		scan_owners(scan, &ranges);
	else
		count_flags(&ranges, &flags);
	if (!scan->foreign && !flags.by_class[CLASS_TYPED])
		return 0;
	if (page_owner < 0 && !is_worth_telling(&flags))
		return 1;
	printf("seen while watching:\n");
	print_groups(scan);
	print_types(&flags);
	fflush(stdout);
	return 1;
}

/*
 * Look until SIGTERM; the number of times that something was wrong. Without an active owner any allocation is a reason
 * to look; else the node is looked at all the time, but for a tenth of it, as a look has to pass every page.
 */
static unsigned int watch(struct scan *scan, long *allocations)
{
	const long before = allocations_on(options.node);
	long last = before, next = 0;
	unsigned int wrong = 0;

	puts("watching");
	fflush(stdout);
	while (!stopped) {
		const long now = allocations_on(options.node), start = milliseconds();

		if ((page_owner < 0 || wrong < REPORTS) && (owner_is_active() ? start >= next : now != last)) {
			wrong += (unsigned int)glance(scan);
			next = milliseconds() + 10 * (milliseconds() - start);
		}
		last = now;
		nap(25);
	}
	stopped = 0; /* a glance is cut short by it, for the looks that follow are whole */
	*allocations = allocations_on(options.node) - before;
	if (*allocations && !owner_is_active()) {
		printf("numastat: %ld allocations on the node while it was watched\n", *allocations);
		wrong++;
	}
	return wrong;
}

int main(int argc, char **argv)
{
	static struct scan scan;
	unsigned int wrong = 0;
	long allocations = 0;
	int option;

	while ((option = getopt(argc, argv, "o:m:wr:h")) != -1) {
		if (option == 'o' && options.owner_count < OWNERS) {
			options.owners[options.owner_count++] = optarg;
		} else if (option == 'm') {
			options.limit = optarg;
		} else if (option == 'w') {
			options.watch = 1;
		} else if (option == 'r') {
			state_root = optarg;
		} else {
			usage(option == 'h' ? HELPER_DONE : HELPER_USAGE);
		}
	}
	if (argc - optind != 1)
		usage(HELPER_USAGE);
	options.node = (int)parse_number(argv[optind]);
	open_page_owner();
	if (options.watch) {
		signal(SIGTERM, stop);
		wrong = watch(&scan, &allocations);
	}
	wrong += judge(&scan);
	if (options.watch)
		printf(" allocations=%ld", allocations);
	putchar('\n');
	free_scan(&scan);
	return wrong ? HELPER_FAILED : HELPER_DONE;
}
