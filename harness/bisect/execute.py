# SPDX-License-Identifier: GPL-2.0-only
"""A bisect from its ends to what changes the verdict between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness import kconfig, series, source
from harness import profile as profiles
from harness.bisect import commits, options
from harness.bisect.answer import Answer, Like, Outcome, like
from harness.bisect.point import BOOT, BUILD, Judge
from harness.bisect.state import State
from harness.display import many
from harness.errors import UserError, nearest
from harness.kconfig.dotconfig import difference
from harness.profile import Profile
from harness.repository import Checkout, Repository, borrowing, find_checkout
from harness.series.gitrange import parse_range
from harness.store import tree_digest, value_digest
from harness.toolchain import host_toolchain
from harness.values import AppliedSeries

_SHOWN = 12
_WEIGHED = 30  # options of an answer that are tried one by one, to tell which of them brings the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer. ``what`` names the first patch, commit or option with the new outcome, ``lines`` says it for people.

    ``one`` is False where it is a range: what stands between could not be tested. ``show`` is the command that shows
    the new outcome, ``show_old`` that of the old one, right before.
    """

    what: tuple[str, ...]
    one: bool
    old: Answer
    new: Answer
    lines: tuple[str, ...]
    show: str
    show_old: str
    tested: int
    folder: Path

    def record(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "first": self.what,
            "one": self.one,
            "old": msgspec.to_builtins(self.old),
            "new": msgspec.to_builtins(self.new),
            "show": self.show,
            "show_old": self.show_old,
            "tested": self.tested,
            "folder": str(self.folder),
        }


def by_patches(profile: Profile, judge: Judge, *, start: int = 0, again: bool = False) -> Found:
    """The first patch of the profile's series that changes the verdict.

    The old end is the tree with the first ``start`` patches; 0: without any.
    """
    judge.check(profile)
    with judge.view.stage("series") as stage:
        tools: dict[str, Any] = {"paths": judge.paths, "store": judge.store, "progress": stage}
        tree = source.obtain(profile.source, **tools)
        patches = series.read(profile.series, tree=tree, **tools)
        applied = series.apply(tree, patches, **tools)
        stage.result(f"{many(len(patches.patches), 'patch')} on {tree.spec} ({tree.version})")
    points = [applied.tree.commit, *applied.commits]
    if not 0 <= start < len(points) - 1:
        raise UserError(
            f"--from {start}: the series has {many(len(points) - 1, 'patch')}",
            hint="a number of patches before the last",
        )
    titles = ["the tree before the series", *(patch.title for patch in patches.patches)]

    def at(number: int) -> Profile:
        return profiles.override(profile, {"patches": number})

    asked = _Asked(
        judge,
        ["series", applied.tree.commit, list(applied.commits)],  # whatever the old end: an answer holds for all
        profile,
        profile_of=lambda commit: at(points.index(commit)),
        name_of=lambda commit: f"patch {points.index(commit)} ({titles[points.index(commit)]})",
        again=again,
    )
    repository = Repository(applied.tree.repository)
    first, old = asked.commits(repository, points[start], points[-1])
    numbers = [points.index(commit) for commit in first.commits]
    what = tuple(f"patch {number}: {titles[number]}" for number in numbers)
    show, before = judge.shown_by(at(numbers[-1])), judge.shown_by(at(points.index(old)))
    return asked.found(what, first.commits[-1], old, show, before)


def by_commits(profile: Profile, text: str, judge: Judge, *, again: bool = False) -> Found:
    """The first commit of a range ``[PATH@]GOOD..BAD`` that changes the verdict."""
    wanted = parse_range(text)
    checkout = _checkout(wanted.path, profile)
    old, new = _resolve(checkout, wanted.old), _resolve(checkout, wanted.new)
    ours = borrowing(judge.paths, checkout)
    ours.set_ref(f"refs/harness/bisect/{old}", old)
    ours.set_ref(f"refs/harness/bisect/{new}", new)
    commits.check_ends(ours, old, new, (wanted.old, wanted.new))
    profile = profiles.override(profile, {"series": "", "source": f"git:{checkout.top}@{new}"})
    judge.check(profile)

    def at(commit: str) -> Profile:
        return profiles.override(profile, {"source": f"git:{checkout.top}@{commit}"})

    def name(commit: str) -> str:
        return f"{commit[:12]} ({_subject(ours, commit)})"

    same = profiles.override(profile, {"source": "git:"})
    asked = _Asked(judge, ["git", old, new], same, profile_of=at, name_of=name, again=again)
    first, before = asked.commits(ours, old, new)
    what = tuple(f"commit {commit}: {_subject(ours, commit)}" for commit in first.commits)
    last = first.commits[-1]
    return asked.found(what, last, before, judge.shown_by(at(last)), judge.shown_by(at(before)))


def by_options(profile: Profile, good: str, bad: str, judge: Judge, *, again: bool = False) -> Found:
    """The Kconfig options between two configurations that change the verdict.

    A configuration is fragments joined by ``+``, with those of the profile before them where it begins with ``+``; or
    the path of a ``.config``.
    """
    judge.check(profile)
    ends = [_requests(text, profile) for text in (good, bad)]
    with judge.view.stage("config") as stage:
        tools: dict[str, Any] = {"paths": judge.paths, "store": judge.store, "progress": stage}
        tree = source.obtain(profile.source, **tools)
        found = series.read(profile.series, tree=tree, **tools) if profile.series else None
        applied = series.apply(tree, found, **tools)
        if profile.patches is not None and applied.series is not None:
            applied = series.at_patch(applied, profile.patches)
        configured = [kconfig.attempt(applied, end, toolchain=host_toolchain(), **tools) for end in ends]
        number = len(difference(configured[0].values, configured[1].values))
        stage.result(f"{many(number, 'option')} differ{'s' if number == 1 else ''}")
    words = " ".join(dict.fromkeys(word for one in configured for word in one.merged.command_line))
    if not number:
        raise UserError(f"'{good}' and '{bad}' give the same configuration", hint="`harness config diff` compares two")
    texts = [value_digest(sorted(one.values.items())) for one in configured]
    question = ["config", applied.tree_id, *texts, words]
    asked = _Asked(judge, question, profile, profile_of=lambda _: profile, name_of=str, again=again)
    mixes = _Mixes(applied, profile, words, judge, asked.state.path / "configs")
    asked.profile_of = mixes.profile
    asked.name_of = mixes.name
    old, new = (mixes.resolve(one.values) for one in configured)
    mixes.names = {mixes.key(old): f"GOOD ({good})", mixes.key(new): f"BAD ({bad})"}
    asked.ends(mixes.key(old), mixes.key(new))
    first = options.search(
        old, new, resolve=mixes.resolve, ask=lambda values, left: asked.like(mixes.key(values), left, "option")
    )
    names = list(first.options)
    if 1 < len(names) <= _WEIGHED:
        names = options.leading_first(first, mixes.resolve)
    changed = {name: f"{old or 'n'} → {new or 'n'}" for name, (old, new) in first.options.items()}
    what = tuple(f"CONFIG_{name}: {changed[name]}" for name in names)
    keys = mixes.key(first.old), mixes.key(first.new)
    shows = [judge.shown_by(mixes.profile(key)) for key in keys]
    return asked.found(what, keys[1], keys[0], shows[1], shows[0], one=first.whole)


def verdict(profile: Profile, judge: Judge) -> Answer:
    """What the profile's own kernel makes of the case, for ``git bisect run``."""
    judge.check(profile)
    return judge.ask(profile)


class _Asked:
    """Points that are asked once, ends first; what was answered before is not asked again."""

    def __init__(
        self,
        judge: Judge,
        points: list[Any],
        profile: Profile,
        *,
        profile_of: Callable[[str], Profile],
        name_of: Callable[[str], str],
        again: bool,
    ) -> None:
        same = msgspec.structs.replace(profile, summary="", jobs=None)
        tests = tree_digest(judge.paths.guest_tests)
        toolchain = host_toolchain().digest
        question = [points, judge.case, judge.repeat, msgspec.to_builtins(same), tests, toolchain]
        self.state = State(question, paths=judge.paths, again=again)
        self.profile_of = profile_of
        self.name_of = name_of
        self.tested = 0
        self._judge = judge
        self._old: Answer | None = None
        self._new: Answer | None = None
        if self.state.known:
            judge.view.say(f"{self.state.known} answers are known from before (--again forgets them)")

    def ask(self, point: str, note: str = "") -> Answer:
        """The answer of a point."""
        answer = self.state.find(point)
        name = self.name_of(point)
        if answer is None:
            self._judge.view.say(f"\n{name}{note}", style="bold")
            answer = self._judge.ask(self.profile_of(point))
            self.tested += 1
            self.state.keep(point, name, answer)
        self._judge.view.say(f"{name} {answer}")
        return answer

    def ends(self, old: str, new: str) -> None:
        """Ask both; raises :class:`UserError` where one cannot be tested, or both say the same."""
        answers = []
        for point, which in ((new, "the new end"), (old, "the old end")):
            answer = self.ask(point, f", {which}")
            if answer.outcome is Outcome.UNTESTABLE:
                kind = answer.reason.partition(":")[0].lower()
                other = {"build": BUILD, "boot": BOOT}.get(kind)
                instead = f", or --case {other} for the first that does not {other}" if other else ""
                raise UserError(
                    f"{which} cannot be tested, {self.name_of(point)}: {answer.reason}",
                    hint=f"choose another end{instead}",
                )
            answers.append(answer)
        self._new, self._old = answers
        if self._new.outcome is self._old.outcome:
            raise UserError(
                f"both ends have the same verdict: {self._judge.case} {self._new.outcome} at "
                f"{self.name_of(old)} and at {self.name_of(new)}",
                details=[self._new.reason] if self._new.reason else [],
                hint="choose ends that differ; a case that fails now and then needs --repeat N",
            )

    def like(self, point: str, left: int, what: str) -> Like:
        """Which end a point is like."""
        assert self._old is not None and self._new is not None
        steps = max(1, math.ceil(math.log2(left + 1)))
        answer = self.ask(point, f": {many(left, what)} left, about {many(steps, 'step')}")
        return like(answer.outcome, self._old.outcome, self._new.outcome)

    def commits(self, repository: Repository, old: str, new: str) -> tuple[commits.FirstCommit, str]:
        """The first commit like the new end, and the last one before it that is like the old."""
        self.ends(old, new)
        first = commits.search(repository, old, new, lambda commit, left: self.like(commit, left, "commit"))
        before = repository.resolve(f"{first.commits[0]}^")
        known = self.state.find(before) if before is not None else None
        return first, before if before is not None and known is not None else old

    def found(
        self, what: tuple[str, ...], new: str, old: str, show: str, show_old: str, *, one: bool | None = None
    ) -> Found:
        """The answer, written down."""
        last, before = self.state.find(new), self.state.find(old)
        assert last is not None and before is not None
        single = len(what) == 1 if one is None else one
        lines = []
        if single:
            lines += [f"{what[0]}", *(f"  with {other}" for other in what[1:_SHOWN])]
            lines[0] = f"first: {lines[0]}"
        else:
            lines += ["one of these, which could not all be tested:", *(f"  {other}" for other in what[:_SHOWN])]
        if len(what) > _SHOWN:
            lines.append(f"  … {len(what) - _SHOWN} more")
        lines += [f"before: {before}", f"from it on: {last}", f"shown by: {show}", f"before it: {show_old}"]
        answer = Found(
            what=what, one=single, old=before, new=last, lines=tuple(lines), show=show, show_old=show_old,
            tested=self.tested, folder=self.state.path,
        )  # fmt: skip
        self.state.folder.write("found.json", msgspec.json.format(msgspec.json.encode(answer.record()), indent=1))
        return answer


class _Mixes:
    """Configurations of a bisect as files, which profiles name."""

    def __init__(self, applied: AppliedSeries, profile: Profile, words: str, judge: Judge, folder: Path) -> None:
        self.names: dict[str, str] = {}
        self._applied = applied
        self._profile = profile
        self._words = words
        self._judge = judge
        self._folder = folder
        self._text: dict[str, str] = {}

    def resolve(self, values: options.Values) -> options.Values:
        """What the tree's Kconfig makes of some values."""
        text = self._write(values)
        with self._judge.view.stage("config") as stage:
            done = kconfig.attempt(
                self._applied,
                kconfig.parse_requests([str(text)]),
                toolchain=host_toolchain(),
                paths=self._judge.paths,
                store=self._judge.store,
                progress=stage,
            )
            stage.result(many(len(done.values), "option"))
        return done.values

    def key(self, values: options.Values) -> str:
        """The name of a configuration by content; it is written to its file."""
        return self._write(values).stem

    def name(self, key: str) -> str:
        """A configuration for people."""
        return self.names.get(key, f"configuration {key}")

    def profile(self, key: str) -> Profile:
        """The profile with a configuration in place of its own."""
        return profiles.override(self._profile, {"config": (str(self._folder / f"{key}.config"),)})

    def _write(self, values: options.Values) -> Path:
        lines = [f"CONFIG_{name}={value}  # optional\n" for name, value in values.items() if value != "n"]
        if self._words:
            lines.append(f"# command line: {self._words}\n")
        text = "".join(lines)
        path = self._folder / f"{value_digest(text)[:12]}.config"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return path


def _requests(text: str, profile: Profile) -> tuple[kconfig.FragmentRequest, ...]:
    """The fragments of an end (:func:`by_options`)."""
    if "/" in text and not text.startswith("+"):
        return kconfig.parse_requests([text])
    own = profile.config if text.startswith("+") else ()
    return kconfig.parse_requests([*own, *(part for part in text.split("+") if part)])


def _checkout(path: Path | None, profile: Profile) -> Checkout:
    """The repository of a range: its own, else that of the profile's source, else where the user is."""
    kind, _, rest = profile.source.partition(":")
    if path is None:
        path = Path(rest.rpartition("@")[0] or rest) if kind == "git" else Path(rest if kind == "tree" else ".")
    checkout = find_checkout(path)
    if checkout.git_dir is None:
        raise UserError(
            f"{checkout.top} is no git repository", hint="write --git PATH@GOOD..BAD, or give --source tree:PATH"
        )
    return checkout


def _resolve(checkout: Checkout, name: str) -> str:
    commit = checkout.resolve(name)
    if commit is None:
        close = nearest(name, checkout.ref_names())
        hint = f"did you mean '{close}'?" if close else "a branch, a tag or a commit"
        raise UserError(f"{checkout.top} has no commit '{name}'", hint=hint)
    return commit


def _subject(repository: Repository, commit: str) -> str:
    return repository.git("log", "--max-count=1", "--format=%s", commit, "--").text.strip()
