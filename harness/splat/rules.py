# SPDX-License-Identifier: GPL-2.0-only
"""What on a kernel's console is a splat, what is not, and which stack frames say nothing: data, a reason for each line.

The formats are those of Linux 6.12; the source file that prints each is named where it is not obvious.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A line that begins a splat of this ``kind``; only one that has the text ``needs`` can be (so most are not tried).

    A ``consequence`` belongs to a splat that is already open, an ``epilogue`` also to one that has just ended; alone,
    both begin one.
    """

    kind: str
    needs: str
    pattern: re.Pattern[str]
    reason: str
    consequence: bool = False
    epilogue: bool = False


def _rule(
    kind: str, needs: str, pattern: str, reason: str, *, consequence: bool = False, epilogue: bool = False
) -> Rule:
    return Rule(kind, needs, re.compile(pattern), reason, consequence or epilogue, epilogue)


# The first that matches names the kind. Specific ones stand before the general ones that catch what is unknown. A
# pattern is anchored only where words in the middle of a line would be somebody's talk: a line may have lost its start.
SPLATS = (
    _rule("kasan", "BUG: KASAN", r"\bBUG: KASAN: ", "mm/kasan/report.c"),
    _rule("kfence", "BUG: KFENCE", r"\bBUG: KFENCE: ", "mm/kfence/report.c"),
    _rule("kmsan", "BUG: KMSAN", r"\bBUG: KMSAN: ", "mm/kmsan/report.c"),
    _rule("kcsan", "BUG: KCSAN", r"\bBUG: KCSAN: ", "kernel/kcsan/report.c"),
    _rule("ubsan", "UBSAN: ", r"\bUBSAN: ", "lib/ubsan.c"),
    _rule("softlockup", "soft lockup - CPU#", r"\bBUG: soft lockup - CPU#", "kernel/watchdog.c"),
    _rule("hardlockup", "hard LOCKUP on cpu", r"Watchdog detected hard LOCKUP on cpu", "kernel/watchdog.c"),
    _rule("workqueue", "BUG: workqueue", r"\bBUG: workqueue (?:lockup|leaked)", "kernel/workqueue.c"),
    _rule("pagefault", "BUG: kernel NULL", r"\bBUG: kernel NULL pointer dereference", "arch/x86/mm/fault.c"),
    _rule("pagefault", "BUG: unable to", r"\bBUG: unable to handle", "arch/x86/mm/fault.c"),
    _rule("pagefault", "Unable to handle", r"^Unable to handle kernel ", "arch/arm64/mm/fault.c"),
    _rule("atomic", "BUG: scheduling", r"\bBUG: scheduling (?:while atomic|in a non-blocking)", "kernel/sched/core.c"),
    _rule("atomic", "BUG: sleeping", r"\bBUG: sleeping function called from invalid context", "kernel/sched/core.c"),
    _rule("atomic", "BUG: assuming", r"\bBUG: assuming (?:atomic|non migratable) context", "kernel/sched/core.c"),
    _rule("atomic", "BUG: using", r"\bBUG: using \w+\(\) in preemptible", "lib/smp_processor_id.c"),
    _rule("atomic", "bad: scheduling", r"\bbad: scheduling from the idle thread!", "kernel/sched/idle.c"),
    _rule("stack", "stack guard page", r"\bBUG: .*stack guard page was hit",
          "arch/x86/mm/fault.c: the stack overflowed"),
    _rule("badpage", "BUG: Bad", r"\bBUG: Bad (?:page|rss-counter)",
          "mm/page_alloc.c, mm/memory.c, mm/filemap.c, kernel/fork.c"),
    _rule("debugvm", "page dumped because: VM_", r"\bpage dumped because: VM_\w*ON",
          "mm/debug.c: VM_BUG_ON_PAGE and its like",
          consequence=True),
    _rule("debugvm", " task_size ", r"^mm (?:0x)?[0-9a-f]{8,16} task_size ", "mm/debug.c: VM_BUG_ON_MM"),
    _rule("debugvm", "vma ", r"^vma (?:0x)?[0-9a-f]{8,16} start ", "mm/debug.c: VM_BUG_ON_VMA"),
    _rule("debugvm", "debug_vm_pgtable: ", r"^debug_vm_pgtable: .*(?:[Ff]ailed|mismatch)", "mm/debug_vm_pgtable.c"),
    _rule("badpage", "page dumped because", r"\bpage dumped because: ",
          "mm/debug.c: why it is shown", consequence=True),
    _rule("slab", "BUG ", r"^BUG [\w:-]+(?: \([^)]*\))?: ", "mm/slub.c: an object or its red zone was overwritten"),
    _rule("slab", " overwritten] ", r"^\[[\w ]+ overwritten\] ", "mm/slub.c: which part, above its report"),
    _rule("slab", "mm/slub.c",
          r"\bWARNING: (?:.*\bat mm/slub\.c:\d+ |mm/slub\.c:\d+ at )(?:object_err|(?:__)?slab_err)\b",
          "mm/slub.c: the stack, below its report", consequence=True),
    _rule("slab", "lab ", r"^(?:Slab corruption|slab error in )", "mm/slub.c"),
    _rule("lockdep", "WARNING: ", r"\bWARNING: (?:possible (?:circular locking dependency|recursive locking|irq lock)|"
          r"inconsistent lock state|[\w-]+-safe -> [\w-]+-unsafe|suspicious RCU usage|"
          r"bad (?:unlock balance|contention)|held lock freed|"
          r"Nested lock was not taken|lock held when returning|.* still has locks held|chain_key collision)",
          "kernel/locking/lockdep.c"),
    _rule("lockdep", "BUG: Invalid wait", r"\[ BUG: Invalid wait context \]", "kernel/locking/lockdep.c"),
    _rule("lockdep", "INFO: trying to", r"\bINFO: trying to register non-static key", "kernel/locking/lockdep.c"),
    _rule("lockdep", "INFO: possible", r"\bINFO: possible recursive locking", "kernel/locking/lockdep.c, before 6.x"),
    _rule("rcustall", "detected ", r"\bINFO: \w+ (?:self-)?detected (?:expedited )?stalls?", "kernel/rcu/tree_stall.h"),
    _rule("rcustall", "kthread starved", r"\b\w+ kthread starved for \d+ jiffies", "kernel/rcu/tree_stall.h",
          epilogue=True),
    _rule("hungtask", "blocked ", r"\bINFO: task .* blocked (?:for more than|on )", "kernel/hung_task.c"),
    _rule("list", " corruption", r"\blist_(?:add|del)(?:_\w+)? corruption", "lib/list_debug.c"),
    _rule("refcount", "refcount_t: ", r"\brefcount_t: ", "lib/refcount.c, a line below its WARNING on some kernels",
          consequence=True),
    _rule("usercopy", "Kernel memory ", r"\busercopy: Kernel memory (?:exposure|overwrite) attempt", "mm/usercopy.c"),
    _rule("fortify", "detected", r"\b(?:detected buffer overflow in|memcpy: detected field-spanning write)",
          "lib/string_helpers.c"),
    _rule("fortify", "buffer overflow", r": detected buffer overflow: ",
          "lib/string_helpers.c, from 6.9 on"),
    _rule("bug", "kernel BUG at ", r"\bkernel BUG at ", "lib/bug.c"),
    _rule("gpf", "general protection fault", r"^(?:Oops: )?general protection fault(?:,|:| maybe)",
          "arch/x86/kernel/traps.c; a process's own has no comma"),
    _rule("oops", "invalid opcode", r"^(?:Oops: (?:0000: )?invalid opcode|invalid opcode: )", "a BUG() on x86",
          consequence=True),
    _rule("oops", " [#", r"(?:divide error|stack segment|double fault|int3|bounds|alignment check|invalid TSS|"
          r"segment not present|control protection fault|exception): [0-9a-f]{4} \[#", "arch/x86/kernel/traps.c"),
    _rule("oops", "Oops", r"^(?:Internal error: )?Oops(?: - \w+)?:", "arch/x86/kernel/dumpstack.c", consequence=True),
    _rule("oops", "PANIC: ", r"^(?:traps: )?PANIC: ", "arch/x86/kernel/traps.c"),
    _rule("oops", "recursive fault", r"^Fixing recursive fault but reboot is needed", "kernel/exit.c", epilogue=True),
    _rule("stack", "ernel stack ", r"\b[Kk]ernel stack (?:overflow|is corrupted)", "kernel/panic.c, arch/x86",
          consequence=True),
    _rule("panic", "Kernel panic", r"\bKernel panic - not syncing: (?:Fatal exception|.*panic_on_warn set|"
          r"panic_on_taint set|softlockup: hung tasks|hung_task: blocked tasks|Hard LOCKUP|RCU Stall|kasan)",
          "kernel/panic.c: what was seen before, and a setting that makes it fatal", epilogue=True),
    _rule("panic", "Kernel panic", r"(?<!end )\bKernel panic - not syncing", "kernel/panic.c"),
    _rule("oom", "oom-killer", r" invoked oom-killer: ", "mm/oom_kill.c"),
    _rule("oom", "Killed process", r"(?:Out of memory|[Mm]emory cgroup out of memory)(?: \([^)]*\))?: Killed process",
          "mm/oom_kill.c", consequence=True),
    _rule("oom", "Out of memory", r"\bOut of memory and no killable processes", "mm/oom_kill.c", consequence=True),
    _rule("allocation", "page allocation", r": page allocation (?:failure|stalls)", "mm/page_alloc.c"),
    _rule("allocation", "allocation from offline", r"\ballocation from offline node \d", "include/linux/gfp.h"),
    _rule("allocation", "vmalloc error", r": vmalloc error: size ", "mm/vmalloc.c"),
    _rule("allocation", "SLUB: Unable", r"^SLUB: Unable to allocate memory", "mm/slub.c"),
    _rule("kmemleak", "suspected memory", r"\bkmemleak: \d+ new suspected memory leaks", "mm/kmemleak.c"),
    _rule("sysfs", "cannot create duplicate", r"\bsysfs: cannot create duplicate filename", "fs/sysfs/dir.c"),
    _rule("sysfs", "kobject", r"^kobject.*(?:does not have a release|tried to (?:init|add) an? (?:un)?initialized)",
          "lib/kobject.c"),
    _rule("sysfs",
          " failed for ", r"^kobject.* failed for .*(?:EEXIST|error:)",
          "lib/kobject.c", epilogue=True),
    _rule("sysfs", "does not have a release", r"^(?:Device '[^']*' does not have a release\(\) function)",
          "drivers/base/core.c"),
    _rule("debugobjects", "ODEBUG: ", r"\bODEBUG: (?!Out of memory|selftest)", "lib/debugobjects.c"),
    _rule("netdev", "unregister_netdevice", r"\bunregister_netdevice: waiting for ", "net/core/dev.c"),
    _rule("csdlock", "csd: ", r"\bcsd: Detected non-responsive CSD lock",
          "kernel/smp.c: a CPU does not answer another's call"),
    _rule("lockdep", "BUG: MAX_", r"\bBUG: MAX_(?:LOCKDEP|STACK|LOCK)_", "lockdep turned itself off"),
    _rule("taint", "taint", r"\btaints kernel\b|\btainting kernel\b|\bkernel tainted\.|, inheriting taint\.",
          "kernel/module/main.c: a module changes what the kernel is taken for"),
    _rule("taint", "kernel taint", r"\bDisabling lock debugging due to kernel taint",
          "kernel/panic.c, at the end of a report",
          epilogue=True),
    _rule("warning", "WARNING: ", r"\bWARNING: (?:kernel stack (?:regs|frame pointer) at|can't access registers at|"
          r"stack recursion on|stack going in the wrong direction)",
          "the unwinder's, in the midst of a trace", consequence=True),
    _rule("warning", "WARNING: ", r"\bWARNING: (?:CPU: \d+ PID: \d+ at |\S+:\d+ at )",
          "kernel/panic.c; the second from 6.18"),
    _rule("bug", "BUG: ", r"\bBUG: ", "any BUG line of a kind not listed"),
    _rule("warning", "WARNING: ", r"\bWARNING: ", "any WARNING line of a kind not listed"),
)  # fmt: skip

# Lines that a rule above would take and that are not a splat.
ALLOWED = (
    (re.compile(r"^INFO: lockdep is turned off"), "part of other reports; says nothing new"),
    (re.compile(r"^WARNING: Flushing system-wide workqueues"), "advice to out-of-tree drivers, kernel/workqueue.c"),
    (re.compile(r"\bWARNING: (?:Spectre|Unprivileged eBPF)"), "about the emulated CPU, not the kernel"),
    (
        re.compile(r": loading (?:out-of-tree|test) module taints kernel"),
        "test modules, ours and the selftests', are built out of the tree (taints O, N)",
    ),
    (
        re.compile(r": module verification failed: signature and/or required key missing - tainting kernel"),
        "nobody signs a test module (taint E)",
    ),
)

# Kinds after whose report the kernel is as sound as before: a case that announced one needs no fresh guest behind it.
# (After a lockdep report lockdep is off, after an Oops locks may be held for ever, …)
HARMLESS = frozenset(
    ("oom", "allocation", "kmemleak", "hungtask", "rcustall", "softlockup", "sysfs", "warning", "taint")
)

CUT_HERE = re.compile(r"-+\[ cut here \]-+")
# What a report holds beside its message. With no report open, the first group is what is left of one whose beginning
# was lost; the second says nothing by itself.
REMAINS = re.compile(
    r"^\s*(?:\? )?[A-Za-z_][\w.$]*\+0x[0-9a-f]+/0x[0-9a-f]+(?:\s+\[[^\]]+\])*\s*$|^RIP: 0010:|"
    r"^---\[ end (?:trace|Kernel panic)"
)
DETAILS = re.compile(
    r"^\s*(?:CPU: \d+ |Hardware name: |Modules linked in:|Tainted: |Workqueue: |Code: |R[ABCDS][XPI]: |R\d\d: |CR2: |"
    r"FS: |CS: |DR\d: |PKRU: |irq event stamp: |(?:hard|soft)irqs last |RIP: |</?[A-Z#]{2,9}\d?>|"
    r"note: \S+ exited with )"
)
SLAB_DUMP = re.compile(r"^(?:Object|Padding|Redzone|Bytes b4)\s+(?:0x)?[0-9a-f]{8,16}: ")  # mm/slub.c: bytes in hex
NMI_BACKTRACE = re.compile(r"^NMI backtrace for cpu \d")  # lib/nmi_backtrace.c: another CPU's part of a report
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
    r"object_err|slab_err|check_bytes_and_report|check_object|(?:alloc|free)_debug_processing|free_to_partial_list|"
    r"__die\w*|die\w*|oops_\w+|page_fault_oops|no_context|__bad_area\w*|bad_area\w*|fixup_exception|panic|vpanic|"
    r"do_user_addr_fault|__might_(?:sleep|resched)|___might_sleep|bad_page|free_page_is_bad_report|check_new_page_bad|"
    r"__stack_chk_fail|refcount_warn_saturate|"
    r"__list_(?:add|del)_\w+|check_noncircular|__lock_acquire|lock_acquire|lockdep_\w+|validate_chain|"
    r"__schedule(?:_bug)?|schedule(?:_timeout|_preempt_disabled)?|io_schedule\w*|sched_show_task|watchdog_timer_fn|nmi_\w+|rcu_\w+|__sysvec_\w+|sysvec_\w+|"
    r"dump_header|oom_kill_process|out_of_memory|mem_cgroup_out_of_memory|warn_alloc)$"
)

# Who looks at a task from an interrupt that it ran into: what else is in that interrupt says nothing of the task.
WATCHERS = frozenset(("wq_watchdog_timer_fn", "watchdog_timer_fn"))

# What of a title one build or run decides and another does otherwise; applied in this order before it is fingerprinted.
VARIABLE_WORDS = (
    (re.compile(r"\.(c|h|S):\d+(?::\d+)?"), r".\1", "a line moves with every patch"),
    (re.compile(r"\[[^\]]*:\d+\]"), "[task]", "the task that was running: soft lockups"),
    (re.compile(r"\b([Cc]omm|process|task|by task):? [^\s:]+"), r"\1 task", "the task that met it"),
    (re.compile(r"^\S+( invoked oom-killer|: page allocation|: vmalloc error)"), r"task\1", "the task that asked"),
    (re.compile(r"(while atomic:|code:) \S+?/"), r"\1 task/", "the task that met it"),
    (re.compile(r" \((?:Not tainted|Tainted: [^)]*)\)"), "", "what happened before"),
    (re.compile(r"\b0x[0-9a-f]+"), "N", "flags in numbers: their words stand behind them"),
    (re.compile(r"(?<![A-Za-z_])\d+"), "N", "counts, sizes, CPUs, process ids"),
)
