# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import doctor, qemu_runtime
from harness.cli.main import cli
from harness.doctor import Finding, Status, machine, programs, virtualization
from harness.doctor.finding import graded
from harness.store import Store

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("value", "status"), [(0.5, "fail"), (1, "warn"), (1.9, "warn"), (2, "ok"), (9, "ok")])
def test_a_quantity_is_graded(value: float, status: str) -> None:
    finding = graded("disk", value, warn=2, fail=1, found="x", fix="y")
    assert finding.status == status and (finding.fix is None) == (status == "ok")


def test_memory_is_read() -> None:
    text = "MemTotal:       24653412 kB\nMemFree:  1 kB\nMemAvailable:   20971520 kB\nHugePages_Total:       0\n"
    assert machine.memory(text) == (24653412 << 10, 20 << 30)
    assert machine.memory("MemTotal: 1 kB\n") == (1024, 0)


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    [finding] = machine.folder("cache", tmp_path / "a" / "b", warn=0, fail=0, option="--cache-dir")
    assert finding.status is Status.OK and not (tmp_path / "a").exists()
    [finding] = machine.folder("cache", tmp_path, warn=1 << 62, fail=1 << 61, option="--cache-dir")
    assert finding.status is Status.FAIL and "cache prune" in (finding.fix or "")


def test_a_folder_below_a_file_or_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    [finding] = machine.folder("cache", tmp_path / "file" / "x", warn=0, fail=0, option="--cache-dir")
    assert finding.status is Status.FAIL and "cannot be written" in finding.found
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    [finding] = machine.folder("cache", tmp_path, warn=0, fail=0, option="--cache-dir")
    assert finding.status is Status.FAIL


def test_packages_that_are_missing_are_named(tmp_path: Path) -> None:
    listing = tmp_path / "packages.txt"
    listing.write_text(
        "# comment\n\ncoreutils  ls  lists things\nnone  no-such-program  does nothing\nlib  /no/lib.h  x\n"
    )
    findings = programs.packages(listing)
    assert [finding.name for finding in findings] == ["programs", "none", "lib"]
    assert findings[0].found == "1 of 3 there"
    assert findings[1].status is Status.FAIL and "apt install none" in (findings[1].fix or "")


def test_the_projects_own_list_is_well_formed() -> None:
    needed = programs.read_needed((PROJECT / "ci" / "packages.txt").read_text())
    names = [entry.package for entry in needed]
    assert len(names) == len(set(names)) > 20 and {"gcc", "mmdebstrap", "erofs-utils", "git", "b4"} <= set(names)
    assert all(entry.reason for entry in needed)


@pytest.mark.parametrize(
    ("output", "status", "found"),
    [
        ("git version 2.39.5", "ok", "2.39.5"),
        ("git version 2.20.1", "fail", "2.20.1"),
        ("2.30", "ok", "2.30"),
        ("no number here", "ok", "there, version unknown"),
        ("", "ok", "there, version unknown"),
    ],
)
def test_versions_are_judged(output: str, status: str, found: str) -> None:
    finding = programs.judge_version("git", output, (2, 30))
    assert (finding.status, finding.found) == (status, found)


def test_errors_of_the_kvm_device_have_a_fix() -> None:
    assert virtualization.judge_device(0) is None
    for error, text in ((errno.ENOENT, "no /dev/kvm"), (errno.EACCES, "may not be opened"), (errno.EBUSY, "busy")):
        finding = virtualization.judge_device(error)
        assert finding is not None and finding.status is Status.WARN and text in finding.found and finding.fix
    denied = virtualization.judge_device(errno.EACCES)
    assert denied is not None and "usermod" in (denied.fix or "")


def test_the_state_of_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    store = Store(tmp_path)

    def state() -> Finding:
        [finding] = virtualization.emulator("runtime", store=store)
        return finding

    assert state().status is Status.WARN and "not in the cache" in state().found
    entry, _ = store.obtain(qemu_runtime.KIND, qemu_runtime.runtime_key(), lambda f: {"n": (f / "f").write_text("a")})
    assert state().status is Status.OK
    (entry.path / "f").write_text("b")
    assert state().status is Status.WARN and "damaged" in state().found
    assert (entry.path / "f").read_text() == "b"  # looking changes nothing


def test_a_given_qemu(tmp_path: Path) -> None:
    def state(version: str) -> Status:
        path = tmp_path / f"qemu-{version}"
        path.write_text(f"#!/bin/sh\necho QEMU emulator version {version}\n")
        path.chmod(0o755)
        [finding] = virtualization.emulator(str(path), store=Store(tmp_path / "cache"))
        return finding.status

    assert [state("11.1.0"), state("10.0.2"), state("7.2.22")] == [Status.OK, Status.WARN, Status.FAIL]


def findings(*statuses: str) -> list[Finding]:
    return [Finding(name=f"n{i}", status=Status(s), found="f", fix="x") for i, s in enumerate(statuses)]


@pytest.mark.parametrize(("statuses", "status"), [((), 0), (("ok", "warn"), 0), (("ok", "fail", "warn"), 4)])
def test_only_a_failure_fails(statuses: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda **given: iter(findings("ok", *statuses)))
    done = CliRunner().invoke(cli, ["doctor"], standalone_mode=False)
    assert done.return_value == status and done.exception is None
    done = CliRunner().invoke(cli, ["doctor", "--json"], standalone_mode=False)
    assert len(json.loads(done.output)) == len(statuses) + 1 and done.return_value == status
