# SPDX-License-Identifier: GPL-2.0-only
"""The log parser on recorded builds of 6.12.117 (paths shortened), cut short and interleaved ones too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build.failure import error_of
from harness.build.log import BuildLog, merged_warnings
from harness.errors import BuildError, EnvironmentFailure

LOGS = Path(__file__).parent / "logs"


def parsed(text: str) -> BuildLog:
    log = BuildLog(source=Path("/w/source"), output=Path("/w/output"))
    for line in text.splitlines():
        log.feed(line)
    log.close()
    return log


def recorded(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


def test_a_compile_error_among_parallel_jobs() -> None:
    log = parsed(recorded("errors"))
    assert log.failure is not None
    assert (log.failure.target, log.failure.how) == ("mm/swap.o", "Error 1")
    assert log.failure.message == "mm/swap.c:1098:27: error: 'retrun' undeclared (first use in this function)"
    error = error_of(log, argv=["make"], command=None, file=Path("log"), returncode=2)
    assert isinstance(error, BuildError)
    assert error.details[0] == "mm/swap.c: In function 'harness_other':"
    assert error.message.startswith("the kernel does not build: mm/swap.o: mm/swap.c:1098:27: error")
    assert log.warnings == {"mm/swap.c": ["1098: no previous prototype for 'harness_other' [-Wmissing-prototypes]"]}


def test_a_link_error() -> None:
    log = parsed(recorded("link"))
    assert log.failure is not None and log.failure.target == "vmlinux"
    assert log.failure.lines == (
        "ld: mm/zswap.o: in function `harness_link':",
        "zswap.c:(.text+0x26a5): undefined reference to `harness_nowhere'",
    )
    error = error_of(log, argv=["make", "vmlinux"], command=None, file=Path("log"), returncode=2)
    assert error.details == log.failure.lines and error.command == ("make", "vmlinux")
    assert list(log.warnings) == ["mm/zswap.c"]


def test_steps_are_counted_and_paths_are_the_trees() -> None:
    log = parsed(recorded("link"))
    assert log.steps == 17
    assert log.finished.get("mm/zswap.o")


def test_a_log_cut_short_at_any_line_has_no_failure_before_it_happens() -> None:
    lines = recorded("errors").splitlines()
    first = next(number for number, line in enumerate(lines) if "*** [" in line)
    for end in range(len(lines)):
        assert (parsed("\n".join(lines[:end])).failure is not None) == (end > first)


def test_a_step_between_a_message_and_its_failure_does_not_take_the_blame() -> None:
    log = parsed(
        "  CC      mm/a.o\n/w/source/mm/a.c:1:1: error: first\n  CC      mm/b.o\n"
        "make[3]: *** [/w/source/scripts/Makefile.build:234: mm/a.o] Error 1\n"
        "  CC      mm/c.o\n/w/source/mm/c.c:1:1: error: second\n"
        "make[3]: *** [/w/source/scripts/Makefile.build:234: mm/c.o] Error 1\n"
    )
    assert log.failure is not None and log.failure.lines == ("mm/a.c:1:1: error: first",)


def test_a_warning_of_a_header_is_told_once_and_belongs_to_each_target() -> None:
    said = "/w/source/include/linux/x.h:3:12: warning: 'f' defined but not used [-Wunused-function]\n"
    relative = said.replace("/w/source", "../source")
    log = parsed(f"  CC      mm/a.o\n{said}  CC [M]  mm/b.o\n{relative}")
    assert log.warnings == {"include/linux/x.h": ["3: 'f' defined but not used [-Wunused-function]"]}
    assert all(log.finished[target] for target in ("mm/a.o", "mm/b.o"))


def test_a_header_s_warning_in_a_recorded_parallel_build() -> None:
    log = parsed(recorded("warnings"))
    header = "include/linux/zswap.h"
    assert log.warnings == {header: ["75: 'harness_unused_in_header' defined but not used [-Wunused-function]"]}
    warned = [target for target, said in log.finished.items() if header in said]
    assert len(warned) > 3 and len(warned) < log.steps


def test_objtool_modpost_and_linker_warnings() -> None:
    log = parsed(
        "  LD      vmlinux.o\nvmlinux.o: warning: objtool: f+0x1: unreachable instruction\n"
        "  MODPOST vmlinux.symvers\nWARNING: modpost: vmlinux: section mismatch in reference: a -> b\n"
    )
    assert log.warnings == {
        "vmlinux.o": ["objtool: f+0x1: unreachable instruction"],
        "vmlinux.symvers": ["modpost: vmlinux: section mismatch in reference: a -> b"],
    }


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("ld: final link failed: No space left on device\n", EnvironmentFailure, "the disk is full"),
        ("a.c:1:1: fatal error: error writing to x.s: No space left on device\n", EnvironmentFailure, "full"),
        ("gcc: internal compiler error: Killed (program cc1)\n", EnvironmentFailure, "too little memory"),
        ("/bin/sh: 1: bc: not found\n", EnvironmentFailure, "the build needs 'bc'"),
        ("/bin/sh: line 1: flex: command not found\n", EnvironmentFailure, "the build needs 'flex'"),
        ("x.c:21:10: fatal error: openssl/bio.h: No such file or directory\n", EnvironmentFailure, "openssl/bio.h"),
        ("mm/a.c:2:10: fatal error: linux/absent.h: No such file or directory\n", BuildError, "linux/absent.h"),
        ('ERROR: modpost: "f" [drivers/x.ko] undefined!\n', BuildError, '"f"'),
    ],
)  # fmt: skip
def test_causes_are_told_apart(text: str, kind: type[Exception], said: str) -> None:
    log = parsed(f"  CC      mm/a.o\n{text}make[2]: *** [/w/source/x:1: mm/a.o] Error 1\n")
    error = error_of(log, argv=["make"], command=None, file=Path("log"), returncode=2)
    assert type(error) is kind and said in error.message


def test_a_build_that_ends_without_a_word() -> None:
    error = error_of(parsed(""), argv=["make"], command=None, file=Path("log"), returncode=2)
    assert error.message == "the kernel does not build: exit status 2"


def test_a_long_message_is_cut_and_says_so() -> None:
    lines = "".join(f"mm/a.c:{number}:1: error: no {number}\n" for number in range(100))
    log = parsed(f"  CC      mm/a.o\n{lines}make: *** [x:1: mm/a.o] Error 1\n")
    error = error_of(log, argv=["make"], command=None, file=Path("log"), returncode=2)
    assert len(error.details) == 31 and error.details[-1] == "… 70 more lines"


@given(st.lists(st.sampled_from(recorded("errors").splitlines() + recorded("link").splitlines()) | st.text()))
def test_no_order_of_lines_breaks_the_parser(lines: list[str]) -> None:
    log = BuildLog(source=Path("/w/source"), output=Path("/w/output"))
    for line in lines:
        log.feed(line)
    log.close()
    assert merged_warnings(log.finished) == log.warnings
    error_of(log, argv=["make"], command=None, file=Path("log"), returncode=2)


def test_what_ccache_repeats_from_another_worktree_is_of_the_same_file() -> None:
    log = BuildLog(source=Path("/c/linux/parts/source"), output=Path("/c/linux/parts/output-x"))
    log.feed("  CC      mm/zswap.o")
    log.feed("/c/linux/build-0c66/source/mm/zswap.c:6:13: warning: 'x' defined but not used [-Wunused-function]")
    log.close()
    assert log.warnings == {"mm/zswap.c": ["6: 'x' defined but not used [-Wunused-function]"]}
