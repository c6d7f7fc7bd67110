# SPDX-License-Identifier: GPL-2.0-only
"""``series check``: findings of each kind, checkpatch's output, and the seam for checks of single patches."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness import series, source
from harness.paths import Paths
from harness.repository import Repository
from harness.series.check import Report, check, checkpatch_argv, checkpatch_findings
from harness.series.finding import Finding, Level
from harness.store import Store
from harness.values import AppliedSeries, Patch
from tests.unit.series.patches import change, mail, three
from tests.unit.source.trees import Heard, Kernel

Check = Callable[..., Report]
_PERL = """#!/bin/sh
# a stand-in for scripts/checkpatch.pl
grep -q twice "$8" && echo "$8:9: WARNING:LONG_LINE: line length of 101 exceeds 100 columns"
exit 0
"""
PATCH = Patch(number=2, title="t", author="a", files=("x",), digest="d", content=b"")


@pytest.fixture
def run(kernel: Kernel, paths: Paths, store: Store, heard: Heard, tmp_path: Path) -> Check:
    def call(mails: list[bytes], each: Sequence[object] = ()) -> Report:
        (tmp_path / "s.mbox").write_bytes(b"".join(mails))
        tree = source.obtain(f"tree:{kernel.path}", paths=paths, store=store, progress=heard)
        found = series.read(str(tmp_path / "s.mbox"), paths=paths, store=store, progress=heard)
        return check(tree, found, paths=paths, store=store, progress=heard, each=each)  # type: ignore[arg-type]

    return call


def levels(report: Report) -> dict[str, list[Level]]:
    found: dict[str, list[Level]] = {}
    for finding in report.findings:
        found.setdefault(finding.check, []).append(finding.level)
    return found


def test_without_checkpatch_in_the_tree(run: Check) -> None:
    report = run(three())
    assert report.good and report.applied is not None
    assert levels(report) == {
        "read": [Level.OK], "base": [Level.NOTE], "apply": [Level.OK], "checkpatch": [Level.NOTE],
    }  # fmt: skip


def test_checkpatch_of_the_tree_runs_for_each_patch(
    kernel: Kernel, run: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.commit("checkpatch", {"scripts/checkpatch.pl": "the tree's own"})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/perl").write_text(_PERL)
    (tmp_path / "bin/perl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    report = run(three())
    assert levels(report)["checkpatch"] == [Level.OK, Level.WARNING, Level.OK] and report.good
    (tmp_path / "bin/perl").write_text(
        "#!/bin/sh\nexit 9\n"
    )  # what was said of the same patches on the same tree is kept
    assert run(three()).findings == report.findings
    kernel.commit("checkpatch", {"scripts/checkpatch.pl": "another"})
    for _ in range(2):  # and what did not run to its end is not
        assert levels(run(three()))["checkpatch"] == [Level.ERROR] * 3


def test_does_not_apply_is_a_finding(run: Check) -> None:
    report = run([mail("[PATCH] mm: bad", change(old="int wrong;"))])
    assert report.applied is None and not report.good
    assert levels(report)["apply"] == [Level.ERROR] and "checkpatch" not in levels(report)


def test_base_in_the_tree(kernel: Kernel, run: Check) -> None:
    commit = kernel.git("rev-parse", "HEAD")
    report = run([mail("[PATCH] mm: x", change(), body=f"Why.\n\nbase-commit: {commit}\n")])
    assert levels(report)["base"] == [Level.OK]


def test_seam_for_a_check_of_each_patch(run: Check) -> None:
    seen = []

    def build(applied: AppliedSeries, patch: Patch) -> list[Finding]:
        text = Repository(applied.tree.repository).show(applied.commit, "mm/swap.c").decode().strip()
        seen.append((patch.number, len(applied.commits), text))
        level = Level.ERROR if patch.number == 2 else Level.OK
        return [Finding(check="build", level=level, message="x", patch=patch.number)]

    report = run(three(), each=[build])
    assert seen == [(1, 1, "int patched;"), (2, 2, "int twice;"), (3, 3, "int twice;")]
    assert not report.good


def test_checkpatch_output() -> None:
    text = "\n".join(
        [
            "/tmp/0002.patch:7: ERROR:MISSING_SIGN_OFF: Missing Signed-off-by: line(s)",
            "/tmp/0002.patch:9: WARNING:LONG_LINE: line length of 101 exceeds 100 columns",
            "something else",
        ]
    )
    error, warning = checkpatch_findings(text, PATCH, status=1)
    assert (error.level, warning.level, error.patch) == (Level.ERROR, Level.WARNING, 2)
    assert error.message == "MISSING_SIGN_OFF: Missing Signed-off-by: line(s) (line 7 of the patch)"
    assert [found.level for found in checkpatch_findings("", PATCH)] == [Level.OK]


def test_checkpatch_that_dies_is_never_clean() -> None:
    (finding,) = checkpatch_findings("", PATCH, status=2, said="Must be run from the top-level dir.\n")
    assert finding.level is Level.ERROR and "Must be run" in finding.details[0]


def test_checkpatch_argv_is_golden(golden: Callable[[Path, str], None]) -> None:
    words = checkpatch_argv(Path("/cache/source"), Path("/scratch/0001.patch"))
    golden(Path(__file__).parent / "golden/checkpatch.argv", "\n".join(words) + "\n")
