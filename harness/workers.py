# SPDX-License-Identifier: GPL-2.0-only
"""Runs commands side by side as far as the machine carries: each says how many cores and how much memory it takes.

Commands are processes of their own and not threads: one that crashes, hangs or is killed takes nothing with it, each
gets a signal for itself (Python gives signals to the main thread only), and what it started ends with its process
group. The one thread of this process starts them, so that they die with it however it ends (see ``process.spawn``).
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from harness.paths import make_folder
from harness.process import Child, spawn
from harness.store import disk_failure

_END_SECONDS = 30.0  # a run that is told to end writes what it knows and ends its guest; after that it is killed
_LOOK_SECONDS = 0.05
_TAIL = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What may be used at once: processors, MiB of memory, and a number of commands.

    ``ready`` commands more may be started, which get ready and then wait for their :func:`turn`.
    """

    cores: int
    memory_mib: int
    jobs: int
    ready: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command; ``title`` is its name for people.

    ``cores`` and ``memory_mib`` are what it takes (``cores`` 0: all of them, by itself). ``log`` gets what it writes;
    past ``deadline`` seconds it is ended. ``env`` is beside what every command gets. With ``turns``, a folder of
    :func:`make_turns`, it waits for its :func:`turn` there, and its time begins with that.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    deadline: float
    cores: int = 1
    memory_mib: int = 0
    title: str = ""
    turns: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that ended: exit status (negative: the signal), seconds of wall time, whether its deadline ended it."""

    job: Job
    status: int
    seconds: float
    overdue: bool = False


@dataclass(slots=True)
class Running:
    """A command that goes on; ``waits`` until it has its turn."""

    job: Job
    child: Child
    stack: ExitStack
    waits: bool = False
    started: float = field(default_factory=time.monotonic)
    told: float | None = None

    @property
    def seconds(self) -> float:
        """Since its start, or since it has its turn."""
        return time.monotonic() - self.started

    def look(self) -> None:
        """See whether it has its turn by now."""
        since = _turn_of(self.job.turns, self.child.pid) if self.waits and self.job.turns is not None else None
        if since is not None:
            self.waits, self.started = False, time.monotonic() - max(0.0, time.time() - since)

    @property
    def last_line(self) -> str:
        """The last line that it wrote, of what is in its log."""
        with suppress(OSError), open(self.job.log, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            lines = stream.read().decode("utf-8", "replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""


def this_machine(*, cells: int | None = None, memory_mib: int | None = None) -> Capacity:
    """The cores that we may use and four fifths of the memory that is available now; what is given goes before."""
    cores = len(os.sched_getaffinity(0))
    if memory_mib is None:
        memory_mib = available_memory_mib() * 4 // 5
    return Capacity(cores=max(cores, cells or 0), memory_mib=memory_mib, jobs=cells or cores)


def available_memory_mib() -> int:
    """``MemAvailable`` of ``/proc/meminfo`` (proc_meminfo(5)), in MiB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def make_turns(folder: Path, number: int) -> Path:
    """A folder with which that many commands at once can have their :func:`turn`."""
    make_folder(folder)
    for name in range(1, number + 1):
        (folder / str(name)).touch()
    return folder


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """One of the turns of a folder, for the length of the block; waits for one (flock(2): a dead holder frees his)."""
    files = sorted(folder.iterdir())
    with ExitStack() as stack:
        streams = [stack.enter_context(open(file, "r+b")) for file in files]
        while (ours := next((stream for stream in streams if _ours(stream)), None)) is None:
            time.sleep(_LOOK_SECONDS)
        ours.truncate()
        ours.write(b"%d\n" % os.getpid())
        ours.flush()
        yield


def _turn_of(folder: Path, pid: int) -> float | None:
    """Since when a process has its turn, in seconds since the epoch; None where it has had none."""
    mine = b"%d\n" % pid
    return next((file.stat().st_mtime for file in folder.iterdir() if file.read_bytes() == mine), None)


def _ours(stream: IO[bytes]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Workers:
    """The commands that go on; leaving the block ends them, all at once, each with the time to end well."""

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self._running: list[Running] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def running(self) -> tuple[Running, ...]:
        """What goes on, in the order of its start."""
        return tuple(self._running)

    @property
    def _waiting(self) -> int:
        return sum(one.waits for one in self._running)

    def fits(self, job: Job) -> bool:
        """Whether a command can start now. One that would never fit may run alone."""
        if not self._running:
            return True
        limit, jobs = self.capacity, [one.job for one in self._running]
        if job.cores == 0 or any(one.cores == 0 for one in jobs) or len(jobs) >= limit.jobs + limit.ready:
            return False
        if len(jobs) >= limit.jobs and self._waiting:
            return False  # who gets ready early takes the processors from those who could have their turn now
        cores = sum(one.cores for one in jobs) + job.cores
        memory = sum(one.memory_mib for one in jobs) + job.memory_mib
        return cores <= limit.cores + limit.ready and memory <= limit.memory_mib

    def start(self, job: Job) -> None:
        """Start a command; its output goes to its log, from the beginning. Raises :class:`EnvironmentFailure`."""
        make_folder(job.log.parent)
        stack = ExitStack()
        try:
            sink = stack.enter_context(open(job.log, "wb"))  # noqa: SIM115 (closed by the stack)
            child = stack.enter_context(spawn(job.argv, env=job.env, stdout=sink, stderr=sink))
            self._running.append(Running(job=job, child=child, stack=stack, waits=job.turns is not None))
        except OSError as reason:
            stack.close()
            raise disk_failure(reason, f"while starting {job.name}") from reason
        except BaseException:
            stack.close()
            raise

    def wait(self, seconds: float) -> list[Ended]:
        """What ended by now; waits at most that long for the first, or for one to have its turn: another may fit then.

        Ends what is past its deadline.
        """
        until = time.monotonic() + seconds
        before = self._waiting
        while True:
            ended = self._collect()
            if ended or self._waiting < before or not self._running or time.monotonic() >= until:
                return ended
            time.sleep(_LOOK_SECONDS)

    def tell_to_end(self) -> None:
        """Ask everything to end (SIGTERM), without waiting for it.

        Who waits for a turn is asked first: else the one that is freed by another's end could still be taken.
        """
        for one in self._running:
            one.look()
        for one in sorted(self._running, key=lambda one: not one.waits):
            self._tell(one)

    def end(self) -> list[Ended]:
        """End everything: asked at once, killed after half a minute. Returns what ended."""
        self.tell_to_end()
        ended: list[Ended] = []
        while self._running:
            ended += self._collect()
            time.sleep(_LOOK_SECONDS)
        return ended

    @staticmethod
    def _tell(one: Running) -> None:
        if one.told is None:
            one.told = time.monotonic()
            with suppress(ProcessLookupError):
                os.kill(one.child.pid, signal.SIGTERM)

    def _collect(self) -> list[Ended]:
        ended = []
        for one in list(self._running):
            status = one.child.poll()
            one.look()
            overdue = not one.waits and one.seconds > one.job.deadline
            if status is None and overdue:
                self._tell(one)
            if status is None and one.told is not None and time.monotonic() - one.told > _END_SECONDS:
                status = one.child.kill()
            if status is not None:
                self._running.remove(one)
                one.stack.close()
                late = overdue and one.told is not None
                ended.append(Ended(job=one.job, status=status, seconds=one.seconds, overdue=late))
        return ended
