# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno

import pytest

from harness.errors import shortage, shortage_said


@pytest.mark.parametrize(
    "line",
    [
        "/src/scripts/conf.sh: 5: Cannot fork",
        "bash: fork: retry: Resource temporarily unavailable",
        "make: vfork: Resource temporarily unavailable",
        "gcc: fatal error: cannot execute 'cc1': vfork: Resource temporarily unavailable",
        "cc1: out of memory allocating 65536 bytes after a total of 18446744 bytes",
        "virtual memory exhausted: Cannot allocate memory",
        "fatal: Out of memory, malloc failed (tried to allocate 100 bytes)",
        "fatal: cannot create async thread: Resource temporarily unavailable",
        "ld: final link failed: Cannot allocate memory",
        "mkfs.erofs: Too many open files",
    ],
)
def test_a_program_that_lacks_something(line: str) -> None:
    found = shortage_said(["  CC      mm/zswap.o", line])
    assert found is not None and line in found.message and found.hint is not None


@pytest.mark.parametrize(
    "line",
    [
        "mm/zswap.c:12:1: error: expected ';' before 'return'",
        '   12 |         pr_err("Cannot allocate memory");',
        '   12 |         return "Out of memory"',
        "error: patch failed: mm/zswap.c:12",
        "mm/oom_kill.c: In function 'out_of_memory':",
    ],
)
def test_what_a_compiler_says_of_a_source_is_no_shortage(line: str) -> None:
    assert shortage_said([line]) is None


@pytest.mark.parametrize("status", [-9, 137])
def test_a_program_that_was_killed_is_not_to_blame(status: int) -> None:
    found = shortage_said([], status=status)
    assert found is not None and "signal 9" in found.message


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (MemoryError(), "memory"),
        (ImportError("x.so: failed to map segment from shared object"), "memory"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files"),
        (OSError(errno.EAGAIN, "again"), "no process or thread"),
        (RuntimeError("can't start new thread"), "no process or thread"),
    ],
)
def test_what_this_machine_lacks(reason: BaseException, says: str) -> None:
    found = shortage(reason)
    assert found is not None and says in found.message and found.hint


@pytest.mark.parametrize(
    "reason", [RuntimeError("a mistake"), ImportError("cannot import name"), OSError(errno.EACCES, "no"), ValueError()]
)
def test_a_mistake_is_no_shortage(reason: BaseException) -> None:
    assert shortage(reason) is None
