# SPDX-License-Identifier: GPL-2.0-only
"""Decoding with the real addr2line, on a program that stands for a kernel."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from harness import process
from harness.display import crash_lines
from harness.paths import Paths
from harness.splat import SplatScanner
from harness.splat.decode import NO_DEBUG_INFORMATION, Decoder, parse_addr2line
from harness.splat.stack import parse_symbol, stack
from harness.values import Crash, Frame, Kernel

SOURCE = """\
static int twice(int);
volatile int sink;
static inline __attribute__((always_inline)) void store(int value)
{
	sink = value;
}
__attribute__((noipa)) void deepest(int value)
{
	sink = 1;
	store(value);
}
__attribute__((noipa)) void caller(int value)
{
	deepest(value);
	sink = 3;
}
static __attribute__((noipa)) int twice(int value) { return value + sink; }
int _start(void) { caller(twice(5)); return 0; }
"""
OTHER = "static __attribute__((noipa)) int twice(int v) { extern volatile int sink; return v * sink * sink; }\n"
OTHER += "int other(void) { return twice(7); }\n"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "mm").mkdir()
    (folder / "mm" / "first.c").write_text(SOURCE)
    (folder / "mm" / "other.c").write_text(OTHER)
    flags = ["-g", "-O2", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-ffreestanding"]
    argv = ["cc", *flags, f"-fdebug-prefix-map={folder}=.", "-o", "vmlinux.debug", "mm/first.c", "mm/other.c"]
    process.run(argv, deadline=60, cwd=folder)
    symbols = process.run(["nm", "-n", folder / "vmlinux.debug"], deadline=60).text
    (folder / "System.map").write_text(symbols)
    return Kernel(
        key="",
        release="6.12",
        vmlinux=folder / "vmlinux",
        bzimage=None,
        config=folder / "config",
        system_map=folder / "System.map",
        debug_vmlinux=folder / "vmlinux.debug",
        modules=None,
        toolchain="",
        warnings={},
        digest="",
    )


def crash(*frames: Frame) -> Crash:
    return Crash(kind="bug", title="kernel BUG", fingerprint="0" * 12, frames=frames)


def size(kernel: Kernel, name: str) -> int:
    known = sorted(int(line.split()[0], 16) for line in kernel.system_map.read_text().splitlines())
    at = next(
        int(line.split()[0], 16) for line in kernel.system_map.read_text().splitlines() if line.endswith(f" {name}")
    )
    return next(address for address in known if address > at) - at


def test_a_call_has_the_line_of_the_call_and_what_was_inlined_comes_first(kernel: Kernel, tmp_path: Path) -> None:
    known = size(kernel, "deepest")
    frames = [Frame(function="deepest", symbol=f"deepest+{offset:#x}/{known:#x}") for offset in range(known)]
    paths = Paths(project=tmp_path, cache=tmp_path, data=tmp_path)
    decoded = Decoder(kernel, paths=paths).decoded(crash(*frames)).frames
    assert decoded == Decoder(kernel).decoded(crash(*frames)).frames
    pairs = [
        [(frame.function, frame.location, frame.inlined) for frame in pair] for pair in itertools.pairwise(decoded)
    ]
    assert [("store", "mm/first.c:5", True), ("deepest", "mm/first.c:10", False)] in pairs
    assert ("deepest", "mm/first.c:9", False) in [pair[0] for pair in pairs]


def test_a_return_address_is_of_the_line_before_it_an_exact_one_is_not(kernel: Kernel) -> None:
    known = size(kernel, "caller")
    found = {}
    for exact in (False, True):
        frames = [Frame(function="caller", symbol=f"caller+{n:#x}/{known:#x}", exact=exact) for n in range(1, known)]
        found[exact] = [frame.location for frame in Decoder(kernel).decoded(crash(*frames)).frames]
    calls, at = found[False], found[True]
    assert calls[1:] == at[:-1], "one byte further"
    assert "mm/first.c:14" in calls


def test_one_of_several_functions_of_a_name_is_told_by_its_size_or_not_at_all(kernel: Kernel) -> None:
    lines = kernel.system_map.read_text().splitlines()
    pairs = [(a, b) for a, b in itertools.pairwise(lines) if a.endswith(" twice")]
    sizes = [int(b.split()[0], 16) - int(a.split()[0], 16) for a, b in pairs]
    assert len(sizes) == 2
    frames = [Frame(function="twice", symbol=f"twice+0x1/{known:#x}") for known in (*sizes, 0x7777)]
    found = [frame.location.rpartition(":")[0] for frame in Decoder(kernel).decoded(crash(*frames)).frames]
    assert set(found[:-1]) in ({"mm/first.c", "mm/other.c"}, {""}) and found[-1] == ""


@pytest.mark.parametrize("symbol", ["nowhere+0x1/0x2", "caller+0x9999/0x10", "caller+0x1/0x9 [module]", "", "text"])
def test_what_cannot_be_found_stays_as_the_kernel_wrote_it(kernel: Kernel, symbol: str) -> None:
    one = Frame(function="some", symbol=symbol)
    decoded = Decoder(kernel).decoded(crash(one))
    assert decoded.frames == (one,) and decoded.note == ""


def test_a_kernel_without_debug_information_says_so(kernel: Kernel) -> None:
    decoded = Decoder(replace(kernel, debug_vmlinux=None)).decoded(crash(Frame(function="f", symbol="f+0x1/0x2")))
    assert decoded.note == NO_DEBUG_INFORMATION and decoded.frames[0].symbol == "f+0x1/0x2"


@pytest.mark.parametrize("broken", ["no file", "no program", "no symbols"])
def test_what_goes_wrong_is_a_note_and_no_failure(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "no file":
        kernel = replace(kernel, debug_vmlinux=tmp_path / "none")
    elif broken == "no program":
        monkeypatch.setattr("harness.splat.decode.which", lambda name: None)
    else:
        kernel = replace(kernel, system_map=tmp_path / "none")
    decoded = Decoder(kernel).decoded(crash(Frame(function="caller", symbol="caller+0x1/0x20")))
    assert decoded.note.startswith("the stack could not be decoded: ")
    assert decoded.frames[0].symbol == "caller+0x1/0x20"


def test_a_damaged_file_with_debug_information_is_no_failure(kernel: Kernel, tmp_path: Path) -> None:
    assert kernel.debug_vmlinux is not None
    data = kernel.debug_vmlinux.read_bytes()
    (tmp_path / "debug").write_bytes(data[: len(data) // 3])
    one = Frame(function="caller", symbol="caller+0x1/0x20")
    decoded = Decoder(replace(kernel, debug_vmlinux=tmp_path / "debug")).decoded(crash(one))
    assert decoded.frames[-1].symbol == one.symbol


def test_parse_addr2line() -> None:
    text = (
        "0xffffffff81000001\ninner\n/mm/slub.c:12 (discriminator 3)\nouter\nmm/slub.c:99\n0x2\n??\n??:0\n0x3\nf\n??:?\n"
    )
    assert parse_addr2line(text) == {
        0xFFFFFFFF81000001: [("inner", "mm/slub.c:12"), ("outer", "mm/slub.c:99")],
        2: [],
        3: [],
    }
    assert parse_addr2line("noise\nmore\n") == {}


def test_symbols_are_read_as_the_kernel_writes_them() -> None:
    entry = parse_symbol("do_thing.isra.0+0x1c/0x40 [provoke 0123abcd]")
    assert entry is not None
    assert (entry.symbol, entry.function, entry.offset, entry.size, entry.module) == (
        "do_thing.isra.0",
        "do_thing",
        0x1C,
        0x40,
        "provoke",
    )
    assert stack(["RIP: 0033:main+0x1/0x2", "Call Trace:", " f+0x1/0x2"])[0].function == "f", "user space is no frame"


def test_a_crash_in_a_few_lines() -> None:
    scanner = SplatScanner()
    (splat,) = scanner.feed("[    1.000000] kernel BUG at mm/slub.c:12!")
    for line in ("RIP: 0010:deep+0x1/0x2", "Call Trace:", " <TASK>", *(f" f{n}+0x1/0x2" for n in range(20))):
        scanner.feed(f"[    1.000000] {line}")
    known = splat.crash()
    assert known.frames[0].exact and not known.frames[1].exact
    lines = crash_lines(replace(known, note="no lines"), frames=3)
    assert lines[0].startswith("kernel BUG at mm/slub.c:12!  [bug, fingerprint ")
    assert lines[1:] == [
        "  deep+0x1/0x2",
        "  f0+0x1/0x2",
        "  f1+0x1/0x2",
        "  … and 18 more",
        "  → no lines",
    ]
