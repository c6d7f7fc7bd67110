# SPDX-License-Identifier: GPL-2.0-only
"""The scanner on a stream that never ends, on lines without end, on what is left of lines; what belongs together."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.splat import SPLATS, Splat, SplatScanner, titles
from harness.splat.rules import ALLOWED, HARMLESS, VARIABLE_WORDS
from harness.splat.scanner import _worth_a_look


def scan(*lines: str) -> list[Splat]:
    scanner = SplatScanner()
    found = [splat for line in lines for splat in scanner.feed(line)]
    scanner.flush()
    return found


def kinds(*lines: str) -> list[str]:
    return [splat.kind for splat in scan(*lines)]


BUG = (
    "[    4.000000][  T101] ------------[ cut here ]------------",
    "[    4.000001][  T101] kernel BUG at mm/slub.c:448!",
    "[    4.000002][  T101] Oops: invalid opcode: 0000 [#1] SMP",
    "[    4.000003][  T101] RIP: 0010:kfree+0x1/0x2",
    "[    4.000004][  T101] Call Trace:",
    "[    4.000005][  T101]  free_it+0x1/0x2",
    "[    4.000006][  T101] ---[ end trace 0000000000000000 ]---",
)


SLAB = (
    "[    4.000000][  T101] BUG kmalloc-64 (Not tainted): Object corrupt",
    "[    4.000001][  T101] Object   ffff888004a00000: 6b 6b 6b 6b",
    "[    4.000002][  T101] ------------[ cut here ]------------",
)


def test_a_report_of_which_no_more_came_has_a_title() -> None:
    (splat,) = scan(BUG[0])
    assert splat.title == "a report that was cut off behind its first line"


def test_what_a_program_writes_below_a_cut_here_is_no_title() -> None:
    (splat,) = scan(BUG[0], "0[    4.000001][  T101] UBSAN: shift-out-of-bounds in provoke.c:199:21")
    assert splat.kind == "ubsan" and splat.title.startswith("UBSAN: ")


def test_a_slab_report_and_the_warning_with_its_stack_are_one() -> None:
    (splat,) = scan(
        *SLAB, "[    4.000003][  T101] WARNING: CPU: 0 PID: 1 at mm/slub.c:1127 object_err+0x1/0x2", *BUG[3:]
    )
    assert splat.kind == "slab" and splat.frames == ("kfree", "free_it")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("WARNING: CPU: 0 PID: 1 at mm/slub.c:10 kfree+0x1/0x2", "warning"),
        ("kernel BUG at mm/slub.c:10!", "bug"),
        ("refcount_t: underflow; use-after-free.", "refcount"),
        ("something that nobody has seen", "unknown"),
    ],
)
def test_another_s_cut_here_in_a_slab_report_is_another_s(line: str, kind: str) -> None:
    """A case that announced the slab report has not announced this one."""
    assert kinds(*SLAB, f"[    4.000003][  T101] {line}", *BUG[3:]) == ["slab", kind]


def test_a_report_that_has_its_stack_explains_no_warning_that_follows() -> None:
    """A case that announced the bad page has not announced this one."""
    assert kinds(
        "[    4.000000][  T101] BUG: Bad page state in process sh  pfn:12345",
        "[    4.000000][  T101] Call Trace:",
        "[    4.000000][  T101]  provoke_bad_page+0x1/0x2",
        "[    4.000000][  T101] ------------[ cut here ]------------",
        "[    4.000000][  T101] WARNING: CPU: 0 PID: 1 at mm/slub.c:10 kfree+0x1/0x2",
        *BUG[3:],
    ) == ["badpage", "warning"]


def test_a_slab_report_keeps_its_stack_whatever_it_dumps() -> None:
    dump = [f"[    4.000001][  T101] Object   {address:016x}: 6b 6b 6b 6b" for address in range(0, 8192, 16)]
    warning = "[    4.000003][  T101] WARNING: CPU: 0 PID: 1 at mm/slub.c:1127 object_err+0x1/0x2"
    (splat,) = scan(SLAB[0], *dump, SLAB[2], warning, *BUG[3:])
    assert splat.frames == ("kfree", "free_it")


def test_a_watchdog_s_own_frames_are_not_those_of_whom_it_caught() -> None:
    (splat,) = scan(
        "[    4.000000][    C1] BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 5s!",
        *(
            f"[    4.000001][    C1] {text}"
            for text in (
                "Call Trace:", " <IRQ>", " wq_watchdog_timer_fn+0x1/0x2", " call_timer_fn+0x1/0x2", " </IRQ>",
                " <TASK>",
                " asm_sysvec_apic_timer_interrupt+0x1/0x2", "RIP: 0010:busy+0x1/0x2", " busy_work+0x1/0x2", " </TASK>",
            )
        ),
    )  # fmt: skip
    assert splat.frames == ("busy_work",)


# A line for each rule and each allowance, as the kernel's source (6.12) has it: the table has no dead entry.
ONE_OF_EACH = {
    "BUG: KASAN: slab-use-after-free in f+0x1/0x2": "kasan",
    "BUG: KFENCE: use-after-free read in f+0x1/0x2": "kfence",
    "BUG: KMSAN: uninit-value in f+0x1/0x2": "kmsan",
    "BUG: KCSAN: data-race in f / g": "kcsan",
    "UBSAN: shift-out-of-bounds in mm/slub.c:1:2": "ubsan",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [sh:1]": "softlockup",
    "watchdog: Watchdog detected hard LOCKUP on cpu 1": "hardlockup",
    "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!": "workqueue",
    "BUG: kernel NULL pointer dereference, address: 0000000000000008": "pagefault",
    "BUG: unable to handle page fault for address: ffffc90000000000": "pagefault",
    "Unable to handle kernel paging request at virtual address 0000000000000008": "pagefault",
    "BUG: scheduling while atomic: sh/1/0x00000002": "atomic",
    "BUG: sleeping function called from invalid context at mm/slub.c:1": "atomic",
    "BUG: assuming atomic context at mm/slub.c:1": "atomic",
    "BUG: using smp_processor_id() in preemptible [00000000] code: sh/1": "atomic",
    "bad: scheduling from the idle thread!": "atomic",
    "BUG: TASK stack guard page was hit at 00000000 (stack is 0..0)": "stack",
    "BUG: Bad page state in process sh  pfn:12345": "badpage",
    "BUG: Bad rss-counter state mm:00000000 type:MM_ANONPAGES val:1": "badpage",
    "page dumped because: VM_BUG_ON_PAGE(PageTail(page))": "debugvm",
    "page dumped because: VM_WARN_ON_ONCE_FOLIO(1)": "debugvm",
    "mm ffff888004a00000 task_size 140737488351232": "debugvm",
    "vma ffff888004a00000 start 0000000000400000 end 0000000000401000 mm ffff888004a00000": "debugvm",
    "debug_vm_pgtable: Failed to allocate vma": "debugvm",
    "page dumped because: nonzero mapcount": "badpage",
    "BUG kmalloc-64 (Not tainted): Right Redzone overwritten": "slab",
    "[Right Redzone overwritten] 0xffff888004a00000-0xffff888004a00003 @offset=0. First byte 0x78 inst of 0xcc": "slab",
    "WARNING: CPU: 0 PID: 1 at mm/slub.c:1127 object_err+0x1/0x2": "slab",
    "WARNING: mm/slub.c:1127 at __slab_err+0x1/0x2, CPU#0: sh/1": "slab",
    "slab error in verify_redzone_free(): cache `x': double free detected": "slab",
    "WARNING: possible circular locking dependency detected": "lockdep",
    "WARNING: suspicious RCU usage": "lockdep",
    "[ BUG: Invalid wait context ]": "lockdep",
    "INFO: trying to register non-static key.": "lockdep",
    "INFO: possible recursive locking detected": "lockdep",
    "rcu: INFO: rcu_preempt self-detected stall on CPU": "rcustall",
    "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:": "rcustall",
    "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }": "rcustall",
    "rcu: rcu_sched kthread starved for 2500 jiffies! g1 f0x0": "rcustall",
    "INFO: task sh:1 blocked for more than 120 seconds.": "hungtask",
    "list_del corruption. prev->next should be a, but was b": "list",
    "refcount_t: underflow; use-after-free.": "refcount",
    "usercopy: Kernel memory overwrite attempt detected to SLUB object 'x'": "usercopy",
    "memcpy: detected field-spanning write (size 2) of single field \"x\" at a.c:1": "fortify",
    "strcpy: detected buffer overflow: 16 byte write of buffer size 8": "fortify",
    "kernel BUG at mm/slub.c:448!": "bug",
    "Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP": "gpf",
    "Oops: invalid opcode: 0000 [#1] SMP": "oops",
    "Oops: divide error: 0000 [#1] SMP": "oops",
    "Oops: 0002 [#1] SMP": "oops",
    "traps: PANIC: double fault, error_code: 0x0": "oops",
    "Fixing recursive fault but reboot is needed!": "oops",
    "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: f+0x1/0x2": "stack",
    "Kernel panic - not syncing: Fatal exception in interrupt": "panic",
    "Kernel panic - not syncing: dumptest": "panic",
    "tail invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0": "oom",
    "Memory cgroup out of memory: Killed process 12 (tail) total-vm:1kB": "oom",
    "Out of memory and no killable processes...": "oom",
    "insmod: page allocation failure: order:9, mode:0x10cc0(GFP_KERNEL|__GFP_NORETRY)": "allocation",
    "insmod: vmalloc error: size 4398046511104, exceeds total pages, mode:0xcc0(GFP_KERNEL)": "allocation",
    "zswap: __GFP_HIGHMEM|__GFP_THISNODE allocation from offline node 1": "allocation",
    "SLUB: Unable to allocate memory on CPU 0 (of node 0) on node 0, gfp=0xcc0": "allocation",
    "kmemleak: 5 new suspected memory leaks (see /sys/kernel/debug/kmemleak)": "kmemleak",
    "sysfs: cannot create duplicate filename '/kernel/x'": "sysfs",
    "kobject: kobject (000000): tried to init an initialized object, something is seriously wrong.": "sysfs",
    "kobject: kobject_add_internal failed for x with -EEXIST, don't try": "sysfs",
    "Device 'x' does not have a release() function, it is broken": "sysfs",
    "ODEBUG: init active (active state 0) object: 0 object type: timer_list": "debugobjects",
    "unregister_netdevice: waiting for lo to become free. Usage count = 2": "netdev",
    "smp: csd: Detected non-responsive CSD lock (#1) on CPU#1": "csdlock",
    "BUG: MAX_LOCKDEP_ENTRIES too low!": "lockdep",
    "x: module license 'Proprietary' taints kernel.": "taint",
    "Disabling lock debugging due to kernel taint": "taint",
    "WARNING: kernel stack frame pointer at 0 in sh:1 has bad value 0": "warning",
    "WARNING: CPU: 0 PID: 1 at mm/slub.c:1 f+0x1/0x2": "warning",
    "WARNING: mm/slub.c:1 at f+0x1/0x2, CPU#0: sh/1": "warning",
    "BUG: something that nobody has seen": "bug",
    "WARNING: something that nobody has seen": "warning",
}  # fmt: skip


@pytest.mark.parametrize("text", ONE_OF_EACH)
def test_one_line_of_each(text: str) -> None:
    assert kinds(f"[    1.000000][    T1] {text}") == [ONE_OF_EACH[text]]
    assert kinds(f"[    1.000000] {text}") == [ONE_OF_EACH[text]]


def test_no_rule_is_dead() -> None:
    def first(text: str) -> int:
        return next(n for n, rule in enumerate(SPLATS) if rule.needs in text and rule.pattern.search(text))

    used = {first(text) for text in ONE_OF_EACH}
    assert [SPLATS[number].pattern.pattern for number in range(len(SPLATS)) if number not in used] == []


@pytest.mark.parametrize("rule", SPLATS, ids=lambda rule: rule.pattern.pattern[:40])
def test_what_a_rule_needs_is_in_all_that_it_matches(rule: object) -> None:
    """The short cut must not lose a line: what the pattern takes has the text that is looked for first."""
    from harness.splat.rules import Rule

    assert isinstance(rule, Rule)

    @given(st.from_regex(rule.pattern))
    def check(text: str) -> None:
        line = text.replace("\n", " ")
        if rule.pattern.search(line):
            assert rule.needs in line and _worth_a_look(line)

    settings(max_examples=30, deadline=None)(check)()


@pytest.mark.parametrize(
    "text",
    [
        "provoke: loading out-of-tree module taints kernel.",
        "provoke: module verification failed: signature and/or required key missing - tainting kernel",
        "INFO: lockdep is turned off.",
        "WARNING: Flushing system-wide workqueues will be prohibited in near future.",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "INFO: NMI handler (x) took too long to run: 1.2 msecs",
        "traps: test[12] general protection fault ip:401136 sp:7ffd error:0 in test[401000+1000]",
        "workqueue: f hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
        "lkdtm: Performing direct entry BUG_ON_NOTHING",
        "initcall foo+0x0/0x10 returned 0 after 1 usecs",
        "harness: case expects a/b:c BUG: KASAN",
    ],
)
def test_what_looks_like_one_and_is_allowed(text: str) -> None:
    assert kinds(f"[    1.000000] {text}") == []


def test_every_line_of_data_has_its_reason() -> None:
    assert all(reason for _, reason in ALLOWED)
    assert all(reason for _, _, reason in VARIABLE_WORDS)
    assert {rule.kind for rule in SPLATS} >= HARMLESS


@pytest.mark.parametrize(
    "text",
    [
        "WARNING: from a subsystem that is not known",
        "some driver: BUG: it says",
        "------------[ cut here ]------------",
        "Call Trace:",
        "RIP: 0010:f+0x1/0x2",
        " f+0x1/0x2",
        " ? f+0x1/0x2 [module]",
        "---[ end trace 0000000000000000 ]---",
    ],
)
def test_what_looks_like_one_and_is_none_of_them_is_one(text: str) -> None:
    assert len(scan(f"[    1.000000] {text}")) == 1


def test_the_registers_below_the_end_are_no_second_one() -> None:
    after = [
        "[    4.000007][  T101] RIP: 0010:kfree+0x1/0x2",
        "[    4.000008][  T101] Code: 00 00 <0f> 0b",
        "[    4.000009][  T101] RSP: 0018:ffffc90000000000 EFLAGS: 00010246",
        "[    4.000010][  T101] RAX: 0000000000000000 RBX: 0000000000000000 RCX: 0000000000000000",
        "[    4.000011][  T101] Disabling lock debugging due to kernel taint",
        "[    4.000012][  T101] note: sh[101] exited with irqs disabled",
        "[    4.000013][  T101] Kernel panic - not syncing: Fatal exception in interrupt",
    ]
    (splat,) = scan(*BUG, *after)
    assert splat.kind == "bug" and splat.lines[-1].startswith("Kernel panic")
    assert kinds(*BUG, "[    4.000013][  T101] Kernel panic - not syncing: dumptest") == ["bug", "panic"]
    assert kinds(*BUG, after[0], "[    4.1][  T101] x", BUG[1].replace("T101", "T102")) == ["bug", "bug"]


def test_what_is_left_of_one_after_ten_seconds_is_another() -> None:
    assert kinds(*BUG, "[   44.000000][  T101] RIP: 0010:kfree+0x1/0x2") == ["bug", "unknown"]


def test_a_gap_in_the_midst_of_a_stack_is_no_second_one() -> None:
    late = "[   11.000000][  T101]  caller+0x1/0x2"
    (splat,) = scan(*BUG[:6], late)
    assert splat.frames == ("kfree", "free_it", "caller")


def test_a_stack_below_a_message_after_a_gap_belongs_to_it() -> None:
    trace = ["[    9.000000][  T101] Call Trace:", "[    9.000001][  T101]  f+0x1/0x2"]
    assert len(scan("[    4.000000][  T101] sysfs: cannot create duplicate filename '/x'", *trace)) == 1
    assert len(scan(*BUG, *trace)) == 2, "that one has its stack"


def test_another_cpus_backtrace_is_part_of_what_asked_for_it() -> None:
    (splat,) = scan(
        "[   30.000000][    C0] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
        "[   30.000001][    C0] Sending NMI from CPU 0 to CPUs 1:",
        "[   30.000002][    C1] NMI backtrace for cpu 1",
        "[   30.000003][    C1] RIP: 0010:busy+0x1/0x2",
        "[   30.000004][    C1] Call Trace:",
        "[   30.000005][    C1]  spin+0x1/0x2",
    )
    assert splat.frames == ("busy", "spin")


def test_a_mark_in_the_midst_does_not_give_the_rest_to_the_next_case() -> None:
    mark = "[    4.000002][  T200] harness: case begin a/b:c"
    for at in range(2, len(BUG)):
        for nobody in (False, True):  # a kernel that does not name the writer
            lines = [*BUG[:at], mark, *BUG[at:]]
            splats = scan(*(re.sub(r"\]\[ +T\d+\]", "]", line) if nobody else line for line in lines))
            assert [splat.kind for splat in splats] == ["bug"], (at, nobody)


def test_titles_of_some_lines() -> None:
    assert titles([*BUG, "[    9.000000] UBSAN: x", *BUG]) == ["kernel BUG at mm/slub.c:448!", "UBSAN: x"]
    assert titles(["nothing", ""]) == []


def test_two_that_begin_in_one_line_are_two() -> None:
    assert kinds("[    1.000000] BUG: KASAN: x[    1.000001] UBSAN: y") == ["kasan", "ubsan"]


@pytest.mark.parametrize("lost", range(22))
def test_a_stamp_that_lost_its_beginning(lost: int) -> None:
    stamp = "[    5.000000][  T101] "
    assert kinds(f"{stamp}BUG kmalloc-64 (Not tainted): Right Redzone overwritten"[lost:]) == ["slab"]
    assert kinds(f"{stamp} f+0x1/0x2"[lost:]) == ["unknown"]


@pytest.mark.parametrize("at", range(12))
@pytest.mark.parametrize("noise", ["\0", "\x1b[31m", "\r", "\x1b]0;title\x07"])
def test_a_control_character_in_a_word(at: int, noise: str) -> None:
    text = "Kernel panic - not syncing: x"
    assert kinds(f"[    5.000000] {text[:at]}{noise}{text[at:]}") == ["panic"]


def test_a_line_of_megabytes() -> None:
    noise = "x" * 4_000_000
    assert kinds(f"{noise}[    5.000000] BUG: KASAN: a in f+0x1/0x2", noise) == ["kasan"]
    many = "[    5.000000] nothing at all " * 100_000
    assert kinds(f"{many}[    5.000000] Kernel panic - not syncing: x") == ["panic"]
    for text in ("[" * 2_000_000, "\x1b[1" * 500_000, "<1" * 1_000_000, "INFO: task " * 200_000, " " * 2_000_000):
        assert kinds(text) == []


def test_memory_does_not_grow_with_the_stream() -> None:
    scanner = SplatScanner()
    tracemalloc.start()
    try:
        for number in range(1_500):
            scanner.feed(f"[{number:5}.000000][{f'T{number}':>6}] BUG: flood {number}" + "x" * 900)
            scanner.feed(f"[{number:5}.000000][{f'T{number}':>6}] Call Trace:" + "y" * 900)
            scanner.feed(f"[{number:5}.000000] " + "z" * 900)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20, f"{peak} bytes"
    assert len(scanner.open) <= 32


def test_one_splat_is_bounded_in_lines_and_characters() -> None:
    scanner = SplatScanner()
    (splat,) = scanner.feed("[    1.000000] BUG: flood")
    for _ in range(500):
        scanner.feed("[    1.000000]  " + "x" * 5000)
    assert sum(map(len, splat.lines)) <= 64 << 10 and len(splat.lines) <= 400


@given(
    st.lists(st.sampled_from([*BUG, *ONE_OF_EACH, "", "x", "[    4.100000] harness: case begin a/b:c"]), max_size=30)
)
def test_any_order_of_lines_is_taken_and_every_beginning_counts(lines: list[str]) -> None:
    scanner = SplatScanner()
    found = [splat for line in lines for splat in scanner.feed(line)]
    scanner.flush()
    assert scanner.open == () and all(splat.closed and splat.headline is not None for splat in found)
    assert len(found) <= len(lines)
    if any(rule.pattern.search(line) for line in lines for rule in SPLATS):
        assert found


CONTROL = st.text(alphabet="\x00\x01\x07\x08\r\x0b\x0e\x7f\x9b\u200e\ufeff", max_size=3)


@given(st.data())
def test_control_characters_change_nothing(data: st.DataObject) -> None:
    plain = scan(*BUG)
    lines = []
    for line in BUG:
        at = data.draw(st.integers(0, len(line)))
        lines.append(
            line[:at] + data.draw(CONTROL) + line[at:] + data.draw(st.sampled_from(["", "\r", "\r\r", "\x1b[0m"]))
        )
    noisy = scan(*lines)
    assert [(splat.kind, splat.fingerprint) for splat in noisy] == [(splat.kind, splat.fingerprint) for splat in plain]
