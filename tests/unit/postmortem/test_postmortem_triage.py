# SPDX-License-Identifier: GPL-2.0-only
"""A dump that is none: refused in a line, with nothing left, by the real drgn in the real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.paths import Paths
from harness.postmortem import triage
from harness.postmortem.triage import NoTriage


@pytest.mark.parametrize("content", [b"", b"no dump", b"KDUMP   " + bytes(8192), b"\x7fELF" + bytes(100)])
def test_a_damaged_dump_costs_the_report_and_nothing_else(content: bytes, tmp_path: Path) -> None:
    paths = Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")
    dump, vmlinux = tmp_path / "vmcore", tmp_path / "vmlinux.debug"
    dump.write_bytes(content)
    vmlinux.write_bytes(b"")
    with pytest.raises(NoTriage, match=r"drgn could not read the dump: \S"):
        triage.write(dump, vmlinux, tmp_path / "triage.txt", paths=paths, deadline=120)
    assert not (tmp_path / "triage.txt").exists()
