# SPDX-License-Identifier: GPL-2.0-only
"""repro.sh: one that a plain shell runs, with a stand-in for QEMU that plays the guest's console."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.bundle import index as names
from harness.bundle.script import bare_command, script

ARGV = (
    "{qemu}", "-nodefaults", "-display", "none", "-kernel", "{kernel}", "-append", "console=ttyS0 lpj={lpj:100} quiet",
    "-blockdev", "driver=file,node-name=root-file,filename={rootfs},read-only=on",
    "-blockdev", "driver=file,node-name=swap-file,filename={private}/swap",
    "-fw_cfg", "name=opt/org.n-private/authorized_keys,file={private}/authorized_keys",
    "-fw_cfg", "name=opt/org.n-private/host_key,file={private}/host_key",
    "-fw_cfg", "name=opt/org.n-private/topology,file={private}/topology",
    "-chardev", "socket,id=console,fd={console_fd}", "-serial", "chardev:console",
    "-chardev", "socket,id=qmp,fd={qmp_fd}", "-qmp", "chardev:qmp",
)  # fmt: skip
COMMANDS = [
    "HARNESS_SEED=1 sh /opt/harness/tests/s/test_a.sh -t 'a case'",
    "HARNESS_SEED=1 /opt/harness/tests/s/test_b",
]
# says what it was started with; boots; then answers the line that it is given as a guest's shell would
QEMU = """#!/bin/sh
printf 'argument: %s\\n' "$@"
[ "$DEAF" ] && exit 1
echo '[    1.0] harness-init: ready'
read -r line
echo "$line" | sed 's/.*/# &/'
[ "$GONE" ] || echo "repro: exit status 4"
"""


def written(folder: Path, *, missing: dict[str, str] | None = None) -> Path:
    file = folder / names.SCRIPT
    file.write_text(script(ARGV, commands=COMMANDS, swap_mib=8, bzimage=False, missing=missing or {}))
    file.chmod(0o755)
    qemu = folder / "qemu"
    qemu.write_text(QEMU)
    qemu.chmod(0o755)
    return file


def started(file: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    (scratch := file.parent / "tmp").mkdir(exist_ok=True)
    here = {**os.environ, "QEMU": f"{file.parent}/qemu -L firmware", "TMPDIR": str(scratch), "GONE": "", "DEAF": ""}
    done = subprocess.run(
        [file, *words],
        env=here | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not list(scratch.iterdir()), "it leaves something behind"
    return done


def test_the_command_has_what_a_bundle_has_and_no_key(tmp_path: Path) -> None:
    done = started(written(tmp_path))
    assert done.returncode == 0, done.stderr
    said = [line.removeprefix("argument: ") for line in done.stdout.splitlines() if line.startswith("argument: ")]
    assert said[:5] == ["-L", "firmware", "-nodefaults", "-display", "none"]
    assert said[said.index("-kernel") + 1] == "kernel/vmlinux"
    assert said[said.index("-append") + 1] == "console=ttyS0 quiet"
    assert "driver=file,node-name=root-file,filename=image/rootfs.erofs,read-only=on" in said
    assert "name=opt/org.n-private/topology,file=guest-facts" in said
    assert "stdio,id=console,mux=on,signal=off" in said
    assert not any("key" in word or "qmp" in word or "{" in word for word in said)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    done = subprocess.run(["shellcheck", written(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_failed_is_run_over_the_console(tmp_path: Path) -> None:
    file = written(tmp_path)
    for words, number in (((), 0), (("2",), 1)):
        done = started(file, "--run", *words)
        assert done.returncode == 4 and "the test's exit status is 4" in done.stdout, done
        assert f'# {COMMANDS[number]}; echo "repro: exit status $?"' in done.stdout
    gone = started(file, "--run", GONE="1")
    assert gone.returncode == 1 and "the guest ended before the test did" in gone.stdout, gone
    deaf = started(file, "--run", DEAF="1")
    assert deaf.returncode == 1 and "the guest did not boot" in deaf.stderr, deaf
    none = started(file, "--run", "3")
    assert none.returncode == 2 and "no command in the guest runs that" in none.stderr


def test_it_shows_the_command_and_what_to_type(tmp_path: Path) -> None:
    done = started(written(tmp_path), "--show")
    assert done.returncode == 0 and "'-kernel' 'kernel/vmlinux' " in done.stdout
    assert done.stdout.endswith("\nin the guest:\n" + "\n".join(COMMANDS) + "\n")
    assert started(written(tmp_path), "--help").returncode == 2


def test_it_says_what_is_not_in_the_bundle(tmp_path: Path) -> None:
    done = started(written(tmp_path, missing={names.ROOTFS: "ab" * 32}))
    assert (
        done.returncode == 2 and f"image/rootfs.erofs is not in this bundle; its SHA-256 is {'ab' * 32}" in done.stderr
    )


def test_an_option_a_line() -> None:
    lines = bare_command(ARGV, bzimage=True)
    assert "-kernel kernel/bzImage" in lines and "-serial chardev:console" in lines
