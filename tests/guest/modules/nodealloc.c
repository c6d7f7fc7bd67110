// SPDX-License-Identifier: GPL-2.0-only
/*
 * nodealloc: ask the kernel's allocators for memory of one NUMA node, in every way that takes a node, and see where it is.
 * Nothing here is of a patch series; the checks and their report are described in checks.h. Each takes the node's number.
 *
 * Who only prefers a private node gets none of it ("kept off"). Who insists on it (__GFP_THISNODE) gets a page of it,
 * or nothing. On an ordinary node the first kind must find pages: that is how these checks are checked.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/mempool.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/platform_device.h>
#include <linux/poison.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/skbuff.h>

#include "checks.h"

enum { HOLD = 64, OBJECTS = 256 };

struct way {
	const char *name;
	gfp_t gfp;
};

static const struct way zones[] = {
	{ "DMA", GFP_KERNEL | GFP_DMA },
	{ "DMA32", GFP_KERNEL | GFP_DMA32 },
	{ "NORMAL", GFP_KERNEL },
	{ "HIGHMEM", GFP_HIGHUSER },
	{ "MOVABLE", GFP_HIGHUSER_MOVABLE },
};

static const struct way types[] = {
	{ "unmovable", 0 },
	{ "reclaimable", __GFP_RECLAIMABLE },
	{ "movable", __GFP_MOVABLE },
};

static const struct way modifiers[] = {
	{ "GFP_ATOMIC", GFP_ATOMIC },
	{ "GFP_NOWAIT", GFP_NOWAIT },
	{ "GFP_NOIO", GFP_NOIO },
	{ "GFP_USER", GFP_USER },
	{ "GFP_KERNEL_ACCOUNT", GFP_KERNEL_ACCOUNT },
	{ "GFP_TRANSHUGE_LIGHT", GFP_TRANSHUGE_LIGHT },
	{ "__GFP_ZERO", GFP_KERNEL | __GFP_ZERO },
	{ "__GFP_COMP", GFP_KERNEL | __GFP_COMP },
	{ "__GFP_WRITE", GFP_HIGHUSER_MOVABLE | __GFP_WRITE },
	{ "__GFP_HARDWALL", GFP_KERNEL | __GFP_HARDWALL },
	{ "__GFP_HIGH", GFP_KERNEL | __GFP_HIGH },
	{ "__GFP_MEMALLOC", GFP_KERNEL | __GFP_MEMALLOC },
	{ "__GFP_RETRY_MAYFAIL", GFP_KERNEL | __GFP_RETRY_MAYFAIL },
	{ "__GFP_NORETRY", GFP_KERNEL | __GFP_NORETRY },
};

/* What was asked for one line of the report, and the first answer that was wrong. */
struct tally {
	int node;
	bool insisted;
	unsigned long had, on_node, wrong;
	unsigned long wrong_pfn;
	unsigned int wrong_order;
};

static void tally_page(struct tally *tally, const struct page *page, unsigned int order, gfp_t gfp)
{
	const bool here = page_to_nid(page) == tally->node;
	bool right = here == tally->insisted;

	/* a zone above the one that was asked for may have addresses that the caller cannot use */
	if (tally->insisted && page_zonenum(page) > gfp_zone(gfp))
		right = false;
	tally->had++;
	tally->on_node += here;
	if (!right && !tally->wrong++) {
		tally->wrong_pfn = page_to_pfn(page);
		tally->wrong_order = order;
	}
}

static void tally_address(struct tally *tally, const void *address)
{
	if (!address)
		return;
	tally_page(tally, is_vmalloc_addr(address) ? vmalloc_to_page(address) : virt_to_page(address), 0, GFP_KERNEL);
}

static void tally_range(struct tally *tally, const char *address, size_t size)
{
	for (size_t at = 0; address && at < size; at += PAGE_SIZE)
		tally_address(tally, address + at);
}

static __printf(2, 3) void tally_result(const struct tally *tally, const char *format, ...)
{
	char what[96];
	va_list arguments;

	va_start(arguments, format);
	vscnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (tally->wrong)
		check_result(false, "%s # %lu of %lu wrong, the first PFN %#lx of node %d, order %u", what, tally->wrong,
			     tally->had, tally->wrong_pfn, page_to_nid(pfn_to_page(tally->wrong_pfn)), tally->wrong_order);
	else
		check_result(true, "%s%s", what, tally->had ? "" : " # SKIP nothing was to be had");
}

/* Several allocations, as the first of them may have come from a per-CPU list. */
static void ask_pages(struct tally *tally, gfp_t gfp, unsigned int order)
{
	const int wanted = order > 3 ? 2 : HOLD >> order;
	struct page *held[HOLD];
	int count = 0;

	if (tally->insisted)
		gfp |= __GFP_THISNODE;
	gfp |= __GFP_NOWARN | (order > 3 && !(gfp & __GFP_NOFAIL) ? __GFP_NORETRY : 0);
	while (count < wanted && (held[count] = alloc_pages_node(tally->node, gfp, order)))
		tally_page(tally, held[count++], order, gfp);
	while (count--)
		__free_pages(held[count], order);
}

static void ask_zones(int node, bool insisted)
{
	for (int zone = 0; zone < ARRAY_SIZE(zones); zone++) {
		for (int type = 0; type < ARRAY_SIZE(types); type++) {
			struct tally tally = { .node = node, .insisted = insisted };
			const gfp_t gfp = zones[zone].gfp | types[type].gfp;

			if ((gfp & __GFP_MOVABLE) && (gfp & __GFP_RECLAIMABLE))
				continue; /* not a migratetype */
			for (unsigned int order = 0; order <= MAX_PAGE_ORDER; order++)
				ask_pages(&tally, gfp, order);
			tally_result(&tally, "%s %s", zones[zone].name, types[type].name);
		}
	}
}

static void ask_modifiers(int node, bool insisted)
{
	for (int way = 0; way < ARRAY_SIZE(modifiers); way++) {
		struct tally tally = { .node = node, .insisted = insisted };

		for (unsigned int order = 0; order <= 3; order++)
			ask_pages(&tally, modifiers[way].gfp, order);
		tally_result(&tally, "%s", modifiers[way].name);
	}
}

static void check_pages(const unsigned long long *arguments, int count)
{
	ask_zones(arguments[0], false);
}

static void check_modifiers(const unsigned long long *arguments, int count)
{
	struct tally nofail = { .node = arguments[0] }, memalloc = nofail;
	unsigned int flags;

	ask_modifiers(arguments[0], false);
	ask_pages(&nofail, GFP_KERNEL | __GFP_NOFAIL, 0);
	tally_result(&nofail, "__GFP_NOFAIL");
	flags = memalloc_noreclaim_save();
	ask_pages(&memalloc, GFP_KERNEL, 0);
	memalloc_noreclaim_restore(flags);
	tally_result(&memalloc, "PF_MEMALLOC");
}

/* An interrupt has no cpuset and no policy. */
struct interrupt {
	struct irq_work work;
	struct tally preferred, insisted;
};

static void interrupted(struct irq_work *work)
{
	struct interrupt *interrupt = container_of(work, struct interrupt, work);

	ask_pages(&interrupt->preferred, GFP_ATOMIC, 0);
	ask_pages(&interrupt->insisted, GFP_ATOMIC | __GFP_MOVABLE | __GFP_HIGHMEM, 0);
}

static void check_interrupt(const unsigned long long *arguments, int count)
{
	struct interrupt *interrupt = kzalloc(sizeof(*interrupt), GFP_KERNEL);

	if (!interrupt)
		return;
	interrupt->preferred.node = interrupt->insisted.node = arguments[0];
	interrupt->insisted.insisted = true;
	init_irq_work(&interrupt->work, interrupted);
	irq_work_queue(&interrupt->work);
	irq_work_sync(&interrupt->work);
	tally_result(&interrupt->preferred, "in an interrupt");
	tally_result(&interrupt->insisted, "in an interrupt, insisted");
	kfree(interrupt);
}

static void check_thisnode(const unsigned long long *arguments, int count)
{
	struct tally tally = { .node = arguments[0], .insisted = true };

	ask_pages(&tally, GFP_HIGHUSER_MOVABLE, 0);
	check_result(tally.had == HOLD && !tally.wrong, "it is the way in # %lu of %d pages, %lu elsewhere", tally.had, HOLD,
		     tally.wrong);
	ask_zones(arguments[0], true);
	ask_modifiers(arguments[0], true);
}

static unsigned long ask_bulk(struct tally *tally, gfp_t gfp)
{
	struct page *held[HOLD] = { NULL };
	unsigned long had;

	if (tally->insisted)
		gfp |= __GFP_THISNODE;
#ifdef alloc_pages_bulk_array_node
	had = alloc_pages_bulk_array_node(gfp, tally->node, HOLD, held);
#else
	had = alloc_pages_bulk_node(gfp, tally->node, HOLD, held);
#endif
	for (int at = 0; at < HOLD; at++) {
		if (!held[at])
			continue;
		tally_page(tally, held[at], 0, gfp);
		__free_page(held[at]);
	}
	return had;
}

static void check_bulk(const unsigned long long *arguments, int count)
{
	for (int zone = 0; zone < ARRAY_SIZE(zones); zone++) {
		struct tally preferred = { .node = arguments[0] }, insisted = preferred;

		insisted.insisted = true;
		ask_bulk(&preferred, zones[zone].gfp);
		tally_result(&preferred, "%s", zones[zone].name);
		ask_bulk(&insisted, zones[zone].gfp);
		tally_result(&insisted, "%s insisted", zones[zone].name);
	}
}

static const struct way object_kinds[] = {
	{ "kmalloc", GFP_KERNEL },
	{ "kmalloc atomic", GFP_ATOMIC },
	{ "kmalloc accounted", GFP_KERNEL_ACCOUNT },
	{ "kmalloc reclaimable", GFP_KERNEL | __GFP_RECLAIMABLE },
	{ "kmalloc DMA", GFP_KERNEL | __GFP_DMA },
};

/* Objects of all sizes, some pages of each; above KMALLOC_MAX_CACHE_SIZE these are pages of their own. */
static void ask_objects(struct tally *tally, gfp_t gfp, int node, void **held)
{
	for (size_t size = 8; size <= SZ_256K; size *= 2) {
		const int wanted = size <= SZ_1K ? OBJECTS : size <= SZ_16K ? 16 : 1;
		int had = 0;

		while (had < wanted && (held[had] = kmalloc_node(size, gfp | __GFP_NOWARN, node)))
			tally_address(tally, held[had++]);
		while (had--)
			kfree(held[had]);
	}
}

static void check_slab(const unsigned long long *arguments, int count)
{
	void **held = kmalloc_array(OBJECTS, sizeof(*held), GFP_KERNEL);
	struct kmem_cache *cache = kmem_cache_create("nodealloc", 512, 0, 0, NULL);
	const int node = arguments[0];

	if (!held || !cache)
		goto out;
	for (int kind = 0; kind < ARRAY_SIZE(object_kinds); kind++) {
		struct tally tally = { .node = node };

		ask_objects(&tally, object_kinds[kind].gfp, node, held);
		tally_result(&tally, "%s", object_kinds[kind].name);
	}
	for (int round = 0; round < 2; round++) {
		struct tally tally = { .node = node };
		const bool first = round == 0;
		int had = 0;

		while (had < OBJECTS && (held[had] = kmem_cache_alloc_node(cache, GFP_KERNEL, first ? node : NUMA_NO_NODE)))
			tally_address(&tally, held[had++]);
		while (had--)
			kmem_cache_free(cache, held[had]);
		tally_result(&tally, "a cache, %s", first ? "the node preferred" : "no node asked");
	}
out:
	kmem_cache_destroy(cache);
	kfree(held);
}

/* What slab does with an allocation that insists is not judged; that nobody else gets such an object is. */
static void check_slab_thisnode(const unsigned long long *arguments, int count)
{
	void **held = kmalloc_array(OBJECTS, sizeof(*held), GFP_KERNEL), **other = kmalloc_array(OBJECTS, sizeof(*held), GFP_KERNEL);
	const int node = arguments[0];

	for (size_t size = 64; held && other && size <= SZ_8K; size *= 2) {
		struct tally insisted = { .node = node, .insisted = true }, others = { .node = node };
		const int wanted = size <= SZ_1K ? OBJECTS : 16;
		int had = 0, got = 0;

		while (had < wanted &&
		       (held[had] = kmalloc_node(size, GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN, node)))
			tally_address(&insisted, held[had++]);
		for (int at = 0; at < had; at += 2) /* room in the slabs there, if there are any */
			kfree(held[at]);
		while (got < wanted && (other[got] = kmalloc(size, GFP_KERNEL)))
			tally_address(&others, other[got++]);
		while (got--)
			kfree(other[got]);
		for (int at = 1; at < had; at += 2)
			kfree(held[at]);
		tally_result(&others, "%zu bytes for others (who insisted got %lu, %lu of them on the node)", size, insisted.had,
			     insisted.on_node);
	}
	kfree(other);
	kfree(held);
}

static void check_vmalloc(const unsigned long long *arguments, int count)
{
	static const size_t sizes[] = { PAGE_SIZE, SZ_64K, SZ_2M };
	const int node = arguments[0];

	for (int at = 0; at < ARRAY_SIZE(sizes); at++) {
		struct tally plain = { .node = node }, zeroed = plain, either = plain;
		void *address = vmalloc_node(sizes[at], node);

		tally_range(&plain, address, sizes[at]);
		vfree(address);
		tally_result(&plain, "vmalloc_node of %zu", sizes[at]);
		address = vzalloc_node(sizes[at], node);
		tally_range(&zeroed, address, sizes[at]);
		vfree(address);
		tally_result(&zeroed, "vzalloc_node of %zu", sizes[at]);
		address = kvmalloc_node(sizes[at], GFP_KERNEL, node);
		tally_range(&either, address, sizes[at]);
		kvfree(address);
		tally_result(&either, "kvmalloc_node of %zu", sizes[at]);
	}
}

/* The policy of whoever writes to the run file applies: no node is asked for here. */
static void check_policy(const unsigned long long *arguments, int count)
{
	struct tally pages = { .node = arguments[0] }, objects = pages, area = pages;
	void **held = kmalloc_array(OBJECTS, sizeof(*held), GFP_KERNEL), *address;

	for (unsigned int order = 0; order <= 3; order++) {
		struct page *page[HOLD];
		int had = 0;

		while (had < HOLD >> order && (page[had] = alloc_pages(GFP_HIGHUSER_MOVABLE, order)))
			tally_page(&pages, page[had++], order, GFP_HIGHUSER_MOVABLE);
		while (had--)
			__free_pages(page[had], order);
	}
	tally_result(&pages, "pages by the task's policy");
	if (held)
		ask_objects(&objects, GFP_KERNEL, NUMA_NO_NODE, held);
	tally_result(&objects, "objects by the task's policy");
	kfree(held);
	address = vmalloc(SZ_1M);
	tally_range(&area, address, SZ_1M);
	vfree(address);
	tally_result(&area, "vmalloc by the task's policy");
}

static int idle_thread(void *unused)
{
	return 0;
}

/* A driver's way: all that a device of that node has allocated for it. */
static void check_device(const unsigned long long *arguments, int count)
{
	struct tally coherent = { .node = arguments[0] }, managed = coherent, pages = coherent;
	struct platform_device *device = platform_device_register_simple("nodealloc", PLATFORM_DEVID_AUTO, NULL, 0);
	dma_addr_t handle;
	void *address;

	if (IS_ERR(device))
		return;
	set_dev_node(&device->dev, arguments[0]);
	if (!dma_coerce_mask_and_coherent(&device->dev, DMA_BIT_MASK(64))) {
		address = dma_alloc_coherent(&device->dev, SZ_64K, &handle, GFP_KERNEL);
		if (address) {
			tally_range(&coherent, address, SZ_64K);
			dma_free_coherent(&device->dev, SZ_64K, address, handle);
		}
	}
	tally_result(&coherent, "dma_alloc_coherent");
	for (int at = 0; at < HOLD; at++) {
		tally_address(&managed, devm_kmalloc(&device->dev, 1024, GFP_KERNEL));
		tally_address(&pages, (void *)devm_get_free_pages(&device->dev, GFP_KERNEL, 0));
	}
	tally_result(&managed, "devm_kmalloc");
	tally_result(&pages, "devm_get_free_pages");
	platform_device_unregister(device);
}

static void check_others(const unsigned long long *arguments, int count)
{
	struct tally stack = { .node = arguments[0] }, task = stack, pool = stack, percpu = stack, packet = stack;
	const int node = arguments[0];
	struct task_struct *thread;
	mempool_t *mempool;
	char __percpu *area;
	int cpu;

	for (int at = 0; at < 8; at++) {
		thread = kthread_create_on_node(idle_thread, NULL, node, "nodealloc");
		if (IS_ERR(thread))
			continue;
		tally_address(&task, thread);
		tally_range(&stack, task_stack_page(thread), THREAD_SIZE);
		kthread_stop(thread);
	}
	tally_result(&task, "task_struct of a kthread");
	tally_result(&stack, "stack of a kthread");
	mempool = mempool_create_node(HOLD, mempool_kmalloc, mempool_kfree, (void *)1024UL, GFP_KERNEL, node);
	if (mempool) {
		tally_address(&pool, mempool);
		tally_address(&pool, mempool->elements);
		mempool_destroy(mempool);
	}
	tally_result(&pool, "mempool_create_node");
	area = __alloc_percpu(SZ_16K, 64);
	if (area) {
		for_each_possible_cpu(cpu)
			tally_range(&percpu, per_cpu_ptr(area, cpu), SZ_16K);
		free_percpu(area);
	}
	tally_result(&percpu, "alloc_percpu");
#ifdef CONFIG_NET
	for (int at = 0; at < HOLD; at++) {
		struct sk_buff *skb = __alloc_skb(3000, GFP_KERNEL, 0, node);

		if (!skb)
			break;
		tally_address(&packet, skb);
		tally_address(&packet, skb->head);
		kfree_skb(skb);
	}
	tally_result(&packet, "__alloc_skb");
#endif
}

/* An owner is not asked for pages that are taken off the free lists. */
static void check_contig(const unsigned long long *arguments, int count)
{
#ifdef CONFIG_CONTIG_ALLOC
	const unsigned long pages = pageblock_nr_pages;
	const unsigned long end = node_end_pfn(arguments[0]);
	unsigned long pfn = ALIGN(node_start_pfn(arguments[0]), pages);
	int tried = 0, taken = 0;

	for (; pfn + pages <= end && tried < 8; pfn += pages) {
		int ret;

		if (!pfn_to_online_page(pfn) || pfn_to_nid(pfn) != arguments[0])
			continue;
#ifdef ACR_FLAGS_NONE
		ret = alloc_contig_range(pfn, pfn + pages, ACR_FLAGS_NONE, GFP_KERNEL | __GFP_NOWARN);
#else
		ret = alloc_contig_range(pfn, pfn + pages, MIGRATE_MOVABLE, GFP_KERNEL | __GFP_NOWARN);
#endif
		tried++;
		if (ret)
			continue;
		taken++;
		free_contig_range(pfn, pages);
	}
	check_result(!taken, "alloc_contig_range%s # %d of %d ranges of the node were to be had", tried ? "" : " # SKIP", taken, tried);
#else
	check_result(true, "alloc_contig_range # SKIP this kernel has none (CONFIG_CONTIG_ALLOC)");
#endif
}

static unsigned long take_all(struct list_head *held, struct tally *tally, unsigned int order)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN;
	unsigned long had = 0;
	struct page *page;

	while ((page = alloc_pages_node(tally->node, gfp, order))) {
		tally_page(tally, page, order, gfp);
		list_add(&page->lru, held);
		had++;
		if (!(had % 64))
			cond_resched();
	}
	return had << order;
}

static void give_back(struct list_head *held, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, held, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
	}
}

/* Until the node has no more: then nothing, not a page of another node; and all of it again once it was given back. */
static void check_exhausted(const unsigned long long *arguments, int count)
{
	LIST_HEAD(large);
	LIST_HEAD(small);
	struct tally tally = { .node = arguments[0], .insisted = true }, preferred = { .node = arguments[0] };
	unsigned long first, again;
	const unsigned int order = min(9, MAX_PAGE_ORDER);

	first = take_all(&large, &tally, order);
	first += take_all(&small, &tally, 0);
	ask_pages(&preferred, GFP_KERNEL, 0);
	tally_result(&preferred, "who only prefers it, with nothing left");
	give_back(&small, 0);
	give_back(&large, order);
	tally_result(&tally, "%lu pages, then none", first);
	again = take_all(&large, &tally, order);
	again += take_all(&small, &tally, 0);
	give_back(&small, 0);
	give_back(&large, order);
	/* those on the per-CPU lists of other CPUs may be missing */
	check_result(again + 4096 > first, "as many again # %lu, then %lu", first, again);
}

static bool all_bytes(const struct page *page, unsigned int order, u8 byte)
{
	return !memchr_inv(page_address(page), byte, PAGE_SIZE << order);
}

/* New pages where somebody wrote before: cleared where the kernel says so, and where the caller does. */
static void check_new_content(const unsigned long long *arguments, int count)
{
	const bool cleared = want_init_on_alloc(0) || want_init_on_free();
	const int node = arguments[0];

	for (unsigned int order = 0; order <= 3; order += 3) {
		struct page *held[HOLD];
		int had[3] = { 0 }, wrong = 0, unset = 0;

		for (int round = 0; round < 3; round++) {
			const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN | (round == 1 ? __GFP_ZERO : 0);

			while (had[round] < HOLD && (held[had[round]] = alloc_pages_node(node, gfp, order)))
				had[round]++;
			for (int at = 0; at < had[round]; at++) {
				if (round == 1)
					unset += !all_bytes(held[at], order, 0);
				if (round == 2)
					wrong += !all_bytes(held[at], order, 0);
				memset(page_address(held[at]), 0x5a, PAGE_SIZE << order);
				unset += !all_bytes(held[at], order, 0x5a);
			}
			for (int at = 0; at < had[round]; at++)
				__free_pages(held[at], order);
		}
		check_result(!unset, "order %u: __GFP_ZERO, and what was written%s # %d of %d pages", order,
			     had[1] ? "" : " # SKIP no page of the node was to be had", unset, had[1]);
		if (cleared)
			check_result(!wrong, "order %u: init_on_alloc or init_on_free%s # %d of %d pages are not cleared", order,
				     had[2] ? "" : " # SKIP no page of the node was to be had", wrong, had[2]);
		else
			check_result(true, "order %u: init_on_alloc or init_on_free # SKIP off in this kernel", order);
	}
}

/* What is left in a page once it is free: nobody may be able to read it, or it is cleared, or poisoned. */
static void check_freed_content(const unsigned long long *arguments, int count)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN;
	int had = 0, readable = 0, kept = 0, other = 0;
	struct page *held[HOLD];
	u8 *copy = kmalloc(PAGE_SIZE, GFP_KERNEL);
	const u8 byte = page_poisoning_enabled_static() ? PAGE_POISON : 0;

	while (copy && had < HOLD && (held[had] = alloc_pages_node(arguments[0], gfp, 0)))
		memset(page_address(held[had++]), 0x5a, PAGE_SIZE);
	for (int at = 0; at < had; at++) {
		void *address = page_address(held[at]);

		__free_page(held[at]);
		if (copy_from_kernel_nofault(copy, address, PAGE_SIZE))
			continue;
		readable++;
		kept += !memchr_inv(copy, 0x5a, PAGE_SIZE);
		other += memchr_inv(copy, byte, PAGE_SIZE) != NULL;
	}
	kfree(copy);
	if (!had) {
		check_result(true, "free pages # SKIP no page of the node was to be had");
		return;
	}
	check_result(!debug_pagealloc_enabled_static() || !readable, "DEBUG_PAGEALLOC # %s%d of %d free pages can be read",
		     debug_pagealloc_enabled_static() ? "" : "SKIP off in this kernel: ", readable, had);
	if (debug_pagealloc_enabled_static())
		check_result(true, "init_on_free, page poisoning # SKIP free pages cannot be read");
	else if (page_poisoning_enabled_static())
		check_result(!other, "page poisoning # %d of %d free pages are not poisoned", other, had);
	else if (want_init_on_free())
		check_result(!other, "init_on_free # %d of %d free pages are not cleared", other, had);
	else
		check_result(true, "init_on_free, page poisoning # SKIP off in this kernel: %d of %d pages keep their content", kept, had);
}

static struct page *kept[2];

/* Pages that are nobody's business on a private node, for those who look for such. */
static noinline void check_keep(const unsigned long long *arguments, int count)
{
	int had = 0;

	for (int at = 0; at < ARRAY_SIZE(kept); at++) {
		if (!kept[at])
			kept[at] = alloc_pages_node(arguments[0], GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 2 * at);
		had += kept[at] != NULL;
	}
	check_result(had == ARRAY_SIZE(kept), "5 pages in 2 allocations");
}

static void check_drop(const unsigned long long *arguments, int count)
{
	for (int at = 0; at < ARRAY_SIZE(kept); at++) {
		if (kept[at])
			__free_pages(kept[at], 2 * at);
		kept[at] = NULL;
	}
	check_result(true, "nothing is kept");
}

/* What this kernel does to pages, as it runs. */
static void check_hardening(const unsigned long long *arguments, int count)
{
	check_print("# init_on_alloc=%d init_on_free=%d page_poison=%d debug_pagealloc=%d\n", want_init_on_alloc(0),
		    want_init_on_free(), page_poisoning_enabled_static(), debug_pagealloc_enabled_static());
	check_result(true, "known");
}

static const struct check table[] = {
	{ "pages", check_pages, 1 },
	{ "modifiers", check_modifiers, 1 },
	{ "interrupt", check_interrupt, 1 },
	{ "thisnode", check_thisnode, 1 },
	{ "bulk", check_bulk, 1 },
	{ "slab", check_slab, 1 },
	{ "slab_thisnode", check_slab_thisnode, 1 },
	{ "vmalloc", check_vmalloc, 1 },
	{ "policy", check_policy, 1 },
	{ "device", check_device, 1 },
	{ "others", check_others, 1 },
	{ "contig", check_contig, 1 },
	{ "exhausted", check_exhausted, 1 },
	{ "new_content", check_new_content, 1 },
	{ "freed_content", check_freed_content, 1 },
	{ "hardening", check_hardening, 1 },
	{ "keep", check_keep, 1 },
	{ "drop", check_drop, 0 },
	{ }
};

static int __init nodealloc_init(void)
{
	return checks_start("nodealloc", table);
}
module_init(nodealloc_init);

static void __exit nodealloc_exit(void)
{
	check_drop(NULL, 0);
	checks_end();
}
module_exit(nodealloc_exit);

MODULE_DESCRIPTION("Asks the allocators for memory of a NUMA node");
MODULE_LICENSE("GPL");
