# SPDX-License-Identifier: GPL-2.0-only
"""Mutants on top of a series that has changed, what the series itself is known to pass, and the command line."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import series, source
from harness.cli import mutants as mutants_command
from harness.cli.session import Session
from harness.errors import ApplyError, UserError
from harness.mutants import mutant
from harness.mutants.baseline import Baseline, program_inputs
from harness.mutants.execute import apply_all, plan
from harness.paths import Paths
from harness.profile import Profile
from harness.progress import Quiet
from harness.repository import Repository
from harness.store import Store
from harness.suite import catalogue
from harness.suite.catalogue import Selection
from harness.values import AppliedSeries, CaseResult, Verdict
from tests.unit.mutants.conftest import TRAILERS, Write
from tests.unit.series.patches import change, mail
from tests.unit.source.trees import Kernel


@pytest.fixture
def base(kernel: Kernel, paths: Paths, store: Store, tmp_path: Path) -> AppliedSeries:
    (tmp_path / "ours.mbox").write_bytes(mail("[PATCH] mm: ours", change(new="int ours;")))
    tree = source.obtain(f"tree:{kernel.path}", paths=paths, store=store, progress=Quiet())
    ours = series.read(str(tmp_path / "ours.mbox"), paths=paths, store=store, progress=Quiet())
    return series.apply(tree, ours, paths=paths, store=store, progress=Quiet())


def test_each_mutant_is_on_top_of_the_series_alone(
    write: Write, base: AppliedSeries, paths: Paths, store: Store
) -> None:
    write("one", diff=change(old="int ours;", new="int one;"))
    write("two", diff=change(old="int ours;", new="int two;"))
    found = mutant.read_all([], paths=paths, store=store)
    applied = apply_all(found, base, paths=paths, store=store, progress=Quiet())
    repository = Repository(base.tree.repository)
    for name in ("one", "two"):
        assert repository.show(applied[name].commit, "mm/swap.c") == f"int {name};\n".encode()
        assert repository.resolve(f"{applied[name].commit}^") == base.commit
    assert applied["one"].tree_id != applied["two"].tree_id


def test_mutants_that_no_longer_apply_are_named_all_of_them(
    write: Write, base: AppliedSeries, paths: Paths, store: Store
) -> None:
    write("fine", diff=change(old="int ours;", new="int fine;"))
    write("stale", diff=change(old="int theirs;"))
    write("gone", diff=change("mm/gone.c"))
    found = mutant.read_all([], paths=paths, store=store)
    with pytest.raises(ApplyError, match="2 of 3 mutants no longer apply to ours: gone, stale") as error:
        apply_all(found, base, paths=paths, store=store, progress=Quiet())
    assert "mm/swap.c, hunk 1 of 1" in "\n".join(error.value.details)
    assert "README" in (error.value.hint or "")


class _Judge:
    """Yields a verdict a case, and remembers what it was asked."""

    def __init__(self, verdict: Verdict = Verdict.PASS) -> None:
        self.asked: list[str] = []
        self._verdict = verdict

    def __call__(self, selections: Sequence[Selection]) -> Generator[CaseResult, None, None]:
        for one in selections:
            for case in one.cases:
                self.asked.append(case)
                yield CaseResult(suite="demo", program=one.program.name, case=case, verdict=self._verdict)


def test_what_the_series_passes_is_run_once_until_a_program_changes(paths: Paths, store: Store) -> None:
    known = Baseline(["kernel"], folder=paths.guest_tests, store=store)
    selections = catalogue.select(paths.guest_tests, ["demo"])
    first, second, third = _Judge(), _Judge(), _Judge()
    assert set(known.verdicts(selections, first).values()) == {Verdict.PASS}
    assert first.asked == ["one", "two", "three"]
    assert known.verdicts(selections, second).keys() == {name for one in selections for name in one.names}
    assert second.asked == []
    program = paths.guest_tests / "demo" / "test_y.sh"
    program.write_text(program.read_text() + "# changed\n")
    known.verdicts(catalogue.select(paths.guest_tests, ["demo"]), third)
    assert third.asked == ["three"]


def test_an_interrupted_run_keeps_the_programs_that_it_finished(paths: Paths, store: Store) -> None:
    known = Baseline(["kernel"], folder=paths.guest_tests, store=store)
    selections = catalogue.select(paths.guest_tests, ["demo"])

    def interrupted(asked: Sequence[Selection]) -> Generator[CaseResult, None, None]:
        yield from _Judge()(asked[:1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        known.verdicts(selections, interrupted)
    again = _Judge()
    known.verdicts(selections, again)
    assert again.asked == ["three"]


def test_what_the_series_fails_is_run_again(paths: Paths, store: Store) -> None:
    known = Baseline(["kernel"], folder=paths.guest_tests, store=store)
    selections = catalogue.select(paths.guest_tests, ["demo/test_y"])
    assert known.verdicts(selections, _Judge(Verdict.FAIL)) == {"demo/test_y:three": Verdict.FAIL}
    again = _Judge()
    assert known.verdicts(selections, again) == {"demo/test_y:three": Verdict.PASS}
    assert again.asked == ["three"]


def test_a_programs_inputs_are_its_own_and_the_shared_ones(paths: Paths) -> None:
    (paths.guest_tests / "demo" / "settings").write_text("timeout=9\n")
    for name in ("helpers/all.h", "helpers/asked.c", "helpers/never_named.c", "modules/m.c"):
        (paths.guest_tests / name).parent.mkdir(exist_ok=True)
        (paths.guest_tests / name).write_text("int z;\n")
    program = paths.guest_tests / "demo" / "test_x.sh"
    program.write_text(program.read_text() + "# asked -n\n")
    (found,) = catalogue.programs(paths.guest_tests, "demo")[:1]
    names = set(program_inputs(found, paths.guest_tests))
    assert {"demo/test_x.sh", "demo/settings", "lib/ktap.sh", "helpers/all.h", "helpers/asked.c"} <= names
    assert not {"demo/test_y.sh", "helpers/never_named.c", "modules/m.c"} & names
    assert "modules/m.c" in program_inputs(dataclasses.replace(found, modules=True), paths.guest_tests)


@pytest.fixture
def call(paths: Paths, store: Store) -> Callable[..., Result]:
    session = Session(paths=paths, store=store, verbose=0)

    def run(*words: str) -> Result:
        return CliRunner().invoke(mutants_command.command, words, obj=session, standalone_mode=False)

    return run


def test_list(write: Write, call: Callable[..., Result]) -> None:
    write("one")
    write("two", TRAILERS + "Survives: nobody looks\n")
    assert call("--list").output.splitlines() == ["one  mm: break it", "two  mm: break it  (survives)"]
    listed = json.loads(call("--list", "--json", "two").output)
    assert [(one["name"], one["breaks"], one["survives"]) for one in listed] == [("two", "swap works", "nobody looks")]


def test_a_mutant_meets_the_profiles_suites_and_the_cases_that_it_names(
    write: Write, paths: Paths, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.pipeline.check", lambda *_, **__: None)  # no kernel configuration here
    (paths.guest_tests / "other").mkdir()
    for name in ("test_x.sh", "config"):
        copied = paths.guest_tests / "demo" / name
        if copied.exists():
            shutil.copy(copied, paths.guest_tests / "other" / name)
    write("inside")
    write("outside", "Breaks: swap works\nKilled-by: other/test_x:two, demo/test_x:one\n")
    profile = Profile(suites=("demo",))
    todo = plan(profile, [], paths=paths, store=store)
    names = {name: [case for one in chosen for case in one.names] for name, chosen in todo.selections.items()}
    demo = ["demo/test_x:one", "demo/test_x:two", "demo/test_y:three"]
    assert names == {"inside": demo, "outside": [*demo, "other/test_x:two"]}
    assert [case for one in todo.every for case in one.names] == [*demo, "other/test_x:two"]
    only = plan(profile, [], selection=["demo/test_y"], paths=paths, store=store)
    assert [case for one in only.every for case in one.names] == ["demo/test_y:three"]


def test_an_unknown_mutant_is_refused_before_anything_is_done(write: Write, call: Callable[..., Result]) -> None:
    write("one")
    outcome = call("--list", "noe")
    assert isinstance(outcome.exception, UserError)
    assert "unknown mutant 'noe'" in outcome.exception.message
