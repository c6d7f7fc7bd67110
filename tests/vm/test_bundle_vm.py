# SPDX-License-Identifier: GPL-2.0-only
"""A crash of a real kernel, bundled, and seen again with another cache and other data, by the harness and without."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import qemu_runtime
from harness.paths import default_paths
from harness.progress import Quiet
from harness.store import Store
from tests.vm.outcome import Harness
from tests.vm.project import copy_project

pytestmark = pytest.mark.vm

PROGRAM = """#!/bin/sh
. "$(dirname "$0")/../lib/ktap.sh"

case_passes() { :; }
case_panics() { echo c >/proc/sysrq-trigger; sleep 100; }
case_fails() { fail "it never works"; }

ktap_main "$@"
"""
PANIC, FAIL = "crashes/test_boom:panics", "crashes/test_boom:fails"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's data with a suite of its own, which is nowhere else."""
    project = copy_project(tmp_path / "project")
    (project / "tests/guest/crashes").mkdir()
    (project / "tests/guest/crashes/test_boom.sh").write_text(PROGRAM)
    return project


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """Folders as on another machine: nothing in them but QEMU, which is no part of a bundle."""
    paths = default_paths()
    qemu_runtime.obtain("auto", paths=paths, store=Store(paths.cache), progress=Quiet())
    cache = tmp_path / "cache-2"
    if (kept := paths.cache / "store/qemu").is_dir():
        shutil.copytree(kept, cache / "store/qemu", symlinks=True)
    return {"HARNESS_CACHE": str(cache), "HARNESS_DATA": str(tmp_path / "data-2"), "HARNESS_HISTORY": "off"}


def test_a_crash_comes_back_from_its_bundle_alone(
    harness: Harness, project: Path, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    ran = harness("run", "--suite", "crashes", "--series", "", env={"HARNESS_PROJECT": str(project)})
    assert ran.status == 1, ran.why
    bundle = tmp_path / "crash.tar.xz"
    made = harness("bundle", "last", "-o", bundle)
    assert made.status == 0 and "What happened  CRASH crashes/test_boom:panics: Kernel panic" in made.text, made.text
    shutil.rmtree(project)

    outcome = _there(elsewhere, "repro", bundle, "--times", "2", "--json")
    answer = json.loads(outcome.stdout)
    assert outcome.returncode == 0 and answer["came_back"], outcome.stderr
    came = [(one["case"], one["number"], one["verdict"], one["outcome"]) for one in answer["attempts"]]
    assert came == [
        (PANIC, 1, "CRASH", "came back"),
        (FAIL, 1, "FAIL", "came back"),
        (PANIC, 2, "CRASH", "came back"),
        (FAIL, 2, "FAIL", "came back"),
    ]
    outcome = _there(elsewhere, "repro", bundle, "--whole", "--case", FAIL)
    assert outcome.returncode == 0 and f"{FAIL}: came back in 1 of 1" in outcome.stdout, outcome.stdout

    # and with nothing of the harness but QEMU
    subprocess.run(["tar", "-xf", bundle], cwd=tmp_path, check=True)
    (script,) = tmp_path.glob("bundle-*/repro.sh")
    qemu = qemu_runtime.obtain("auto", paths=default_paths(), store=Store(default_paths().cache), progress=Quiet())
    env = {**os.environ, **qemu.env, "QEMU": shlex.join(qemu.argv)}
    for number, says in ((1, "Kernel panic - not syncing: sysrq triggered crash"), (2, "# it never works")):
        done = subprocess.run(
            [script, "--run", str(number)], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300
        )
        assert done.returncode == 1 and says in done.stdout.decode(errors="replace"), done.stdout[-3000:]


def _there(env: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness", *map(str, words)]
    return subprocess.run(
        argv, env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900
    )
