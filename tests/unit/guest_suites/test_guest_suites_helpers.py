# SPDX-License-Identifier: GPL-2.0-only
"""The guest's C helpers, on the host: no warning, wrong usage refused, and wrong content found."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from harness import process

HELPERS = Path(__file__).parents[2] / "guest" / "helpers"
NAMES = ("membind", "nodepages", "pagemove", "pattern", "pciconfig", "sample")
STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wvla", "-Wstrict-prototypes")
PAGE = 4096


@pytest.fixture(scope="module")
def helpers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every helper, compiled with more warnings than the payload has, each an error."""
    folder = tmp_path_factory.mktemp("helpers")
    for name in NAMES:
        process.run(["cc", "-O1", *STRICT, "-o", folder / name, HELPERS / f"{name}.c"], deadline=60)
    return folder


def run(helpers: Path, *words: str) -> process.Completed:
    return process.run([helpers / words[0], *words[1:]], deadline=30, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_helper_has_usage_and_refuses_nonsense(helpers: Path, name: str) -> None:
    shown = run(helpers, name, "-h")
    assert (shown.returncode, shown.text.startswith(f"usage: {name}")) == (0, True)
    assert run(helpers, name).returncode == 2
    assert run(helpers, name, "--no-such-option").returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ("pattern", "-s", "12Q", "fill"),
        ("pattern", "-s", "0", "fill"),
        ("pattern", "-s", "-1", "fill"),
        ("pattern", "-s", "99999999999G", "fill"),
        ("pattern", "-k", "purple", "fill"),
        ("pattern", "-c", "101", "fill"),
        ("pattern", "-i", "3", "fill"),
        ("pattern", "churn"),
        ("sample", "19"),
        ("sample", "20", "x"),
        ("sample", "20", "1", "1"),
        ("pattern", "nonsense"),
        ("membind", "range", "bind", "0"),
        ("membind", "range", "sideways", "0", "4K"),
        ("membind", "range", "bind", "3-1", "4K"),
        ("membind", "range", "bind", "99999", "4K"),
        ("membind", "-f", "hard", "range", "bind", "0", "4K"),
        ("membind", "-g", "/nonexistent", "get"),
        ("pagemove", "move"),
        ("pagemove", "migrate", "self", "0"),
        ("nodepages", "1", "here-there"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_neither_done_nor_failed(helpers: Path, words: tuple[str, ...]) -> None:
    completed = run(helpers, *words)
    assert completed.returncode == 2, completed
    assert completed.error_text.strip()


@pytest.mark.parametrize("kind", ["random", "compressible", "same", "zero", "mixed"])
def test_pattern_verifies_what_it_filled(helpers: Path, kind: str) -> None:
    completed = run(helpers, "pattern", "-s", "1M", "-k", kind, "fill", "verify", "fill", "churn", "20", "verify")
    assert completed.returncode == 0, completed.error_text
    assert completed.text.count("verify good=256 bad=0") == 2


def test_pattern_runs_tasks_and_rounds(helpers: Path) -> None:
    completed = run(helpers, "pattern", "-s", "64K", "-j", "3", "-r", "2", "fill", "verify", "fork", "verify")
    assert completed.returncode == 0, completed.error_text
    assert completed.text.count("verify good=16 bad=0") == 3 * 2 * 2


def damage(path: Path, change: str) -> None:
    """One of the ways in which a page can be wrong."""
    with path.open("r+b") as file:
        content = file.read()
        if change == "byte":
            file.seek(5 * PAGE + 1000)
            file.write(bytes([content[5 * PAGE + 1000] ^ 1]))
        elif change == "swapped":
            file.seek(5 * PAGE)
            file.write(content[9 * PAGE : 10 * PAGE])
        elif change == "lost":
            file.seek(5 * PAGE)
            file.write(bytes(PAGE))
        else:
            file.seek(5 * PAGE)
            file.write(content[5 * PAGE : 5 * PAGE + PAGE // 2] + bytes(PAGE // 2))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("byte", "1 of 512 words differ, first at byte 1000"),
        ("swapped", "it holds owner 7 page 9 generation 1"),
        ("lost", "512 of 512 words differ, first at byte 0"),
        ("torn", "first at byte 2048"),
    ],
)
def test_pattern_finds_a_wrong_page(helpers: Path, tmp_path: Path, change: str, says: str) -> None:
    file = tmp_path / "pages"
    words = ("pattern", "-w", "7", "-k", "random", "-s", "64K", "-f", str(file))
    assert run(helpers, *words, "fill").returncode == 0
    assert run(helpers, *words, "assume", "verify").returncode == 0
    damage(file, change)
    completed = run(helpers, *words, "assume", "verify")
    assert completed.returncode == 1
    assert "verify good=15 bad=1" in completed.text
    assert "page 5 generation 1 at 0x" in completed.error_text
    assert says in completed.error_text


def test_pattern_finds_an_older_generation_and_another_owner(helpers: Path, tmp_path: Path) -> None:
    file = tmp_path / "pages"
    words = ("pattern", "-k", "compressible", "-s", "16K", "-f", str(file))
    assert run(helpers, *words, "-w", "7", "fill", "fill").returncode == 0
    older = run(helpers, *words, "-w", "7", "assume", "verify")
    assert (older.returncode, "generation 2" in older.error_text) == (1, True)
    other = run(helpers, *words, "-w", "8", "assume", "verify")
    assert (other.returncode, "it holds owner 7" in other.error_text) == (1, True)


def test_pattern_numbers_pages_as_told(helpers: Path, tmp_path: Path) -> None:
    """Page N of two interleaved devices is page N / 2 of one of them."""
    whole, odd = tmp_path / "whole", tmp_path / "odd"
    assert run(helpers, "pattern", "-w", "1", "-s", "32K", "-f", str(whole), "fill").returncode == 0
    content = whole.read_bytes()
    odd.write_bytes(b"".join(content[page * PAGE : (page + 1) * PAGE] for page in (1, 3, 5, 7)))
    words = ("pattern", "-w", "1", "-s", "16K", "-f", str(odd))
    assert run(helpers, *words, "-i", "1,2", "assume", "verify").returncode == 0
    assert run(helpers, *words, "-i", "0,2", "assume", "verify").returncode == 1


@contextlib.contextmanager
def started(helpers: Path, *words: str, stdin: IO[bytes] | None = None) -> Iterator[process.Child]:
    with process.spawn([helpers / words[0], *words[1:]], stdin=stdin, stdout="pipe", stderr="pipe") as child:
        yield child


def test_pattern_holds_until_a_signal_and_goes_on(helpers: Path, tmp_path: Path) -> None:
    with started(helpers, "pattern", "-s", "64K", "fill", "hold", "verify") as child:
        assert child.popen.stdout is not None
        while b"holding" not in child.popen.stdout.readline():
            pass
        os.kill(child.pid, signal.SIGTERM)
        assert child.popen.stdout.readline() == b"verify good=16 bad=0\n"
        assert child.wait(10) == 0


def test_nodepages_sees_the_pages_of_another_process(helpers: Path) -> None:
    if not Path("/sys/devices/system/node/node0").exists():
        pytest.skip("this host has no NUMA nodes")
    with started(helpers, "pattern", "-s", "4M", "fill", "hold") as child:
        assert child.popen.stdout is not None
        while b"holding" not in child.popen.stdout.readline():
            pass
        completed = run(helpers, "nodepages", "-l", str(child.pid))
        if completed.returncode == 1 and "Operation not permitted" in completed.error_text:
            pytest.skip("this host lets no process ask about another's pages")
        assert completed.returncode == 0, completed.error_text
        counts = [line.partition(": ")[2].split() for line in completed.text.splitlines()]
        present = [sum(int(pair.split("=")[1]) for pair in pairs if pair[0].isdigit()) for pairs in counts]
        assert max(present) >= 1024
        os.kill(child.pid, signal.SIGTERM)
        child.wait(10)


def test_pattern_ends_soon_when_told_to(helpers: Path) -> None:
    """A hold is not a busy wait and not a long one."""
    begin = time.monotonic()
    completed = process.run(
        [helpers / "pattern", "-s", "64K", "-"], stdin=b"fill\nverify\nquit\nnonsense\n", deadline=10, check=False
    )
    assert (completed.returncode, completed.text.splitlines()[-1]) == (0, "verify good=16 bad=0")
    assert time.monotonic() - begin < 5


def test_pciconfig_finds_capabilities_and_writes_registers(helpers: Path, tmp_path: Path) -> None:
    space = bytearray(4096)
    space[0x34] = 0x40
    space[0x40:0x42] = bytes([0x05, 0x80])  # MSI, then PCI Express
    space[0x80:0x82] = bytes([0x10, 0x00])
    space[0x98:0x9A] = (0x7C0).to_bytes(2, "little")
    space[0x100:0x104] = (0x14000000 | 0x0003).to_bytes(4, "little")  # serial number, then AER
    space[0x140:0x144] = 0x0001.to_bytes(4, "little")
    space[0x154:0x158] = 0xE000.to_bytes(4, "little")
    (tmp_path / "config").write_bytes(space)
    assert run(helpers, "pciconfig", str(tmp_path), "express", "0x18.w").text == "0x7c0\n"
    assert run(helpers, "pciconfig", str(tmp_path), "aer", "0x14").text == "0xe000\n"
    assert run(helpers, "pciconfig", str(tmp_path), "aer", "0x14", "0x2000").returncode == 0
    assert (tmp_path / "config").read_bytes()[0x150:0x15C] == bytes(4) + 0x2000.to_bytes(4, "little") + bytes(4)
    assert run(helpers, "pciconfig", str(tmp_path), "header", "0x34.w").text == "0x40\n"
    assert run(helpers, "pciconfig", str(tmp_path), "msi", "0").returncode == 2
    (tmp_path / "config").write_bytes(bytes(4096))
    assert run(helpers, "pciconfig", str(tmp_path), "aer", "0").returncode == 1
    assert run(helpers, "pciconfig", str(tmp_path / "none"), "aer", "0").returncode == 2
