# SPDX-License-Identifier: GPL-2.0-only
"""The whole command line as a process of its own, on a stub kernel tree, a seeded cache and a stand-in for QEMU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import image
from harness.store import Store

UNIT = Path(__file__).resolve().parent.parent
PROJECT = UNIT.parent.parent
STUB = UNIT / "build" / "stub"
DEADLINE = 60.0

PROGRAM = '#!/bin/sh\n[ "$1" = -l ] && echo one && exit\nprintf "KTAP version 1\\n1..1\\nok 1 one\\n"\n'


@dataclass(frozen=True)
class Outcome:
    """A command that ended."""

    status: int
    text: str
    data: Path

    @property
    def runs(self) -> list[Path]:
        """The run folders."""
        return sorted((self.data / "runs").glob("*"))

    @property
    def results(self) -> dict[str, Any]:
        """The one run's results.json."""
        (folder,) = self.runs
        assert (folder / "manifest.json").stat().st_size and (folder / "junit.xml").stat().st_size
        answer: dict[str, Any] = json.loads((folder / "results.json").read_text())
        return answer


@dataclass
class Bench:
    """A project, a tree and a cache of the test's own; :meth:`__call__` runs the command line in them."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def tree(self) -> Path:
        return self.folder / "linux"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def argv(self, *words: str | Path) -> list[str]:
        folders = ["--cache-dir", str(self.cache), "--data-dir", str(self.data)]
        return [sys.executable, "-m", "harness", *folders, *map(str, words)]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        mine = {"HARNESS_PROJECT": str(self.project), "XDG_CONFIG_HOME": str(self.folder / "home")}
        outside = {name: value for name, value in os.environ.items() if name != "HARNESS_HISTORY"}
        return {**outside, "PYTHONPATH": str(PROJECT), **mine, **self.env, **env}

    def __call__(self, *words: str | Path, **env: str) -> Outcome:
        return self.execute(self.argv(*words), **env)

    def execute(self, argv: list[str], **env: str) -> Outcome:
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            cwd=self.folder,
            env=self.environment(env),
            check=False,
        )
        text = ended.stdout.decode()
        assert "Traceback" not in text, text
        return Outcome(ended.returncode, text, self.data)

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file below the test's folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def git(self, *words: str) -> str:
        """Run git in the tree."""
        who = ("-c", "user.name=Dev", "-c", "user.email=dev@example.org")
        done = subprocess.run(["git", *who, *words], cwd=self.tree, check=True, capture_output=True)
        return done.stdout.decode()

    def commit(self, title: str, files: Mapping[str, str]) -> None:
        """Change files of the tree and commit them."""
        for name, text in files.items():
            self.write(f"linux/{name}", text)
        self.git("add", "-A")
        self.git("commit", "-qm", title)

    def patches(self, number: int) -> list[Path]:
        """The tree's last commits as patch files; the tree goes back to where it was before them."""
        self.git("format-patch", "-q", "--numbered", f"-{number}", "-o", "../series")
        self.git("reset", "-q", "--hard", f"HEAD~{number}")
        return sorted((self.folder / "series").glob("*.patch"))

    def qemu(self, script: str, *, name: str = "qemu") -> Path:
        """A stand-in for QEMU whose guest plays a script."""
        program = (UNIT / "bad_input" / "fake_qemu_program.py").read_text()
        program = program.replace("{player}", str(UNIT / "guest" / "fake_qemu.py"))
        path = self.write(f"{name}/qemu-system-x86_64", f"#!{sys.executable}\n{program}")
        path.chmod(0o755)
        self.write(f"{name}/script", script)
        return path

    def left_behind(self) -> list[str]:
        """What no command may leave: scratch folders, half entries, locks of git, processes that name the folder."""
        places = ("scratch/*", "store/*/.making-*", "store/*/.removed-*", "**/*.lock")
        found = [str(path) for place in places for path in self.cache.glob(place) if path.parent.name != "locks"]
        return found + _processes(str(self.folder))


def _processes(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in words and int(process.name) != os.getpid():
            found.append(words)
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    shutil.copytree(STUB, made.tree)
    made.git("init", "-q", "-b", "master")
    made.git("add", "-A")
    made.git("commit", "-qm", "stub")
    made.write("project/kconfigs/base.config.j2", '#: summary = "Base"\nCONFIG_PVH=y\n')
    for name in ("none", "direct"):
        made.write(f"project/qemu/{name}.toml", (PROJECT / "qemu" / f"{name}.toml").read_bytes())
    made.write("project/tests/guest/smoke/test_one.sh", PROGRAM)
    (made.project / "patches").mkdir()
    qemu = made.qemu("say harness-init: failed: nothing here; shutdown guest-shutdown; exit 0")
    made.write(
        "project/ci/profiles/default.toml",
        f'source = "tree:{made.tree}"\nconfig = ["base"]\ntopology = "none"\nsuites = ["smoke"]\n'
        f'accel = "tcg"\nqemu = "{qemu}"\n',
    )

    def seed(folder: Path) -> dict[str, Any]:
        (folder / "rootfs.erofs").write_bytes(b"a root" * 1000)
        return {"digest": "0", "flavour": "test"}

    Store(made.cache).obtain(image.KIND, image.key("test"), seed)
    return made
