# SPDX-License-Identifier: GPL-2.0-only
"""How the faults that need a real guest are made. A suite ``faulty`` has three cases, of which the second, ``broken``,
does or suffers the fault; the first and the last show that what is beside it is judged right all the same.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import qemu_runtime
from harness.paths import default_paths
from harness.progress import Quiet
from harness.store import Store
from tests.faults import untouched
from tests.faults.inject import HERE, default_signals, need_namespaces
from tests.faults.table import Fault
from tests.vm.outcome import Outcome
from tests.vm.project import copy_project

DEADLINE = 600.0  # of one command, the build of the default kernel not counted

# KTAP by hand, so that nothing but the fault itself is tried.
SUITE = """#!/bin/sh
[ "$1" = -l ] && printf 'first\\nbroken\\nafter\\n' && exit
[ "$1" ] || set -- -t first -t broken -t after
echo "KTAP version 1"
echo "1..$(($# / 2))"
number=1
while [ "$2" ]; do
	echo "harness: case begin faulty/test_faulty:$2" >/dev/kmsg
	if [ "$2" = broken ]; then
		{action}
	fi
	echo "ok $number $2"
	echo "harness: case end faulty/test_faulty:$2" >/dev/kmsg
	number=$((number + 1))
	shift 2
done
"""
BEGUN = "case begin faulty/test_faulty:broken"

WRAPPER = """#!{python}
import os, re, sys
words = sys.argv[1:]
if "--version" not in words and "stdio" not in words:
    words = [re.sub({old!r}, {new!r}, word) for word in words] + {more!r}
os.environ.update({env!r})
os.execvp({argv!r}[0], [*{argv!r}, *words])
"""


@dataclass
class GuestBench:
    """A copy of the project's data with the suite ``faulty``, runs of the test's own, and the user's cache."""

    folder: Path
    cache: Path
    env: dict[str, str] = field(default_factory=dict)
    wrap: list[str] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        copy_project(self.project)
        for name, variable in (("home", "HOME"), ("tmp", "TMPDIR")):
            (self.folder / name).mkdir()
            self.env[variable] = str(self.folder / name)
        self.env |= {"HARNESS_CACHE": str(self.cache), "HARNESS_PROJECT": str(self.project)}
        self.env |= {"PYTHONPATH": str(default_paths().project), "XDG_CONFIG_HOME": str(self.folder / "config")}

    def suite(self, action: str, *, seconds: int) -> None:
        """Make the suite; ``seconds`` is the program's deadline."""
        program = self.project / "tests/guest/faulty/test_faulty.sh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(SUITE.format(action=action))
        (program.parent / "settings").write_text(f"timeout={seconds}\n")

    def argv(self, *words: str) -> list[str]:
        return [*self.wrap, sys.executable, "-m", "harness", "--data-dir", str(self.data), *words]

    def start(self, *words: str) -> Running:
        """Start the command line."""
        return Running(self, self.argv(*words))

    def call(self, *words: str) -> Outcome:
        """Run the command line to its end."""
        return self.start(*words).end()


class Running:
    """A command line that runs."""

    def __init__(self, bench: GuestBench, argv: Sequence[str]) -> None:
        self.bench = bench
        self.before = untouched.descendants()
        self.log = bench.folder / f"output-{time.monotonic_ns()}"
        with self.log.open("wb") as stream:
            self.child = subprocess.Popen(
                argv,
                cwd=bench.folder,
                env={**os.environ, **bench.env},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                preexec_fn=default_signals,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def console(self) -> str:
        """The console of the guests so far."""
        logs = sorted(self.bench.data.glob("*/*/guests/*/console.log")) + sorted(
            self.bench.data.glob("boots/*/console.log")
        )
        return "".join(log.read_text(errors="replace") for log in logs)

    @property
    def qemu(self) -> int:
        """The process number of the guest."""
        below = untouched.descendants()
        (found,) = (pid for pid in below.keys() - self.before.keys() if "debug-threads" in below[pid])
        return found

    def wait_for(self, text: str, *, console: bool = True) -> None:
        """Wait for a text on the console, or in what the command says."""
        until = time.monotonic() + DEADLINE
        while text not in (self.console if console else self.text):
            assert self.child.poll() is None, f"it ended before '{text}': {self.text}"
            if time.monotonic() > until:
                self.child.kill()
                self.child.wait()
                pytest.fail(f"'{text}' did not come: {self.text}\n{self.console}")
            time.sleep(0.02)

    def end(self) -> Outcome:
        """Wait for the end."""
        try:
            status = self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            pytest.fail(f"the command hangs: {self.text}")
        assert "Traceback" not in self.text, self.text
        return Outcome(status=status, text=self.text, data=self.bench.data, pid=self.child.pid)


def qemu_with(
    bench: GuestBench, *, old: str = "(?!)", new: str = "", more: Sequence[str] = (), before: Sequence[str] = ()
) -> Path:
    """The usual QEMU, a pattern in its options replaced, others added, as a program for ``--qemu``.

    ``before`` is a command that starts it.
    """
    paths = default_paths(cache=bench.cache)
    usual = qemu_runtime.obtain("auto", paths=paths, store=Store(paths.cache), progress=Quiet())
    path = bench.folder / "qemu-system-x86_64"
    argv = [*before, *usual.argv]
    values = {"old": old, "new": new, "more": list(more), "env": dict(usual.env), "argv": argv}
    path.write_text(WRAPPER.format(python=sys.executable, **values))
    path.chmod(0o755)
    return path


def monitor(path: Path, command: str, **arguments: Any) -> None:
    """A QMP command on a second monitor (docs/interop/qmp-spec.rst)."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        stream = connection.makefile("rw")
        stream.readline()
        for name, values in (("qmp_capabilities", {}), (command, arguments)):
            stream.write(json.dumps({"execute": name, "arguments": values}) + "\n")
            stream.flush()
            while "return" not in (answer := json.loads(stream.readline())):
                assert "error" not in answer, answer


RUN = ("run", "--suite", "faulty")


def during(work: Callable[[Running], None], *, action: str = "sleep 100", seconds: int = 60) -> Callable[..., Outcome]:
    """Something that happens to a run while the case runs."""

    def inject(bench: GuestBench, row: Fault, value: Any) -> Outcome:
        bench.suite(action, seconds=seconds)
        running = bench.start(*RUN)
        running.wait_for(BEGUN)
        work(running)
        return running.end()

    return inject


def in_guest(bench: GuestBench, row: Fault, action: str) -> Outcome:
    """The case does it."""
    bench.suite(action, seconds=60)
    return bench.call(*RUN)


def signal_run(bench: GuestBench, row: Fault, name: str) -> Outcome:
    """A signal to the harness while the case runs."""
    bench.suite("sleep 100", seconds=60)
    running = bench.start(*RUN)
    running.wait_for(BEGUN)
    qemu = running.qemu
    running.child.send_signal(signal.Signals[name])
    outcome = running.end()
    assert untouched.survivors(running.before) == [], f"the guest (process {qemu}) outlives the harness"
    bench.suite("true", seconds=60)  # for the next run
    return outcome


def signal_qemu(bench: GuestBench, row: Fault, name: str) -> Outcome:
    """A signal to QEMU while the case runs, or while the guest boots."""
    bench.suite("sleep 100", seconds=5)
    running = bench.start(*RUN)
    running.wait_for(BEGUN if row.stage == "suite" else "Linux version")
    os.kill(running.qemu, signal.Signals[name])
    return running.end()


def stop_qemu(bench: GuestBench, row: Fault, seconds: float) -> Outcome:
    """QEMU is stopped for a while and goes on."""
    bench.suite("sleep 2", seconds=60)
    running = bench.start(*RUN)
    running.wait_for(BEGUN)
    qemu = running.qemu
    os.kill(qemu, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(qemu, signal.SIGCONT)
    return running.end()


def stop_harness(bench: GuestBench, row: Fault, seconds: float) -> Outcome:
    """The harness is stopped (Ctrl-Z, a suspended machine) for longer than the program's deadline, which it kept."""
    bench.suite("sleep 2", seconds=6)
    running = bench.start(*RUN)
    running.wait_for(BEGUN)
    running.child.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    running.child.send_signal(signal.SIGCONT)
    return running.end()


def link_off(bench: GuestBench, row: Fault, value: object) -> Outcome:
    """QEMU takes the guest's network link away."""
    path = bench.folder / "qmp"
    qemu = qemu_with(bench, more=["-qmp", f"unix:{path},server=on,wait=off"])
    bench.suite("sleep 100", seconds=10)
    running = bench.start(*RUN, "--qemu", str(qemu))
    running.wait_for(BEGUN)
    monitor(path, "set_link", name="net0", up=False)
    return running.end()


def other_key(bench: GuestBench, row: Fault, value: object) -> Outcome:
    """The guest is given another key than the one that the harness has."""
    qemu = qemu_with(bench, old=r"file=(.*)/authorized_keys$", new=r"file=\1/topology")
    bench.suite("true", seconds=10)
    return bench.call(*RUN, "--qemu", str(qemu))


def limited_qemu(bench: GuestBench, row: Fault, option: str) -> Outcome:
    """QEMU has less than it needs of something (prlimit(1))."""
    qemu = qemu_with(bench, before=["prlimit", option])
    bench.suite("true", seconds=10)
    return bench.call(*RUN, "--qemu", str(qemu))


def stopped_boot(bench: GuestBench, row: Fault, seconds: int) -> Outcome:
    """QEMU is stopped while the guest boots, for longer than the boot's deadline."""
    running = bench.start(
        "boot", "--boot-deadline", str(seconds), "--keep-log", str(bench.folder / "log"), "--", "true"
    )
    until = time.monotonic() + DEADLINE
    console = bench.folder / "log" / "console.log"
    while not (console.exists() and "Linux version" in console.read_text()):
        assert running.child.poll() is None and time.monotonic() < until, running.text
        time.sleep(0.02)
    os.kill(running.qemu, signal.SIGSTOP)
    return running.end()


def clock(bench: GuestBench, row: Fault, seconds: int) -> Outcome:
    """The wall clock of the harness steps while the case runs."""
    step = bench.folder / "step"
    step.write_text("0")
    library = bench.folder / "clock_step.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "clock_step.c"], check=True)
    bench.env |= {"LD_PRELOAD": str(library), "CLOCK_STEP": str(step)}
    bench.suite("sleep 3", seconds=60)
    running = bench.start(*RUN)
    running.wait_for(BEGUN)
    step.write_text(str(seconds))
    return running.end()


def reader_gone(bench: GuestBench, row: Fault, value: object) -> Outcome:
    """``harness run | head``: the reader goes once it has seen the first case, and the next line finds nobody."""
    bench.suite("sleep 5", seconds=60)
    reader, writer = os.pipe()
    child = subprocess.Popen(
        bench.argv(*RUN), cwd=bench.folder, env={**os.environ, **bench.env}, stdout=writer, stdin=subprocess.DEVNULL
    )
    os.close(writer)
    text = b""
    while b"first" not in text and (chunk := os.read(reader, 4096)):
        text += chunk
    os.close(reader)
    status = child.wait(DEADLINE)
    return Outcome(status=status, text=text.decode(), data=bench.data, pid=child.pid)


def disk_fills(bench: GuestBench, row: Fault, megabytes: int) -> Outcome:
    """The disk with the runs is full in the middle of a suite: the case writes more than is free."""
    need_namespaces()
    bench.data.mkdir()
    bench.suite(
        f"i=0; while [ $i -lt {megabytes * 25} ]; do i=$((i + 1)); head -c 60000 /dev/zero | tr '\\0' x; echo; done",
        seconds=60,
    )
    script = 'mount -t tmpfs -o size="$1" none "$2"; shift 2; "$@"; status=$?; cp -r "$keep"/. "$copy"; exit $status'
    copy = bench.folder / "copy"
    copy.mkdir()
    bench.env |= {"keep": str(bench.data), "copy": str(copy)}
    bench.wrap = ["unshare", "-rm", "sh", "-c", script, "sh", f"{megabytes}m", str(bench.data)]
    outcome = bench.call(*RUN)
    return Outcome(status=outcome.status, text=outcome.text, data=copy, pid=outcome.pid)


# -- KVM, and other names for folders: a command in a guest, from a cache of the test's own --


def kvm(bench: GuestBench, row: Fault, what: Mapping[str, str]) -> Outcome:
    """``/dev/kvm`` is missing, closed, or something else: in a mount namespace of the command's own."""
    need_namespaces()
    if not Path("/dev/kvm").exists():
        pytest.skip("there is no /dev/kvm to take away")
    kernel = own_cache(bench, "cache")
    device = bench.folder / "device"
    device.touch()
    others = "for n in null zero full random urandom; do touch dev/$n; mount --bind /dev/$n dev/$n; done"
    scripts = {
        "missing": f"mkdir dev; {others}; mount --rbind dev /dev",
        "closed": f"chmod 0 '{device}'; mount --bind '{device}' /dev/kvm",
        "another device": "mount --bind /dev/null /dev/kvm",
        "as it is": "",
    }
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if what["device"] == "closed" else []
    bench.wrap = ["unshare", "-rm", "sh", "-ec", scripts[what["device"]] + '\nexec "$@"', "sh", *drop]
    words = ["boot", "--kernel", str(kernel), "--topology", "none", "--accel", what["accel"], "--", "echo", "well"]
    return bench.call(*words)


def folder_names(bench: GuestBench, row: Fault, name: str) -> Outcome:
    """The cache, with the keys and disks of guests, and the logs lie in folders with such a name."""
    kernel = own_cache(bench, name)
    words = ["boot", "--kernel", str(kernel), "--topology", "none", "--keep-log", str(bench.folder / f"log {name}")]
    return bench.call(*words, "--", "echo", "well")


def own_cache(bench: GuestBench, name: str) -> Path:
    """A cache whose entries are those of the user's, linked; returns the default kernel."""
    from harness import pipeline
    from harness.profile import load
    from harness.progress import QuietView

    paths = default_paths(cache=bench.cache)
    usual, chosen = Store(paths.cache), load("default", paths=paths)
    built = pipeline.kernel_for(chosen, paths=paths, store=usual, stages=QuietView())
    pipeline.machine_for(chosen, paths=paths, store=usual, stages=QuietView())
    cache = bench.folder / name
    for entry in (paths.cache / "store").glob("*/*"):
        if entry.name[0] != "." and entry.parent.name in ("image", "payload", "qemu", "qemu-offered"):
            link = cache / "store" / entry.parent.name / entry.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(entry)
    bench.cache = cache
    bench.env["HARNESS_CACHE"] = str(cache)
    return built.kernel.vmlinux


GUEST_INJECTORS: dict[str, Callable[..., Outcome]] = {
    "in the guest": in_guest,
    "signal": signal_run,
    "signal to qemu": signal_qemu,
    "qemu stopped": stop_qemu,
    "qemu stopped while booting": stopped_boot,
    "harness stopped": stop_harness,
    "link off": link_off,
    "other key": other_key,
    "qemu limited": limited_qemu,
    "clock": clock,
    "reader gone": reader_gone,
    "disk fills": disk_fills,
    "kvm": kvm,
    "folder": folder_names,
}
