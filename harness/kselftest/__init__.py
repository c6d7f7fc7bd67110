# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own selftests (``tools/testing/selftests``): asked for by target, built from the tree under test.

``tree`` says which targets a tree has and what they ask of Kconfig, ``build`` builds one and keeps it by content,
``known`` is what is known of them here: failures, what takes too long, what a target needs beside its ``config``.
"""

from pathlib import Path

from harness.kselftest.build import BuiltTarget, build
from harness.kselftest.known import Circumstances, Known, absent_targets, load
from harness.kselftest.request import PREFIX, Wanted, is_request, parse
from harness.kselftest.tree import Selftests, read, resolve
from harness.store import file_digest, value_digest

__all__ = [
    "GUEST_FILES",
    "PREFIX",
    "BuiltTarget",
    "Circumstances",
    "Known",
    "Selftests",
    "Wanted",
    "absent_targets",
    "build",
    "guest_files_digest",
    "is_request",
    "load",
    "parse",
    "read",
    "resolve",
]

GUEST_FILES = Path(__file__).parent / "guest"
"""What runs a selftest in the guest: ``run.sh`` and what it uses."""


def guest_files_digest() -> str:
    """The digest of these files."""
    files = sorted(path for path in GUEST_FILES.rglob("*") if path.is_file())
    return value_digest([(str(path.relative_to(GUEST_FILES)), file_digest(path)) for path in files])
