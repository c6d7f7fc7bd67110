# SPDX-License-Identifier: GPL-2.0-only
"""Commands over SSH against a server in this process, which behaves well or badly as the command says."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko  # type: ignore[import-untyped]
import pytest

from harness import process
from harness.errors import GuestError, GuestSilent
from harness.guest import ssh
from harness.guest.keys import RunKeys, make_keys
from harness.guest.ssh import HostKeyMismatch, LoginRefused, NoAnswer, SshLink


def _act(channel: Any, command: str, server: Server) -> None:
    """What the server does for a command: the word in its script decides."""
    time.sleep(0.1)  # after the acknowledgement, as a real server does
    if "GREET" in command:
        channel.sendall(b"one\ntwo \xff\r\nno end")
        channel.sendall_stderr(b"a warning\n")
        channel.send_exit_status(3)
    elif "COPY" in command:
        got = bytearray()
        while chunk := channel.recv(65536):
            got += chunk
        channel.sendall(str(len(got)).encode())
        channel.send_exit_status(0)
    elif "FLOOD" in command:
        for _ in range(64):
            channel.sendall(b"z" * 16384)
        channel.send_exit_status(0)
    elif "VANISH" in command:
        channel.sendall(b"partial")
        channel.close()
        return
    elif "DROP" in command:
        channel.sendall(b"partial")
        server.transport.close()
        return
    elif "HANG" in command:
        channel.sendall(b"started\n")
        server.killed.wait(30)
        channel.send_exit_status(137)
    elif "HOLD" in command:  # the command ended, something that it left behind keeps the output open
        channel.sendall(b"done\n")
        channel.send_exit_status(0)
        time.sleep(20)
    elif "kill -KILL" in command:
        server.killed.set()
        channel.send_exit_status(0)
    channel.shutdown(2)
    channel.close()


class Server(paramiko.ServerInterface):  # type: ignore[misc]
    """One connection of an SSH server."""

    def __init__(self, authorized: str) -> None:
        self.authorized = authorized.split()[1]
        self.killed = threading.Event()
        self.transport: Any = None

    def check_auth_publickey(self, username: str, key: Any) -> int:
        known = username == "root" and key.get_base64() == self.authorized
        return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        threading.Thread(target=_act, args=(channel, command.decode(), self), daemon=True).start()
        return True


def host_key(keys: RunKeys) -> Any:
    """The guest's key pair as paramiko has it, from what dropbear would read."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = Ed25519PrivateKey.from_private_bytes(keys.host_private[19:51]).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return paramiko.Ed25519Key.from_private_key(io.StringIO(pem.decode()))


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Start a server for keys; the port. It serves one connection after another."""
    listeners: list[socket.socket] = []
    transports: list[Any] = []

    def begin(keys: RunKeys, *, authorized: str | None = None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        key = host_key(keys)

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    transport = paramiko.Transport(connection)
                    transports.append(transport)
                    transport.add_server_key(key)
                    server = Server(authorized or keys.authorized_keys)
                    server.transport = transport
                    transport.start_server(server=server)
                except (OSError, EOFError, paramiko.SSHException):
                    if listener.fileno() < 0:
                        return

        threading.Thread(target=loop, daemon=True).start()
        return int(listener.getsockname()[1])

    yield begin
    for transport in transports:
        transport.close()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture
def link(serve: Callable[..., int]) -> Iterator[SshLink]:
    keys = make_keys()
    connected = ssh.connect(port=serve(keys), keys=keys, deadline=20, alive=lambda: True)
    yield connected
    connected.close()


def test_outputs_apart_lines_as_they_come_and_the_status(link: SshLink) -> None:
    lines: list[str] = []
    chunks: list[tuple[bytes, bool]] = []
    result = link.run(
        "GREET", deadline=20, on_line=lines.append, on_output=lambda data, error: chunks.append((data, error))
    )
    assert (result.exit_status, result.ok, result.timed_out, result.truncated) == (3, False, False, False)
    assert result.stdout == "one\ntwo \ufffd\r\nno end"
    assert result.stderr == "a warning\n"
    assert lines == ["one", "two \ufffd", "no end"]
    assert b"".join(data for data, error in chunks if error) == b"a warning\n"


def test_standard_input_arrives_whole(link: SshLink) -> None:
    assert link.run("COPY", deadline=30, stdin=b"q" * 3_000_000).stdout == "3000000"


def test_output_beyond_the_limit_is_dropped_and_told(link: SshLink) -> None:
    result = link.run("FLOOD", deadline=30, output_limit=1000)
    assert result.truncated and len(result.stdout) == 1000 and result.exit_status == 0


def test_a_channel_that_closes_without_a_status_is_lost(link: SshLink) -> None:
    with pytest.raises(GuestError, match="no exit status came for: VANISH"):
        link.run("VANISH", deadline=20)


@pytest.mark.parametrize(
    ("request_", "said"),
    [("check_channel_request", "open an SSH channel"), ("check_channel_exec_request", "start a command")],
)
def test_a_guest_that_takes_no_command_is_silent_and_not_gone(
    link: SshLink, monkeypatch: pytest.MonkeyPatch, request_: str, said: str
) -> None:
    held = threading.Event()
    monkeypatch.setattr(ssh, "_OPEN_SECONDS", 0.3)
    monkeypatch.setattr(Server, request_, lambda *_: held.wait(60) and 1)
    try:
        with pytest.raises(GuestSilent, match=f"the guest did not {said} within 0 s"):
            link.run("GREET", deadline=20)
    finally:
        held.set()


def test_a_connection_that_goes_away_is_lost(link: SshLink) -> None:
    with pytest.raises(GuestError, match="the SSH connection to the guest is gone"):
        link.run("DROP", deadline=20)
    with pytest.raises(GuestError):
        link.run("GREET", deadline=5)


def test_a_deadline_kills_the_command_and_keeps_what_it_said(link: SshLink) -> None:
    result = link.run("HANG", deadline=0.4)
    assert result.timed_out and result.exit_status is None and result.stopped
    assert result.stdout == "started\n"
    assert result.seconds < 10
    assert link.run("GREET", deadline=20).exit_status == 3


def test_what_a_command_leaves_behind_is_not_waited_for(link: SshLink) -> None:
    began = time.monotonic()
    result = link.run("HOLD", deadline=60)
    assert (result.exit_status, result.stdout) == (0, "done\n")
    assert time.monotonic() - began < 10


def test_commands_side_by_side(link: SshLink) -> None:
    results: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: results.append(link.run("GREET", deadline=30).exit_status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [3] * 8


def test_another_host_key_is_refused(serve: Callable[..., int]) -> None:
    with pytest.raises(HostKeyMismatch):
        ssh.connect(port=serve(make_keys()), keys=make_keys(), deadline=20, alive=lambda: True)


def test_a_key_that_is_refused_is_not_tried_for_long(serve: Callable[..., int]) -> None:
    keys = make_keys()
    began = time.monotonic()
    with pytest.raises(LoginRefused):
        ssh.connect(
            port=serve(keys, authorized=make_keys().authorized_keys), keys=keys, deadline=60, alive=lambda: True
        )
    assert time.monotonic() - began < 30


def test_a_port_where_nobody_is_has_a_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NoAnswer, match="no SSH server answered"):
        ssh.connect(port=port, keys=make_keys(), deadline=0.3, alive=lambda: True)


def test_a_server_that_says_nothing_has_a_deadline() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(NoAnswer, match="no SSH server answered"),
    ):
        ssh.connect(port=listener.getsockname()[1], keys=make_keys(), deadline=0.5, alive=lambda: True)


def test_a_guest_that_is_gone_is_not_waited_for() -> None:
    began = time.monotonic()
    with pytest.raises(GuestError, match="the guest is gone"):
        ssh.connect(port=1, keys=make_keys(), deadline=60, alive=lambda: False)
    assert time.monotonic() - began < 5


def _in_a_shell(command: str, folder: Path) -> process.Completed:
    return process.run(["sh", "-c", command.replace("/run/harness", str(folder))], deadline=20, check=False)


def test_a_command_is_sent_whole_in_a_session_of_its_own(tmp_path: Path) -> None:
    command = ssh.wrapped('echo "it\'s $X" \'and "so"\'; echo $$\nexit 7', env={"X": "a'b $c"}, slot=4)
    done = _in_a_shell(command, tmp_path)
    assert done.returncode == 7
    first, leader = done.text.splitlines()
    assert first == "it's a'b $c and \"so\""
    assert (tmp_path / "command-4").read_text().strip() == leader


def test_a_command_that_is_killed_by_a_signal_has_a_status(tmp_path: Path) -> None:
    assert _in_a_shell(ssh.wrapped("kill -KILL $$", env=None, slot=0), tmp_path).returncode == 137


def test_all_of_an_overdue_commands_session_is_killed(tmp_path: Path) -> None:
    command = ssh.wrapped("sleep 61 & (sleep 62 & sleep 63)", env=None, slot=1).replace("/run/harness", str(tmp_path))
    with process.spawn(["sh", "-c", command]) as child:
        while not (tmp_path / "command-1").exists() or not (tmp_path / "command-1").read_text():
            time.sleep(0.01)
        session = int((tmp_path / "command-1").read_text())
        while len(_session(session)) < 4:
            time.sleep(0.01)
        assert _in_a_shell(ssh.kill_script(1), tmp_path).returncode == 0
        assert child.wait(10) == 137
        until = time.monotonic() + 10
        while _session(session) and time.monotonic() < until:
            time.sleep(0.01)
        assert _session(session) == []


def _session(leader: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found
