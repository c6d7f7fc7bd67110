# SPDX-License-Identifier: GPL-2.0-only
"""How the faults that need no guest are made, each by the real thing: a signal, a limit, a mount, a damaged file.

Each function takes the bench, the row and what the row's ``inject`` gives it, and returns the command that ended.
"""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness import image
from tests.faults import untouched
from tests.faults.table import Fault
from tests.unit.bad_input.conftest import DEADLINE, Bench, Outcome

HERE = Path(__file__).resolve().parent

# Waits as long as the gate is closed. It can be seen from within the sandbox, as it lies in a folder of the PATH; that
# somebody waits shows in the list of processes.
WAIT = """[ ! -e "{gate}" ] || sh -c 'while [ -e "$1" ]; do sleep 0.05; done' waits-at-the-gate "{gate}"
"""

# A program of the PATH that waits when it is called with certain words.
GATED = """#!/bin/sh
case " $* " in *"{words}"*)
{wait};;
esac
{then}
"""


class Started:
    """A command that runs, its output in a file."""

    def __init__(self, bench: Bench, argv: Sequence[str], **options: Any) -> None:
        self.bench = bench
        self.log = bench.folder / f"output-{time.monotonic_ns()}"
        with self.log.open("wb") as stream:
            settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": stream, "stderr": stream} | options
            self.child = subprocess.Popen(
                argv,
                cwd=bench.folder,
                env=bench.environment({"PYTHONFAULTHANDLER": "1"} | settings.pop("more_env", {})),
                preexec_fn=default_signals,
                **settings,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is so; fails when the command ends before, or after a deadline."""
        until = time.monotonic() + DEADLINE
        while not condition():
            assert self.child.poll() is None, f"it ended before {what}: {self.text}"
            if time.monotonic() > until:
                self.child.kill()
                self.child.wait()
                pytest.fail(f"{what} did not come: {self.text}")
            time.sleep(0.01)

    def end(self) -> Outcome:
        """Wait for its end."""
        try:
            status = self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.child.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER: it says where
            time.sleep(1)
            self.child.kill()
            self.child.wait()
            pytest.fail(f"the command hangs: {self.text}")
        assert "Traceback" not in self.text, self.text
        return Outcome(status, self.text, self.bench.data)


def default_signals() -> None:
    """A shell starts background jobs, and so perhaps this test run, with SIGINT ignored, which is inherited."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def run_words(bench: Bench) -> list[str]:
    """The run of every row: a source, a series, a configuration, a kernel, a guest that says that it cannot."""
    return bench.argv("run", "--series", str(bench.folder / "series"))


def tool(bench: Bench, name: str, text: str) -> Path:
    """Put a program before the others of its name."""
    path = bench.write(f"tools/{name}", text)
    path.chmod(0o755)
    bench.env["PATH"] = f"{path.parent}:{os.environ['PATH']}"
    return path


# -- signals at each stage --


@contextmanager
def stopped_at(
    bench: Bench, stage: str, argv: Sequence[str], *, stubborn: bool = False, **options: Any
) -> Iterator[Started]:
    """A run that has come to a stage and stays there until the block is left."""
    gate = bench.write("tools/gate", "")
    bench.env["PATH"] = f"{gate.parent}:{os.environ['PATH']}"
    prepare_gate(bench, stage, gate)
    if stubborn:
        script = bench.folder / "qemu" / "script"
        script.write_text(f"stubborn; {script.read_text()}")
    started = Started(bench, argv, **options)
    if stage == "boot":
        started.wait_for(lambda: "waiting for nothing" in consoles(bench), "the guest's first line")
    elif stage == "report":
        started.wait_for(lambda: list(bench.data.glob("runs/*/guests/1/console.log")), "the guest")
        (run,) = (bench.data / "runs").iterdir()
        os.mkfifo(run / f".results.json.{started.child.pid}")  # where the report is written: a disk that hangs
        gate.unlink()
        started.wait_for(lambda: waits_for_a_reader(started.child.pid), "the report")
    else:
        started.wait_for(
            lambda: any("waits-at-the-gate" in words for words in untouched.descendants().values()),
            f"the stage {stage}",
        )
    try:
        yield started
    finally:
        gate.unlink(missing_ok=True)


def prepare_gate(bench: Bench, stage: str, gate: Path) -> None:
    words = {"source": " write-tree ", "apply": " am ", "config": " allnoconfig "}
    if stage in words:
        name = "make" if stage == "config" else "git"
        then = f'exec {shutil.which(name)} "$@"'
        tool(bench, name, GATED.format(words=words[stage], wait=WAIT.format(gate=gate), then=then))
    elif stage == "build":  # a "source" of the stub tree is a script: it runs as a grandchild of make
        bench.write("linux/mm/zswap.c", WAIT.format(gate=gate) + 'echo gated >"$2"\n')
    elif stage == "image":
        shutil.rmtree(bench.cache / "store" / image.KIND)
        then = "echo 'E: offline' >&2; exit 100"
        tool(bench, "mmdebstrap", GATED.format(words="", wait=WAIT.format(gate=gate), then=then))
        bench.env["HARNESS_DEBIAN_MIRROR"] = "http://mirror.invalid/debian"
    elif stage in ("boot", "report"):
        bench.qemu(f"say waiting for nothing; gate {gate}; say harness-init: failed: nothing here; exit 0")
    else:
        raise AssertionError(f"no gate at {stage}")


def consoles(bench: Bench) -> str:
    return "".join(path.read_text() for path in bench.data.glob("runs/*/guests/*/console.log"))


def waits_for_a_reader(pid: int) -> bool:
    """Whether a thread of a process is in open(2) of a FIFO."""
    for path in Path(f"/proc/{pid}/task").glob("*/wchan"):
        with suppress(OSError):
            if "wait_for_partner" in path.read_text():
                return True
    return False


def send(bench: Bench, row: Fault, name: str) -> Outcome:
    """A signal to the harness at a stage."""
    before = untouched.descendants()
    with stopped_at(bench, row.stage, run_words(bench)) as started:
        started.child.send_signal(signal.Signals[name])
        outcome = started.end()
        orphans = untouched.survivors(before)  # while the gate is still closed
        assert orphans == [], f"runs on without the harness: {orphans}"
    again(bench, row.stage)
    return outcome


def send_again(bench: Bench, row: Fault, name: str) -> Outcome:
    """A signal, and once more while the harness waits for a QEMU that heeds nothing."""
    with stopped_at(bench, row.stage, run_words(bench), stubborn=True) as started:
        started.child.send_signal(signal.Signals[name])
        time.sleep(1.0)  # of the three seconds that QEMU is given to quit
        started.child.send_signal(signal.Signals[name])
        return started.end()


def kill_tool(bench: Bench, row: Fault, name: str) -> Outcome:
    """What the harness has started is killed (as the kernel does when memory runs out), not the harness."""
    before = untouched.descendants()
    with stopped_at(bench, row.stage, run_words(bench)) as started:
        started_now = untouched.descendants().keys() - before.keys()
        (tool,) = (pid for pid in started_now if Path(f"/proc/{pid}/comm").read_text() == f"{name}\n")
        os.kill(tool, signal.SIGKILL)
        outcome = started.end()
    again(bench, row.stage)
    return outcome


def again(bench: Bench, stage: str) -> None:
    """For the next run in the same place: what the gate took away is there again."""
    if stage == "image":
        seed_image(bench)


def seed_image(bench: Bench) -> None:
    from harness.store import Store

    def seed(folder: Path) -> dict[str, Any]:
        (folder / "rootfs.erofs").write_bytes(b"a root" * 1000)
        return {"digest": "0", "flavour": "test"}

    Store(bench.cache).obtain(image.KIND, image.key("test"), seed)


# -- limits, and what a process is started with --


def limit(bench: Bench, row: Fault, limits: Mapping[str, int]) -> Outcome:
    """Resource limits (setrlimit(2)) on the harness and all that it starts: ``nofile`` files."""
    words = [f"--{name}={value}:{value}" for name, value in limits.items()]
    return bench.execute(["prlimit", *words, *run_words(bench)])


def memory(bench: Bench, row: Fault, more: int) -> Outcome:
    """An address space (RLIMIT_AS) of ``more`` MiB above what the start of the command line takes."""
    code = "import harness.cli.main; print(open('/proc/self/status').read())"
    started = subprocess.run([sys.executable, "-c", code], env=bench.environment({}), capture_output=True, check=True)
    peak = int(started.stdout.decode().partition("VmPeak:")[2].split()[0])  # KiB
    limit = (peak << 10) + (more << 20)
    return bench.execute(["prlimit", f"--as={limit}:{limit}", *run_words(bench)])


def processes(bench: Bench, row: Fault, number: int) -> Outcome:
    """A user who may have ``number`` processes and threads, and has none yet. The superuser may have any number."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be a user who has no process yet")
    user = str(64000 + number)
    capability = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")  # to reach the test's files all the same
    argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *capability, "--"]
    return bench.execute([*argv, "prlimit", f"--nproc={number}:{number}", *run_words(bench)])


def environment(bench: Bench, row: Fault, changes: Mapping[str, str]) -> Outcome:
    """Other environment variables; ``FOLDER`` is the bench's, an empty one is taken away."""
    for name, value in changes.items():
        bench.env[name] = value.replace("FOLDER", str(bench.folder))
    argv = ["env", *(f"--unset={name}" for name, value in changes.items() if not value), *run_words(bench)]
    return bench.execute(argv)


def locale(bench: Bench, row: Fault, name: str) -> Outcome:
    """A locale whose characters are not UTF-8, made for the test (this machine need not have it)."""
    folder = bench.folder / "locales"
    folder.mkdir()
    language, _, characters = name.partition(".")
    made = subprocess.run(
        ["localedef", "-i", language, "-f", characters, str(folder / name)], capture_output=True, check=False
    )
    if not (folder / name).is_dir():
        pytest.skip(f"no locale {name} can be made here: {made.stderr.decode()[:200]}")
    return bench.execute(run_words(bench), LOCPATH=str(folder), LC_ALL=name)


def stdio(bench: Bench, row: Fault, how: str) -> Outcome:
    """Standard streams that are closed, full, or whose other end is gone."""
    words = run_words(bench)
    if how == "closed":
        return bench.execute(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words])
    if how == "output closed":
        return bench.execute(["sh", "-c", 'exec "$@" >&-', "sh", *words])
    if how == "full":
        return bench.execute(["sh", "-c", 'exec "$@" >/dev/full', "sh", *words])
    if how == "reader gone":
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as stream:
            started = Started(bench, words, stdout=stream)
        return started.end()
    if how == "terminal gone":
        return _terminal_gone(bench, row.stage, words)
    raise AssertionError(how)


def _terminal_gone(bench: Bench, stage: str, words: list[str]) -> Outcome:
    """A run on a terminal of its own, whose window is closed: SIGHUP by the kernel, and writes that fail."""
    ours, theirs = pty.openpty()
    with stopped_at(bench, stage, ["setsid", "--ctty", "--wait", *words], stdin=theirs, stdout=theirs) as started:
        os.close(theirs)
        os.close(ours)
        return started.end()


# -- mounts --


def mounts(bench: Bench, row: Fault, script: str) -> Outcome:
    """A mount namespace in which a script has run; the command starts in it, with no capability but those of files."""
    need_namespaces()
    names = f"folder='{bench.folder}'; cache='{bench.cache}'; data='{bench.data}'; home='{bench.env['HOME']}'\n"
    bench.cache.mkdir(exist_ok=True)
    bench.data.mkdir(exist_ok=True)
    return bench.execute(["unshare", "-rm", "sh", "-ec", f'{names}{script}\nexec "$@"', "sh", *run_words(bench)])


def need_namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("no user namespaces here")


# -- the cache, shared and damaged --


def damage(bench: Bench, row: Fault, what: Mapping[str, str]) -> Outcome:
    """A file of an entry is truncated, flipped or deleted while a run that uses the entry is at a stage."""
    with stopped_at(bench, row.stage, run_words(bench)) as started:
        (entry,) = (path for path in (bench.cache / "store" / what["kind"]).iterdir() if path.name[0] != ".")
        path = entry / what["file"]
        content = path.read_bytes()
        if what["how"] == "deleted":
            shutil.rmtree(entry) if path == entry else path.unlink()
        else:
            flipped = bytes([content[0] ^ 1]) + content[1:]
            path.write_bytes(flipped if what["how"] == "flipped" else content[: len(content) // 2])
        (bench.folder / "tools/gate").unlink()
        return started.end()


def removed(bench: Bench, row: Fault, name: str) -> Outcome:
    """Somebody removes a folder of the cache by hand while a run is at a stage."""
    with stopped_at(bench, row.stage, run_words(bench)) as started:
        shutil.rmtree(bench.cache / name)
        (bench.folder / "tools/gate").unlink()
        outcome = started.end()
    if name in (".", "store"):
        seed_image(bench)
    return outcome


def holder_dies(bench: Bench, row: Fault, name: str) -> Outcome:
    """Another run holds the lock of what this one needs, and is killed while it waits."""
    with stopped_at(bench, row.stage, run_words(bench)) as holder:
        started = Started(bench, bench.argv("build", "--series", str(bench.folder / "series")))
        started.wait_for(lambda: "waiting for another run" in started.text, "the waiting")
        holder.child.send_signal(signal.Signals[name])
        holder.child.wait(DEADLINE)
        (bench.folder / "tools/gate").unlink()
        return started.end()


def at_once(bench: Bench, row: Fault, number: int) -> Outcome:
    """Runs at the same time on one cache: each with the whole path, one kernel built."""
    bench.write("linux/mm/zswap.c", 'echo once >>made; sleep 0.5; echo slow >"$2"\n')
    runs = [Started(bench, run_words(bench)) for _ in range(number)]
    outcomes = [run.end() for run in runs]
    for outcome in outcomes:
        assert outcome.status == row.status and all(text in outcome.text for text in row.says), outcome.text
    (made,) = bench.cache.glob("worktrees/*/build-*/*/made")
    assert made.read_text() == "once\n", "the kernel was built more than once"
    assert len(outcomes[0].runs) == number
    return outcomes[0]


def stale(bench: Bench, row: Fault, names: Sequence[str]) -> Outcome:
    """Lock files as a git that was killed leaves them: beside the files of our repository and worktrees."""
    assert bench("run", "--series", bench.folder / "series").status == 3
    for name in names:
        found = list(bench.cache.glob(name))
        assert found, f"there is no {name}"
        for path in found:
            path.with_name(f"{path.name}.lock").write_bytes(b"")
    for ref in bench.cache.glob("repositories/*.git/refs/harness/series/*/*"):
        if ref.suffix != ".lock":
            ref.unlink()  # killed before it was there
    return bench.execute(run_words(bench))


# -- the clock --


def clock(bench: Bench, row: Fault, seconds: int) -> Outcome:
    """The wall clock steps while the run is at a stage, for the harness (a library in front of clock_gettime(2))."""
    step = bench.write("step", "0")
    library = bench.folder / "clock_step.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "clock_step.c"], check=True)
    env = {"LD_PRELOAD": str(library), "CLOCK_STEP": str(step)}
    with stopped_at(bench, row.stage, run_words(bench), more_env=env) as started:
        step.write_text(str(seconds))
        time.sleep(0.2)
        (bench.folder / "tools/gate").unlink()
        return started.end()


def uptime(bench: Bench, row: Fault, seconds: int) -> Outcome:
    """A machine that has been up for longer (or shorter): the monotonic clocks in a time namespace are others."""
    words = ["unshare", "-rT", f"--monotonic={seconds}", f"--boottime={seconds}"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no time namespaces here")
    return bench.execute([*words, *run_words(bench)])


def built_in_the_future(bench: Bench, row: Fault, seconds: int) -> Outcome:
    """A kernel was built while the clock was ahead, then it is set right and the source changes."""
    words = ("build", "--series", bench.folder / "series")
    assert bench(*words).status == 0
    ahead = time.time() + seconds
    for path in (bench.cache / "worktrees").rglob("*"):
        os.utime(path, (ahead, ahead), follow_symlinks=False)
    bench.commit("newer", {"mm/page_alloc.c": 'echo newer >"$2"\n'})
    outcome = bench(*words)
    built = [path.read_text() for path in bench.cache.glob("store/kernel/*/vmlinux")]
    assert any("newer" in text for text in built), "a stale kernel was kept as the new one"
    return outcome


# -- names --


def folders(bench: Bench, row: Fault, names: Mapping[str, str]) -> Outcome:
    """Folders with other names: ``cache``, ``data``, ``tree``, ``project``."""
    for name, value in names.items():
        other = bench.folder / value
        ours = {"cache": bench.cache, "data": bench.data, "tree": bench.tree, "project": bench.project}[name]
        if ours.exists():
            shutil.copytree(ours, other, symlinks=True)
    words = ["run", "--series", str(bench.folder / "series")]
    if "tree" in names:
        words += ["--source", f"tree:{bench.folder / names['tree']}"]
    cache, data = (str(bench.folder / names.get(name, name)) for name in ("cache", "data"))
    argv = [*bench.argv()[:3], "--cache-dir", cache, "--data-dir", data, *words]
    env = {"HARNESS_PROJECT": str(bench.folder / names["project"])} if "project" in names else {}
    outcome = bench.execute(argv, **env)
    return Outcome(outcome.status, outcome.text, Path(data))


def working_folder_gone(bench: Bench, row: Fault, how: str) -> Outcome:
    """The folder in which the command was started is deleted."""
    script = 'mkdir gone && cd gone && rmdir "$PWD" && exec "$@"'
    return bench.execute(["sh", "-ec", script, "sh", *run_words(bench)])


INJECTORS: dict[str, Callable[..., Outcome]] = {
    "signal": send,
    "signal, and again": send_again,
    "kill": kill_tool,
    "limit": limit,
    "memory": memory,
    "processes": processes,
    "environment": environment,
    "locale": locale,
    "stdio": stdio,
    "mounts": mounts,
    "damage": damage,
    "removed": removed,
    "holder dies": holder_dies,
    "at once": at_once,
    "stale": stale,
    "clock": clock,
    "uptime": uptime,
    "built in the future": built_in_the_future,
    "folders": folders,
    "working folder gone": working_folder_gone,
}
