# SPDX-License-Identifier: GPL-2.0-only
"""The one door to other programs.

No shell, an explicit environment and working folder, standard input closed unless given, a deadline, and a process
group of its own, so that ending a command ends what it started. Every command goes to the ``harness.process`` log
(``-v`` shows it, shell-quoted).
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from harness.errors import DeadlineExceeded, EnvironmentFailure, HarnessError, shortage, shortage_said

_log = logging.getLogger(__name__)

# Only these pass from the user's environment to a command: what it takes to find programs, homes and certificates.
_PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY",
    "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CERT", "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE", "SSH_AUTH_SOCK",
)  # fmt: skip

# A child that asks the kernel to end with us may ask too late: its parent is another by then
_GUARD_SCRIPT = '[ "$PPID" = "$0" ] || exit 1; unset PWD OLDPWD SHLVL _; exec "$@"'
_GUARD = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", _GUARD_SCRIPT)
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TERM_GRACE_SECONDS = 5.0
_LINGER_SECONDS = 5.0
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A command that ended: its argv, exit status (negative: the signal), output (bytes) and wall time in seconds."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """Standard error as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stderr.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """What a command runs inside of (:mod:`harness.sandbox`): words before its own, and changes of its environment.

    None in ``env`` takes a variable away. An empty one encloses nothing.
    """

    prefix: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)


_NOTHING = Enclosure()


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment of a command: an allow-list of ours, ``LC_ALL=C.UTF-8``, then ``extra`` (None removes one)."""
    env = {name: os.environ[name] for name in _PASSED if name in os.environ}
    env.setdefault("PATH", os.defpath)
    env["LC_ALL"] = "C.UTF-8"
    for name, value in (extra or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def which(program: str) -> Path | None:
    """Where a program is on the PATH (also in the sbin folders, which a user's PATH may lack), or None."""
    path = environment()["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(program, path=path)
    return Path(found) if found else None


def quoted(argv: Sequence[str | os.PathLike[str]]) -> str:
    """A command as a user would type it."""
    return shlex.join(os.fspath(word) for word in argv)


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    deadline: float,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes | IO[bytes] | None = None,
    check: bool = True,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    error: type[HarnessError] = EnvironmentFailure,
    failure: str | None = None,
    hint: str | None = None,
    within: Enclosure = _NOTHING,
) -> Completed:
    """Run a command to its end and return its output.

    ``deadline`` is in seconds; past it the whole process group is ended and :class:`DeadlineExceeded` raised. With
    ``check`` a non-zero exit raises ``error`` with ``failure`` as its message, the last lines of output as details.
    ``on_line`` gets each line of standard output and standard error as it comes; ``log`` is a file that gets both.
    A ``stdin`` of bytes is written to the command; an open file is passed to it; None closes it. What it runs
    ``within`` is no part of the command that errors show.

    Raises :class:`EnvironmentFailure` when the program is not there or cannot be started.
    """
    words = tuple(os.fspath(word) for word in argv)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open(log, "ab")) if log is not None else None
        child = stack.enter_context(
            spawn(words, cwd=cwd, env=env, stdin=stdin, stdout="pipe", stderr="pipe", within=within)
        )
        try:
            out, err = _pump(child.popen, stdin, started + deadline, sink, on_line)
            returncode = child.wait(max(0.0, started + deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise DeadlineExceeded(
                f"{Path(words[0]).name} did not end within {deadline:g} s and was stopped", command=words, log=log
            ) from None
    seconds = time.monotonic() - started
    completed = Completed(argv=words, returncode=returncode, stdout=out, stderr=err, seconds=seconds)
    _log.debug("exit %d after %.2f s: %s", returncode, seconds, quoted(words))
    if check and returncode != 0:
        message = failure or f"{Path(words[0]).name} failed with {describe_exit(returncode)}"
        tail = (completed.error_text or completed.text).splitlines()[-_TAIL_LINES:]
        if why := shortage_said(tail, status=returncode):
            raise EnvironmentFailure(f"{message}: {why.message}", command=words, log=log, details=tail, hint=why.hint)
        raise error(message, command=words, log=log, details=tail, hint=hint)
    return completed


def describe_exit(returncode: int) -> str:
    """An exit status in words: ``exit status 2``, ``signal SIGKILL``."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"signal {signal.Signals(-returncode).name}"
    except ValueError:
        return f"signal {-returncode}"


@dataclass(slots=True)
class Child:
    """A running command. Its process group is ended when the ``spawn`` block that made it is left."""

    argv: tuple[str, ...]
    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.popen.poll()

    def wait(self, deadline: float) -> int:
        """Its exit status; raises ``subprocess.TimeoutExpired`` after ``deadline`` seconds."""
        return self.popen.wait(deadline)

    def end(self) -> int:
        """Soft stop, hard stop, reap: SIGTERM to the group, SIGKILL after a grace. Returns the exit status."""
        if self.popen.poll() is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a stopped process acts on SIGTERM only once it runs again
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(_TERM_GRACE_SECONDS)
        self._signal(signal.SIGKILL)  # also what the leader left behind in its group
        return self.popen.wait()

    def kill(self) -> int:
        """Hard stop and reap at once."""
        self._signal(signal.SIGKILL)
        return self.popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)


@contextlib.contextmanager
def spawn(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes | IO[bytes] | None = None,
    stdout: str | IO[bytes] | int = "null",
    stderr: str | IO[bytes] | int = "null",
    pass_fds: Sequence[int] = (),
    die_with_parent: bool = True,
    within: Enclosure = _NOTHING,
) -> Iterator[Child]:
    """Start a command; leaving the block ends it and all of its process group.

    ``stdout`` and ``stderr`` are ``"null"``, ``"pipe"``, ``"inherit"`` or an open file. With ``die_with_parent`` a
    harness killed by SIGKILL leaves nothing: the kernel kills the command when the thread that started it ends (start
    from one that outlives it; prctl(2), PR_SET_PDEATHSIG), and what the command started is ended by :data:`_watch`.
    """
    words = tuple(os.fspath(word) for word in argv)
    guard = (*_GUARD, str(os.getpid())) if die_with_parent and which("setpriv") else ()
    if which(words[0]) is None:
        raise EnvironmentFailure(f"'{words[0]}' is not installed", command=words, hint="run ci/bootstrap")
    where = f"cd {shlex.quote(str(cwd))} && " if cwd else ""
    _log.debug("run: %s%s%s", "(in the sandbox) " if within.prefix else "", where, quoted(words))
    with contextlib.ExitStack() as stack:
        with _signals_held():  # a start that is cut short would leave what it started
            try:
                popen = subprocess.Popen(
                    guard + within.prefix + words,
                    cwd=cwd,
                    env=environment({**(env or {}), **within.env}),
                    stdin=subprocess.PIPE if isinstance(stdin, bytes) else (stdin or subprocess.DEVNULL),
                    stdout=_stream(stdout),
                    stderr=_stream(stderr),
                    pass_fds=tuple(pass_fds),
                    start_new_session=True,
                )
            except OSError as reason:
                hint = why.hint if (why := shortage(reason)) else None
                message = f"cannot start {words[0]}: {reason.strerror}"
                raise EnvironmentFailure(message, command=words, hint=hint) from reason
            child = Child(argv=words, popen=popen)
            stack.callback(_end, child)
            if die_with_parent:
                _watch.add(popen.pid)
        yield child


def _end(child: Child) -> None:
    child.end()
    _watch.drop(child.pid)
    for pipe in (child.popen.stdin, child.popen.stdout, child.popen.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


class _Held:
    """Handlers of signals in the place of which it notes what came; once ``over``, it hands on what still comes."""

    def __init__(self) -> None:
        found = {number: signal.getsignal(number) for number in _ENDING}
        self.handlers = {number: handler for number, handler in found.items() if callable(handler)}
        self.came: list[int] = []
        self.over = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.over:
            self.handlers[signal.Signals(number)](number, frame)
        else:
            self.came.append(number)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """What Python raises for a signal, between any two steps of the main thread, comes at the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = _Held()
    try:
        for number in held.handlers:
            signal.signal(number, held)
        yield
    finally:
        held.over = True
        for number, handler in held.handlers.items():
            signal.signal(number, handler)
        for came in held.came:
            held.handlers[signal.Signals(came)](came, None)


class _Watch:
    """A process that outlives us only to end the process groups of our commands, should we be killed outright.

    A make that dies with us leaves its own children running, in a folder that the next run takes over. So a shell reads
    the groups from a pipe (``+ group``, ``- group``); the pipe's end is our end.
    """

    _SCRIPT = """groups=
while read -r sign group; do
	rest=
	for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done
	[ "$sign" = - ] || rest="$rest $group"
	groups=$rest
done
for group in $groups; do kill -s KILL -- "-$group"; done"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shell: subprocess.Popen[bytes] | None = None
        self._process = 0  # whose shell it is: a fork of ours has none

    def add(self, group: int) -> None:
        """End this group with us."""
        self._tell(f"+ {group}\n")

    def drop(self, group: int) -> None:
        """The group has ended."""
        if self._process == os.getpid():
            self._tell(f"- {group}\n")

    def _tell(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError):  # without it the kernel still ends the command itself
            if self._process != os.getpid():
                self._start()
            assert self._shell is not None and self._shell.stdin is not None
            os.write(self._shell.stdin.fileno(), line.encode())

    def _start(self) -> None:
        null = subprocess.DEVNULL
        self._shell = subprocess.Popen(
            ("/bin/sh", "-c", self._SCRIPT), stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True
        )
        self._process = os.getpid()
        atexit.register(self._end, self._shell)

    @staticmethod
    def _end(shell: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            assert shell.stdin is not None
            shell.stdin.close()
            shell.wait(_TERM_GRACE_SECONDS)


_watch = _Watch()


def replace(argv: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str | None] | None = None) -> int:
    """Run a program on the user's terminal (an interactive shell, gdb) and return its exit status."""
    words = tuple(os.fspath(word) for word in argv)
    _log.debug("run: %s", quoted(words))
    # Ctrl-C belongs to that program meanwhile; one that is ignored would stay so in it, and Python (drgn) heeds that
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.call(words, env=environment(env))
    except OSError as reason:
        raise EnvironmentFailure(f"cannot start {words[0]}: {reason.strerror}", command=words) from reason
    finally:
        signal.signal(signal.SIGINT, previous)


def _stream(choice: str | IO[bytes] | int) -> IO[bytes] | int | None:
    if isinstance(choice, str):
        return {"null": subprocess.DEVNULL, "pipe": subprocess.PIPE, "inherit": None}[choice]
    return choice


def _pump(
    popen: subprocess.Popen[bytes],
    stdin: bytes | IO[bytes] | None,
    until: float,
    sink: IO[bytes] | None,
    on_line: Callable[[str], None] | None,
) -> tuple[bytes, bytes]:
    """Feed standard input and read both outputs until both are closed, or nothing comes after the command's end.

    What a command that was killed has left behind may hold them open. Raises TimeoutExpired past ``until``.
    """
    assert popen.stdout is not None and popen.stderr is not None
    collected: dict[int, bytearray] = {popen.stdout.fileno(): bytearray(), popen.stderr.fileno(): bytearray()}
    partial: dict[int, bytearray] = {fd: bytearray() for fd in collected}
    to_write = memoryview(stdin) if isinstance(stdin, bytes) else memoryview(b"")
    quiet = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for fd in collected:
            selector.register(fd, selectors.EVENT_READ)
        if isinstance(stdin, bytes) and popen.stdin is not None:
            os.set_blocking(popen.stdin.fileno(), False)
            selector.register(popen.stdin.fileno(), selectors.EVENT_WRITE)
        while selector.get_map():
            remaining = until - time.monotonic()
            if remaining <= 0:
                raise subprocess.TimeoutExpired(popen.args, 0)
            ready = selector.select(min(remaining, 1.0))
            if ready or popen.poll() is None:
                quiet = time.monotonic()
            elif time.monotonic() - quiet > _LINGER_SECONDS:
                break
            for key, _ in ready:
                fd = key.fd
                if fd not in collected:
                    to_write = _write_some(fd, to_write)
                    if not to_write:
                        selector.unregister(fd)
                        assert popen.stdin is not None
                        with contextlib.suppress(OSError):
                            popen.stdin.close()
                    continue
                chunk = os.read(fd, 1 << 16)
                if not chunk:
                    selector.unregister(fd)
                    _lines(partial[fd], b"\n" if partial[fd] else b"", on_line)
                    continue
                collected[fd] += chunk
                if sink is not None:
                    sink.write(chunk)
                    sink.flush()
                _lines(partial[fd], chunk, on_line)
    return bytes(collected[popen.stdout.fileno()]), bytes(collected[popen.stderr.fileno()])


def _write_some(fd: int, data: memoryview) -> memoryview:
    try:
        return data[os.write(fd, data[: 1 << 16]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return data[len(data) :]


def _lines(partial: bytearray, chunk: bytes, on_line: Callable[[str], None] | None) -> None:
    if on_line is None or not chunk:
        return
    partial += chunk
    while (end := partial.find(b"\n")) >= 0:
        on_line(partial[:end].decode("utf-8", "replace").rstrip("\r"))
        del partial[: end + 1]
