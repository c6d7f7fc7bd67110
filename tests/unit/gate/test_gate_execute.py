# SPDX-License-Identifier: GPL-2.0-only
"""A gate on the stub tree: what patches, base and head give adds up to the right verdict; the guests are played."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from harness import profile as profiles
from harness.errors import EnvironmentFailure, UserError
from harness.gate import GatePlan, execute
from harness.gate.cover import lines as cover_lines
from harness.gate.ends import range_diff_summary, wanted
from harness.gate.report import FindingRecord, GateReport, Kind
from harness.patchcheck import Choice
from harness.paths import Paths
from harness.progress import QuietView
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, Failure, Results, StageRecord, run_verdict
from harness.run import RunPlan
from harness.store import Store
from harness.values import Verdict
from tests.unit.bad_input.conftest import Bench

WARN = "echo \"$srctree/mm/zswap.c:3:5: warning: unused variable 'x' [-Wunused-variable]\" >&2\n"
GOOD = {"smoke/test_one:one": "PASS", "smoke/test_one:two": "PASS"}

Play = Mapping[str, str] | Failure


class Guests:
    """Plays the runs: what the cases of a tree give, by how many patches are on it (None: all), run after run."""

    def __init__(
        self, paths: Paths, plays: Mapping[int | None, list[Play]], *, boot: Mapping[int | None, float]
    ) -> None:
        self.asked: list[int | None] = []
        self.profiles: list[profiles.Profile] = []
        self._paths = paths
        self._plays = {patches: list(plays) for patches, plays in plays.items()}
        self._boot = boot

    def __call__(self, todo: RunPlan) -> tuple[RunFolder, Results]:
        patches = todo.profile.patches
        self.asked.append(patches)
        self.profiles.append(todo.profile)
        plays = self._plays.get(patches, [GOOD])
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        folder = run_folders.create(self._paths)
        boot = self._boot.get(patches, 2.0)
        folder.write("guests/1/meminfo.txt", "MemTotal:  900000 kB\nMemAvailable:   800000 kB\n")
        failure = play if isinstance(play, Failure) else None
        cases = tuple(_case(name, verdict) for name, verdict in play.items()) if isinstance(play, Mapping) else ()
        stages = (StageRecord(name="boot", seconds=boot + len(self.asked) / 1000),)
        return folder, Results(
            run=folder.name, verdict=run_verdict(cases, failure, interrupted=False).value, seconds=1, guest_seconds=1,
            interrupted=isinstance(failure, Failure) and failure.message == "^C", stages=stages, cases=cases,
            failure=failure,
        )  # fmt: skip


def _case(name: str, verdict: str) -> CaseRecord:
    suite, _, rest = name.partition("/")
    program, _, case = rest.partition(":")
    bad = verdict not in ("PASS", "SKIP")
    return CaseRecord(
        suite=suite, program=program, case=case, verdict=verdict, seconds=2.0, reason="was it" if bad else ""
    )


@pytest.fixture
def paths(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Paths:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return Paths(project=bench.project, cache=bench.cache, data=bench.data)


def series(bench: Bench, *changes: str, name: str = "series") -> Path:
    for number, content in enumerate(changes, start=1):
        bench.commit(f"mm: {number}", {"mm/zswap.c": content})
    folder = bench.patches(len(changes))[0].parent
    return folder.rename(folder.with_name(name))


def gate(
    bench: Bench,
    paths: Paths,
    head: Path,
    plays: Mapping[int | None, list[Play]] | None = None,
    *,
    base: str | Path = "",
    boot: Mapping[int | None, float] | None = None,
    repeat: int = 1,
    again: bool = False,
    each: str = "ends",
    guests: list[Guests] | None = None,
) -> tuple[RunFolder, GateReport]:
    profile = profiles.load("default", paths=paths)
    todo = GatePlan(
        wanted=wanted(profile, base=str(base) or f"tree:{bench.tree}", head=str(head), source=None, paths=paths),
        choice=Choice(grid="none", boot="none"),
        boot=each,
        repeat=repeat,
        again=again,
    )
    played = Guests(paths, plays or {}, boot=boot or {})
    if guests is not None:
        guests.append(played)
    return execute(todo, paths=paths, store=Store(paths.cache), view=QuietView(), execute_run=played)


def kinds(report: GateReport) -> list[Kind]:
    return [one.kind for one in report.reasons]


def test_a_good_series_is_ready_and_its_cover_says_what_was_done(bench: Bench, paths: Paths) -> None:
    folder, report = gate(bench, paths, series(bench, ": one\n", ": two\n"))
    assert report.ready and not report.reasons and report.looked_at == (1, 2)
    assert msgspec.json.decode((folder.path / "gate.json").read_bytes(), type=GateReport) == report
    assert (folder.path / "gate.txt").read_text().startswith("ready: ")
    assert (folder.path / "cover.txt").read_text().splitlines() == cover_lines(report)
    cover = " ".join(cover_lines(report))
    assert "Each patch was built on Linux 6.12.117" in cover and "no new warning" in cover
    assert "the suites smoke: 2 pass." in cover and "No case is worse." in cover
    assert "checkpatch" not in cover and "Boot time" not in cover and str(bench.folder) not in cover


def test_a_cover_does_not_call_clean_what_is_answered(bench: Bench, paths: Paths) -> None:
    _, report = gate(bench, paths, series(bench, ": one\n"))
    checkpatch = [
        FindingRecord(check="checkpatch", level="ok", message="clean", patch=1),
        FindingRecord(check="checkpatch", level="note", message="TYPE: a remark", patch=2, answer="it is context"),
    ]
    for findings, said in (
        (checkpatch[:1], "checkpatch: clean."),
        (checkpatch, "checkpatch: clean but for 1 remark (patch 2: it is context)."),
        ([msgspec.structs.replace(checkpatch[1], level="warning")], "checkpatch: no error, 1 warning."),
    ):
        cover = cover_lines(msgspec.structs.replace(report, findings=(*report.findings, *findings)))
        assert said in " ".join(" ".join(cover).split())


def test_a_case_that_fails_on_the_head_alone(bench: Bench, paths: Paths) -> None:
    head = {"smoke/test_one:one": "PASS", "smoke/test_one:two": "FAIL"}
    _, report = gate(bench, paths, series(bench, ": one\n"), {None: [head]})
    assert not report.ready and kinds(report) == [Kind.CASE]
    assert report.reasons[0].message == "smoke/test_one:two: PASS on the base, FAIL on the head: was it"
    assert any(one.startswith("each side ran once: --repeat tells") for one in report.remarks)


def test_a_case_that_fails_on_the_base_as_well_is_told_and_not_held_against_the_head(
    bench: Bench, paths: Paths
) -> None:
    bad = {"smoke/test_one:one": "PASS", "smoke/test_one:two": "FAIL"}
    _, report = gate(bench, paths, series(bench, ": one\n"), {None: [bad], 0: [bad]})
    assert report.ready and "1 case that fails on the base as well" in report.remarks


def test_a_head_on_which_the_suites_find_nothing_to_test_is_not_ready(bench: Bench, paths: Paths) -> None:
    skipped: Play = dict.fromkeys(GOOD, "SKIP")
    folder = series(bench, ": one\n")
    _, report = gate(bench, paths, folder, {None: [skipped]})
    assert not report.ready and kinds(report) == [Kind.NOT_RUN] * 2
    _, report = gate(bench, paths, folder, {None: [skipped], 0: [skipped]}, again=True)
    assert not report.ready and kinds(report) == [Kind.NOTHING]


def test_a_case_that_fails_now_and_then_on_the_head_alone(bench: Bench, paths: Paths) -> None:
    bad = {"smoke/test_one:one": "PASS", "smoke/test_one:two": "FAIL"}
    _, report = gate(bench, paths, series(bench, ": one\n"), {None: [GOOD, GOOD, bad, GOOD]}, repeat=4)
    assert kinds(report) == [Kind.UNSTEADY] and "FAIL in 1 of 4" in report.reasons[0].message


def test_the_sides_run_in_turn_with_the_same_machine_and_a_slower_boot_is_found(bench: Bench, paths: Paths) -> None:
    guests: list[Guests] = []
    folder = series(bench, ": one\n")
    _, report = gate(bench, paths, folder, boot={0: 2.0, None: 2.6}, repeat=4, guests=guests)
    assert guests[0].asked == [0, None, None, 0, 0, None, None, 0]
    assert len({msgspec.structs.replace(one, patches=None) for one in guests[0].profiles}) == 1
    assert kinds(report) == [Kind.SLOWER] and report.reasons[0].message.startswith("boot time: 2.00 s on the base, 2.6")
    _, report = gate(bench, paths, folder, boot={0: 2.0, None: 2.02}, repeat=4, again=True)
    assert report.ready and "no difference beyond noise" in " ".join(cover_lines(report))
    memory = next(one for one in report.measured if "memory" in one.name)
    assert memory.ratio == 1 and memory.base[0] > 0


def test_a_second_gate_runs_nothing_again(bench: Bench, paths: Paths) -> None:
    guests: list[Guests] = []
    head = series(bench, ": one\n")
    gate(bench, paths, head, repeat=2, guests=guests)
    _, report = gate(bench, paths, head, repeat=2, guests=guests)
    assert [len(one.asked) for one in guests] == [4, 0]
    assert (report.base.kept, report.head.kept) == (2, 2) and report.ready
    program = paths.guest_tests / "smoke" / "test_one.sh"
    program.write_text(program.read_text() + "# changed\n")
    gate(bench, paths, head, repeat=2, guests=guests)
    assert len(guests[-1].asked) == 4


def test_a_head_that_fails_stays_so_until_it_is_asked_for_again(bench: Bench, paths: Paths) -> None:
    head = series(bench, ": one\n")
    bad = {"smoke/test_one:one": "PASS", "smoke/test_one:two": "FAIL"}
    assert not gate(bench, paths, head, {None: [bad]})[1].ready
    assert not gate(bench, paths, head)[1].ready
    assert gate(bench, paths, head, again=True)[1].ready


def test_a_head_that_does_not_boot(bench: Bench, paths: Paths) -> None:
    dead = Failure(verdict="BOOT", message="the kernel panicked", details=("Kernel panic",))
    _, report = gate(bench, paths, series(bench, ": one\n"), {None: [dead]})
    assert kinds(report) == [Kind.BOOT] and "the kernel panicked" in report.reasons[0].message
    assert not report.changes


def test_a_base_that_does_not_boot_leaves_nothing_to_compare_with(bench: Bench, paths: Paths) -> None:
    guests: list[Guests] = []
    dead = Failure(verdict="BOOT", message="the kernel panicked")
    folder, report = gate(bench, paths, series(bench, ": one\n"), {0: [dead]}, guests=guests)
    assert kinds(report) == [Kind.BASE] and guests[0].asked == [0]
    assert "choose another base" in (folder.path / "gate.txt").read_text()


def test_a_patch_that_warns_and_one_that_does_not_build(bench: Bench, paths: Paths) -> None:
    broken = "echo \"$srctree/mm/zswap.c:1:1: error: 'spm' undeclared\" >&2; exit 1\n"
    guests: list[Guests] = []
    head = series(bench, WARN, broken)
    folder, report = gate(bench, paths, head, guests=guests)
    assert kinds(report) == [Kind.BUILD, Kind.WARNING] and guests[0].asked == []
    assert [one.patch for one in report.reasons] == [2, 1]
    assert "'spm' undeclared" in report.reasons[0].message
    assert "no suite ran" in (folder.path / "gate.txt").read_text()


def test_the_patches_between_run_the_suites_too(bench: Bench, paths: Paths) -> None:
    guests: list[Guests] = []
    bad = {"smoke/test_one:one": "CRASH", "smoke/test_one:two": "PASS"}
    head = series(bench, ": one\n", ": two\n", ": three\n")
    _, report = gate(bench, paths, head, {2: [bad]}, each="each", guests=guests)
    assert guests[0].asked == [0, None, 1, 2] and report.booted == (1, 2)
    assert kinds(report) == [Kind.CRASH] and report.reasons[0].patch == 2
    assert "worse than on the base at patch 2" in " ".join(cover_lines(report))


def test_the_revision_before_as_base_gives_a_range_diff(bench: Bench, paths: Paths) -> None:
    old = series(bench, ": one\n", ": two\n", name="v1")
    new = series(bench, ": one\n", ": TWO\n", ": three\n", name="v2")
    guests: list[Guests] = []
    folder, report = gate(bench, paths, new, base=old, guests=guests)
    assert report.ready and [one.series for one in guests[0].profiles] == [str(old), str(new)]
    assert report.range_diff is not None
    pairs = [line.split()[2] for line in range_diff_summary(report.range_diff)]
    assert pairs in (["=", "!", ">"], ["=", "<", ">", ">"])
    text = (folder.path / "gate.txt").read_text()
    assert "1:" in text[text.index("range-diff") :] and (folder.path / "range-diff.txt").stat().st_size


def test_a_base_revision_that_does_not_apply(bench: Bench, paths: Paths) -> None:
    head = series(bench, ": one\n", name="v2")
    bench.commit("mm: else", {"mm/zswap.c": ": else\n"})
    old = series(bench, ": other\n", name="v1")
    bench.git("reset", "-q", "--hard", "HEAD~1")
    with pytest.raises(UserError, match=r"the base .*v1 does not apply") as error:
        gate(bench, paths, head, base=old)
    assert "--source" in (error.value.hint or "")


def test_what_is_known_is_kept_where_the_machine_fails(bench: Bench, paths: Paths) -> None:
    full = Failure(verdict="INFRA", message="the disk is full")
    guests: list[Guests] = []
    head = series(bench, WARN)
    with pytest.raises(EnvironmentFailure, match="the disk is full"):
        gate(bench, paths, head, {None: [full]}, guests=guests)
    known = [json.loads(file.read_text()) for file in paths.runs.glob("*/gate.json")]
    assert [one["missing"] for one in known] == ["the disk is full"]
    assert known[0]["reasons"][0]["kind"] == Kind.WARNING and not known[0]["ready"]
    assert gate(bench, paths, head, guests=guests)[1].base.kept == 1
    assert [one.asked for one in guests] == [[0, None], [None]]


def test_an_interrupted_gate_says_so(bench: Bench, paths: Paths) -> None:
    with pytest.raises(KeyboardInterrupt):
        gate(bench, paths, series(bench, ": one\n"), {None: [Failure(verdict=Verdict.LOST.value, message="^C")]})
    (text,) = [file.read_text() for file in paths.runs.glob("*/gate.txt")]
    assert text.startswith("not finished: it was interrupted")
    assert not list(paths.runs.glob("*/cover.txt"))
