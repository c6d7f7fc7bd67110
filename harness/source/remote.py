# SPDX-License-Identifier: GPL-2.0-only
"""``git:URL-or-PATH[,MIRROR…][@REF]``: one commit of a git repository.

Only the files of that commit are fetched, not its history: first its trees, then the files in portions, each kept
once it has come, so that an interrupted fetch goes on where it stopped (git-clone(1), partial and shallow clones;
servers without them give all at once). Mirrors are tried in order. A local repository's objects are borrowed, not
copied, as are those of ``--reference``.

REF is a branch, a tag or a full commit (default: HEAD). A branch is looked up each time; where no mirror can be
reached, what it was last stands, with a warning. A tag or a commit does not move: known ones need no network.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import repository
from harness.errors import EnvironmentFailure, HarnessError, UserError, nearest
from harness.repository import Repository, borrowing, find_checkout, is_object_name, private_path
from harness.source import memory
from harness.source.kind import Kind, Request, tree
from harness.values import Tree

_LOOK_SECONDS = 120.0
_FETCH_SECONDS = 7200.0
_PORTION = 12_000  # files in one request: a tenth of a kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A parsed ``git:`` source: mirrors in order, and the ref."""

    mirrors: tuple[str, ...]
    ref: str


def parse(rest: str) -> Location:
    """Split ``URL,URL@REF``. An ``@`` that belongs to a URL (``git@host:path``) is no ref: refs hold no colon."""
    places, at, ref = rest.rpartition("@")
    if not at or ":" in ref:
        places, ref = rest, "HEAD"
    mirrors = tuple(place for place in places.split(",") if place)
    if not mirrors or not re.fullmatch(r"[^\s:?*\[\\^~-][^\s:?*\[\\^~]*", ref) or ".." in ref:
        raise UserError(f"'git:{rest}' names no commit", hint=f"write {KIND.form}, for instance git:~/linux@v6.12")
    if any(place.startswith("-") for place in mirrors):
        raise UserError(f"'git:{rest}' is no repository", hint=f"write {KIND.form}")
    return Location(mirrors=mirrors, ref=ref)


def _local(place: str) -> Path | None:
    """The folder that a location names, or None where it is a URL."""
    if "://" in place or re.match(r"^[^/~.][^/]*:", place):
        return None
    return Path(place).expanduser().absolute()


def _plan(rest: str) -> tuple[str, ...]:
    location = parse(rest)
    lines = []
    for place in location.mirrors:
        if _local(place) is not None:
            lines.append(f"borrow the objects of {place} and look {location.ref} up there")
        else:
            lines.append(f"git ls-remote {place} {location.ref}, then fetch that commit without its history")
    return tuple("or " + line if number else line for number, line in enumerate(lines))


def _pin(rest: str, tree: Tree) -> str:
    return f"git:{','.join(parse(rest).mirrors)}@{tree.commit}"


def _obtain(request: Request) -> Tree:
    location = parse(request.rest)
    reason: HarnessError | None = None
    for place in location.mirrors:
        try:
            return _obtain_from(request, location, place)
        except (EnvironmentFailure, UserError) as error:
            reason = reason or error
            if len(location.mirrors) > 1:
                request.progress.warn(f"{place}: {error.message}")
    assert reason is not None
    remembered = memory.recall(request.paths, request.spec)
    if remembered is None or not isinstance(reason, EnvironmentFailure) or request.refresh:
        raise reason
    request.progress.warn(f"{reason.message}; {location.ref} as it was last: {remembered.tree.commit[:12]}")
    return remembered.tree


def _obtain_from(request: Request, location: Location, place: str) -> Tree:
    path = _local(place)
    if path is not None:
        return _from_folder(request, location, path)
    if not request.refresh and (found := _unmoved(request, location)) is not None:
        return found
    commit = _look_up(place, location.ref, request)
    remembered = memory.recall(request.paths, request.spec, facts={"commit": commit})
    if remembered is not None:
        return remembered.tree
    ours = Repository(private_path(request.paths, "git", ",".join(location.mirrors)))
    with request.store.lock(f"source-{ours.path.stem}", what=f"the copy of {place}", progress=request.progress):
        Repository.create(ours.path, object_format="sha256" if len(commit) == 64 else "sha1")
        if request.reference is not None:
            ours.borrow(_objects(request.reference))
        _fetch(request, ours, place, location.ref, commit)
        ours.set_ref(f"refs/harness/fetched/{commit}", commit)
    found = tree(ours, commit, request.spec, {"url": place, "ref": location.ref})
    memory.remember(request.paths, found, facts={"commit": commit})
    return found


def _unmoved(request: Request, location: Location) -> Tree | None:
    """The remembered tree where the ref is one that does not move: a full commit, or a tag like v6.12."""
    fixed = is_object_name(location.ref) or location.ref.startswith("refs/tags/") or re.match(r"v\d", location.ref)
    remembered = memory.recall(request.paths, request.spec) if fixed else None
    return remembered.tree if remembered is not None else None


def _from_folder(request: Request, location: Location, path: Path) -> Tree:
    if not path.is_dir():
        raise UserError(f"there is no repository {path}", hint="git: takes a URL or the folder of a repository")
    checkout = find_checkout(path)
    if checkout.common_dir is None or checkout.git_dir is None:
        raise UserError(f"{path} is no git repository", hint=f"for an unpacked tree write tree:{path}")
    commit = checkout.resolve(location.ref)
    if commit is None:
        raise _no_ref(location.ref, str(path), checkout.ref_names())
    ours = borrowing(request.paths, checkout)
    ours.set_ref(f"refs/harness/fetched/{commit}", commit)
    return tree(ours, commit, request.spec, {"path": str(path), "ref": location.ref})


def _objects(reference: Path) -> Path:
    checkout = find_checkout(reference)
    if checkout.objects is None:
        raise UserError(f"--reference {reference} is no git repository", hint="give a local clone of a kernel")
    return checkout.objects


def _no_ref(ref: str, place: str, known: list[str]) -> UserError:
    close = nearest(ref, known)
    hint = f"did you mean '{close}'?" if close else "a branch, a tag, or a full commit"
    return UserError(f"{place} has no commit '{ref}'", hint=hint)


def _look_up(place: str, ref: str, request: Request) -> str:
    """The commit that a ref stands for at a remote (a tag's commit, not the tag)."""
    if is_object_name(ref):
        return ref
    request.progress.update(f"looking {ref} up at {place}")
    listed = _remote_git("ls-remote", "--", place, ref, f"{ref}^{{}}", deadline=_LOOK_SECONDS, place=place)
    commit = choose_ref(listed, ref)
    if commit is None:
        everything = _remote_git("ls-remote", "--heads", "--tags", "--", place, deadline=_LOOK_SECONDS, place=place)
        names = [line.split("\t")[1].split("/", 2)[2] for line in everything.splitlines() if line.count("/") >= 2]
        raise _no_ref(ref, place, names)
    return commit


def choose_ref(listed: str, ref: str) -> str | None:
    """The commit for a ref in the output of ``git ls-remote``: as gitrevisions(7) chooses, tags peeled."""
    found: dict[str, str] = {}
    for line in listed.splitlines():
        name, tab, full = line.partition("\t")
        if tab and is_object_name(name):
            found[full] = name
    for full in (ref, f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}"):
        if full in found:
            return found.get(f"{full}^{{}}", found[full])
    return None


def _remote_git(*arguments: str, deadline: float, place: str) -> str:
    done = repository.git(
        *arguments,
        deadline=deadline,
        user_config=True,
        failure=f"{place} cannot be reached",
        hint="check the address and the network; several mirrors may be given, separated by commas",
    )
    return done.text


def _fetch(request: Request, ours: Repository, place: str, ref: str, commit: str) -> None:
    """Bring a commit with all of its files into our repository."""
    remote = f"mirror-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    there = ours.has(commit)
    for name, value in (("url", place), ("promisor", "true"), ("partialCloneFilter", "blob:none")):
        ours.git("config", f"remote.{remote}.{name}", value)
    on_line = _progress_of(request, place)
    failure = f"{place}: the commit {commit[:12]} could not be fetched"
    hint = "check the network; the next try goes on where this one stopped"
    history = () if request.reference is not None else ("--depth=1",)  # a reference has the history, or most of it
    if not there:
        request.progress.update(f"fetching {ref} from {place}")
        # a server that does not give a commit by its name gives it by its ref
        wants = (commit,) if is_object_name(ref) else (commit, ref)
        for number, want in enumerate(wants):
            done = ours.git(
                "fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no",
                "--filter=blob:none", *history,
                remote, want,
                user_config=True, deadline=_FETCH_SECONDS, on_line=on_line, check=number == len(wants) - 1,
                failure=failure, hint=hint,
            )  # fmt: skip
            if done.returncode == 0:
                break
    missing = _missing(ours, commit)
    for start in range(0, len(missing), _PORTION):
        request.progress.update(f"fetching files from {place}", done=start, total=len(missing))
        names = "".join(f"{name}\n" for name in missing[start : start + _PORTION])
        # what git itself runs for a missing object of a partial clone (git's promisor-remote.c)
        ours.git(
            "-c", "fetch.negotiationAlgorithm=noop", "fetch", remote, "--no-tags", "--no-write-fetch-head",
            "--recurse-submodules=no", "--filter=blob:none", "--stdin",
            stdin=names.encode(), user_config=True, deadline=_FETCH_SECONDS, failure=failure, hint=hint,
        )  # fmt: skip
    _settle(ours)


def _settle(ours: Repository) -> None:
    """Everything is there: our repository is an ordinary one again, that asks no server for anything."""
    listed = ours.git("config", "--name-only", "--get-regexp", r"^remote\..*\.url$", check=False).text.split()
    for name in listed:
        ours.git("config", "--remove-section", name.removesuffix(".url"), check=False)
    ours.git("config", "--unset-all", "extensions.partialClone", check=False)


def _missing(ours: Repository, commit: str) -> list[str]:
    """The objects of a commit that are not there yet."""
    listed = ours.git("rev-list", "--objects", "--missing=print", "--max-count=1", commit).text
    return [line[1:] for line in listed.splitlines() if line.startswith("?")]


def _progress_of(request: Request, place: str) -> Callable[[str], None]:
    def on_line(line: str) -> None:
        last = line.rpartition("\r")[2].strip()
        if last:
            request.progress.update(f"{place}: {last}")

    return on_line


KIND = Kind(
    prefix="git",
    form="git:URL-or-PATH[,MIRROR…][@REF]",
    about="one commit of a git repository, local or remote",
    plan=_plan,
    obtain=_obtain,
    pin=_pin,
)
