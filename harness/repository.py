# SPDX-License-Identifier: GPL-2.0-only
"""Git, as the harness uses it: bare repositories of our own, and results that no user setting can change.

The user's and the system's git configuration are not read, no hook runs, identity is fixed, and git never collects
garbage behind our back. Only commands that talk to a remote read the user's configuration (proxies, credentials,
``insteadOf``); what they bring is named by content, so it cannot change a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness import process
from harness.errors import EnvironmentFailure, HarnessError
from harness.paths import make_folder
from harness.store import disk_failure

NAME = "harness"
EMAIL = "harness@localhost"
DATE = "0 +0000"  # of every commit that the harness makes for itself: the same content is the same commit

_DEADLINE = 600.0
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
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_AUTHOR_DATE": DATE,
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "GIT_COMMITTER_DATE": DATE,
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
    )
    if completed.returncode == 0 or not check:
        return completed
    raise git_failure(completed, error=error, failure=failure, hint=hint)


def git_failure(
    completed: process.Completed,
    *,
    error: type[HarnessError] = EnvironmentFailure,
    failure: str | None = None,
    hint: str | None = None,
) -> HarnessError:
    """The error for a git command that failed, with git's own last words."""
    said = (completed.error_text or completed.text).splitlines()
    words = [
        word for word in completed.argv[1:] if word != "-c" and word not in (*_SETTINGS, "core.excludesFile=/dev/null")
    ]
    short = ("git", *words)
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in said):
        return EnvironmentFailure(
            "the disk is full while git was writing",
            details=said[-5:],
            command=short,
            hint="free some space, or `harness cache prune`",
        )
    name = next((word for word in words if not word.startswith("-")), "git")
    how = process.describe_exit(completed.returncode)
    return error(failure or f"git {name} failed with {how}", command=short, details=said[-20:], hint=hint)


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
            make_folder(path.parent)
            git("init", "--quiet", "--bare", f"--object-format={object_format}", "--template=", str(path))
        if borrow is not None:
            repository.borrow(borrow)
        return repository

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

    def show(self, commit: str, path: str) -> bytes:
        """The content of one file in a commit. Raises :class:`EnvironmentFailure` where it is not there."""
        return self.git("cat-file", "blob", f"{commit}:{path}", failure=f"{path} is not in commit {commit[:12]}").stdout

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``old`` is ``new`` or in its history."""
        return self.git("merge-base", "--is-ancestor", old, new, check=False).returncode == 0

    def set_ref(self, name: str, commit: str) -> None:
        """Point a ref (``refs/harness/…``) at a commit, so that its objects are kept."""
        self.git("update-ref", "--no-deref", name, commit)
