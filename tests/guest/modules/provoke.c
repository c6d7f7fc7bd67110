// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the kernel complain: `insmod provoke.ko what=NAME`. What LKDTM has no crash type for, or needs a kernel of its
 * own. Where the kernel survives, insmod fails (EAGAIN), so that the module is never left behind.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/kfence.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static char *what = "";
module_param(what, charp, 0400);
static unsigned int seconds = 30;
module_param(seconds, uint, 0400);

static DEFINE_SPINLOCK(spin);
static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static void __rcu *never;

static noinline void provoke_warning(void)
{
	WARN_ON(1);
}

static noinline void provoke_warning_message(void)
{
	WARN(1, "provoke: seen %d times\n", 1);
}

static noinline void provoke_bug(void)
{
	BUG();
}

static noinline void provoke_null(void)
{
	*(volatile int *)8 = 0;
}

static noinline void provoke_general_protection(void)
{
	*(volatile int *)0xdead000000000100UL = 0;
}

static noinline void provoke_vm_bug_page(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (page)
		VM_BUG_ON_PAGE(!PageLocked(page), page);
}

static noinline void provoke_bad_page(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page)
		return;
	page->mapping = (void *)0x100;
	__free_page(page);
}

static noinline void provoke_red_zone(void)
{
	volatile char *object = kmalloc(64, GFP_KERNEL);

	if (!object)
		return;
	OPTIMIZER_HIDE_VAR(object);
	object[64] = 0x5a;
	kfree((void *)object);
}

static noinline void provoke_list(void)
{
	LIST_HEAD(head);
	struct list_head one, two;

	list_add(&one, &head);
	head.next = &two;
	two.prev = &two;
	list_add(&two, &one);
}

static noinline void provoke_refcount(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
}

static noinline void provoke_sleep_atomic(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

static noinline void provoke_schedule_atomic(void)
{
	spin_lock(&spin);
	schedule();
	spin_unlock(&spin);
}

static noinline void provoke_lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static noinline void provoke_recursive_lock(void)
{
	mutex_lock(&first);
	mutex_lock(&first);
}

static noinline void provoke_rcu_usage(void)
{
	pr_info("provoke: %d\n", rcu_dereference(never) != NULL);
}

static noinline void provoke_sysfs(void)
{
	struct kobject *one = kobject_create_and_add("provoke", kernel_kobj);
	struct kobject *other = kobject_create_and_add("provoke", kernel_kobj);

	kobject_put(other);
	kobject_put(one);
}

static noinline void provoke_leak(void)
{
	for (int i = 0; i < 5; i++) {
		void *volatile lost = kmalloc(3000 + i, GFP_KERNEL);

		(void)lost;
	}
}

static noinline void provoke_allocation(void)
{
	struct list_head pages = LIST_HEAD_INIT(pages);
	struct page *page, *next;

	while ((page = alloc_pages(GFP_KERNEL | __GFP_NORETRY, 9)))
		list_add(&page->lru, &pages);
	list_for_each_entry_safe(page, next, &pages, lru) {
		list_del(&page->lru);
		__free_pages(page, 9);
	}
}

static noinline void provoke_vmalloc(void)
{
	vfree(vmalloc(1UL << 42));
}

/* KFENCE guards one allocation in an interval: ask until it is ours. */
static noinline void provoke_kfence(void)
{
	for (int i = 0; i < 500; i++) {
		volatile char *object = kmalloc(32, GFP_KERNEL);

		if (object && is_kfence_address((void *)object)) {
			kfree((void *)object);
			pr_info("provoke: %d\n", object[8]);
			return;
		}
		kfree((void *)object);
		msleep(20);
	}
	pr_info("provoke: KFENCE took none of ours\n");
}

static noinline void provoke_shift(void)
{
	volatile unsigned int by = 40, value = 1;

	value = (int)value << by;
	pr_info("provoke: %u\n", value);
}

static noinline void provoke_hung_task(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
}

static noinline void busy(void)
{
	u64 until = ktime_get_mono_fast_ns() + seconds * NSEC_PER_SEC;

	while (ktime_get_mono_fast_ns() < until)
		cpu_relax();
}

static noinline void provoke_soft_lockup(void)
{
	preempt_disable();
	busy();
	preempt_enable();
}

static noinline void provoke_rcu_stall(void)
{
	rcu_read_lock();
	busy();
	rcu_read_unlock();
}

static noinline void provoke_hard_lockup(void)
{
	unsigned long flags;

	local_irq_save(flags);
	busy();
	local_irq_restore(flags);
}

static void busy_work(struct work_struct *work)
{
	busy();
}

static DECLARE_WORK(work, busy_work);

static noinline void provoke_workqueue(void)
{
	schedule_work(&work);
	flush_work(&work);
}

/* Two CPUs complain at once. */
static void both_work(struct work_struct *unused)
{
	for (int i = 0; i < 3; i++)
		WARN(1, "provoke: on the other CPU\n");
}

static DECLARE_WORK(other, both_work);

static noinline void provoke_two_at_once(void)
{
	schedule_work_on(cpumask_any_but(cpu_online_mask, raw_smp_processor_id()), &other);
	for (int i = 0; i < 3; i++)
		WARN(1, "provoke: on this CPU\n");
	flush_work(&other);
}

/* A taint that no report goes with. */
static noinline void provoke_taint(void)
{
	add_taint(TAINT_MACHINE_CHECK, LOCKDEP_STILL_OK);
}

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
	{ "warning", provoke_warning },
	{ "warning-message", provoke_warning_message },
	{ "bug", provoke_bug },
	{ "null", provoke_null },
	{ "general-protection", provoke_general_protection },
	{ "vm-bug-page", provoke_vm_bug_page },
	{ "bad-page", provoke_bad_page },
	{ "red-zone", provoke_red_zone },
	{ "list", provoke_list },
	{ "refcount", provoke_refcount },
	{ "sleep-atomic", provoke_sleep_atomic },
	{ "schedule-atomic", provoke_schedule_atomic },
	{ "lock-order", provoke_lock_order },
	{ "recursive-lock", provoke_recursive_lock },
	{ "rcu-usage", provoke_rcu_usage },
	{ "sysfs", provoke_sysfs },
	{ "leak", provoke_leak },
	{ "allocation", provoke_allocation },
	{ "vmalloc", provoke_vmalloc },
	{ "kfence", provoke_kfence },
	{ "shift", provoke_shift },
	{ "hung-task", provoke_hung_task },
	{ "soft-lockup", provoke_soft_lockup },
	{ "rcu-stall", provoke_rcu_stall },
	{ "hard-lockup", provoke_hard_lockup },
	{ "workqueue", provoke_workqueue },
	{ "two-at-once", provoke_two_at_once },
	{ "taint", provoke_taint },
};

static int __init provoke_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (strcmp(what, ways[i].name))
			continue;
		ways[i].run();
		return -EAGAIN;
	}
	return -EINVAL;
}

static void __exit provoke_exit(void)
{
}

module_init(provoke_init);
module_exit(provoke_exit);
MODULE_DESCRIPTION("Makes the kernel complain on request");
MODULE_LICENSE("GPL");
