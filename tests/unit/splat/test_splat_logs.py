# SPDX-License-Identifier: GPL-2.0-only
"""What real crashes wrote to the console (ci/record-splats), and what interleaving, noise and loss make of it."""

from __future__ import annotations

import random
import re
import tomllib
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.splat import Splat, SplatScanner
from harness.splat.scanner import _ASK_CPUS

LOGS = Path(__file__).parent / "logs"
CRASHES = tomllib.loads((LOGS / "crashes.toml").read_text())
RECORDED = sorted(str(file.relative_to(LOGS).with_suffix("")) for file in LOGS.glob("*/*.log"))
EXACT = [name for name in RECORDED if not CRASHES[Path(name).name].get("approximate")]
KERNELS = ("default", "debug", "crashes")
STAMP = re.compile(r"^\[ *([\d.]+)\](?:\[ *([TC]\d+)\])? ")


def lines(name: str) -> list[str]:
    """As the harness's console has them: bytes that are not UTF-8 replaced, line ends away."""
    return (LOGS / f"{name}.log").read_bytes().decode("utf-8", "replace").replace("\r", "").split("\n")


def scan(text: list[str]) -> list[Splat]:
    scanner = SplatScanner()
    found = [splat for line in text for splat in scanner.feed(line)]
    scanner.flush()
    return found


def expected(name: str) -> list[list[str]]:
    folder, _, crash = name.partition("/")
    known = CRASHES[crash]
    return list(known[f"splats-{folder}"] if f"splats-{folder}" in known else known["splats"])


def marks(splats: list[Splat]) -> list[tuple[str, str]]:
    return sorted((splat.kind, splat.fingerprint) for splat in splats)


def test_every_log_is_known_and_every_known_one_is_there() -> None:
    wanted = {f"{on}/{name}" for name, one in CRASHES.items() for on in one["on"]}
    assert set(RECORDED) <= wanted
    complete = ("crashes/", "default/", "runs/")
    assert {name for name in wanted if name.startswith(complete)} <= set(RECORDED)


@pytest.mark.parametrize("name", EXACT)
def test_each_log_has_the_splats_that_a_person_found_in_it(name: str) -> None:
    found = scan(lines(name))
    for splat, (kind, title, frames) in zip(found, expected(name), strict=False):
        assert splat.kind == kind
        assert splat.title.startswith(title)
        assert " ".join(splat.frames).startswith(frames), splat.frames
    assert [splat.kind for splat in found] == [kind for kind, _, _ in expected(name)], [s.title for s in found]


def on_two_kernels() -> list[tuple[str, str]]:
    """Crashes that two kernels report in the same words."""
    both = [(f"{one}/{name}", f"{other}/{name}") for name in CRASHES for one, other in combinations(KERNELS, 2)]
    both = [(one, other) for one, other in both if one in EXACT and other in EXACT]
    return [(one, other) for one, other in both if reported(one) == reported(other)]


def reported(name: str) -> tuple[str, str]:
    """The first splat's kind and title, which has no folder and a module's name where LKDTM is a module."""
    kind, title, _ = expected(name)[0]
    return kind, re.sub(r":\d+", "", title)


@pytest.mark.parametrize(("one", "other"), on_two_kernels())
def test_a_fingerprint_is_the_same_on_two_builds(one: str, other: str) -> None:
    """The default one, one with KASAN and lockdep, one with LKDTM built in: other code, the same crash."""
    first, second = scan(lines(one))[0], scan(lines(other))[0]
    same = CRASHES[Path(one).name].get("differs") not in (Path(one).parent.name, Path(other).parent.name)
    assert (first.fingerprint == second.fingerprint) is same, (first.title, first.frames, second.title, second.frames)


@pytest.mark.parametrize("name", [name for name in RECORDED if "same-as" in CRASHES[Path(name).name]])
def test_a_fingerprint_is_the_same_on_another_build(name: str) -> None:
    one, other = scan(lines(name))[0], scan(lines(CRASHES[Path(name).name]["same-as"]))[0]
    assert [str(entry) for entry in one.stack] != [str(entry) for entry in other.stack], "no other build"
    assert one.fingerprint == other.fingerprint


def test_fingerprints_of_different_crashes_differ() -> None:
    """On one kernel: on another the same crash is to have the same one."""
    for folder in ("crashes", "debug", "runs"):
        of = {name: scan(lines(name))[0].fingerprint for name in RECORDED
              if name.startswith(f"{folder}/") and "same-as" not in CRASHES[Path(name).name]}  # fmt: skip
        assert len(set(of.values())) == len(of), sorted(of.items(), key=lambda pair: pair[1])


@pytest.mark.parametrize("name", RECORDED)
def test_cut_anywhere_it_has_what_had_begun_by_then(name: str) -> None:
    text = lines(name)
    beginnings = [splat.first_line for splat in scan(text)]
    for end in range(0, len(text), max(1, len(text) // 40)):
        assert len(scan(text[:end])) == sum(first < end for first in beginnings)


@pytest.mark.parametrize("name", sorted(set(RECORDED) - set(EXACT)))
def test_a_log_that_nobody_can_take_apart_is_a_crash_at_least(name: str) -> None:
    assert {splat.kind for splat in scan(lines(name))} <= {"warning", "unknown"} and scan(lines(name))


@pytest.mark.parametrize("name", EXACT)
def test_without_its_beginning_it_is_one_still_and_never_two(name: str) -> None:
    text = lines(name)
    whole = scan(text)
    first, *others = (splat.first_line for splat in whole)
    most = len(others) + (2 if whole[0].kind in ("slab", "debugvm") else 1)  # nobody can tell what a BUG below explains
    end = min(others, default=len(text))
    for start in range(first + 1, end):
        report = text[start:end]
        if any(re.search(r"Call Trace:|[]?] +[\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+$|RIP: 0010", line) for line in report):
            assert len(scan(report)) >= 1, report[:3]
        assert len(scan(text[start:])) <= most, (start, [s.title for s in scan(text[start:])])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_two_at_once_are_kept_apart(data: st.DataObject) -> None:
    """Two CPUs write line by line by turns; the kernel names the writer of each."""
    names = data.draw(st.lists(st.sampled_from(EXACT), min_size=2, max_size=2, unique=True))
    assume(not all(scan(lines(name))[0].kind in _ASK_CPUS for name in names))  # nobody can tell whose backtrace it is
    chance = data.draw(st.randoms(use_true_random=False))
    assert marks(scan(_interleaved(names[0], names[1], chance))) == marks(
        [s for name in names for s in scan(_aligned(name, 0))]
    )


def _aligned(name: str, writer: int) -> list[str]:
    """The reports of a log from one second on, without gaps in time, by writers of their own."""
    found = []
    for number, line in enumerate(lines(name)):
        if match := STAMP.match(line):
            caller = match[2][0] + str(int(match[2][1:]) + writer) if match[2] else f"T{writer}"
            found.append(f"[{100 + number / 1e5:12.6f}][{caller:>6}] {line[match.end() :]}")
    return found


def _interleaved(one: str, other: str, chance: random.Random) -> list[str]:
    """Line by line from either, in the order of each."""
    queues = [_aligned(one, 0), _aligned(other, 5000)]
    mixed = []
    while any(queues):
        mixed.append(chance.choice([queue for queue in queues if queue]).pop(0))
    for number, line in enumerate(mixed):  # one clock
        mixed[number] = f"[{100 + number / 1e5:12.6f}]{line[14:]}"
    return mixed


# What is itself the beginning of one is none; hypothesis knows the words of our own source.
NOISE = st.text(st.characters(codec="utf-8", exclude_characters="\n[]"), min_size=1, max_size=30).filter(
    lambda text: not scan([text])
)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_programs_write_before_a_message_changes_nothing(data: st.DataObject) -> None:
    """A program's output without a line end stands before the kernel's in the same line."""
    name = data.draw(st.sampled_from(RECORDED))
    at = data.draw(st.sets(st.integers(0, 200)))
    noisy = [data.draw(NOISE) + line if number in at and STAMP.match(line) else line
             for number, line in enumerate(lines(name))]  # fmt: skip
    assert [splat.kind for splat in scan(noisy)] == [splat.kind for splat in scan(lines(name))]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_binary_and_line_ends_change_nothing(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(RECORDED))
    chance = data.draw(st.randoms(use_true_random=False))
    noisy = []
    for line in lines(name):
        at = chance.randrange(len(line) + 1)
        noise = chance.choice(["", "\0", "\x07\x08", "\x1b[31m", "\r"])
        noisy.append(line[:at] + noise + line[at:] + chance.choice(["", "\r", "\r\r", "\x1b[0m"]))
    assert marks(scan(noisy)) == marks(scan(lines(name)))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_lost_beginnings_of_lines_lose_and_double_none(data: st.DataObject) -> None:
    """A part of the stamps is lost: what the messages say is all there."""
    name = data.draw(st.sampled_from(RECORDED))
    chance = data.draw(st.randoms(use_true_random=False))
    lost = []
    for line in lines(name):
        match = STAMP.match(line)
        cut = chance.randrange(match.end() - 1) if match and chance.random() < 0.3 else 0
        lost.append(line[cut:])
    found, whole = scan(lost), scan(lines(name))
    assert len(whole) <= len(found) + 1 and found, (len(found), len(whole))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_lost_lines_leave_a_crash_a_crash(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(RECORDED))
    chance = data.draw(st.randoms(use_true_random=False))
    left = [line for line in lines(name) if chance.random() < 0.5]
    report = re.compile(r"Call Trace:|RIP: 0010|cut here|BUG: |WARNING: |UBSAN: |Kernel panic|end trace")
    if any(report.search(line) for line in left):
        assert scan(left)
