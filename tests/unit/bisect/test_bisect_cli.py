# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect`` as a user types it, on the stub tree: kernels really build or do not, guests are played."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness import profile as profiles
from harness.bisect import by_patches
from harness.bisect.point import Judge
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.progress import QuietView
from harness.results import folder as run_folders
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, Failure, Results
from harness.run import RunPlan
from harness.store import Store
from tests.unit.bad_input.conftest import Bench

BROKEN = "echo \"$srctree/mm/zswap.c:1:1: error: 'spm' undeclared\" >&2; exit 1\n"
CASE = "smoke/test_one:one"


def commits(bench: Bench, *changes: str) -> None:
    for number, content in enumerate(changes, start=1):
        bench.commit(f"mm: {number}", {"mm/zswap.c": content})


def series(bench: Bench, *changes: str) -> Path:
    commits(bench, *changes)
    return bench.patches(len(changes))[0].parent


def shown(text: str, which: str) -> list[str]:
    """A command that a bisect printed, without ``harness``."""
    line = next(line for line in text.splitlines() if line.startswith(which))
    return shlex.split(line.removeprefix(which))[1:]


def kernels(bench: Bench) -> int:
    return len(list(bench.cache.glob("store/kernel/*")))


def test_the_patch_from_which_on_it_does_not_build(bench: Bench) -> None:
    # of three commits to ask git takes the middle one; of four it would take one of two, by a hash that holds the time
    folder = series(bench, ": 1\n", ": 2\n", BROKEN, BROKEN + ": 4\n")
    words = ("bisect", "--case", "build", "--series", folder)
    outcome = bench(*words)
    assert outcome.status == 0, outcome.text
    assert "first: patch 3: mm: 3" in outcome.text
    assert re.findall(r"\d+ commits? left, about \d+ steps?\n", outcome.text) == [
        "3 commits left, about 2 steps\n",
        "1 commit left, about 1 step\n",
    ]
    assert "from it on: fails: BUILD: the kernel does not build: mm/zswap.o" in outcome.text
    assert bench(*shown(outcome.text, "shown by: ")).status == 3
    assert bench(*shown(outcome.text, "before it: ")).status == 0
    again = bench(*words, "--json")
    record = json.loads(again.text[again.text.index("\n{") :])
    assert record["first"] == ["patch 3: mm: 3"] and record["tested"] == 0 and record["one"] is True
    assert bench.left_behind() == []


def test_the_commit_that_mended_it(bench: Bench) -> None:
    commits(bench, BROKEN, BROKEN + ": 2\n", ": mended\n", ": 4\n")
    outcome = bench("bisect", "--case", "build", "--git", f"{bench.tree}@HEAD~3..HEAD")
    assert outcome.status == 0, outcome.text
    first = next(line for line in outcome.text.splitlines() if line.startswith("first: commit "))
    assert first.endswith(": mm: 3")
    assert bench(*shown(outcome.text, "shown by: ")).status == 0
    assert bench(*shown(outcome.text, "before it: ")).status == 3


def test_the_option_with_which_it_does_not_build(bench: Bench) -> None:
    needs = "grep -q CONFIG_MORE=y $O/.config && { echo \"$srctree/mm/zswap.c:1:1: error: 'm'\" >&2; exit 1; }; :\n"
    commits(bench, needs)
    bad = "+CONFIG_DRIVER=y+CONFIG_MORE=y"
    outcome = bench("bisect", "--case", "build", "--config", "+", bad)
    assert outcome.status == 0, outcome.text
    assert "first: CONFIG_MORE: n → y\n" in outcome.text
    assert bench(*shown(outcome.text, "shown by: ")).status == 3
    assert bench(*shown(outcome.text, "before it: ")).status == 0


def test_a_build_that_works_at_both_ends(bench: Bench) -> None:
    outcome = bench("bisect", "--case", "build", "--series", series(bench, ": 1\n", BROKEN, ": 3\n"))
    assert outcome.status == 2
    said = "both ends have the same verdict: build passes at patch 0 (the tree before the series) and at patch 3"
    assert said in outcome.text and "--repeat N" in outcome.text


def test_an_end_that_does_not_build(bench: Bench) -> None:
    outcome = bench("bisect", "--case", CASE, "--series", series(bench, ": 1\n", BROKEN))
    assert outcome.status == 2
    assert "the new end cannot be tested, patch 2 (mm: 2): BUILD: the kernel does not build" in outcome.text
    assert "--case build for the first that does not build" in outcome.text


def test_a_kernel_that_boots_nowhere(bench: Bench) -> None:
    outcome = bench("bisect", "--case", "boot", "--series", series(bench, ": 1\n", ": 2\n"))
    assert outcome.status == 2
    assert "both ends have the same verdict: boot fails" in outcome.text
    assert bench.left_behind() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--case", "smoke/test_one:on", "--series", "{series}"), "one"),
        (("--case", "smoek", "--series", "{series}"), "did you mean 'smoke'?"),
        (("--case", CASE, "--series", "nowhere"), "unknown series 'nowhere'"),
        (("--case", CASE, "--git", "{tree}@HEAD..HEAD~1"), "the earlier commit comes first: HEAD~1..HEAD"),
        (("--case", CASE, "--git", "{tree}@mastre..HEAD"), "did you mean 'master'?"),
        (("--case", CASE, "--git", "{tree}@HEAD"), "is no range"),
        (("--case", CASE, "--git", "/nowhere@a..b"), "/nowhere"),
        (("--case", CASE, "--config", "+", "+"), "give the same configuration"),
        (("--case", CASE, "--config", "+", "bsae"), "did you mean 'base'?"),
        (("--case", CASE), "a bisect goes over --series S, --git GOOD..BAD or --config GOOD BAD"),
        (("--case", CASE, "--git", "a..b", "--series", "{series}"), "one of"),
        (("--case", CASE, "--git", "{tree}@HEAD~1..HEAD", "--from", "1"), "--from counts patches"),
        (("--case", CASE, "--series", "{series}", "--from", "1"), "the series has 1 patch"),
        (("--series", "{series}"), "--case"),
    ],
)
def test_names_that_are_wrong(bench: Bench, words: tuple[str, ...], said: str) -> None:
    folder = series(bench, ": 1\n")
    bench.commit("more", {"mm/page_alloc.c": ": x\n"})
    outcome = bench("bisect", *(word.format(tree=bench.tree, series=folder) for word in words))
    assert outcome.status == 2, outcome.text
    assert said in outcome.text
    assert kernels(bench) == 0


def test_a_plan_asks_nothing(bench: Bench) -> None:
    outcome = bench("bisect", "--case", CASE, "--series", series(bench, ": 1\n"), "--dry-run")
    assert outcome.status == 0 and f"case      {CASE}, up to 1 times a kernel" in outcome.text
    assert kernels(bench) == 0


def test_git_bisect_run_takes_it_for_its_judge(bench: Bench) -> None:
    commits(bench, ": 1\n", ": 2\n", ": 3\n", BROKEN, BROKEN + ": 5\n")
    bench.git("bisect", "start", "HEAD", "HEAD~5")
    argv = bench.argv("bisect", "--verdict", "--case", "build")
    done = subprocess.run(
        ["git", "bisect", "run", *argv], cwd=bench.tree, capture_output=True, env=bench.environment({}),
        stdin=subprocess.DEVNULL, timeout=300, check=False,
    )  # fmt: skip
    said = done.stdout.decode()
    assert done.returncode == 0 and "bad" in said, said + done.stderr.decode()
    assert bench.git("log", "-1", "--format=%s", "refs/bisect/bad") == "mm: 4\n"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--case", "build"), 0),
        (("--case", "boot"), 1),
        (("--case", CASE), 125),
        (("--case", "smokey"), 128),
        (("--cas", "build"), 128),
        (("--case", "build", "--git", "a..b"), 128),
        (("--case", "build", "--source", "tree:/nowhere"), 128),
    ],
)
def test_the_exit_status_that_git_bisect_run_wants(bench: Bench, words: tuple[str, ...], status: int) -> None:
    source = () if "--source" in words else ("--source", f"tree:{bench.tree}")
    assert bench("bisect", "--verdict", *words, *source).status == status


class Guests:
    """Plays runs: the verdicts that each number of patches gives, run after run; an empty one stops the bisect."""

    def __init__(self, paths: Paths, plays: Mapping[int, list[str]]) -> None:
        self.asked: list[int] = []
        self._paths = paths
        self._plays = {patches: list(plays) for patches, plays in plays.items()}

    def __call__(self, todo: RunPlan) -> tuple[RunFolder, Results]:
        assert todo.profile.patches is not None
        self.asked.append(todo.profile.patches)
        plays = self._plays[todo.profile.patches]
        verdict = plays.pop(0) if len(plays) > 1 else plays[0]
        folder = run_folders.create(self._paths)
        known = verdict not in ("", "BUILD", "BOOT", "INFRA")
        case = CaseRecord(suite="smoke", program="test_one", case="one", verdict=verdict, reason="why")
        failure = None if known or not verdict else Failure(verdict=verdict, message="no")
        return folder, Results(run=folder.name, verdict="PASS", seconds=1, guest_seconds=1, interrupted=not verdict,
                               stages=(), cases=(case,) if known else (), failure=failure)  # fmt: skip


@pytest.fixture
def paths(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Paths:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return Paths(project=bench.project, cache=bench.cache, data=bench.data)


def find(
    paths: Paths, folder: Path, guests: Guests, *, repeat: int = 1, start: int = 0, again: bool = False
) -> tuple[str, ...]:
    profile = profiles.override(profiles.load("default", paths=paths), {"series": str(folder)})
    store = Store(paths.cache)
    judge = Judge(case=CASE, repeat=repeat, paths=paths, store=store, view=QuietView(), execute=guests)
    return by_patches(profile, judge, start=start, again=again).what


def test_a_case_over_a_series_with_a_kernel_that_does_not_boot(bench: Bench, paths: Paths) -> None:
    folder = series(bench, *(f": {number}\n" for number in range(1, 7)))
    good, bad = ["PASS"], ["CRASH"]
    plays = {0: ["SKIP"], 1: ["SKIP"], 2: good, 3: ["BOOT"], 4: good, 5: bad, 6: bad}
    guests = Guests(paths, plays)
    assert find(paths, folder, guests) == ("patch 5: mm: 5",)
    assert guests.asked[:2] == [6, 0] and len(guests.asked) <= 6
    plays = {0: good, 1: good, 2: good, 3: ["BOOT"], 4: bad, 5: bad, 6: bad}
    assert find(paths, folder, Guests(paths, plays), again=True) == ("patch 3: mm: 3", "patch 4: mm: 4")


def test_the_old_end_may_be_further_on(bench: Bench, paths: Paths) -> None:
    folder = series(bench, *(f": {number}\n" for number in range(1, 7)))
    plays = {number: ["FAIL" if number in (0, 1, 5, 6) else "PASS"] for number in range(7)}
    guests = Guests(paths, plays)
    assert find(paths, folder, guests, start=3) == ("patch 5: mm: 5",) and min(guests.asked) == 3
    for start in (6, -1):
        with pytest.raises(UserError, match="the series has 6 patches"):
            find(paths, folder, guests, start=start)


def test_a_flaky_case_needs_repeats(bench: Bench, paths: Paths) -> None:
    folder = series(bench, *(f": {number}\n" for number in range(1, 5)))
    sometimes = ["PASS", "FAIL"]
    plays = {0: ["PASS"], 1: ["PASS"], 2: sometimes, 3: sometimes, 4: sometimes}
    assert find(paths, folder, Guests(paths, plays), repeat=3) == ("patch 2: mm: 2",)
    with pytest.raises(UserError, match="both ends have the same verdict"):
        find(paths, folder, Guests(paths, plays), repeat=1)


def test_an_interrupted_bisect_goes_on_where_it_was(bench: Bench, paths: Paths) -> None:
    folder = series(bench, *(f": {number}\n" for number in range(1, 9)))
    plays: dict[int, list[str]] = {number: ["PASS" if number < 6 else "FAIL"] for number in range(9)}
    first = Guests(paths, plays | {4: [""]})
    with pytest.raises(KeyboardInterrupt):
        find(paths, folder, first)
    second = Guests(paths, plays)
    assert find(paths, folder, second) == ("patch 6: mm: 6",)
    assert first.asked[:2] == [8, 0] and not set(second.asked) & {8, 0}
    third = Guests(paths, plays)
    assert find(paths, folder, third) == ("patch 6: mm: 6",) and third.asked == []
    (state,) = (bench.data / "bisects").glob("*/state.json")
    state.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        find(paths, folder, third)


def test_this_machine_is_no_verdict(bench: Bench, paths: Paths) -> None:
    folder = series(bench, ": 1\n", ": 2\n")
    with pytest.raises(EnvironmentFailure, match="no"):
        find(paths, folder, Guests(paths, {2: ["INFRA"], 0: ["PASS"]}))
