# SPDX-License-Identifier: GPL-2.0-only
"""ci/bootstrap with stand-ins for apt and dpkg, in a checkout of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
TOOLS = ("bash", "cut", "xargs", "cat", "env", "dirname", "mktemp", "tail", "rm", "sha256sum", "flock", "grep", "touch")


class Checkout:
    """ci/bootstrap beside a small package list; the virtual environment counts as current."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "ci").mkdir()
        shutil.copy(PROJECT / "ci" / "bootstrap", folder / "ci")
        (folder / "ci" / "packages.txt").write_text("# c\nhave have-command  why\nlack lack-command  why\n")
        (folder / "requirements.lock").write_text("")
        (folder / "pyproject.toml").write_text("")
        for name in TOOLS:
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self.command("have-command", "exit 0")

    def command(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def debian(self, *, apt_works: bool = True) -> None:
        self.command("dpkg-query", 'echo -n "installed=have "; [[ -e "$0.lack" ]] && echo -n "installed=lack "; exit 1')
        succeed = f'touch "{self.bin}/dpkg-query.lack"' if apt_works else "echo 'E: no such package'; exit 100"
        self.command("apt-get", f'echo "$@" >> "{self.folder}/apt.log"; case "$*" in *install*) {succeed} ;; esac')

    def current_environment(self) -> None:
        folder = self.folder / ".venv" / "bin"
        folder.mkdir(parents=True)
        for name in ("python", "harness"):
            (folder / name).write_text("#!/bin/bash\nexit 0\n")
            (folder / name).chmod(0o755)
        script = 'cd "$1"; { pwd -P; cat requirements.lock pyproject.toml; } | sha256sum | cut -d" " -f1'
        done = subprocess.run(["bash", "-c", script, "-", self.folder], capture_output=True, text=True, check=True)
        (self.folder / ".venv" / ".bootstrap").write_text(done.stdout)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "TMPDIR": str(self.folder)}
        return subprocess.run(
            [self.folder / "ci" / "bootstrap", *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "with a space").mkdir()
    return Checkout(tmp_path / "with a space")


def test_without_apt_what_is_missing_is_named(checkout: Checkout) -> None:
    done = checkout.run()
    assert done.returncode == 4 and "has no apt" in done.stderr and done.stderr.rstrip().endswith(": lack")
    assert done.stderr.splitlines()[0] == "bootstrap: host packages missing: lack"


@pytest.mark.skipif(os.geteuid() != 0, reason="as root, without sudo")
def test_what_is_missing_is_said_then_installed_then_left_alone(checkout: Checkout) -> None:
    checkout.debian()
    checkout.current_environment()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "host packages missing: lack" in done.stderr
    log = (checkout.folder / "apt.log").read_text().splitlines()
    assert "update" in log[0] and log[1].endswith("install --no-install-recommends lack")
    again = checkout.run()
    assert again.returncode == 0 and again.stderr == "" and again.stdout == ""
    assert (checkout.folder / "apt.log").read_text().splitlines() == log


@pytest.mark.skipif(os.geteuid() != 0, reason="as root, without sudo")
def test_apts_own_reason_is_shown(checkout: Checkout) -> None:
    checkout.debian(apt_works=False)
    done = checkout.run()
    assert done.returncode == 4 and "E: no such package" in done.stderr and "apt could not install: lack" in done.stderr
    assert not list(checkout.folder.glob("tmp.*"))


def test_check_installs_nothing(checkout: Checkout) -> None:
    checkout.debian()
    done = checkout.run("--check")
    assert done.returncode == 4 and "missing: lack" in done.stderr and "not current" in done.stderr
    assert not (checkout.folder / "apt.log").exists()


def test_a_changed_lock_makes_the_environment_stale(checkout: Checkout) -> None:
    checkout.debian()
    (checkout.bin / "dpkg-query.lack").touch()
    checkout.current_environment()
    assert checkout.run("--check").returncode == 0
    (checkout.folder / "requirements.lock").write_text("click==1\n")
    assert checkout.run("--check").returncode == 4


def test_a_wrong_argument(checkout: Checkout) -> None:
    assert checkout.run("--chekc").returncode == 2
