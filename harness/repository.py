# SPDX-License-Identifier: GPL-2.0-only
"""Git, as the harness uses it: bare repositories of our own, and results that no user setting can change.

The user's and the system's git configuration are not read, no hook runs, identity is fixed, and git never collects
garbage behind our back. Only commands that talk to a remote read the user's configuration (proxies, credentials,
``insteadOf``); what they bring is named by content, so it cannot change a result.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness import process
from harness.errors import EnvironmentFailure, HarnessError, UserError, shortage_said
from harness.paths import Paths, make_folder
from harness.process import Enclosure
from harness.store import disk_failure

NAME = "harness"
EMAIL = "harness@localhost"
DATE = "0 +0000"  # of every commit that the harness makes for itself: the same content is the same commit

_DEADLINE = 600.0
_REF_SECONDS = 5.0
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.commitGraph=true",
    "core.quotePath=false",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "checkout.workers=0",
    "advice.detachedHead=false",
    "safe.directory=*",
)
_OBJECT_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def is_object_name(text: str) -> bool:
    """Whether a text is a full object name (SHA-1 or SHA-256, lower-case hex)."""
    return _OBJECT_NAME.fullmatch(text) is not None


def environment(*, user_config: bool = False) -> dict[str, str | None]:
    """What git gets on top of :func:`harness.process.environment`."""
    env: dict[str, str | None] = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",  # a question about an object never becomes a fetch
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_AUTHOR_DATE": f"@{DATE}",
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "GIT_COMMITTER_DATE": f"@{DATE}",
    }
    if not user_config:
        env |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
    return env


def argv(*arguments: str, user_config: bool = False) -> tuple[str, ...]:
    """A git command with the settings that every one of ours has."""
    own = () if user_config else ("core.excludesFile=/dev/null",)
    settings = [word for setting in (*_SETTINGS, *own) for word in ("-c", setting)]
    return ("git", *settings, *arguments)


def git(
    *arguments: str,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes | IO[bytes] | None = None,
    deadline: float = _DEADLINE,
    check: bool = True,
    user_config: bool = False,
    on_line: Callable[[str], None] | None = None,
    error: type[HarnessError] = EnvironmentFailure,
    failure: str | None = None,
    hint: str | None = None,
    within: Enclosure | None = None,
) -> process.Completed:
    """Run git; the arguments are those of :func:`harness.process.run`. A full disk is named as such."""
    command = argv(*arguments, user_config=user_config)
    completed = process.run(
        command,
        deadline=deadline,
        cwd=cwd,
        env={**environment(user_config=user_config), **(env or {})},
        stdin=stdin,
        check=False,
        on_line=on_line,
        within=within or Enclosure(),
    )
    if completed.returncode == 0 or not check:
        return completed
    raise git_failure(completed, error=error, failure=failure, hint=hint)


# the last are git's own words for a short write
_DISK_FULL = ("No space left on device", "Disk quota exceeded", "Out of diskspace")


def git_failure(
    completed: process.Completed,
    *,
    error: type[HarnessError] = EnvironmentFailure,
    failure: str | None = None,
    hint: str | None = None,
) -> HarnessError:
    """The error for a git command that failed, with git's own last words."""
    said = (completed.error_text or completed.text).splitlines()
    short = ("git", *_without_settings(completed.argv[1:]))
    if any(words in line for line in said for words in _DISK_FULL):
        return EnvironmentFailure(
            "the disk is full while git was writing",
            details=said[-5:],
            command=short,
            hint="free some space, or `harness cache prune`",
        )
    name = next((word for word in short[1:] if not word.startswith("-")), "")
    how = process.describe_exit(completed.returncode)
    if why := shortage_said(said, status=completed.returncode):
        return EnvironmentFailure(f"git {name} failed: {why.message}", command=short, details=said[-5:], hint=why.hint)
    return error(failure or f"git {name} failed with {how}", command=short, details=said[-20:], hint=hint)


def _without_settings(words: Sequence[str]) -> list[str]:
    """The words of a git command without its ``-c name=value`` pairs: what a user wants to read."""
    pairs = {at for at, word in enumerate(words) if word == "-c"}
    return [word for at, word in enumerate(words) if at not in pairs and at - 1 not in pairs]


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare git repository of ours."""

    path: Path

    @classmethod
    def create(cls, path: Path, *, borrow: Path | None = None, object_format: str = "sha1") -> Repository:
        """The repository at ``path``, made if it is not there.

        ``borrow`` is the object folder of another repository (``.git/objects``) whose objects this one uses without
        copying them; it is only ever read.
        """
        repository = cls(path)
        if not (path / "HEAD").is_file() or not (path / "objects").is_dir():
            repository._make(object_format)
        if borrow is not None:
            repository.borrow(borrow)
        return repository

    def _make(self, object_format: str) -> None:
        """Make it beside its place, which it then takes whole: another run may be making it too."""
        make_folder(self.path.parent)
        try:
            with tempfile.TemporaryDirectory(prefix=f".making-{self.path.name}-", dir=self.path.parent) as folder:
                made = Path(folder) / "repository"
                git("init", "--quiet", "--bare", f"--object-format={object_format}", "--template=", str(made))
                try:
                    made.rename(self.path)
                except OSError as reason:
                    if reason.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    if not (self.path / "HEAD").is_file():  # half of one: git mends what is there
                        git(
                            "init",
                            "--quiet",
                            "--bare",
                            f"--object-format={object_format}",
                            "--template=",
                            str(self.path),
                        )
        except OSError as reason:
            raise disk_failure(reason, f"while making the repository {self.path}") from reason

    def borrow(self, objects: Path) -> None:
        """Use the objects in another repository's object folder as well (gitrepository-layout(5), alternates)."""
        alternates = self.path / "objects" / "info" / "alternates"
        line = f"{objects}\n"
        try:
            known = alternates.read_text() if alternates.is_file() else ""
            if line not in known.splitlines(keepends=True):
                make_folder(alternates.parent)
                alternates.write_text(known + line)
        except OSError as reason:
            raise disk_failure(reason, f"while preparing the repository {self.path}") from reason

    def git(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        stdin: bytes | IO[bytes] | None = None,
        deadline: float = _DEADLINE,
        check: bool = True,
        user_config: bool = False,
        on_line: Callable[[str], None] | None = None,
        error: type[HarnessError] = EnvironmentFailure,
        failure: str | None = None,
        hint: str | None = None,
    ) -> process.Completed:
        """Run git on this repository (see :func:`git`)."""
        return git(
            f"--git-dir={self.path}",
            *arguments,
            cwd=cwd,
            env=env,
            stdin=stdin,
            deadline=deadline,
            check=check,
            user_config=user_config,
            on_line=on_line,
            error=error,
            failure=failure,
            hint=hint,
        )

    def has(self, commit: str) -> bool:
        """Whether the commit and its root tree are in the repository."""
        if not (self.path / "HEAD").is_file():
            return False
        return self.git("cat-file", "-e", f"{commit}^{{tree}}", check=False).returncode == 0

    def resolve(self, name: str) -> str | None:
        """The commit that a name (a ref, a tag, an abbreviated commit) stands for, or None."""
        found = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False)
        return found.text.strip() if found.returncode == 0 else None

    def tree_id(self, commit: str) -> str:
        """The object name of a commit's root tree."""
        return self.git("rev-parse", "--verify", f"{commit}^{{tree}}").text.strip()

    def ls_tree(self, commit: str) -> dict[str, str]:
        """Every file of a commit: path → object name."""
        listing = self.git("ls-tree", "-r", "-z", "--full-tree", commit).stdout
        files: dict[str, str] = {}
        for record in listing.split(b"\0")[:-1]:
            head, _, path = record.partition(b"\t")
            files[path.decode("utf-8", "surrogateescape")] = head.split()[2].decode()
        return files

    def changed(self, old: str, new: str) -> list[str] | None:
        """The files that differ between two commits: added, removed, of another content or mode; None where objects
        of one are gone."""
        done = self.git("diff-tree", "-r", "-z", "--no-renames", "--name-only", old, new, check=False)
        return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1] if done.returncode == 0 else None

    def show(self, commit: str, path: str) -> bytes:
        """The content of one file in a commit. Raises :class:`EnvironmentFailure` where it is not there."""
        return self.git("cat-file", "blob", f"{commit}:{path}", failure=f"{path} is not in commit {commit[:12]}").stdout

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``old`` is ``new`` or in its history."""
        return self.git("merge-base", "--is-ancestor", old, new, check=False).returncode == 0

    def set_ref(self, name: str, commit: str) -> None:
        """Point a ref (``refs/harness/…``) at a commit, so that its objects are kept."""
        lock = self.path / f"{name}.lock"
        until = time.monotonic() + 2 * _REF_SECONDS
        while True:
            late = not lock.exists() or time.monotonic() > until
            done = self.git("update-ref", "--no-deref", name, commit, check=late)
            if done.returncode == 0:
                return
            with contextlib.suppress(FileNotFoundError):
                if abs(time.time() - lock.stat().st_mtime) > _REF_SECONDS:
                    lock.unlink()  # of a git that was killed: its work takes milliseconds
            time.sleep(0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A user's checkout: its top folder, and git's folders where it is a repository (None where it is not)."""

    top: Path
    git_dir: Path | None = None
    common_dir: Path | None = None
    object_format: str = "sha1"

    @property
    def index(self) -> Path | None:
        """The user's index (which files are tracked, and when they were last seen)."""
        return self.git_dir / "index" if self.git_dir is not None else None

    @property
    def objects(self) -> Path | None:
        """The user's objects."""
        return self.common_dir / "objects" if self.common_dir is not None else None

    def resolve(self, name: str) -> str | None:
        """The commit that a name stands for in the user's repository, or None."""
        return Repository(self.git_dir).resolve(name) if self.git_dir is not None else None

    def ref_names(self) -> list[str]:
        """The user's branches and tags, by their short names."""
        if self.git_dir is None:
            return []
        kinds = ("refs/heads", "refs/tags", "refs/remotes")
        listed = Repository(self.git_dir).git("for-each-ref", "--format=%(refname:short)", *kinds, check=False)
        return listed.text.split()


def find_checkout(path: Path, *, is_top: Callable[[Path], bool] | None = None) -> Checkout:
    """The checkout (or bare repository) that a folder is, or is in. Nothing in it is written.

    ``is_top`` says of a folder inside some repository that it is a tree of its own all the same.
    Raises :class:`UserError` where the folder is not there.
    """
    path = path.expanduser().absolute()
    if not path.is_dir():
        raise UserError(f"there is no folder {path}", hint="give the folder of a kernel checkout")
    path = path.resolve()
    asked = ("--absolute-git-dir", "--path-format=absolute", "--git-common-dir", "--show-object-format")
    found = git("rev-parse", *asked, cwd=path, check=False)
    lines = found.text.splitlines()
    if found.returncode != 0 or len(lines) != 3:
        return Checkout(top=path)
    shown = git("rev-parse", "--path-format=absolute", "--show-toplevel", cwd=path, check=False)
    top = Path(shown.text.rstrip("\n")) if shown.returncode == 0 else path  # a bare repository has none
    if top != path and is_top is not None and is_top(path):
        return Checkout(top=path)
    return Checkout(top=top, git_dir=Path(lines[0]), common_dir=Path(lines[1]), object_format=lines[2])


def private_path(paths: Paths, kind: str, name: str) -> Path:
    """Where our repository for one location (a URL, a checkout) is."""
    last = name.rstrip("/").removesuffix("/.git").removesuffix(".git").rstrip("/").rpartition("/")[2]
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", last).strip("-")[:40] or "repository"
    return paths.cache / "repositories" / f"{kind}-{stem}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.git"


def borrowing(paths: Paths, checkout: Checkout) -> Repository:
    """Our repository for a user's: it borrows its objects, follows how shallow it is, and writes only itself."""
    path = private_path(paths, "tree", str(checkout.common_dir or checkout.top))
    ours = Repository.create(path, borrow=checkout.objects, object_format=checkout.object_format)
    if checkout.common_dir is not None:
        _follow(checkout.common_dir / "shallow", path / "shallow")
    return ours


def _follow(theirs: Path, ours: Path) -> None:
    """Keep a small file of ours equal to one of theirs (or absent)."""
    try:
        content = theirs.read_bytes() if theirs.is_file() else None
        if content is None:
            ours.unlink(missing_ok=True)
        elif not ours.is_file() or ours.read_bytes() != content:
            ours.write_bytes(content)
    except OSError as reason:
        raise disk_failure(reason, f"while preparing {ours.parent}") from reason
