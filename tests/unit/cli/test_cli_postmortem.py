# SPDX-License-Identifier: GPL-2.0-only
"""``harness logs`` and ``harness inspect`` on run folders, whole and hostile; the command that gives a dump."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from harness import profile as profiles
from harness.again import of_profile, with_debug_info
from harness.cli.main import cli, show_error
from harness.cli.summary import show_summary
from harness.errors import UserError
from harness.history.kinds import Noted
from harness.paths import Paths
from harness.postmortem.examine import wanted
from harness.results import console_log, folder
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, Manifest, Results
from harness.store import Store
from harness.terminal import Terminal

PROJECT = Path(__file__).resolve().parents[3]
CONSOLE = """\
[10:00:00.000     0.100] [    0.000000] Linux version 6.12
[10:00:02.000     2.100] harness-init: ready
[10:00:03.000     3.100] [    3.000000] harness: case begin smoke/test_boot:version
[10:00:03.100     3.200] [    3.100000] within the version case \x1b[31mred\x1b]0;title\x07\x9b2J
[10:00:03.200     3.300] [    3.200000] harness: case end smoke/test_boot:version
[10:00:03.300     3.400] [    3.300000] harness: case begin smoke/test_boot:memory
[10:00:03.400     3.500] [    3.400000] within the memory case
[10:00:03.500     3.600] [    3.500000] harness: case begin smoke/test_boot:cpus
[10:00:03.600     3.700] [    3.600000] Kernel panic - not syncing: the end
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    paths = Paths(project=PROJECT, cache=tmp_path / "cache", data=tmp_path / "data")
    made = folder.create(paths)
    made.write("guests/1/console.log", CONSOLE)
    case = CaseRecord(
        suite="smoke", program="test_boot", case="cpus", verdict="CRASH", diagnostics=("no memory dump: no reason",)
    )
    made.write_results(
        Results(run=made.name, verdict="CRASH", seconds=1, guest_seconds=1, interrupted=False, stages=(), cases=(case,))
    )
    profile = {"source": "debian:6.12", "series": "", "config": ["base", "debuginfo"]}
    command = ["harness", "run", "--suite", "smoke"]
    circumstances = {"command": command, "keys": {"kernel": "ab12"}, "profile": profile}
    tests = {
        "selection": ["smoke"], "keyword": "", "require_feature": False, "timeout_scale": 1.0, "stress": "", "seed": 1,
    }  # fmt: skip
    made.write_manifest(Manifest(decides={"tests": tests}, circumstances=circumstances))
    return made


def call(run: RunFolder, *words: str) -> Result:
    data = run.path.parents[1]
    return CliRunner().invoke(cli, ["--data-dir", str(data), "--cache-dir", str(data.parent / "cache"), *words])


def refused(run: RunFolder, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    error = call(run, *words).exception
    assert isinstance(error, UserError)
    show_error(error)
    return capsys.readouterr().err


def test_logs_are_printed_whole_and_harmless(run: RunFolder) -> None:
    done = call(run, "logs", "last")
    assert done.exit_code == 0, done.output
    assert "==> guest 1 <==" in done.output and "harness-init: ready" in done.output and "the end" in done.output
    assert "\x1b" not in done.output and "\x9b" not in done.output and "\x07" not in done.output
    assert "within the version case red" in done.output


@pytest.mark.parametrize(
    ("case", "context", "has", "lacks"),
    [
        ("smoke/test_boot:version", "0", ["within the version case", "case end"], ["ready", "memory"]),
        ("version", "1", ["harness-init: ready", "case begin smoke/test_boot:memory"], ["within the memory case"]),
        ("memory", "0", ["within the memory case"], ["case begin smoke/test_boot:cpus", "version"]),
        ("test_boot:cpus", "0", ["Kernel panic - not syncing: the end"], ["memory"]),
    ],
)  # fmt: skip
def test_logs_around_a_case(run: RunFolder, case: str, context: str, has: list[str], lacks: list[str]) -> None:
    done = call(run, "logs", run.name, "--around", case, "--context", context)
    assert done.exit_code == 0, done.output
    for text in has:
        assert text in done.output
    for text in lacks:
        assert text not in done.output


def test_a_case_that_left_no_mark(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(run, "logs", "last", "--around", "smoke/test_boot:memry", capsys=capsys)
    assert "has the marks of 'smoke/test_boot:memry'" in said and "nearest: smoke/test_boot:memory" in said
    assert "has no guest 7" in refused(run, "logs", "last", "--guest", "7", capsys=capsys)


def test_a_case_that_ran_twice_is_shown_twice() -> None:
    lines = CONSOLE.splitlines() * 2
    found = console_log.matching(console_log.spans(lines), "smoke/test_boot:version")
    assert [(span.begin, span.end) for span in found] == [(2, 5), (11, 14)]


def test_a_run_without_a_dump_says_why_and_how_to_get_one(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(run, "inspect", "last", capsys=capsys)
    assert "has no memory dump" in said and "no memory dump: no reason" in said
    assert "again, with one: harness run --add-config debuginfo --case smoke/test_boot:cpus" in said


def test_a_dump_whose_kernel_is_gone_from_the_cache(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run.write("guests/1/vmcore", b"KDUMP   ")
    said = refused(run, "inspect", "-c", "1", "last", capsys=capsys)
    assert "is no longer in the cache" in said
    assert "→ build it again: harness build --series '' --config base --config debuginfo\n" in said


def test_a_dump_of_patches_that_are_kept_in_the_run(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run.write("guests/1/vmcore", b"KDUMP   ")
    run.write("series/0001.patch", "a patch")
    circumstances = folder.read_manifest(run).circumstances
    run.write_manifest(
        Manifest(
            decides=folder.read_manifest(run).decides,
            circumstances={**circumstances, "series": {"commits": []}, "profile": {"series": "./outgoing"}},
        )
    )
    said = refused(run, "inspect", "-c", "1", "last", capsys=capsys)
    assert f"build it again: harness build --source debian:6.12 --series {run.path / 'series'}" in said
    run.write_manifest(Manifest(decides={}, circumstances=circumstances))
    assert "does not say what was run" in refused(run, "inspect", "-c", "1", "last", capsys=capsys)


def test_a_dump_whose_kernel_is_in_the_cache(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run.write("guests/1/vmcore", b"KDUMP   ")

    def make(entry: Path) -> dict[str, object]:
        (entry / "vmlinux").write_bytes(b"no debug information")
        return {}

    Store(run.path.parents[2] / "cache").obtain("kernel", "ab12", make)
    said = refused(run, "inspect", "-c", "1", "last", capsys=capsys)
    assert f"the kernel of run {run.name} has no debug information" in said


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (("-c", "print(1)", "last"), ["-e", "print(1)"]),
        (("last", "-c", "print(1)"), ["-e", "print(1)"]),
        (("last", "--guest", "1", "--", "mine.py", "-c", "x"), ["mine.py", "-c", "x"]),
    ],
)
def test_options_stand_before_or_behind_the_run(
    words: tuple[str, ...], end: list[str], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.write("guests/1/vmcore", b"KDUMP   ")

    def make(entry: Path) -> dict[str, object]:
        (entry / "vmlinux.debug").write_bytes(b"")
        return {}

    Store(run.path.parents[2] / "cache").obtain("kernel", "ab12", make)
    started: list[list[str]] = []

    def replace(argv: list[str], *, env: dict[str, str | None]) -> int:
        started.append(argv)
        return 0

    monkeypatch.setattr("harness.process.replace", replace)
    assert call(run, "inspect", *words).exit_code == 0
    assert started[0][-len(end) :] == end


@pytest.mark.parametrize(
    ("command", "case", "expected"),
    [
        (["harness", "run"], "a/b:c", "harness run --add-config debuginfo --case a/b:c"),
        (
            ["harness", "run", "--suite", "x", "-k", "a b", "--seed=3"],
            "a/b:c",
            "harness run --seed=3 --add-config debuginfo --case a/b:c",
        ),
        (["harness", "run", "--suite", "x"], "", "harness run --suite x --add-config debuginfo"),
    ],
)  # fmt: skip
def test_the_command_that_gives_a_dump(command: list[str], case: str, expected: str) -> None:
    assert with_debug_info(command, case) == expected
    assert shlex.split(expected)


def test_the_command_of_a_profile(tmp_path: Path) -> None:
    paths = Paths(project=PROJECT, cache=tmp_path / "cache", data=tmp_path / "data")
    known = profiles.load("default", paths=paths)
    assert of_profile(known, paths=paths) == ("harness", "run")
    other = structs.replace(
        known, series="", patches=2, config=("base", "cxl:pmem=false"), memory_mib=512, sandbox=False
    )
    words = of_profile(other, paths=paths)
    assert words[2:] == (
        "--series", "", "--patches", "2", "--memory", "512", "--config", "base", "--config", "cxl:pmem=false",
        "--no-sandbox",
    )  # fmt: skip
    dry = CliRunner().invoke(
        cli, ["--data-dir", str(paths.data), "--cache-dir", str(paths.cache), *words[1:], "--help"]
    )
    assert dry.exit_code == 0, "each of them is an option of harness run"
    assert of_profile(other, paths=paths, word="build")[:6] == ("harness", "build", "--series", "", "--patches", "2")
    assert "--memory" not in of_profile(other, paths=paths, word="build")
    ras = profiles.load("ras", paths=paths)
    assert of_profile(ras, paths=paths, name="ras") == ("harness", "run", "--profile", "ras")


@pytest.mark.parametrize(
    ("policy", "event", "readable", "expected"),
    [
        ("auto", "crash", True, True),
        ("auto", "hang", False, False),
        ("never", "crash", True, False),
        ("hang", "hang", True, True),
        ("hang", "crash", True, False),
        ("crash", "crash", True, True),
        ("always", "hang", False, True),
    ],
)
def test_when_memory_is_dumped(policy: str, event: str, readable: bool, expected: bool) -> None:
    assert wanted(policy, event, readable=readable) is expected


@pytest.mark.parametrize(
    ("guests", "said"), [((), None), (("2",), "harness inspect {}"), (("2", "5"), "harness inspect --guest 2 {}")]
)
def test_the_end_of_a_run_has_the_command_that_opens_a_dump(
    guests: tuple[str, ...], said: str | None, run: RunFolder
) -> None:
    lines = tuple(f"memory dump: guests/{number}/vmcore (56 MiB, 1.2 s, kdump-zlib)" for number in guests)
    case = CaseRecord(suite="smoke", program="test_boot", case="cpus", verdict="CRASH", diagnostics=lines)
    results = structs.replace(folder.read_results(run), cases=(case,))
    stream = io.StringIO()
    show_summary(Terminal(stream, live=False), run, results, repeat="harness run", one="harness run", noted=Noted())
    told = [line.removeprefix("its memory").strip() for line in stream.getvalue().splitlines() if "inspect" in line]
    assert told == ([said.format(run.path)] if said else [])
