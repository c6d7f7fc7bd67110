# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.splat import SPLATS, Splat, SplatScanner, case_mark

SAMPLES = Path(__file__).parent / "samples"  # by the kernel's source, four recorded in a guest; real crashes: logs/

# file → kind, title, first telling frames
KNOWN = {
    "warning": ("warning", "WARNING: at mm/page_alloc.c:4747 __alloc_pages_noprof", "__alloc_pages_noprof alloc_"),
    "bug": ("list", "list_add corruption. prev->next should be next (…), but was …", "lkdtm_CORRUPT_LIST_ADD"),
    "pagefault": ("pagefault", "BUG: kernel NULL pointer dereference, address: …", "cxl_region_probe cxl_bus"),
    "gpf": ("gpf", "Oops: general protection fault, probably for non-canonical address …", "zswap_entry_free"),
    "kasan": ("kasan", "BUG: KASAN: slab-use-after-free in lkdtm_READ_AFTER_FREE", "lkdtm_READ_AFTER_FREE lkdtm_do"),
    "kfence": ("kfence", "BUG: KFENCE: use-after-free read in test_use_after_free_read", ""),
    "ubsan": ("ubsan", "UBSAN: array-index-out-of-bounds in drivers/misc/lkdtm/bugs.c:415:16", "lkdtm_ARRAY_BOUNDS"),
    "lockdep": ("lockdep", "WARNING: possible circular locking dependency detected", "percpu_down_write online_pages"),
    "rcustall": ("rcustall", "rcu: INFO: rcu_preempt self-detected stall on CPU", "lkdtm_SOFTLOCKUP"),
    "softlockup": ("softlockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:160]", "lkdtm_SOFTLOCKUP"),
    "hardlockup": ("hardlockup", "watchdog: Watchdog detected hard LOCKUP on cpu 0", "lkdtm_HARDLOCKUP"),
    "hungtask": ("hungtask", "INFO: task sh:171 blocked for more than 120 seconds.", "lkdtm_HUNG_TASK lkdtm_do_action"),
    "badpage": ("badpage", "BUG: Bad page state in process membind pfn:…", "free_unref_page"),
    "slab": ("slab", "BUG kmalloc-64 (Not tainted): Right Redzone overwritten", "check_bytes_and_report check_object"),
    "refcount": ("refcount", "refcount_t: underflow; use-after-free.", "lkdtm_REFCOUNT_SUB_AND_TEST_NEGATIVE"),
    "atomic": ("atomic", "BUG: scheduling while atomic: sh/195/…", "lkdtm_SCHEDULING_WHILE_ATOMIC"),
    "oom": ("oom", "pattern invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0", "try_charge_memcg"),
    "oom-recorded": ("oom", "tail invoked oom-killer: gfp_mask", "try_charge_memcg"),
    "panic-recorded": ("panic", "Kernel panic - not syncing: sysrq triggered crash", "sysrq_handle_crash"),
    "allocation": ("allocation", "pattern: page allocation failure: order:0, mode:", "__alloc_pages_slowpath"),
    "kmemleak": ("kmemleak", "kmemleak: 5 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", ""),
    "sysfs": ("sysfs", "sysfs: cannot create duplicate filename '/devices/platform/ACPI0017:00", "sysfs_warn_dup"),
    "panic": ("panic", "Kernel panic - not syncing: VFS: Unable to mount root fs on", "mount_root_generic"),
    "debugvm": ("debugvm", "page dumped because: VM_BUG_ON_PAGE(PageTail(page))", "migrate_folio_move"),
    "warn-message": ("warning", "cxl_region region0: decoder_reset of a busy region (WARNING: at ", "commit_store"),
    "unknown-cut-here": ("unknown", "frobnicator overflowed its capacitor", "frobnicate"),
    "unknown-trace": ("unknown", "a call trace of no known kind, after: frobnicator: something odd", "frobnicate"),
}  # fmt: skip

NONE = ("quiet", "sysrq")  # recorded in a guest, like oom-recorded and panic-recorded


def lines(name: str) -> list[str]:
    return (SAMPLES / f"{name}.txt").read_text().splitlines()


def scan(text: list[str]) -> list[Splat]:
    scanner = SplatScanner()
    found = [splat for line in text for splat in scanner.feed(line)]
    scanner.flush()
    return found


def test_every_sample_is_in_the_table() -> None:
    assert {file.stem for file in SAMPLES.glob("*.txt")} == {*KNOWN, *NONE}


@pytest.mark.parametrize("name", KNOWN)
def test_recorded_splat(name: str) -> None:
    kind, title, frames = KNOWN[name]
    found = scan(lines(name))
    splat = found[0]
    assert splat.kind == kind
    assert splat.title.startswith(title)
    assert " ".join(splat.frames).startswith(frames), splat.frames
    assert all(later.kind in ("panic",) for later in found[1:]), [later.title for later in found]


@pytest.mark.parametrize("name", KNOWN)
def test_fingerprint_does_not_depend_on_addresses_offsets_or_processes(name: str) -> None:
    def other(line: str) -> str:
        line = re.sub(r"\+0x([0-9a-f]+)/0x([0-9a-f]+)", r"+0x7\1/0x7\2", line)
        line = re.sub(r"\bffff[0-9a-f]{12}\b", "ffff99990000abcd", line)
        return re.sub(r"PID: \d+", "PID: 4242", line)

    first, second = scan(lines(name))[0], scan([other(line) for line in lines(name)])[0]
    assert first.fingerprint == second.fingerprint
    assert re.fullmatch(r"[0-9a-f]{12}", first.fingerprint)


def test_fingerprints_differ() -> None:
    marks = {name: scan(lines(name))[0].fingerprint for name in KNOWN}
    assert len(set(marks.values())) == len(marks)


def test_fingerprint_of_another_caller_differs() -> None:
    text = [line.replace("zswap_invalidate", "zswap_load") for line in lines("gpf")]
    assert scan(text)[0].fingerprint != scan(lines("gpf"))[0].fingerprint


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("keep", [0.3, 0.6])
def test_cut_short_is_still_one(name: str, keep: float) -> None:
    text = lines(name)
    first = next(number for number, line in enumerate(text) if scan(text[: number + 1]))
    assert scan(text[: max(first + 1, int(len(text) * keep))])


@pytest.mark.parametrize("name", NONE)
def test_a_quiet_boot_and_a_dump_that_was_asked_for_have_none(name: str) -> None:
    assert scan(lines(name)) == []


def test_a_splat_inside_a_dump_that_was_asked_for_counts() -> None:
    assert [splat.kind for splat in scan([*lines("sysrq")[:30], *lines("bug")[:1]])] == ["list"]
    later = "[   90.000000] Call Trace:"
    assert [splat.kind for splat in scan([*lines("sysrq"), later])] == ["unknown"]


@pytest.mark.parametrize(
    "line",
    [
        "[    1.0] INFO: lockdep is turned off.",
        "[    0.100000] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "[    0.100000] test[12]: segfault at 0 ip 0000000000401136 sp 00007ffd error 4 in test",
        "[    0.100000] DEBUG: BUGS are not reported here",
        "[    0.100000] ACPI BIOS Error (bug): Could not resolve symbol",
        "[    0.100000] panic=-1 on the command line",
        "[    0.100000] mce: Using 0 MCE banks, machine check Oopsie",
    ],
)
def test_lines_that_are_none(line: str) -> None:
    assert scan([line]) == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("[    5.000000] BUG: something never seen before", "bug"),
        ("[    5.000000] WARNING: something never seen before", "warning"),
        ("[    5.000000] mm/foo: BUG: prefixed", "bug"),
        ("BUG: unable to handle page fault for address: ffffc90000000000", "pagefault"),
        ("<4>[    5.000000][  T101] WARNING: mm/x.c:12 at f+0x1/0x2, CPU#0: sh/101", "warning"),
        ("half a line of someone[    5.000000] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2", "kasan"),
        ("[    5.000000] \x1b[31mKernel panic - not syncing: x\x00", "panic"),
        ("[    5.000000] traps: PANIC: double fault, error_code: 0x0", "oops"),
        ("[    5.000000] stack segment: 0000 [#1] SMP", "oops"),
        ("[    5.000000] usercopy: Kernel memory exposure attempt detected from SLUB object", "usercopy"),
        ("[    5.000000] Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: f+0x1", "stack"),
        ("[    5.000000] ------------[ cut here ]------------", "unknown"),
    ],
)
def test_single_lines(line: str, kind: str) -> None:
    assert [splat.kind for splat in scan([line])] == [kind]


def test_interleaved_callers_are_kept_apart() -> None:
    text = []
    for one, two in zip(lines("warning"), lines("gpf") + [""] * 40, strict=False):
        text.append(re.sub(r"\] ", "][  T101] ", one, count=1))
        if two:
            stamp = re.match(r"\[ *[\d.]+\]", one)
            assert stamp is not None
            text.append(re.sub(r"^\[ *[\d.]+\] ", f"{stamp[0]}[    C1] ", two))
    first, second = scan(text)
    assert (first.kind, second.kind) == ("warning", "gpf")
    assert not any("zswap" in line for line in first.lines)
    assert second.frames == ("zswap_entry_free", "zswap_invalidate")


def test_two_in_a_row_are_two() -> None:
    assert [splat.kind for splat in scan(lines("warning") + lines("refcount"))] == ["warning", "refcount"]


def test_a_gap_in_time_ends_one() -> None:
    scanner = SplatScanner()
    (splat,) = scanner.feed("[    1.000000] BUG: scheduling while atomic: sh/1/0x2")
    scanner.feed("[    1.100000] Call Trace:")
    assert splat is not None and not splat.closed
    scanner.feed("[    9.000000] cxl_mem mem0: all is well")
    assert splat.closed and len(splat.lines) == 2


def test_a_mark_of_ours_ends_one() -> None:
    scanner = SplatScanner()
    (splat,) = scanner.feed("[    1.000000] BUG: scheduling while atomic: sh/1/0x2")
    assert scanner.feed("[    1.000001] harness: case begin a/b:c") == ()
    assert splat is not None and splat.closed


def test_first_line_counts_lines_fed() -> None:
    scanner = SplatScanner()
    for _ in range(7):
        scanner.feed("[    1.000000] nothing")
    (splat,) = scanner.feed("[    1.000000] BUG: x")
    assert splat is not None and splat.first_line == 7 and splat.time == 1.0


def test_matches_what_a_case_announced() -> None:
    (splat,) = scan(lines("kasan"))
    assert splat.matches("KASAN.*use-after-free") and splat.matches("^kasan$")
    assert not splat.matches("KFENCE") and not splat.matches("(")


def test_case_marks() -> None:
    assert case_mark("[    1.000000] harness: case begin cxl/test_region:create") == (
        "begin",
        "cxl/test_region:create",
        "",
    )
    assert case_mark("[    1.0] harness: case ends") is None
    expected = ("expects", "a/b:c", "kernel BUG at .*")
    assert case_mark("[    1.000000] harness: case expects a/b:c kernel BUG at .*") == expected


def test_every_rule_says_where_it_comes_from() -> None:
    assert all(rule.reason and rule.kind for rule in SPLATS)


def test_a_flood_is_bounded() -> None:
    scanner = SplatScanner()
    (splat,) = scanner.feed("[    1.000000] BUG: flood")
    for _ in range(10_000):
        scanner.feed("[    1.000000] " + "x" * 50)
    assert splat is not None and len(splat.lines) == 400


@given(st.lists(st.text(max_size=60), max_size=10))
def test_any_text_is_taken(text: list[str]) -> None:
    for splat in scan(text):
        assert splat.closed and len(splat.fingerprint) == 12


@given(st.binary(max_size=200))
def test_binary_before_a_splat_hides_nothing(data: bytes) -> None:
    noise = data.decode("utf-8", "replace").replace("\n", " ")
    assert scan([noise, "[    5.000000] Kernel panic - not syncing: x"])
