# SPDX-License-Identifier: GPL-2.0-only
"""What gdb is started with, and what ``harness boot --gdb`` refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.boot_gdb import gdb_argv
from harness.cli.main import cli
from harness.errors import UserError
from tests.unit.guest.test_guest_plan import kernel


def test_gdb_gets_the_kernel_its_scripts_and_the_socket_and_loads_nothing_by_itself() -> None:
    full = kernel(debug_vmlinux=Path("/c/vmlinux.debug"), gdb_script=Path("/c/vmlinux-gdb.py"))
    argv = gdb_argv(full, Path("/p/gdb"))
    assert argv[-5:] == ("/c/vmlinux.debug", "-ex", "source /c/vmlinux-gdb.py", "-ex", "target remote /p/gdb")
    assert "set auto-load no" in argv
    assert gdb_argv(kernel(), Path("/p/gdb"))[-3:] == ("/cache/kernel/vmlinux", "-ex", "target remote /p/gdb")


@pytest.mark.parametrize("words", [("--shell", "console"), ("--", "uname")])
def test_gdb_takes_no_command(words: tuple[str, ...], tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--cache-dir", str(tmp_path), "boot", "--gdb", *words])
    assert isinstance(done.exception, UserError) and "--gdb takes no command" in done.exception.message
