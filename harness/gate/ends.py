# SPDX-License-Identifier: GPL-2.0-only
"""What base and head are: two trees in one repository, and the difference of two revisions.

The base is a series (the revision before: both go on the same tree), a source, or the name of a commit in the
repository of the source; the head is a series on that tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness import profile as profiles
from harness import series as series_stage
from harness import source as sources
from harness.errors import ApplyError, UserError, nearest
from harness.paths import Paths
from harness.profile import Profile
from harness.progress import Progress
from harness.repository import Repository, find_checkout
from harness.series import named
from harness.store import Store
from harness.values import AppliedSeries, Series, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Base and head as far as their names tell: ``base_series`` is empty where the base is a tree.

    ``profile`` has the source that both go on, and the head as its series.
    """

    profile: Profile
    base_series: str = ""

    @property
    def base_profile(self) -> Profile:
        """What a run of the base takes."""
        if self.base_series:
            return profiles.override(self.profile, {"series": self.base_series})
        return profiles.override(self.profile, {"patches": 0})

    @property
    def base_text(self) -> str:
        """The base for people."""
        return f"{self.base_series} on {self.profile.source}" if self.base_series else self.profile.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Both sides on their tree; ``head`` is None where it does not apply, and ``refused`` says why."""

    tree: Tree
    series: Series
    base: AppliedSeries
    head: AppliedSeries | None
    refused: ApplyError | None = None


def wanted(profile: Profile, *, base: str, head: str, source: str | None, paths: Paths) -> Wanted:
    """Decide what the names mean; raises :class:`UserError` with the nearest one for a name that means nothing."""
    series_stage.parse(head, paths=paths)
    kind, _, rest = base.partition(":")
    if kind in sources.KINDS and not (kind == "git" and ".." in rest):
        if source is not None:
            raise UserError(
                f"--base {base} is a source, and --source {source} another one", hint="the head goes on the base"
            )
        sources.parse(base)
        return Wanted(profile=profiles.override(profile, {"source": base, "series": head}))
    chosen = profiles.override(profile, {"source": source or _source_of(head, profile, paths), "series": head})
    try:
        series_stage.parse(base, paths=paths)
    except UserError as reason:
        ref = _ref_source(chosen.source, base, reason, paths)
        return Wanted(profile=profiles.override(chosen, {"source": ref}))
    return Wanted(profile=chosen, base_series=base)


def find_ends(want: Wanted, *, paths: Paths, store: Store, progress: Progress) -> Ends:
    """Fetch the tree and apply both. Raises :class:`UserError` for a base series that does not apply."""
    tools = {"paths": paths, "store": store, "progress": progress}
    tree = sources.obtain(want.profile.source, **tools)  # type: ignore[arg-type]
    series = series_stage.read(want.profile.series, tree=tree, **tools)  # type: ignore[arg-type]
    base: AppliedSeries | None = None
    if want.base_series:
        before = series_stage.read(want.base_series, tree=tree, **tools)  # type: ignore[arg-type]
        try:
            base = series_stage.apply(tree, before, **tools)  # type: ignore[arg-type]
        except ApplyError as reason:
            raise UserError(
                f"the base {want.base_series} does not apply to {want.profile.source}: {reason.message}",
                details=reason.details,
                hint="give --source with a tree that both revisions apply to, or a tree as --base",
            ) from None
    try:
        head = series_stage.apply(tree, series, **tools)  # type: ignore[arg-type]
    except ApplyError as refused:
        plain = series_stage.apply(tree, None, **tools)  # type: ignore[arg-type]
        return Ends(tree=tree, series=series, base=base or plain, head=None, refused=refused)
    if base is None:
        base = series_stage.at_patch(head, 0)
    return Ends(tree=tree, series=series, base=base, head=head)


def _source_of(head: str, profile: Profile, paths: Paths) -> str:
    """The source that a named head names, else the profile's."""
    return series_stage.describe(head, paths=paths).source or profile.source


def _ref_source(source: str, ref: str, reason: UserError, paths: Paths) -> str:
    """The source for a commit's name in the repository of another source."""
    kind, _, rest = source.partition(":")
    place = Path(rest.rpartition("@")[0] or rest if kind == "git" else rest).expanduser()
    if kind not in ("tree", "git") or not place.is_dir():
        hint = f"{reason.hint}; a commit's name needs --source tree:PATH or git:PATH, and {source} has none"
        raise UserError(f"--base '{ref}' is neither a series nor a source", hint=hint)
    checkout = find_checkout(place)
    if checkout.resolve(ref) is None:
        close = nearest(ref, (*checkout.ref_names(), *named.names(paths)))
        hint = f"did you mean '{close}'?" if close else "a series, a source, or a commit's name"
        raise UserError(f"--base '{ref}' is neither a series nor a commit of {checkout.top}", hint=hint)
    return f"git:{checkout.top}@{ref}"


def range_diff(ends: Ends) -> tuple[str, ...] | None:
    """``git range-diff`` of two revisions as lines; None where the base is no revision or either has no patch."""
    if ends.base.series is None or ends.head is None or not ends.base.commits or ends.base.series is ends.head.series:
        return None
    repository = Repository(ends.tree.repository)
    said = repository.git(
        "range-diff", "--no-color",
        f"{ends.base.tree.commit}..{ends.base.commit}", f"{ends.head.tree.commit}..{ends.head.commit}",
        failure="the two revisions cannot be compared",
    )  # fmt: skip
    return tuple(said.text.splitlines())


def range_diff_summary(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Only the lines that pair the patches: ``1:  abc = 1:  def title``."""
    return tuple(line for line in lines if line and not line.startswith(" " * 4) and _is_pair(line))


def _is_pair(line: str) -> bool:
    words = line.split()
    return len(words) > 3 and words[0].endswith(":") and words[2] in ("=", "!", "<", ">")
