# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own selftests for real: a target that a series brings, with programs of every bad kind, and an old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.outcome import Harness

pytestmark = [pytest.mark.vm, pytest.mark.long]

TARGET = "tools/testing/selftests/harness-bad"
FILES = {
    "Makefile": "TEST_PROGS := good.sh garbage.sh hangs.sh off.sh panics.sh skips.sh after.sh\n"
    "TEST_GEN_PROGS := compiled wrong nolib\n"
    "include ../lib.mk\n"
    "$(OUTPUT)/nolib: LDLIBS += -lharness-nowhere\n",
    "settings": "timeout=5\n",
    "good.sh": '#!/bin/bash\necho "TAP version 13"\necho 1..2\necho ok 1 one\necho "ok 2 # SKIP two"\n',
    "garbage.sh": "#!/bin/sh\nhead -c 100000 /dev/urandom\necho\necho 1..2\necho ok 1 one\n",
    "hangs.sh": "#!/bin/sh\necho ok 1 one\nsleep 1000\n",
    "off.sh": "#!/bin/sh\necho ok 1 one\nsleep 1\necho o >/proc/sysrq-trigger\nsleep 1000\n",
    "panics.sh": "#!/bin/sh\necho ok 1 one\nsleep 1\necho c >/proc/sysrq-trigger\n",
    "skips.sh": "#!/bin/sh\necho no such device\nexit 4\n",
    "after.sh": "#!/bin/sh\ntouch beside\nid -u\n",
    "compiled.c": "int main(void) { return 0; }\n",
    "wrong.c": "int main(void) { return nothing; }\n",
    "nolib.c": "int main(void) { return 0; }\n",
}
EXPECTED = {
    "compiled:program": "PASS",
    "wrong:program": "FAIL",
    "nolib:program": "SKIP",
    "good.sh:one": "PASS",
    "good.sh:two": "SKIP",
    "garbage.sh:one": "PASS",
    "garbage.sh:program": "FAIL",
    "hangs.sh:one": "PASS",
    "hangs.sh:program": "TIMEOUT",
    "off.sh:one": "PASS",
    "off.sh:program": "LOST",
    "panics.sh:one": "PASS",
    "panics.sh:program": "CRASH",
    "skips.sh:program": "SKIP",
    "after.sh:program": "PASS",
}


def series(folder: Path) -> Path:
    """A series of one patch that adds the target."""
    parts = [
        "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001",
        "From: A Tester <tester@example.org>",
        "Date: Mon, 1 Jan 2024 00:00:00 +0000",
        "Subject: [PATCH] selftests: a target of every bad kind",
        "",
        "Signed-off-by: A Tester <tester@example.org>",
        "---",
    ]
    for name, text in FILES.items():
        lines = text.splitlines()
        mode = "100755" if name.endswith(".sh") else "100644"
        parts += [
            f"diff --git a/{TARGET}/{name} b/{TARGET}/{name}",
            f"new file mode {mode}",
            "--- /dev/null",
            f"+++ b/{TARGET}/{name}",
            f"@@ -0,0 +1,{len(lines)} @@",
            *(f"+{line}" for line in lines),
        ]
    folder.mkdir()
    (folder / "0001-selftests.patch").write_text("\n".join([*parts, "-- ", "2.47.0", ""]))
    return folder


def test_every_bad_kind_has_its_verdict(harness: Harness, tmp_path: Path) -> None:
    outcome = harness("run", "--series", series(tmp_path / "series"), "--suite", "kselftest:harness-bad,dax")
    verdicts = outcome.verdicts()
    assert verdicts.pop("kselftest:dax/target:program") == "SKIP", outcome.why
    assert verdicts == {f"kselftest:harness-bad/{name}": verdict for name, verdict in EXPECTED.items()}, outcome.why
    assert outcome.status == 1
    reasons = {case["program"]: case["reason"] for case in outcome.results["cases"] if case["case"] == "program"}
    assert "-lharness-nowhere" in reasons["nolib"] and "nothing" in reasons["wrong"]
    assert (outcome.folder / "ktap" / "kselftest:harness-bad" / "good.sh.ktap").is_file()


def test_targets_of_the_tree_pass_on_the_default_kernel(harness: Harness) -> None:
    outcome = harness("run", "--suite", "kselftest:size,mincore,cachestat")
    assert outcome.status == 0, outcome.why
    assert {case["suite"] for case in outcome.results["cases"]} == {
        "kselftest:size", "kselftest:mincore", "kselftest:cachestat",
    }  # fmt: skip


def test_an_unknown_target_is_refused_with_the_nearest(harness: Harness) -> None:
    outcome = harness("run", "--suite", "kselftest:cgruop")
    assert outcome.status == 2, outcome.why
    assert "did you mean 'cgroup'?" in outcome.text
