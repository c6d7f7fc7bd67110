# SPDX-License-Identifier: GPL-2.0-only
"""The look before and after finds each thing that a command could leave, left here by hand."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import untouched
from tests.faults.untouched import Places

ORPHAN = """
import os, socket, time
if os.fork():
    os._exit(0)
os.setsid()
listener = socket.create_server(("127.0.0.1", 0))
print(os.getpid(), listener.getsockname()[1], flush=True)
os.close(1)
time.sleep(600)
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    untouched.adopt_orphans()
    monkeypatch.setattr(untouched, "_GONE_SECONDS", 0.5)
    names = ("cache", "data", "tmp", "home")
    for name in names:
        (tmp_path / name).mkdir()
    cache, data, temporary, home = (tmp_path / name for name in names)
    return Places(cache=cache, data=data, temporary=temporary, home=home)


def test_nothing_is_nothing(places: Places) -> None:
    before = untouched.take(places)
    subprocess.run(["true"], check=True)
    assert untouched.left_by(before, places) == []


def test_in_a_shared_cache_only_what_is_ours_counts(places: Places) -> None:
    shared = dataclasses.replace(places, shared=True)
    before = untouched.take(shared)
    for name in ("guest-1-aa", "guest-22-aa"):
        (places.cache / "scratch" / name).mkdir(parents=True)
    assert untouched.left_by(before, shared, pid=22) == [f"unfinished {places.cache / 'scratch' / 'guest-22-aa'}"]


def test_a_process_that_left_its_parent_and_its_session_with_its_port(places: Places) -> None:
    before = untouched.take(places)
    said = subprocess.run([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, check=True).stdout.decode()
    pid, port = said.split()
    (line,) = untouched.left_by(before, places)
    assert line.startswith(f"process {pid} ") and line.endswith(f"port {port}")
    assert untouched.left_by(before, places) == [], "what is found is ended"


@contextmanager
def lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with open(path, "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def test_a_lock_that_is_held(places: Places) -> None:
    before = untouched.take(places)
    path = places.cache / "locks" / "kernel.lock"
    with lock(path):
        assert untouched.left_by(before, places) == [f"lock held on {path}"]
    assert untouched.left_by(before, places) == []


@pytest.mark.parametrize(
    "name",
    [
        "cache/scratch/guest-1-aa",
        "cache/store/kernel/.making-1-aa",
        "cache/store/kernel/.removed-aa",
        "cache/store/kernel/0123",
        "cache/repositories/x.git/refs/heads/y.lock",
        "cache/.machine-speed.json.123",
        "data/runs/1/.results.json.123",
        "tmp/x",
        "home/.config",
    ],
)
def test_a_file_that_is_not_finished(places: Places, name: str) -> None:
    before = untouched.take(places)
    path = places.cache.parent / name
    path.mkdir(parents=True)
    (line,) = (line for line in untouched.left_by(before, places) if str(path) in line)
    assert line.startswith(("unfinished ", "half an entry ", "new "))
    assert untouched.left_by(before, places, allowed=[name.partition("/")[2], name]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount(places: Places) -> None:
    before = untouched.take(places)
    if subprocess.run(["mount", "-t", "tmpfs", "none", places.temporary], check=False).returncode != 0:
        pytest.skip("no mounting here")
    try:
        (line,) = untouched.left_by(before, places)
        assert line.startswith("mount ") and str(places.temporary) in line
    finally:
        subprocess.run(["umount", places.temporary], check=True)
