# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU that is missing, too old, no QEMU, or a runtime that was damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import qemu_runtime
from harness.store import Store
from tests.unit.bad_input.conftest import Bench

OFFLINE = """#!/bin/sh
echo "E: Failed to fetch http://mirror.invalid/debian  Could not resolve 'mirror.invalid'" >&2
exit 100
"""


@pytest.fixture
def offline(bench: Bench) -> dict[str, str]:
    """An environment in which Debian's archive cannot be reached."""
    program = bench.write("offline/mmdebstrap", OFFLINE)
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin", "HARNESS_DEBIAN_MIRROR": "http://mirror.invalid/debian"}


@pytest.fixture
def runtime(bench: Bench) -> Path:
    """A runtime in the cache; its loader is the stand-in."""

    def make(folder: Path) -> dict[str, Any]:
        bench.qemu("say harness-init: failed: not today; exit 0")
        for name in ("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/bin/qemu-system-x86_64"):
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_bytes((bench.folder / "qemu/qemu-system-x86_64").read_bytes())
            (folder / name).chmod(0o755)
        (folder / "usr/lib/x86_64-linux-gnu/script").write_bytes((bench.folder / "qemu/script").read_bytes())
        return {"version": [11, 1, 3], "digest": "0", "suites": [], "mirror": "", "versions": {}}

    entry, _ = Store(bench.cache).obtain(qemu_runtime.KIND, qemu_runtime.runtime_key(), make)
    return entry.path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/nowhere/qemu", "there is no QEMU at /nowhere/qemu"),
        ("/etc/passwd", "/etc/passwd is not a program"),
        ("/bin/true", "/bin/true does not run as QEMU (exit status 0)"),
    ],
)
def test_a_path_that_is_no_qemu(bench: Bench, name: str, says: str) -> None:
    outcome = bench("run", "--qemu", name)
    assert outcome.status == 2, outcome.text
    assert f"error: {says}" in outcome.text and "→ --qemu takes auto, host, runtime" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert bench.left_behind() == []


def test_too_old(bench: Bench) -> None:
    old = bench.qemu("exit 0", name="old")
    old.write_text(old.read_text().replace("version 11.1.3", "version 7.2.22"))
    outcome = bench("run", "--qemu", old)
    assert outcome.status == 2, outcome.text
    assert "is QEMU 7.2.22, too old: volatile CXL memory works from 10.0 on" in outcome.text
    assert "→ use --qemu runtime" in outcome.text


def test_one_that_dies_at_its_start(bench: Bench) -> None:
    bad = bench.write("bad/qemu-system-x86_64", "#!/bin/sh\nkill -SEGV $$\n")
    bad.chmod(0o755)
    outcome = bench("run", "--qemu", bad)
    assert outcome.status == 2 and "does not run as QEMU (signal SIGSEGV)" in outcome.text, outcome.text


def test_the_host_has_none(bench: Bench, offline: dict[str, str]) -> None:
    tools = bench.folder / "tools"
    tools.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            if not program.name.startswith("qemu") and not (tools / program.name).exists():
                (tools / program.name).symlink_to(program)
    path = {"PATH": f"{bench.folder}/offline:{tools}"}
    outcome = bench("run", "--qemu", "host", **path)
    assert outcome.status == 4, outcome.text
    assert "this machine has no qemu-system-x86_64" in outcome.text and "→ use the harness's own" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    outcome = bench("boot", "--qemu", "auto", "--", "true", **(offline | path))
    assert outcome.status == 4, outcome.text
    assert "Debian's archive at http://mirror.invalid/debian cannot be reached" in outcome.text
    assert "or name one with --qemu PATH (10.0 or newer)" in outcome.text
    assert bench.left_behind() == []


def damage_loader(entry: Path) -> None:
    path = entry / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def truncate_binary(entry: Path) -> None:
    path = entry / "usr/bin/qemu-system-x86_64"
    path.write_bytes(path.read_bytes()[:100])


def delete_binary(entry: Path) -> None:
    (entry / "usr/bin/qemu-system-x86_64").unlink()


def test_a_whole_runtime_gets_as_far_as_the_guest(bench: Bench, runtime: Path, offline: dict[str, str]) -> None:
    outcome = bench("run", "--qemu", "runtime", **offline)
    assert outcome.results["verdict"] == "BOOT", outcome.text


@pytest.mark.parametrize("damage", [damage_loader, truncate_binary, delete_binary])
def test_a_damaged_runtime_is_never_started(bench: Bench, runtime: Path, offline: dict[str, str], damage: Any) -> None:
    damage(runtime)
    outcome = bench("run", "--qemu", "runtime", **offline)
    assert outcome.status == 4, outcome.text
    assert "is damaged (" in outcome.text and "it is made again" in outcome.text
    assert "no QEMU: the harness's own is not in the cache and cannot be made" in outcome.text
    assert outcome.results["verdict"] == "INFRA"
    assert not runtime.exists() and bench.left_behind() == []
