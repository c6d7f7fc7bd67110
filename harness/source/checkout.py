# SPDX-License-Identifier: GPL-2.0-only
"""``tree:PATH``: a developer's checkout as it is now, uncommitted and new files included; never written to.

(Git renews the time of an object in the checkout's ``.git/objects`` when the same content is snapshotted, so that no
``git gc`` takes away what we borrow. Nothing else in it changes.)

A repository of ours borrows the checkout's objects and keeps its own index, whose record of file times makes the
next look cheap: only files that changed are read. A tree without changes is its ``HEAD``; one with changes is a
commit on top of it, the same one for the same files. Ignored files are left out (``.gitignore``, the repository's
``info/exclude`` and the user's own ``core.excludesFile``), tracked ones never. An unpacked tree that is no git
repository works too: it is read whole the first time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from harness import process, repository
from harness.errors import UserError
from harness.paths import make_folder
from harness.repository import Checkout, Repository, borrowing, find_checkout, private_path
from harness.source.kind import Kind, Request, tree, version_of_makefile
from harness.store import disk_failure
from harness.values import Tree

_READ_SECONDS = 1800.0
_OF_A_BUILD = (".config", "include/config", "include/generated", "vmlinux")


def _is_kernel(path: Path) -> bool:
    makefile = path / "Makefile"
    return makefile.is_file() and version_of_makefile(makefile.read_text(errors="replace")) is not None


def _plan(rest: str) -> tuple[str, ...]:
    checkout = find_checkout(Path(rest), is_top=_is_kernel)
    if checkout.git_dir is None:
        return (f"read the tree {checkout.top} (no git repository) into a commit of our own",)
    return (
        f"borrow the objects of {checkout.common_dir}",
        f"snapshot {checkout.top} with its uncommitted and new files, through an index of our own",
    )


def _obtain(request: Request) -> Tree:
    checkout = find_checkout(Path(request.rest), is_top=_is_kernel)
    if not _is_kernel(checkout.top):
        raise UserError(
            f"{checkout.top} is not a kernel tree: no Makefile with VERSION and PATCHLEVEL at its top",
            hint="tree: takes the folder of a kernel checkout",
        )
    ours = borrowing(request.paths, checkout)
    with request.store.lock(f"source-{ours.path.stem}", what=f"the tree {checkout.top}", progress=request.progress):
        head = checkout.resolve("HEAD")
        tree_id = _snapshot(request, checkout, ours)
        commit, dirty = _commit(ours, head, tree_id)
        ours.set_ref(f"refs/harness/tree/{commit}", commit)
    origin = {"path": str(checkout.top), "dirty": "yes" if dirty else "no"} | ({"head": head} if head else {})
    return tree(ours, commit, request.spec, origin)


def _commit(ours: Repository, head: str | None, tree_id: str) -> tuple[str, bool]:
    """The commit for a snapshot, and whether it differs from HEAD. The same snapshot is the same commit."""
    if head is not None and ours.tree_id(head) == tree_id:
        return head, False
    parents = ("-p", head) if head is not None else ()
    message = "Uncommitted changes" if head is not None else "Snapshot of a tree"
    return ours.git("commit-tree", tree_id, *parents, "-m", message).text.strip(), head is not None


def _snapshot(request: Request, checkout: Checkout, ours: Repository) -> str:
    """The object name of the tree that the checkout's files make, read through an index of our own."""
    index = ours.path / "indexes" / private_path(request.paths, "index", str(checkout.top)).stem
    make_folder(index.parent)
    index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # of a killed git: we hold the lock of the tree
    _write_excludes(checkout, ours)
    seeded = _seed(checkout, index, ours)
    if not seeded:
        request.progress.update(f"reading {checkout.top}")
    completed = _add(checkout, ours, index, pack=not seeded)
    if completed.returncode != 0 and seeded:
        index.unlink(missing_ok=True)  # damaged, or of a form that this git cannot take over: from the files then
        _seed_from_head(checkout, ours, index)
        completed = _add(checkout, ours, index, pack=False)
    if completed.returncode != 0:
        raise repository.git_failure(completed, failure=f"{checkout.top} could not be read")
    return ours.git("write-tree", env={"GIT_INDEX_FILE": str(index)}).text.strip()


def _add(checkout: Checkout, ours: Repository, index: Path, *, pack: bool) -> process.Completed:
    # A threshold of one byte makes git write new objects into one pack instead of a file each (git-config(1))
    settings = ("-c", "core.bigFileThreshold=1", "-c", "core.compression=1") if pack else ("-c", "core.compression=1")
    what: tuple[str, ...] = ("--", ".")
    names: bytes | None = None
    if checkout.git_dir is None:  # the patterns hit files that were unpacked, too
        what = ("--force", "--pathspec-from-file=-", "--pathspec-file-nul")
        built = _built(checkout, ours, index)
        names = b".\0" + b"".join(b":(exclude,literal)" + name + b"\0" for name in built)
    return ours.git(
        f"--work-tree={checkout.top}",
        *settings,
        "-c", "core.untrackedCache=true",
        "add", "--all", *what,
        cwd=checkout.top,
        env={"GIT_INDEX_FILE": str(index)},
        stdin=names,
        deadline=_READ_SECONDS,
        check=False,
    )  # fmt: skip


def _built(checkout: Checkout, ours: Repository, index: Path) -> list[bytes]:
    """What a build left in a tree without git: all that its ``.gitignore`` names, where there was a build in it.

    A line that ignores everything counts nothing: Debian's source has one, as its packaging keeps ``debian/`` alone in
    git.
    """
    if not any((checkout.top / name).exists() for name in _OF_A_BUILD):
        return []
    try:
        lines = (checkout.top / ".gitignore").read_bytes().splitlines()
    except OSError:
        return []
    kept = index.with_name(f"{index.name}.ignored")
    kept.write_bytes(b"".join(line + b"\n" for line in lines if line.strip() not in (b"*", b"/*")))
    listed = ours.git(
        f"--work-tree={checkout.top}",
        "ls-files", "-z", "--others", "--ignored", "--directory", f"--exclude-from={kept}",
        cwd=checkout.top,
        env={"GIT_INDEX_FILE": str(index)},
        deadline=_READ_SECONDS,
    )  # fmt: skip
    return [name for name in listed.stdout.split(b"\0") if name]


def _seed(checkout: Checkout, index: Path, ours: Repository) -> bool:
    """Make our index know what the user's knows: which files are tracked, and their times. Whether there is one.

    The user's index is taken over again whenever it changed (a commit, a ``git add -f``); until then ours is newer,
    as it remembers the files that were read since.
    """
    theirs = checkout.index
    if theirs is None or not theirs.is_file():
        return index.is_file()
    stamp_file = index.with_name(f"{index.name}.json")
    try:
        status = theirs.stat()
        stamp = json.dumps([str(theirs), status.st_mtime_ns, status.st_size, status.st_ino])
        if index.is_file() and stamp_file.is_file() and stamp_file.read_text() == stamp:
            return True
        shutil.copyfile(theirs, index)
        for shared in theirs.parent.glob("sharedindex.*"):  # git-update-index(1), split index
            shutil.copyfile(shared, ours.path / shared.name)
        _drop_assumptions(checkout, ours, index)
        stamp_file.write_text(stamp)
    except OSError as reason:
        raise disk_failure(reason, f"while taking over the index of {checkout.top}") from reason
    return True


def _drop_assumptions(checkout: Checkout, ours: Repository, index: Path) -> None:
    """Files marked "assume unchanged" are looked at all the same: the snapshot is what lies there."""
    env = {"GIT_INDEX_FILE": str(index)}
    listed = ours.git("ls-files", "-v", "-z", env=env, check=False).stdout.split(b"\0")
    assumed = [entry[2:] for entry in listed if entry[:1].islower()]
    if assumed:
        ours.git(
            f"--work-tree={checkout.top}", "update-index", "-z", "--no-assume-unchanged", "--stdin",
            cwd=checkout.top, env=env, stdin=b"".join(path + b"\0" for path in assumed), check=False,
        )  # fmt: skip


def _seed_from_head(checkout: Checkout, ours: Repository, index: Path) -> None:
    """Start from the files of HEAD where the user's index cannot be taken over."""
    head = checkout.resolve("HEAD")
    if head is not None:
        ours.git("read-tree", head, env={"GIT_INDEX_FILE": str(index)})


def _write_excludes(checkout: Checkout, ours: Repository) -> None:
    """What the user's git ignores beside ``.gitignore``: ``info/exclude`` and the user's own file."""
    if checkout.git_dir is None or checkout.common_dir is None:
        return
    text = b""
    for source in (_user_excludes(checkout), checkout.common_dir / "info" / "exclude"):
        if source is not None and source.is_file():
            with contextlib.suppress(OSError):
                text += source.read_bytes().rstrip(b"\n") + b"\n"
    ours_file = ours.path / "info" / "exclude"
    make_folder(ours_file.parent)
    if not ours_file.is_file() or ours_file.read_bytes() != text:
        ours_file.write_bytes(text)


def _user_excludes(checkout: Checkout) -> Path | None:
    """The user's own file of ignored names (gitignore(5)): as configured, else git's default place."""
    found = repository.git(
        f"--git-dir={checkout.git_dir}", "config", "--path", "core.excludesFile", check=False, user_config=True
    )
    if found.returncode == 0 and found.text.strip():
        return Path(found.text.strip())
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "git" / "ignore"


KIND = Kind(
    prefix="tree",
    form="tree:PATH",
    about="a checkout of yours as it is, uncommitted changes included",
    plan=_plan,
    obtain=_obtain,
)
