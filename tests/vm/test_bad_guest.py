# SPDX-License-Identifier: GPL-2.0-only
"""A kernel or a guest that fails its run: what the user sees, verdict and exit status, and that nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import qemu_runtime
from harness.paths import default_paths
from harness.progress import Quiet
from harness.store import Store
from tests.vm.conftest import command
from tests.vm.outcome import Harness, Outcome
from tests.vm.project import copy_project

pytestmark = pytest.mark.vm


# KTAP by hand, so that nothing but the failure itself is tried.
FAULTY = """#!/bin/sh
[ "$1" = -l ] && printf 'first\\n{name}\\nafter\\n' && exit
wanted="$*"
[ "$1" ] || wanted='-t first -t {name} -t after'
set -- $wanted
echo "KTAP version 1"
echo "1..$(($# / 2))"
number=1
while [ "$2" ]; do
	echo "harness: case begin {suite}/test_faulty:$2" >/dev/kmsg
	if [ "$2" = {name} ]; then
		{action}
	fi
	echo "ok $number $2"
	echo "harness: case end {suite}/test_faulty:$2" >/dev/kmsg
	number=$((number + 1))
	shift 2
done
"""

WRAPPER = """#!{python}
import os, sys
words = sys.argv[1:]
if "--version" not in words and "stdio" not in words:
    words = [word.replace({old!r}, {new!r}) for word in words]
os.environ.update({env!r})
os.execv({argv!r}[0], [*{argv!r}, *words])
"""


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A copy of the project's data, to which tests add suites."""
    return copy_project(tmp_path / "project")


def add_suite(project: Path, name: str, action: str) -> None:
    program = project / "tests" / "guest" / name / "test_faulty.sh"
    program.parent.mkdir()
    program.write_text(FAULTY.format(suite=name, name=name, action=action))
    (program.parent / "settings").write_text("timeout=60\n")


@pytest.fixture
def qemu_with(tmp_path: Path) -> object:
    """A QEMU to give with ``--qemu``: the usual one, a text in its options replaced."""

    def make(old: str, new: str) -> Path:
        paths = default_paths()
        usual = qemu_runtime.obtain("auto", paths=paths, store=Store(paths.cache), progress=Quiet())
        path = tmp_path / "qemu-system-x86_64"
        text = WRAPPER.format(python=sys.executable, old=old, new=new, env=dict(usual.env), argv=list(usual.argv))
        path.write_text(text)
        path.chmod(0o755)
        return path

    return make


def left_behind(outcome: Outcome) -> list[str]:
    """Processes that name the test's folder; scratch folders that the command line made."""
    found = [str(folder) for folder in (default_paths().cache / "scratch").glob(f"*-{outcome.pid}-*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(outcome.data.parent) in words and int(process.name) != os.getpid():
            found.append(words)
    return found


def test_a_kernel_that_panics_before_init(harness: Harness) -> None:
    outcome = harness("run", "--suite", "smoke", "--append", "root=/dev/nowhere")
    assert outcome.status == 3, outcome.why
    assert "the kernel panicked before the guest was ready: VFS: Unable to mount root fs on" in outcome.text
    assert "| " in outcome.text and "console.log" in outcome.text and "→ the kernel needs VIRTIO_PCI" in outcome.text
    assert outcome.results["verdict"] == "BOOT" and outcome.results["cases"] == []
    assert "Kernel panic" in (outcome.folder / "guests/1/console.log").read_text()
    assert left_behind(outcome) == []


def test_an_init_that_is_not_there(harness: Harness) -> None:
    outcome = harness("run", "--suite", "smoke", "--append", "init=/nowhere")
    assert outcome.status == 3, outcome.why
    assert "panicked before the guest was ready: Requested init /nowhere failed" in outcome.text
    assert outcome.results["verdict"] == "BOOT"


def test_a_kernel_without_serial_output(harness: Harness, qemu_with: object) -> None:
    assert callable(qemu_with)
    silent = qemu_with("earlycon=uart8250,io,0x3f8 console=ttyS0", "console=tty9")
    words = ("run", "--suite", "smoke", "--accel", "tcg", "--append", "init=/bin/sleep -- 1000")
    outcome = harness(*words, "--qemu", silent)
    assert outcome.status == 3, outcome.why
    assert "the kernel wrote nothing to its serial console" in outcome.text
    assert "CONFIG_SERIAL_8250_CONSOLE" in outcome.text
    assert outcome.results["verdict"] == "BOOT"
    assert left_behind(outcome) == []


def test_a_kernel_without_a_network_driver(harness: Harness) -> None:
    outcome = harness("run", "--suite", "smoke", "--append", "initcall_blacklist=virtio_net_driver_init")
    assert outcome.status == 3, outcome.why
    assert "the guest's init gave up: no network device (VIRTIO_NET in the kernel" in outcome.text
    assert outcome.results["verdict"] == "BOOT"
    assert left_behind(outcome) == []


def test_a_kernel_without_a_route_for_ssh(harness: Harness, qemu_with: object) -> None:
    assert callable(qemu_with)
    elsewhere = qemu_with("restrict=on,", "restrict=on,net=10.0.3.0/24,")
    outcome = harness("run", "--suite", "smoke", "--accel", "tcg", "--qemu", elsewhere)
    assert outcome.status == 3, outcome.why
    assert "the guest booted, but there is no way in" in outcome.text and "VIRTIO_NET" in outcome.text
    assert outcome.results["verdict"] == "BOOT"
    assert left_behind(outcome) == []


@pytest.mark.parametrize(
    ("suite", "action", "verdict", "says"),
    [
        ("poweroff", "echo o >/proc/sysrq-trigger; sleep 100", "LOST", "the guest powered off"),
        ("panic", "echo c >/proc/sysrq-trigger; sleep 100", "CRASH", "sysrq triggered crash"),
        ("unplugged", "ip link set eth0 down || ifconfig eth0 down; sleep 100", "TIMEOUT", "did not end within"),
    ],
    ids=["poweroff", "panic", "unplugged"],
)
def test_a_guest_that_goes_away_in_mid_suite(
    harness: Harness, faulty: Path, suite: str, action: str, verdict: str, says: str
) -> None:
    add_suite(faulty, suite, action)
    (faulty / "tests/guest" / suite / "settings").write_text("timeout=15\n")
    words = ("run", "--suite", suite, "--case", "smoke/test_boot:version")
    outcome = harness(*words, env={"HARNESS_PROJECT": str(faulty)})
    assert outcome.status == 1, outcome.why
    full = f"{suite}/test_faulty:"
    expected = {f"{full}first": "PASS", f"{full}{suite}": verdict, f"{full}after": "PASS"}
    assert outcome.verdicts() == expected | {"smoke/test_boot:version": "PASS"}, outcome.why
    assert outcome.results["verdict"] == verdict
    assert says in outcome.text and f"--case {full}{suite}" in outcome.text
    assert (outcome.folder / "guests/2/console.log").stat().st_size, "the rest ran in a guest of its own"
    assert (outcome.folder / f"ktap/{suite}/test_faulty.ktap").stat().st_size
    assert left_behind(outcome) == []


def test_a_suite_that_always_takes_its_guest_down(harness: Harness, faulty: Path) -> None:
    add_suite(faulty, "poweroff", "echo o >/proc/sysrq-trigger; sleep 100")
    program = faulty / "tests/guest/poweroff/test_faulty.sh"
    program.write_text(program.read_text().replace('echo "KTAP version 1"', "echo o >/proc/sysrq-trigger; sleep 100"))
    outcome = harness("run", "--suite", "poweroff", env={"HARNESS_PROJECT": str(faulty)})
    assert outcome.status == 1, outcome.why
    assert set(outcome.verdicts().values()) == {"LOST"} and len(outcome.verdicts()) == 3
    assert outcome.results["verdict"] == "LOST"
    assert left_behind(outcome) == []


def test_a_suite_folder_that_is_empty(harness: Harness, faulty: Path) -> None:
    (faulty / "tests/guest/empty").mkdir()
    outcome = harness("run", "--suite", "empty", env={"HARNESS_PROJECT": str(faulty)})
    assert outcome.status == 2, outcome.why
    assert "the suite 'empty' is empty" in outcome.text and not (outcome.data / "runs").exists()


def test_two_runs_at_once_on_one_cache(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            command(tmp_path / f"data{number}", "run", "--suite", "smoke"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(2)
    ]
    texts = [run.communicate(timeout=1800)[0].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], texts
