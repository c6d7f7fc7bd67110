# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of sources, series and worktrees share: a tiny kernel in a git repository, and a listener."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Heard:
    """A progress listener that keeps every message."""

    updates: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.updates.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@dataclass(frozen=True)
class Kernel:
    """A user's git repository that looks like a kernel."""

    path: Path

    def git(self, *arguments: str) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_DATE": "@1700000000 +0000",
               "GIT_COMMITTER_DATE": "@1700000000 +0000"}  # fmt: skip
        who = ("-c", "user.name=Dev", "-c", "user.email=dev@example.org")
        done = subprocess.run(["git", *who, *arguments], cwd=self.path, env=env, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def write(self, path: str, text: str) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, title: str, files: dict[str, str] | None = None) -> str:
        for name, text in (files or {}).items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-qm", title)
        return self.git("rev-parse", "HEAD")


MAKEFILE = "# SPDX\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 7\nEXTRAVERSION = -rc1\nNAME = Test\n\nall:\n\ttrue\n"


def make_kernel(path: Path) -> Kernel:
    """A user's repository with one commit."""
    made = Kernel(path)
    path.mkdir()
    made.git("init", "-q", "-b", "master")
    made.write("Makefile", MAKEFILE)
    made.write(".gitignore", "*.o\n")
    made.write("mm/memory.c", "".join(f"int line_{number};\n" for number in range(1, 41)))
    made.write("mm/swap.c", "int swap;\n")
    made.write("scripts/run.sh", "#!/bin/sh\n")
    (path / "scripts/run.sh").chmod(0o755)
    (path / "link").symlink_to("mm")
    made.commit("base")
    return made
