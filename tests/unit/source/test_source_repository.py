# SPDX-License-Identifier: GPL-2.0-only
"""Git's failures in the user's terms, and kernel versions."""

from __future__ import annotations

import pytest

from harness.errors import EnvironmentFailure, UserError
from harness.process import Completed
from harness.repository import argv, git_failure, is_object_name
from harness.source.kind import version_of_makefile


def failed(said: str) -> Completed:
    return Completed(
        argv=argv("--git-dir=/x", "fetch", "y"), returncode=128, stdout=b"", stderr=said.encode(), seconds=1
    )


def test_a_full_disk_is_named() -> None:
    error = git_failure(failed("fatal: write error: No space left on device\n"), error=UserError)
    assert type(error) is EnvironmentFailure and "disk is full" in error.message


def test_the_command_is_shown_without_our_settings() -> None:
    error = git_failure(failed("fatal: no\n"))
    assert error.command == ("git", "--git-dir=/x", "fetch", "y") and error.details == ("fatal: no",)
    assert error.message == "git fetch failed with exit status 128"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\n", "6.12.117"),
        ("VERSION = 7\nPATCHLEVEL = 0\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\n", "7.0.0-rc3"),
        ("all:\n\ttrue\n", None),
        ("VERSION = 1\n", None),
        ("", None),
    ],
)
def test_version_of_makefile(text: str, version: str | None) -> None:
    assert version_of_makefile(text) == version


def test_object_names() -> None:
    assert is_object_name("a" * 40) and is_object_name("0" * 64)
    assert not is_object_name("a" * 39) and not is_object_name("g" * 40) and not is_object_name("A" * 40)
