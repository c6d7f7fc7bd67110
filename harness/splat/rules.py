# SPDX-License-Identifier: GPL-2.0-only
"""What on a kernel's console is a splat, what is not, and which stack frames say nothing: data, a reason for each line.

The formats are those of Linux 6.12; the source file that prints each is named where it is not obvious.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A line that begins a splat of this ``kind``. A ``consequence`` belongs to a splat that is already open."""

    kind: str
    pattern: re.Pattern[str]
    reason: str
    consequence: bool = False


def _rule(kind: str, pattern: str, reason: str, *, consequence: bool = False) -> Rule:
    return Rule(kind, re.compile(pattern), reason, consequence)


# A message may carry its subsystem's prefix ("watchdog: BUG: …", "rcu: INFO: …").
_PREFIX = r"^(?:[\w/.#-]+(?: [\w-]+)?: )?"

# The first that matches names the kind. Specific ones stand before the general ones that catch what is unknown.
SPLATS = (
    _rule("kasan", _PREFIX + r"BUG: KASAN: ", "mm/kasan/report.c"),
    _rule("kfence", _PREFIX + r"BUG: KFENCE: ", "mm/kfence/report.c"),
    _rule("kmsan", _PREFIX + r"BUG: KMSAN: ", "mm/kmsan/report.c"),
    _rule("kcsan", _PREFIX + r"BUG: KCSAN: ", "kernel/kcsan/report.c"),
    _rule("ubsan", r"^UBSAN: ", "lib/ubsan.c"),
    _rule("softlockup", _PREFIX + r"BUG: soft lockup - CPU#", "kernel/watchdog.c"),
    _rule("hardlockup", r"Watchdog detected hard LOCKUP on cpu", "kernel/watchdog.c"),
    _rule("workqueue", _PREFIX + r"BUG: workqueue (?:lockup|leaked)", "kernel/workqueue.c"),
    _rule("pagefault", _PREFIX + r"BUG: (?:kernel NULL pointer dereference|unable to handle)", "arch/x86/mm/fault.c"),
    _rule("pagefault", r"^Unable to handle kernel ", "arch/arm64/mm/fault.c"),
    _rule("atomic", _PREFIX + r"BUG: (?:scheduling while atomic|scheduling in a non-blocking)", "kernel/sched/core.c"),
    _rule("atomic", _PREFIX + r"BUG: sleeping function called from invalid context", "kernel/sched/core.c"),
    _rule("atomic", _PREFIX + r"BUG: using \w+\(\) in preemptible", "lib/smp_processor_id.c"),
    _rule("atomic", r"^bad: scheduling from the idle thread!", "kernel/sched/idle.c"),
    _rule("badpage", _PREFIX + r"BUG: Bad (?:page|rss-counter)", "mm/page_alloc.c, mm/memory.c, kernel/fork.c"),
    _rule("badpage", r"^page dumped because: ", "mm/debug.c: a DEBUG_VM check failed", consequence=True),
    _rule("slab", r"^BUG [\w-]+(?: \([^)]*\))?: ", "mm/slub.c: an object or its red zone was overwritten"),
    _rule("slab", r"^(?:Slab corruption|slab error in )", "mm/slub.c"),
    _rule("lockdep", _PREFIX + r"WARNING: (?:possible (?:circular locking dependency|recursive locking|irq lock)|"
          r"inconsistent lock state|[\w-]+-safe -> [\w-]+-unsafe|suspicious RCU usage|"
          r"bad (?:unlock balance|contention)|held lock freed|"
          r"Nested lock was not taken|lock held when returning|.* still has locks held|chain_key collision)",
          "kernel/locking/lockdep.c"),
    _rule("lockdep", r"^\[ BUG: Invalid wait context \]", "kernel/locking/lockdep.c"),
    _rule("lockdep", r"^INFO: trying to register non-static key", "kernel/locking/lockdep.c"),
    _rule("lockdep", r"^INFO: possible recursive locking", "kernel/locking/lockdep.c, before 6.x"),
    _rule("rcustall", r"\bINFO: \w+ (?:self-)?detected (?:expedited )?stalls?", "kernel/rcu/tree_stall.h"),
    _rule("hungtask", r"\bINFO: task .* blocked (?:for more than|on )", "kernel/hung_task.c"),
    _rule("list", r"^list_(?:add|del)(?:_\w+)? corruption", "lib/list_debug.c"),
    _rule("refcount", r"^refcount_t: ", "lib/refcount.c, a line below its WARNING on some kernels", consequence=True),
    _rule("usercopy", r"^usercopy: Kernel memory (?:exposure|overwrite) attempt", "mm/usercopy.c"),
    _rule("fortify", r"^(?:detected buffer overflow in|memcpy: detected field-spanning write)", "lib/string_helpers.c"),
    _rule("bug", r"^kernel BUG at ", "lib/bug.c"),
    _rule("gpf", r"^(?:Oops: )?general protection fault", "arch/x86/kernel/traps.c"),
    _rule("oops", r"^(?:Oops: (?:0000: )?invalid opcode|invalid opcode: )", "a BUG() on x86", consequence=True),
    _rule("oops", r"^(?:Internal error: )?Oops\b", "arch/x86/kernel/dumpstack.c", consequence=True),
    _rule("oops", r"^(?:divide error|stack segment|double fault|int3|bounds|alignment check|invalid TSS): ", "traps.c"),
    _rule("oops", r"^(?:traps: )?PANIC: ", "arch/x86/kernel/traps.c"),
    _rule("stack", r"\b[Kk]ernel stack (?:overflow|is corrupted)", "kernel/panic.c, arch/x86", consequence=True),
    _rule("panic", r"^Kernel panic - not syncing", "kernel/panic.c", consequence=True),
    _rule("oom", r" invoked oom-killer: ", "mm/oom_kill.c"),
    _rule("oom", r"^(?:Out of memory|Memory cgroup out of memory)(?: \([^)]*\))?: Killed process", "mm/oom_kill.c",
          consequence=True),
    _rule("allocation", r": page allocation (?:failure|stalls)", "mm/page_alloc.c"),
    _rule("allocation", r"^SLUB: Unable to allocate memory", "mm/slub.c"),
    _rule("kmemleak", r"^kmemleak: \d+ new suspected memory leaks", "mm/kmemleak.c"),
    _rule("sysfs", r"^sysfs: cannot create duplicate filename", "fs/sysfs/dir.c"),
    _rule("sysfs", r"^kobject.*(?:does not have a release|tried to init an initialized)", "lib/kobject.c"),
    _rule("sysfs", r"^kobject_add_internal failed for", "lib/kobject.c"),
    _rule("sysfs", r"^(?:Device '[^']*' does not have a release\(\) function)", "drivers/base/core.c"),
    _rule("debugobjects", r"^ODEBUG: ", "lib/debugobjects.c"),
    _rule("netdev", r"^unregister_netdevice: waiting for ", "net/core/dev.c"),
    _rule("lockdep", _PREFIX + r"BUG: MAX_(?:LOCKDEP|STACK|LOCK)_", "lockdep turned itself off"),
    _rule("warning", r"^WARNING: (?:CPU: \d+ PID: \d+ at |\S+:\d+ at )", "kernel/panic.c; the second from 6.18"),
    _rule("bug", _PREFIX + r"BUG: ", "any BUG line of a kind not listed"),
    _rule("warning", r"^WARNING: ", "any WARNING line of a kind not listed"),
)  # fmt: skip

# Lines that a rule above would take and that are not a splat.
ALLOWED = (
    (re.compile(r"^INFO: lockdep is turned off"), "part of other reports; says nothing new"),
    (re.compile(r"^WARNING: Flushing system-wide workqueues"), "advice to out-of-tree drivers, kernel/workqueue.c"),
    (re.compile(r"^WARNING: (?:Spectre|Unprivileged eBPF)"), "about the emulated CPU, not the kernel"),
)

CUT_HERE = re.compile(r"-+\[ cut here \]-+")
END_TRACE = re.compile(r"---\[ end (?:trace|Kernel panic)\b")
RULER = re.compile(r"^={20,}$")
CALL_TRACE = re.compile(r"^\s*(?:Call [Tt]race:|stack backtrace:|Backtrace:)")
# A dump that somebody asked for (drivers/tty/sysrq.c): its call traces are no splats, what else it holds may be.
ASKED_FOR = re.compile(r"^sysrq: Show ")

# The harness's own marks on the console; a splat never extends beyond one.
CASE_MARK = re.compile(r"^harness: case (begin|end|expects) (\S+)(?: (.*))?$")

# Frames that every report of a kind has: the reporting machinery, entry code, the scheduler of a blocked task.
DULL_FRAMES = re.compile(
    r"^(?:dump_stack\w*|__dump_stack|show_stack\w*|print_(?:report|address_\w+|circular_bug\w*|usage_bug\w*|deadlock_bug\w*)|"
    r"kasan_\w+|__kasan_\w+|__asan_\w+|kfence_\w+|__kfence_\w+|__ubsan_\w+|ubsan_\w+|"
    r"__warn\w*|warn_slowpath_\w+|report_bug|handle_bug|exc_\w+|asm_\w+|do_(?:trap|error_trap|invalid_op)|"
    r"__die\w*|die\w*|oops_\w+|page_fault_oops|no_context|__bad_area\w*|bad_area\w*|fixup_exception|panic|vpanic|"
    r"do_user_addr_fault|__might_(?:sleep|resched)|___might_sleep|bad_page|refcount_warn_saturate|"
    r"__list_(?:add|del)_\w+|check_noncircular|__lock_acquire|lock_acquire|lockdep_\w+|validate_chain|"
    r"__schedule(?:_bug)?|schedule(?:_timeout|_preempt_disabled)?|io_schedule\w*|sched_show_task|watchdog_timer_fn|nmi_\w+|rcu_\w+|__sysvec_\w+|sysvec_\w+|"
    r"dump_header|oom_kill_process|out_of_memory|mem_cgroup_out_of_memory|warn_alloc)$"
)
