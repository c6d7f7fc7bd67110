# SPDX-License-Identifier: GPL-2.0-only
"""What lib/module.sh makes of a test module's report, in every shell of the host: right, wrong, cut off, empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import process

GUEST = Path(__file__).parents[2] / "guest"
SHELLS = [shell for shell in ("dash", "bash", "busybox") if process.which(shell)]
HEAD = "KTAP version 1\n1..3\n"
PASSED = "ok 1 a\n# a remark\nok 2 b # detail\nok 3 c # SKIP not here\n"


def judged(folder: Path, name: str, report: str, script: str = "module_passes nodealloc pages 1") -> tuple[int, str]:
    """The status of a script in one of the host's shells, and why it failed or skipped."""
    debug = folder / "debug" / "nodealloc"
    debug.mkdir(parents=True, exist_ok=True)
    (debug / "run").touch()
    (debug / "log").write_text(report)
    words = [name, "sh", "-c"] if name == "busybox" else [name, "-c"]
    text = f"set -eu\nHARNESS_DEBUGFS={folder}/debug HARNESS_MODULES={folder}\n"
    text += "".join(f". {GUEST}/lib/{each}.sh\n" for each in ("ktap", "module"))
    text += f"exec 3>&1\nKTAP_TMP={folder} ktap_deferred=0\n{script}\n"
    done = process.run([*words, text], deadline=20, check=False)
    said = "".join((folder / each).read_text() for each in ("failed", "skipped") if (folder / each).exists())
    return done.returncode, done.text + done.error_text + said


@pytest.mark.parametrize("name", SHELLS)
def test_a_check_that_passes(tmp_path: Path, name: str) -> None:
    status, text = judged(tmp_path, name, HEAD + PASSED)
    assert (status, text) == (0, "# a remark\n")
    assert (tmp_path / "debug/nodealloc/run").read_text() == "pages 1\n"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (HEAD + "ok 1 a\nnot ok 2 b # 3 of 64 wrong\nok 3 c\n", "1 of 3|1 answers|not ok 2 b # 3 of 64 wrong"),
        (HEAD + "ok 1 a\nok 2 b\n", "planned '3' results of pages and gave 2"),
        (PASSED, "planned '' results of pages and gave 3"),
        ("", "planned '' results of pages and gave 0"),
        ("KTAP version 1\n1..0\n", "nodealloc gave no results of pages"),
        ("KTAP version 1\n1..1\nok 1 a # SKIP nothing was to be had\n", "nothing to judge: ok 1 a # SKIP nothing"),
    ],
)
def test_a_check_that_does_not_pass(tmp_path: Path, report: str, said: str) -> None:
    status, text = judged(tmp_path, "dash", report)
    assert status != 0
    assert any(part in text for part in said.split("|")), text


def test_a_check_that_must_find_something(tmp_path: Path) -> None:
    script = "module_finds 'b.*wrong' nodealloc pages 1"
    assert judged(tmp_path, "dash", HEAD + "ok 1 a\nnot ok 2 b # 3 wrong\nok 3 c\n", script)[0] == 0
    status, text = judged(tmp_path, "dash", HEAD + PASSED, script)
    assert status != 0 and "pages found no 'b.*wrong'" in text


def test_a_module_that_is_missing_skips_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "nodealloc.missing").write_text("nodealloc.c does not build against this kernel: why\n")
    status, text = judged(tmp_path, "dash", "", "module_load nodealloc")
    assert status != 0 and "does not build against this kernel: why" in text
    status, text = judged(tmp_path, "dash", "", "module_load other")
    assert status != 0 and "the test module other was not built for this kernel" in text
