# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness import store as store_module
from harness.errors import EnvironmentFailure
from harness.store import Store, disk_failure, value_digest


class Listener:
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.messages: list[str] = []

    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.messages.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def fill(folder: Path) -> dict[str, Any]:
    (folder / "bin").mkdir()
    (folder / "bin" / "program").write_bytes(b"x" * 4096)
    (folder / "link").symlink_to("bin/program")
    return {"version": [1, 2]}


def never(folder: Path) -> dict[str, Any]:
    raise AssertionError("made although it was there")


def settle(path: Path) -> None:
    """Give a file times that lie before the racy window."""
    past = time.time() - 10
    os.utime(path, (past, past))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_made_once_and_found_again(store: Store) -> None:
    entry, cached = store.obtain("image", "k", fill)
    assert not cached and entry.meta == {"version": [1, 2]} and entry.size == 4096
    again, cached = store.obtain("image", "k", never)
    assert cached and again.path == entry.path and again.meta == entry.meta


def test_again_replaces_the_entry(store: Store) -> None:
    store.obtain("image", "k", fill)
    entry, cached = store.obtain("image", "k", lambda folder: {"version": "new"}, again=True)
    assert not cached and entry.meta == {"version": "new"} and not (entry.path / "bin").exists()


@pytest.mark.parametrize("damage", ["flip", "flip, times put back", "truncate", "delete", "link", "list", "folder"])
def test_damage_is_found_and_mended(store: Store, damage: str) -> None:
    entry, _ = store.obtain("image", "k", fill)
    time.sleep(0.15)  # beyond the racy window, so that digests are remembered
    store.find("image", "k")
    assert json.loads((entry.path / ".verified.json").read_text())
    program = entry.path / "bin" / "program"
    times = program.stat()
    if damage.startswith("flip"):
        data = bytearray(program.read_bytes())
        data[1000] ^= 1
        program.write_bytes(bytes(data))
        if "put back" in damage:
            os.utime(program, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif damage == "truncate":
        os.truncate(program, 100)
    elif damage == "delete":
        program.unlink()
    elif damage == "link":
        (entry.path / "link").unlink()
        (entry.path / "link").symlink_to("/etc/passwd")
    elif damage == "list":
        (entry.path / ".entry.json").write_text("{")
    else:
        program.unlink()
        program.mkdir()
    assert store.damage("image", "k") is not None
    listener = Listener()
    mended, cached = store.obtain("image", "k", fill, progress=listener)
    assert not cached and "damaged" in listener.warnings[0]
    assert store.damage("image", "k") is None and (mended.path / "bin" / "program").read_bytes() == b"x" * 4096


def test_a_look_up_reads_no_file_that_did_not_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.obtain("image", "k", fill)
    time.sleep(0.15)
    store.find("image", "k")
    read: list[Path] = []
    digest = store_module.file_digest

    def counting(path: Path) -> str:
        read.append(path)
        return digest(path)

    monkeypatch.setattr(store_module, "file_digest", counting)
    assert store.find("image", "k") is not None and read == []
    assert store.find("image", "k", thorough=True) is not None and len(read) == 1


def test_times_within_the_racy_window_are_not_relied_upon(store: Store) -> None:
    entry, _ = store.obtain("image", "k", fill)
    os.utime(entry.path / "bin" / "program")
    store.find("image", "k")
    assert json.loads((entry.path / ".verified.json").read_text()) == {}


def test_a_damaged_memory_of_digests_is_harmless(store: Store) -> None:
    entry, _ = store.obtain("image", "k", fill)
    (entry.path / ".verified.json").write_text('["nonsense"')
    assert store.find("image", "k") is not None


def test_an_entry_whose_meta_is_gone_is_damaged(store: Store) -> None:
    entry, _ = store.obtain("image", "k", fill)
    (entry.path / ".entry.json").write_text('{"files": {}}')
    assert store.find("image", "k") is None


def test_a_failing_maker_leaves_nothing(store: Store) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("half")
        raise EnvironmentFailure("no network")

    with pytest.raises(EnvironmentFailure, match="no network"):
        store.obtain("image", "k", fail)
    assert list((store.root / "store" / "image").iterdir()) == []


def test_a_killed_makers_staging_is_swept_and_a_living_ones_is_not(store: Store) -> None:
    parent = store.root / "store" / "image"
    dead = parent / ".making-1-0123"  # process 1 lives: a process id alone says nothing
    dead.mkdir(parents=True)
    (dead / "file").write_text("left")
    started, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> dict[str, Any]:
        started.set()
        assert go_on.wait(10)
        return fill(folder)

    maker = threading.Thread(target=lambda: store.obtain("image", "slow", slow))
    maker.start()
    assert started.wait(10) and not dead.exists()
    store.obtain("image", "other", fill)  # sweeps while the slow one is being made
    go_on.set()
    maker.join()
    assert store.find("image", "slow") is not None


MAKER = """
import sys, time
from pathlib import Path
from harness.store import Store
def make(folder):
    Path(sys.argv[2]).open("a").write("made\\n")
    time.sleep(0.3)
    (folder / "file").write_text("content")
    return {}
Store(Path(sys.argv[1])).obtain("image", "k", make)
"""


def test_two_processes_make_an_entry_once(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", MAKER, str(tmp_path / "cache"), str(tmp_path / "made")]
    running = [subprocess.Popen(argv) for _ in range(3)]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "made\n"


def test_waiting_for_another_run_is_said_and_ends(store: Store) -> None:
    listener = Listener()
    with (
        store.lock("image-k", what="image k"),
        pytest.raises(EnvironmentFailure, match="another run"),
    ):
        store.obtain("image", "k", fill, progress=listener, wait=0.1)
    assert listener.messages == ["waiting for another run that uses image k"]


FILL_DISK = """
import sys
from pathlib import Path
from harness.errors import EnvironmentFailure
from harness.store import Store
root = Path(sys.argv[1])
def make(folder):
    (folder / "big").write_bytes(b"x" * (4 << 20))
    return {}
try:
    Store(root).obtain("image", "k", make)
except EnvironmentFailure as error:
    print(error.message)
print(sorted(path.name for path in (root / "store" / "image").iterdir()))
"""


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "fill.py"
    script.write_text(FILL_DISK)
    disk = tmp_path / "disk"
    disk.mkdir()
    inner = f'mount -t tmpfs -o size=1m none "{disk}" && exec "{sys.executable}" "{script}" "{disk}"'
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("no user namespaces here")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", inner], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("the disk is full while making the cache entry image/k")
    assert done.stdout.splitlines()[1] == "[]"


def test_disk_failure_tells_a_full_disk_from_others() -> None:
    assert "disk is full" in disk_failure(OSError(28, "No space left on device", "/x"), "now").message
    assert disk_failure(OSError(13, "Permission denied", "/x"), "now").message == "Permission denied now (/x)"


def test_digest_of_values_is_stable() -> None:
    assert value_digest("a", {"y": 1, "x": 2}) == value_digest("a", {"x": 2, "y": 1}) != value_digest("a", {"x": 2})


def test_entries_skip_what_is_no_entry(store: Store) -> None:
    store.obtain("image", "k", fill)
    (store.root / "store" / "image" / "stray").mkdir()
    broken = store.root / "store" / "image" / "broken"
    broken.mkdir()
    (broken / ".entry.json").write_text(textwrap.dedent("not json"))
    assert [entry.key for entry in store.entries()] == ["k"]
