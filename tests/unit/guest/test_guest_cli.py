# SPDX-License-Identifier: GPL-2.0-only
"""``harness boot`` as far as it goes without a guest: its plan, its refusals, its way to the terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from harness.cli import boot_shell
from harness.cli.main import cli
from harness.errors import HarnessError, UserError
from harness.kvm_probe import probe_image


def call(tmp_path: Path, *words: str) -> Result:
    folders = ["--cache-dir", str(tmp_path / "cache"), "--data-dir", str(tmp_path / "data")]
    return CliRunner().invoke(cli, [*folders, "boot", *words], standalone_mode=False)


def refused(tmp_path: Path, *words: str) -> BaseException:
    outcome = call(tmp_path, *words)
    assert isinstance(outcome.exception, HarnessError | click.ClickException)
    return outcome.exception


@pytest.fixture
def vmlinux(tmp_path: Path) -> Path:
    file = tmp_path / "a,kernel" / "vmlinux"
    file.parent.mkdir()
    file.write_bytes(probe_image())
    (file.parent / ".config").write_text("CONFIG_HZ=100\n")
    return file


def test_dry_run_shows_an_option_a_line_and_does_nothing(tmp_path: Path, vmlinux: Path) -> None:
    words = ("--kernel", str(vmlinux), "--topology", "two-sockets", "--memory", "4096", "--append", "quiet")
    outcome = call(tmp_path, *words, "--dry-run", "--", "true")
    lines = outcome.output.splitlines()
    assert lines[0] == "<qemu auto>"
    assert f"-kernel {vmlinux}" in lines
    assert "-m 4096M" in lines
    assert next(line for line in lines if line.startswith("-append")).endswith("lpj={lpj:100} quiet")
    assert not (tmp_path / "cache" / "store").exists()


def test_dry_run_has_the_words_that_fragments_need_and_the_users_last(tmp_path: Path) -> None:
    words = ("--add-config", "hardening:init_on_free=no", "--append", "init_on_alloc=0", "--dry-run")
    (line,) = [line for line in call(tmp_path, *words).output.splitlines() if line.startswith("-append")]
    assert line.endswith("init_on_alloc=1 init_on_free=0 debug_pagealloc=on init_on_alloc=0")


def test_dry_run_of_a_console_shell_passes_no_keys(tmp_path: Path) -> None:
    with_keys = call(tmp_path, "--dry-run").output
    without = call(tmp_path, "--dry-run", "--shell", "console").output
    assert "authorized_keys" in with_keys and "authorized_keys" not in without
    assert "<kernel of debian:6.12>" in with_keys


def test_what_is_refused_before_anything_starts(tmp_path: Path, vmlinux: Path) -> None:
    kernel = ("--kernel", str(vmlinux))
    error = refused(tmp_path, *kernel, "--topology", "dirct", "--", "true")
    assert isinstance(error, UserError) and "did you mean 'direct'?" in (error.hint or "")
    assert "there is no kernel" in str(refused(tmp_path, "--kernel", str(tmp_path / "vmlinx"), "--", "true"))
    assert "a shell needs a terminal" in str(refused(tmp_path, *kernel))
    assert "cannot have 1 CPU" in str(
        refused(tmp_path, *kernel, "--topology", "two-sockets", "--cpus", "1", "--dry-run", "--", "true")
    )
    assert isinstance(refused(tmp_path, "--shell", "telnet"), click.ClickException)
    assert isinstance(refused(tmp_path, "--timeout", "0", "--", "true"), click.ClickException)


def test_help_has_examples(tmp_path: Path) -> None:
    outcome = call(tmp_path, "-h")
    assert "harness boot -- cxl list -vv" in outcome.output


class Stream(io.TextIOWrapper):
    """A stream that is a terminal or not, as told."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), "utf-8", write_through=True)
        self._is_terminal = terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def written(self) -> bytes:
        buffer: Any = self.buffer
        return bytes(buffer.getvalue())


def test_output_is_exact_into_a_file_and_harmless_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file, terminal = Stream(terminal=False), Stream(terminal=True)
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setattr(sys, "stderr", terminal)
    output = boot_shell.Output()
    for chunk in (b"\x1b[31mred\x00", b"\xff\n"):
        output.take(chunk, False)
        output.take(chunk, True)
    output.take(b"\x1b[2Jno end", True)
    output.finish()
    assert file.written() == b"\x1b[31mred\x00\xff\n"
    assert terminal.written() == "red\ufffd\nno end".encode()


def test_ssh_is_called_with_our_keys_and_no_configuration(tmp_path: Path) -> None:
    guest: Any = SimpleNamespace(known_hosts=tmp_path / "known hosts", key_file=tmp_path / "id_ed25519", ssh_port=4321)
    argv = boot_shell.ssh_argv(guest)
    assert argv[:3] == ("ssh", "-F", "none")
    assert f'UserKnownHostsFile="{tmp_path}/known hosts"' in argv
    assert {"StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none"} <= set(argv)
    assert argv[-5:] == (str(tmp_path / "id_ed25519"), "-p", "4321", "-t", "root@127.0.0.1")
