// SPDX-License-Identifier: GPL-2.0-only
/*
 * nodeowner: own a range of a private node, and see that the allocator keeps what struct private_node_ops promises: the
 * owner is asked for every page before it is handed out, may refuse, and hears of every page that comes back.
 *
 * This is the interface of a patch series. The module does not compile where it is not there, or is another; the suite
 * then skips. The memory is named by its physical address and size, and must not be in use; it is brought online and
 * offline from user space. Checks and their report: checks.h.
 */
#include <linux/gfp.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/node_private.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/vmstat.h>

#include "checks.h"

enum { HOLD = 64, LARGE = 5 /* above what per-CPU lists hold */ };

static int owner_node = NUMA_NO_NODE;
static u64 owner_start, owner_size;

/* What the callbacks have seen, in pages. */
static atomic_long_t asked, refused, freed, outside;
static int answer;		/* of page_allocated() */
static atomic_t every;		/* with an answer: only each so many calls, 0 all */
static atomic_t calls;

static void see(struct page *page, unsigned int order)
{
	const u64 first = PFN_PHYS(page_to_pfn(page));

	if (first < owner_start || first + (PAGE_SIZE << order) > owner_start + owner_size)
		atomic_long_add(1L << order, &outside);
}

static int page_allocated(struct page *page, unsigned int order, void *data)
{
	const int nth = atomic_read(&every);
	const int error = READ_ONCE(answer);

	see(page, order);
	atomic_long_add(1L << order, &asked);
	if (!error || (nth && atomic_inc_return(&calls) % nth))
		return 0;
	atomic_long_add(1L << order, &refused);
	return error;
}

static void page_freed(struct page *page, unsigned int order, void *data)
{
	see(page, order);
	atomic_long_add(1L << order, &freed);
}

static struct private_node_ops owner = {
	.memtype = (enum private_memtype)3,
	.page_allocated = page_allocated,
	.page_freed = page_freed,
	.data = &owner_node,
};

static void forget(void)
{
	atomic_long_set(&asked, 0);
	atomic_long_set(&refused, 0);
	atomic_long_set(&freed, 0);
	atomic_set(&calls, 0);
}

static bool seen(long pages)
{
	return atomic_long_read(&asked) - atomic_long_read(&refused) == pages && atomic_long_read(&freed) == pages &&
	       !atomic_long_read(&outside);
}

static __printf(2, 3) void seen_result(long pages, const char *format, ...)
{
	char what[96];
	va_list arguments;

	va_start(arguments, format);
	vscnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	check_result(seen(pages), "%s # %ld pages: %ld accepted, %ld freed, %ld not of the owner", what, pages,
		     atomic_long_read(&asked) - atomic_long_read(&refused), atomic_long_read(&freed),
		     atomic_long_read(&outside));
}

static void check_claim(const unsigned long long *arguments, int count)
{
	struct private_node_ops other = owner;
	int ram = first_node(node_states[N_MEMORY]), nid = phys_to_target_node(arguments[0]);
	int ret;

	if (nid == NUMA_NO_NODE)
		nid = memory_add_physaddr_to_nid(arguments[0]);
	owner.res_start = owner_start = arguments[0];
	owner_size = arguments[1];
	owner.res_end = owner_start + owner_size - 1;
	check_print("# node=%d\n", nid);
	other.res_start = owner.res_start;
	other.res_end = owner.res_end;
	ret = node_register_private(ram, &other);
	check_result(ret == -EBUSY, "a node with system RAM is busy # %d", ret);
	if (!ret)
		node_unregister_private(ram, &other);
	ret = node_register_private(nid, &owner);
	check_result(!ret && node_state(nid, N_PRIVATE), "the node is private from here on # %d", ret);
	if (ret)
		return;
	other.memtype = (enum private_memtype)1;
	other.res_start = owner.res_end + 1;
	other.res_end = owner.res_end + owner_size;
	ret = node_register_private(nid, &other);
	check_result(ret == -EINVAL, "another memtype on the same node is refused # %d", ret);
	if (!ret)
		node_unregister_private(nid, &other);
	ret = add_memory_driver_managed(nid, owner_start, owner_size, "System RAM (nodeowner)", MHP_NONE);
	check_result(!ret, "memory is added # %d", ret);
	if (ret) {
		node_unregister_private(nid, &owner);
		return;
	}
	owner_node = nid;
	__module_get(THIS_MODULE);
}

/* Its memory is offline by now. */
static void check_release(const unsigned long long *arguments, int count)
{
	int ret;

	if (owner_node == NUMA_NO_NODE)
		return;
	ret = remove_memory(owner_start, owner_size);
	check_result(!ret, "memory is removed # %d", ret);
	if (ret)
		return;
	node_unregister_private(owner_node, &owner);
	check_result(!node_state(owner_node, N_PRIVATE), "the node is not private any more");
	owner_node = NUMA_NO_NODE;
	module_put(THIS_MODULE);
}

static int take(struct page **held, int wanted, gfp_t gfp, unsigned int order)
{
	int had = 0;

	while (had < wanted && (held[had] = alloc_pages_node(owner_node, gfp | __GFP_NOWARN, order)))
		had++;
	return had;
}

static int take_and_free(int wanted, gfp_t gfp, unsigned int order)
{
	struct page *held[HOLD];
	const int had = take(held, wanted, gfp, order);

	for (int at = 0; at < had; at++)
		__free_pages(held[at], order);
	return had;
}

static const gfp_t kinds[] = { GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_ATOMIC, GFP_KERNEL | __GFP_RECLAIMABLE };
static const char *const kind_names[] = { "movable", "kernel", "atomic", "reclaimable" };

/* All pages are accounted for, whatever the order and the list that they come from. */
static void check_asked(const unsigned long long *arguments, int count)
{
	for (int kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		for (unsigned int order = 0; order <= MAX_PAGE_ORDER; order++) {
			const int wanted = max(2, HOLD >> order);
			int had;

			forget();
			had = take_and_free(wanted, kinds[kind] | __GFP_THISNODE, order);
			if (!had && kind)
				continue; /* no zone for that, or no such large block */
			seen_result(had ? (long)had << order : -1, "%s, order %u", kind_names[kind], order);
		}
	}
}

static void check_bulk(const unsigned long long *arguments, int count)
{
	struct page *held[HOLD] = { NULL };
	long had = 0;

	forget();
#ifdef alloc_pages_bulk_array_node
	alloc_pages_bulk_array_node(GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, owner_node, HOLD, held);
#else
	alloc_pages_bulk_node(GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, owner_node, HOLD, held);
#endif
	for (int at = 0; at < HOLD; at++) {
		if (!held[at])
			continue;
		__free_page(held[at]);
		had++;
	}
	check_result(had > 0, "bulk allocation gives a page # %ld", had);
	seen_result(had, "bulk");
}

/* What was allocated in one piece comes back in several. */
static void check_split(const unsigned long long *arguments, int count)
{
	struct page *page;

	forget();
	page = alloc_pages_node(owner_node, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 3);
	if (page) {
		split_page(page, 3);
		for (int at = 0; at < 8; at++)
			__free_page(page + at);
	}
	seen_result(page ? 8 : -1, "an order 3 block, split");
	forget();
	page = alloc_pages_node(owner_node, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_COMP, 3);
	if (page)
		folio_put(page_folio(page));
	seen_result(page ? 8 : -1, "a folio of order 3, put");
	forget();
	page = alloc_pages_node(owner_node, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 0);
	if (page) {
		get_page(page);
		__free_page(page);
		check_result(!atomic_long_read(&freed), "a page that somebody still has is not free");
		put_page(page);
	}
	seen_result(page ? 1 : -1, "a page with two references");
}

/* Who does not insist is not even asked about. */
static void check_not_asked(const unsigned long long *arguments, int count)
{
	void *area, *object;

	forget();
	for (unsigned int order = 0; order <= 3; order++)
		take_and_free(8, GFP_KERNEL, order);
	seen_result(0, "pages that only prefer the node");
	object = kmalloc_node(SZ_8K, GFP_KERNEL, owner_node);
	kfree(object);
	object = kmalloc_node(SZ_64K, GFP_KERNEL | __GFP_NOWARN, owner_node);
	kfree(object);
	area = vmalloc_node(SZ_64K, owner_node);
	vfree(area);
	seen_result(0, "objects and areas that only prefer the node");
}

static long free_pages_of(int nid)
{
	long pages = 0;

	for (int zone = 0; zone < MAX_NR_ZONES; zone++)
		pages += zone_page_state_snapshot(&NODE_DATA(nid)->node_zones[zone], NR_FREE_PAGES);
	return pages;
}

/* A refusal fails the allocation, loses no page, and nobody hears of the page again. */
static void check_refused(const unsigned long long *arguments, int count)
{
	static const int errors[] = { -ENOSPC, -ENODEV };

	for (int at = 0; at < ARRAY_SIZE(errors); at++) {
		for (unsigned int order = 0; order <= LARGE; order += LARGE) {
			long before = free_pages_of(owner_node), after;
			int had = 0;

			forget();
			WRITE_ONCE(answer, errors[at]);
			for (int round = 0; round < 2048; round++)
				had += take_and_free(1, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, order);
			WRITE_ONCE(answer, 0);
			after = free_pages_of(owner_node);
			check_result(!had && atomic_long_read(&refused), "error %d, order %u # %d were handed out, %ld pages refused",
				     errors[at], order, had, atomic_long_read(&refused));
			check_result(!atomic_long_read(&freed) && !atomic_long_read(&outside),
				     "error %d, order %u: no word of it again # %ld pages freed", errors[at], order,
				     atomic_long_read(&freed));
			/* per-CPU lists may have some */
			check_result(after + 1024 > before, "error %d, order %u: no page is lost # %ld free, then %ld", errors[at],
				     order, before, after);
			forget();
			had = take_and_free(8, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, order);
			check_result(had == 8, "error %d, order %u: the node works afterwards # %d of 8", errors[at], order, had);
			seen_result((long)had << order, "error %d, order %u: and is accounted for", errors[at], order);
		}
	}
}

/* Every third page is refused: those that are handed out are whole, cleared if asked, and nobody else's. */
static void check_sometimes_refused(const unsigned long long *arguments, int count)
{
	struct page *held[HOLD];
	int had = 0, torn = 0, unset = 0;

	forget();
	atomic_set(&every, 3);
	WRITE_ONCE(answer, -ENOSPC);
	for (int round = 0; round < HOLD; round++) {
		held[had] = alloc_pages_node(owner_node, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_ZERO | __GFP_NOWARN, 0);
		if (!held[had])
			continue;
		unset += memchr_inv(page_address(held[had]), 0, PAGE_SIZE) != NULL;
		memset(page_address(held[had]), had, PAGE_SIZE);
		had++;
	}
	WRITE_ONCE(answer, 0);
	atomic_set(&every, 0);
	for (int at = 0; at < had; at++) {
		torn += memchr_inv(page_address(held[at]), at, PAGE_SIZE) != NULL;
		__free_page(held[at]);
	}
	check_result(had > HOLD / 2 && had < HOLD, "some are handed out # %d of %d", had, HOLD);
	check_result(!torn && !unset, "their content # %d were not cleared, %d have another's", unset, torn);
	seen_result(had, "some are refused");
}

static struct page *kept;

/* A page that stays in use, for as long as user space wants to try something. */
static void check_keep(const unsigned long long *arguments, int count)
{
	kept = alloc_pages_node(owner_node, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 0);
	if (kept)
		memset(page_address(kept), 0x5a, PAGE_SIZE);
	check_result(kept, "a page");
	if (kept)
		check_print("# pfn=%#lx\n", page_to_pfn(kept));
}

static void check_drop(const unsigned long long *arguments, int count)
{
	if (!kept)
		return;
	check_result(!memchr_inv(page_address(kept), 0x5a, PAGE_SIZE), "its content");
	forget();
	__free_page(kept);
	kept = NULL;
	check_result(atomic_long_read(&freed) == 1, "its owner hears of it");
}

static const struct check table[] = {
	{ "claim", check_claim, 2 },
	{ "release", check_release, 0 },
	{ "asked", check_asked, 0 },
	{ "bulk", check_bulk, 0 },
	{ "split", check_split, 0 },
	{ "not_asked", check_not_asked, 0 },
	{ "refused", check_refused, 0 },
	{ "sometimes_refused", check_sometimes_refused, 0 },
	{ "keep", check_keep, 0 },
	{ "drop", check_drop, 0 },
	{ }
};

static int __init nodeowner_init(void)
{
	return checks_start("nodeowner", table);
}
module_init(nodeowner_init);

static void __exit nodeowner_exit(void)
{
	checks_end();
}
module_exit(nodeowner_exit);

MODULE_DESCRIPTION("Owns memory of a private NUMA node");
MODULE_LICENSE("GPL");
