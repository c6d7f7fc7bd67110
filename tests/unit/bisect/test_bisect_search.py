# SPDX-License-Identifier: GPL-2.0-only
"""The searches themselves: on real histories of git, and on small Kconfigs, with every answer known beforehand."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.bisect import commits, options
from harness.bisect.answer import Answer, Like, Outcome, like, of_run, of_runs
from harness.errors import UserError
from harness.repository import Repository
from harness.results.record import CaseRecord, Failure, Results

P, F, S, U = Outcome.PASSES, Outcome.FAILS, Outcome.SKIPS, Outcome.UNTESTABLE


class History:
    """A repository whose commits are named by letters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: dict[str, str] = {}
        folder.mkdir()
        self.git("init", "-q", "--bare")
        self.tree = self.git("mktree")
        self.repository = Repository(folder)

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=Dev", "-c", "user.email=dev@example.org")
        done = subprocess.run(["git", *who, *words], cwd=self.folder, check=True, capture_output=True, input=b"")
        return done.stdout.decode().strip()

    def commit(self, name: str, *parents: str) -> None:
        words = [word for parent in parents for word in ("-p", self.ids[parent])]
        self.ids[name] = self.git("commit-tree", self.tree, *words, "-m", name)

    def line(self, names: str) -> None:
        for before, name in zip(" " + names, names, strict=False):
            self.commit(name, *before.strip())

    def search(self, old: str, new: str, answers: Callable[[str], Like]) -> tuple[str, list[str]]:
        """The names of what was found, and of what was asked."""
        names = {commit: name for name, commit in self.ids.items()}
        asked: list[str] = []

        def ask(commit: str, left: int) -> Like:
            asked.append(names[commit])
            assert left > 0
            return answers(names[commit])

        found = commits.search(self.repository, self.ids[old], self.ids[new], ask)
        assert found.tested == len(asked) == len(set(asked))
        return "".join(names[commit] for commit in found.commits), asked


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "h.git")


def test_every_first_commit_of_a_line_is_found_in_few_steps(history: History) -> None:
    names = "abcdefghijklmnop"
    history.line(names)

    def like_new_from(first: str) -> Callable[[str], Like]:
        return lambda name: Like.NEW if name >= first else Like.OLD

    for first in names[1:]:
        found, asked = history.search("a", "p", like_new_from(first))
        assert found == first
        assert len(asked) <= 4


def test_what_cannot_be_tested_is_stepped_over_or_makes_a_range(history: History) -> None:
    history.line("abcdefgh")

    def with_broken(broken: str, first: str) -> Callable[[str], Like]:
        return lambda name: Like.NEITHER if name in broken else Like.NEW if name >= first else Like.OLD

    assert history.search("a", "h", with_broken("d", "g"))[0] == "g"
    assert history.search("a", "h", with_broken("d", "b"))[0] == "b"
    assert history.search("a", "h", with_broken("d", "d"))[0] == "de"
    assert history.search("a", "h", with_broken("de", "f"))[0] == "def"
    assert history.search("a", "h", with_broken("bcdefg", "c"))[0] == "bcdefgh"


def test_a_commit_of_a_merged_branch_is_found(history: History) -> None:
    history.line("abc")
    for name, parents in (("d", "b"), ("e", "d"), ("m", "ce"), ("n", "m")):
        history.commit(name, *parents)

    def like_new_in(having: str) -> Callable[[str], Like]:
        return lambda name: Like.NEW if name in having else Like.OLD

    for first, having in {"e": "emn", "d": "demn", "c": "cmn", "m": "mn"}.items():
        assert history.search("a", "n", like_new_in(having))[0] == first


def test_ends_that_are_no_range(history: History) -> None:
    history.line("abc")
    history.commit("x", "a")
    history.commit("alone")
    ids = history.ids
    for old, new, said, hint in (
        ("c", "a", "c is not in the history of a", "the earlier commit comes first: a..c"),
        ("x", "c", "x is not in the history of c", f"they part at {ids['a'][:12]}: give {ids['a'][:12]}..c"),
        ("alone", "c", "alone is not in the history of c", "no commit in common"),
        ("b", "b", "b and b are the same commit", "GOOD..BAD"),
    ):
        with pytest.raises(UserError, match=said) as error:
            commits.check_ends(history.repository, ids[old], ids[new], (old, new))
        assert hint in (error.value.hint or "")


def kconfig(needs: Mapping[str, str]) -> options.Resolve:
    """A Kconfig in which some options need another."""

    def resolve(values: options.Values) -> options.Values:
        found = dict(values)
        while lost := [name for name in found if name in needs and needs[name] not in found]:
            for name in lost:
                del found[name]
        return found

    return resolve


NAMES = [f"O{number}" for number in range(24)]


@given(
    culprits=st.sets(st.sampled_from(NAMES), min_size=1, max_size=3),
    broken=st.sets(st.sampled_from(NAMES), max_size=3),
    needs=st.dictionaries(st.sampled_from(NAMES[1:]), st.sampled_from(NAMES[:1]), max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_what_is_found_changes_the_outcome_and_is_as_small_as_it_gets(
    culprits: set[str], broken: set[str], needs: dict[str, str]
) -> None:
    resolve = kconfig(needs)
    old, new = {"SAME": "y"}, {"SAME": "y"} | dict.fromkeys(NAMES, "y")

    def outcome(values: options.Values) -> Like:
        if broken & set(values) and not broken <= set(values):
            return Like.NEITHER
        return Like.NEW if culprits <= set(values) else Like.OLD

    found = options.search(old, new, resolve=resolve, ask=lambda values, _: outcome(values))
    assert outcome(found.old) is Like.OLD and outcome(found.new) is Like.NEW
    assert resolve(found.old) == found.old and resolve(found.new) == found.new
    assert culprits & found.options.keys()
    if len(broken) <= 1:  # every mix can be tested: one option, as what it needs can be there without it
        assert len(found.options) == 1 and found.whole and found.tested <= 60


def test_an_option_that_goes_away_or_has_another_value() -> None:
    old = {"A": "y", "SIZE": "12", "B": "y", "C": "m"}
    new = {"A": "y", "SIZE": "17", "C": "y", "D": "y"}

    def like_new_with(culprit: str) -> options.Ask:
        return lambda values, _: Like.NEW if values.get(culprit) == new.get(culprit) else Like.OLD

    for culprit in ("SIZE", "B", "C", "D"):
        found = options.search(old, new, resolve=dict, ask=like_new_with(culprit))
        assert list(found.options) == [culprit]


def test_the_option_that_brings_the_others_is_named_first() -> None:
    def resolve(values: options.Values) -> options.Values:
        found = {name: value for name, value in values.items() if not name.startswith("DERIVED")}
        return found | ({"DERIVED_A": "y", "DERIVED_Z": "7"} if "KASAN" in found else {})

    def ask(values: options.Values, left: int) -> Like:
        return Like.NEW if "DERIVED_A" in values else Like.OLD

    old, new = {"A": "y"}, {"A": "y", "B": "y", "DERIVED_A": "y", "DERIVED_Z": "7", "KASAN": "y", "X": "y"}
    found = options.search(old, new, resolve=resolve, ask=ask)
    assert set(found.options) == {"DERIVED_A", "DERIVED_Z", "KASAN"} and found.whole
    assert options.leading_first(found, resolve)[0] == "KASAN"


@pytest.mark.parametrize(
    ("outcome", "old", "new", "expected"),
    [
        (P, P, F, Like.OLD), (F, P, F, Like.NEW), (S, P, F, Like.NEITHER), (U, P, F, Like.NEITHER),
        (P, S, F, Like.OLD), (S, S, F, Like.OLD), (P, F, S, Like.NEW), (F, F, P, Like.OLD),
        (F, P, S, Like.NEITHER), (S, P, S, Like.NEW),
    ],
)  # fmt: skip
def test_which_end_a_point_is_like(outcome: Outcome, old: Outcome, new: Outcome, expected: Like) -> None:
    assert like(outcome, old, new) is expected


def results(*verdicts: str, failure: str = "") -> Results:
    cases = tuple(CaseRecord(suite="s", program="t", case=str(at), verdict=one) for at, one in enumerate(verdicts))
    found = Failure(verdict=failure, message="no") if failure else None
    return Results(run="r", verdict="PASS", seconds=1, guest_seconds=1, interrupted=False, stages=(), cases=cases,
                   failure=found)  # fmt: skip


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (results("PASS"), P), (results("SKIP"), S), (results("FAIL"), F), (results("CRASH"), F),
        (results("LOST", failure="LOST"), F), (results("PASS", "TIMEOUT"), F), (results("XFAIL"), P),
        (results("PASS", "SKIP"), P), (results(), U), (results(failure="BUILD"), U), (results(failure="BOOT"), U),
        (results("PASS", failure="LOST"), U),
    ],
)  # fmt: skip
def test_what_a_run_says(run: Results, outcome: Outcome) -> None:
    assert of_run(run).outcome is outcome


def test_a_case_that_fails_once_fails() -> None:
    answers = [Answer(outcome=P, runs=("1",)), Answer(outcome=F, reason="FAIL: it", runs=("2",))]
    found = of_runs(answers)
    assert found.outcome is F and found.runs == ("1", "2") and "1 of 2 runs" in found.reason
    assert of_runs([Answer(outcome=P)] * 3).outcome is P
