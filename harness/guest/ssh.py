# SPDX-License-Identifier: GPL-2.0-only
"""Commands in the guest over one SSH connection (paramiko), a channel each.

The guest's host key is ours, so it is checked to the byte. Algorithms are the cheapest that both sides have: an
emulated CPU feels a post-quantum key exchange, and this wire never leaves the machine.
"""

from __future__ import annotations

import contextlib
import io
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import GuestError, GuestSilent
from harness.guest.channel import Stream
from harness.guest.keys import RunKeys
from harness.guest.talk import Talk

if TYPE_CHECKING:
    from paramiko import Channel, Transport  # type: ignore[import-untyped]

_KEX = ("curve25519-sha256", "curve25519-sha256@libssh.org")
_CIPHERS = ("aes128-ctr", "aes256-ctr")
_MACS = ("hmac-sha2-256",)
_KEY_TYPES = ("ssh-ed25519",)
_KEEPALIVE_SECONDS = 15
_KILL_SECONDS = 10.0
_OPEN_SECONDS = 20.0
_KILL_OUTPUT = 1 << 16
_STATE_FOLDER = "/run/harness"

DEFAULT_OUTPUT_LIMIT = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """A command that ended in the guest, or was ended there at its deadline.

    ``exit_status`` is as a shell has it (128 + signal for one that was killed), None with ``timed_out``. The outputs
    are text (U+FFFD for bytes that are not UTF-8); ``truncated`` says that one was longer than the limit. ``stopped``
    is False where not even the killing of an overdue command worked: the guest is stuck.
    """

    command: str
    exit_status: int | None
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False
    truncated: bool = False
    stopped: bool = True

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.exit_status == 0


class HostKeyMismatch(GuestError):
    """What answered is not the guest that we started."""


class LoginRefused(GuestError):
    """The guest's SSH server does not take the key that we gave to the guest."""


class NoAnswer(GuestError):
    """No SSH server answered on the guest's port in time."""


def connect(
    *, port: int, keys: RunKeys, deadline: float, alive: Callable[[], bool], host: str = "127.0.0.1"
) -> SshLink:
    """Log in to the guest behind a port, trying again until it answers or ``deadline`` seconds have passed.

    Raises :class:`NoAnswer`, :class:`HostKeyMismatch`, :class:`LoginRefused`; and :class:`GuestError` as soon as
    ``alive()`` says that the guest is gone.
    """
    from paramiko import AuthenticationException, SSHException

    until = time.monotonic() + deadline
    reason: Exception | None = None
    pause = 0.02
    while alive():
        remaining = until - time.monotonic()
        if remaining <= 0:
            raise NoAnswer(f"no SSH server answered in the guest within {deadline:.0f} s ({_why(reason)})")
        try:
            return SshLink(_login(host, port, keys, remaining), alive=alive)
        except AuthenticationException as refused:
            raise LoginRefused(
                "the guest's SSH server refuses the key of this run",
                hint="see the console: init writes authorized_keys",
            ) from refused
        except (SSHException, OSError, EOFError) as failed:
            reason = failed
        time.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(0.5, pause * 2)
    raise GuestError("the guest is gone")


class SshLink:
    """A logged-in connection. Commands may run side by side from several threads."""

    def __init__(self, transport: Transport, *, alive: Callable[[], bool]) -> None:
        self._transport = transport
        self._alive = alive
        self._slots: list[int] = []
        self._next_slot = 0
        self._lock = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether the connection stands, as far as one can know without using it."""
        return bool(self._transport.is_active())

    def run(
        self,
        command: str,
        *,
        deadline: float,
        on_line: Callable[[str], None] | None = None,
        on_output: Callable[[bytes, bool], None] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        output_limit: int = DEFAULT_OUTPUT_LIMIT,
    ) -> CommandResult:
        """Run a shell command to its end, as root in /root; see :class:`CommandResult`.

        ``on_line`` gets each line of standard output as it comes, ``on_output`` the bytes of both outputs (and whether
        they are standard error's). Past ``deadline`` seconds everything that the command
        started is killed. Raises :class:`GuestError` when the connection or the guest is lost, which is also so when
        the channel closes with no exit status.
        """
        started = time.monotonic()
        with self._slot() as slot:
            with self._channel(deadline) as channel:
                _execute(channel, wrapped(command, env=env, slot=slot), deadline)
                stream = Stream(channel, stdin=stdin, on_line=on_line, on_output=on_output, limit=output_limit)
                done = stream.pump(started + deadline, alive=self._usable)
                status = int(channel.exit_status) if channel.exit_status_ready() else None
            stopped = True
            if not done:
                status, stopped = None, self._kill(slot)
            elif status is None or status < 0:
                raise self._lost(command)
        return CommandResult(
            command=command,
            exit_status=status,
            stdout=stream.stdout.decode("utf-8", "replace"),
            stderr=stream.stderr.decode("utf-8", "replace"),
            seconds=time.monotonic() - started,
            timed_out=not done,
            truncated=stream.truncated,
            stopped=stopped,
        )

    def put(self, content: bytes, path: str, *, mode: int = 0o644, deadline: float = 60.0) -> None:
        """Write a file in the guest; raises :class:`GuestError` where that fails."""
        quoted = shlex.quote(path)
        command = f"cat >{quoted} && chmod {mode:o} {quoted}"
        result = self.run(command, deadline=deadline, stdin=content)
        if not result.ok:
            raise GuestError(f"cannot write {path} in the guest: {_reason(result)}")

    def get(self, path: str, *, deadline: float = 60.0, limit: int = DEFAULT_OUTPUT_LIMIT) -> bytes:
        """Read a file of the guest; raises :class:`GuestError` where that fails or it has over ``limit`` bytes."""
        started = time.monotonic()
        with self._channel(deadline) as channel:
            _execute(channel, f"cat {shlex.quote(path)}", deadline)
            stream = Stream(channel, limit=limit)
            done = stream.pump(started + deadline, alive=self._usable)
            status = int(channel.exit_status) if channel.exit_status_ready() else -1
        if not done or status != 0 or stream.truncated:
            why = (
                "too slow" if not done else "too long" if stream.truncated else stream.stderr.decode("utf-8", "replace")
            )
            raise GuestError(f"cannot read {path} in the guest: {why.strip()}")
        return bytes(stream.stdout)

    def converse(self, command: str) -> Talk:
        """Start a command to talk to; the caller closes it."""
        from paramiko import SSHException

        try:
            channel = self._transport.open_session(timeout=_OPEN_SECONDS)
            _execute(channel, command, _OPEN_SECONDS)
        except (SSHException, OSError, EOFError) as reason:
            raise GuestError(f"the guest starts no command ({_why(reason)})") from reason
        return Talk(channel, alive=self._usable)

    def open_shell(self, terminal: str, columns: int, lines: int) -> Channel:
        """A login shell with a terminal of that size; the caller closes the channel."""
        from paramiko import SSHException

        try:
            channel = self._transport.open_session(timeout=_OPEN_SECONDS)
            channel.get_pty(terminal, columns, lines)
            channel.invoke_shell()
        except (SSHException, OSError, EOFError) as reason:
            raise GuestError(f"the guest opens no shell ({_why(reason)})") from reason
        return channel

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(Exception):
            self._transport.close()

    def _usable(self) -> bool:
        return self.active and self._alive()

    def _lost(self, command: str) -> GuestError:
        what = "the guest is gone" if not self._alive() else "the SSH connection to the guest is gone"
        return GuestError(f"{what}: no exit status came for: {command.splitlines()[0][:200] if command else ''}")

    @contextlib.contextmanager
    def _channel(self, deadline: float) -> Iterator[Channel]:
        from paramiko import SSHException

        allowed = max(0.1, min(deadline, _OPEN_SECONDS))
        started = time.monotonic()
        try:
            channel = self._transport.open_session(timeout=allowed)
        except (SSHException, OSError, EOFError) as reason:
            if self._usable() and time.monotonic() - started >= allowed:
                raise GuestSilent(f"the guest did not open an SSH channel within {allowed:.0f} s") from reason
            what = "the guest is gone" if not self._alive() else "the guest opens no SSH channel"
            raise GuestError(f"{what} ({_why(reason)})") from reason
        try:
            yield channel
        except (SSHException, OSError, EOFError) as reason:
            raise GuestError(f"the SSH connection to the guest is gone ({_why(reason)})") from reason
        finally:
            channel.close()

    @contextlib.contextmanager
    def _slot(self) -> Iterator[int]:
        """A small number that no other running command has: names the file with its process id."""
        with self._lock:
            slot = self._slots.pop() if self._slots else self._next_slot
            self._next_slot = max(self._next_slot, slot + 1)
        try:
            yield slot
        finally:
            with self._lock:
                self._slots.append(slot)

    def _kill(self, slot: int) -> bool:
        """Kill the session of an overdue command; False where the guest does not even do that."""
        if not self._usable():
            raise GuestError("the guest is gone" if not self._alive() else "the SSH connection to the guest is gone")
        try:
            with self._channel(_KILL_SECONDS) as channel:
                _execute(channel, kill_script(slot), _KILL_SECONDS)
                stream = Stream(channel, limit=_KILL_OUTPUT)
                return stream.pump(time.monotonic() + _KILL_SECONDS, alive=self._usable)
        except GuestError:
            if not self._alive():
                raise
            return False


def _execute(channel: Channel, command: str, deadline: float) -> None:
    """Start a command on a fresh channel. A guest that does not even acknowledge it is not waited for any longer than
    ``deadline`` seconds: then the channel is closed, which ends paramiko's own wait (it has none)."""
    channel.fileno()  # before the first byte: makes the channel something to poll
    from paramiko import SSHException

    allowed = min(deadline, _OPEN_SECONDS)
    late = threading.Event()

    def give_up() -> None:
        late.set()
        with contextlib.suppress(Exception):  # the connection may be gone by now
            channel.close()

    watchdog = threading.Timer(allowed, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        channel.exec_command(command)
    except (SSHException, OSError, EOFError) as reason:
        if late.is_set():
            raise GuestSilent(f"the guest did not start a command within {allowed:.0f} s") from reason
        raise
    finally:
        watchdog.cancel()


def wrapped(command: str, *, env: Mapping[str, str] | None, slot: int) -> str:
    """A command as it is sent: in a session of its own whose leader's number is kept, so that all of it can be killed.

    The outer shell stays, so that a command that is killed by a signal has an exit status all the same.
    """
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in (env or {}).items())
    script = f"echo $$ >{_STATE_FOLDER}/command-{slot}\n{exports}{command}\n"
    return f"setsid sh -c {shlex.quote(script)}; exit $?"


def kill_script(slot: int) -> str:
    """What kills the session of a command: each process whose session (6th field of /proc/<pid>/stat) is its leader."""
    return (
        f"read -r s <{_STATE_FOLDER}/command-{slot} || exit 0\n"
        "for round in 1 2 3; do p=\n"
        'for f in /proc/[0-9]*/stat; do { read -r l <"$f"; } 2>/dev/null || continue\n'
        'set -- ${l##*) }; [ "$4" = "$s" ] || continue; f=${f%/stat}; p="$p ${f#/proc/}"; done\n'
        '[ -n "$p" ] || exit 0; kill -KILL $p 2>/dev/null; done'
    )


def _login(host: str, port: int, keys: RunKeys, deadline: float) -> Transport:
    import paramiko

    until = time.monotonic() + deadline
    connection = socket.create_connection((host, port), timeout=deadline)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(connection)
    try:
        transport.daemon = True
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = deadline
        options = transport.get_security_options()
        options.kex = tuple(name for name in _KEX if name in options.kex)  # paramiko has one of the two names
        options.ciphers, options.digests, options.key_types = _CIPHERS, _MACS, _KEY_TYPES
        transport.start_client(timeout=max(0.1, until - time.monotonic()))
        if transport.get_remote_server_key().asbytes() != keys.host_public_blob:
            raise HostKeyMismatch("what answers on the guest's port is not the guest: it has another host key")
        login = paramiko.Ed25519Key.from_private_key(io.StringIO(keys.login_private.decode()))
        transport.auth_publickey("root", login)
        transport.set_keepalive(_KEEPALIVE_SECONDS)
    except BaseException:
        transport.close()
        raise
    return transport


def _why(reason: BaseException | None) -> str:
    if reason is None:
        return "nothing answered"
    return str(reason) or type(reason).__name__


def _reason(result: CommandResult) -> str:
    if result.timed_out:
        return "it took too long"
    return result.stderr.strip() or f"exit status {result.exit_status}"
