# SPDX-License-Identifier: GPL-2.0-only
"""What runs a selftest in the guest, run here: its folder, its marks, its exit status, its stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import process
from harness.kselftest import GUEST_FILES
from harness.process import Completed

NAME = "kselftest:demo/prog:program"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "demo").mkdir()
    write(tmp_path / "demo" / "prog", "echo in ${PWD##*/} with $* and $(cat beside); exit 3")
    (tmp_path / "demo" / "beside").write_text("a file\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(here: Path, *words: str) -> Completed:
    files = {"KTAP_KMSG": "kmsg", "KTAP_TAINTED": "tainted", "HARNESS_SWAP": "no disk", "KSELFTEST_ZSWAP": "enabled",
             "KSELFTEST_SYSCTLS": "sysctls"}  # fmt: skip
    env = {"KSELFTEST_HERE": str(here), **{name: str(here / file) for name, file in files.items()}}
    return process.run(["sh", GUEST_FILES / "run.sh", *words], deadline=20, check=False, env=env)


def test_a_program_runs_in_its_folder_between_marks(here: Path) -> None:
    done = run(here, NAME, "demo", "./prog", "-t", "x y")
    assert (done.text, done.returncode) == ("in demo with -t x y and a file\n", 3)
    assert (here / "kmsg").read_text().splitlines() == [
        f"<3>harness: case begin {NAME}",
        f"<3>harness: case end {NAME}",
    ]


def test_the_marks_say_what_the_kernel_is_tainted_with(here: Path) -> None:
    (here / "tainted").write_text("0\n")
    write(here / "demo" / "prog", f"echo 512 >{here}/tainted")
    assert run(here, NAME, "demo", "./prog").returncode == 0
    assert [line.rpartition(" ")[2] for line in (here / "kmsg").read_text().splitlines()] == ["taint=0", "taint=512"]


def test_a_program_killed_by_a_signal_says_so(here: Path) -> None:
    write(here / "demo" / "prog", "kill -SEGV $$")
    assert run(here, NAME, "demo", "./prog").returncode == 139


@pytest.mark.parametrize(
    "words",
    [
        (NAME, "nowhere", "./prog"),
        (NAME, "demo"),
        ("-x",),
        ("-w", NAME, "demo", "./prog"),  # there is no such disk
        ("-s", "a/b|*|c", NAME, "demo", "./prog"),
    ],
)
def test_what_cannot_be_started_is_no_pass(here: Path, words: tuple[str, ...]) -> None:
    done = run(here, *words)
    assert done.returncode == 126 and done.error_text


def test_a_stand_in_skips_what_matches_and_is_the_real_one_otherwise(here: Path) -> None:
    write(here / "demo" / "slow", "echo the real one: $*")
    write(here / "demo" / "all", "./slow -s 2; echo $?; ./slow -d 20; echo $?; ./gone; echo $?")
    skips = ("-s", "slow|-s *|takes minutes", "-s", "gone|*|it was not built: no -lcap")
    for _ in range(2):  # the second time finds what the first left
        done = run(here, *skips, NAME, "demo", "./all")
        assert done.text.splitlines() == [
            "TAP version 13", "1..0 # SKIP takes minutes", "4",
            "the real one: -d 20", "0",
            "TAP version 13", "1..0 # SKIP it was not built: no -lcap", "4",
        ]  # fmt: skip
    done = run(here, NAME, "demo", "./slow", "-s", "2")
    assert done.text == "the real one: -s 2\n"
    assert not (here / "demo" / "gone").exists()


def test_zswap_is_on_for_a_program_and_then_as_it_was(here: Path) -> None:
    write(here / "demo" / "prog", f"cat {here}/enabled")
    (here / "enabled").write_text("N\n")
    assert run(here, "-z", NAME, "demo", "./prog").text == "Y\n"
    assert (here / "enabled").read_text() == "N\n"
    (here / "enabled").unlink()  # a kernel without zswap: the program itself tells
    done = run(here, "-z", NAME, "demo", "./prog")
    assert done.returncode == 1 and not (here / "enabled").exists()


def test_sysctls_are_set_for_a_program_and_then_as_they_were(here: Path) -> None:
    folder = here / "sysctls" / "kernel"
    folder.mkdir(parents=True)
    write(here / "demo" / "prog", f"cat {folder}/a {folder}/b")
    (folder / "a").write_text("950000\n")
    (folder / "b").write_text("1\n")
    options = ("-c", "kernel/a=-1", "-c", "kernel/absent=5", "-c", "kernel/b=2")
    assert run(here, *options, NAME, "demo", "./prog").text == "-1\n2\n"
    assert [(folder / name).read_text() for name in "ab"] == ["950000\n", "1\n"]
    assert not (folder / "absent").exists()
