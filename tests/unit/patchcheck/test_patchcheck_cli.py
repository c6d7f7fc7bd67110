# SPDX-License-Identifier: GPL-2.0-only
"""``harness series check --each`` as a user types it, on the stub tree: each check is seen to find what it is for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from harness.paths import make_folder
from tests.unit.bad_input.conftest import Bench, Outcome

WARN = "echo \"$srctree/mm/zswap.c:{line}:5: warning: unused variable '{name}' [-Wunused-variable]\" >&2\n"
PVH_ONLY = (
    "grep -q CONFIG_PVH=y $O/.config || { echo \"$srctree/mm/zswap.c:1:1: error: 'pvh' undeclared\" >&2; exit 1; }\n"
)


def series(bench: Bench, *changes: dict[str, str]) -> Path:
    for number, files in enumerate(changes, start=1):
        bench.commit(f"mm: {number}", files)
    return bench.patches(len(changes))[0].parent


def each(bench: Bench, folder: Path, *words: str, **env: str) -> Outcome:
    boot = () if "--boot" in words else ("--boot", "none")
    cells = () if "--cell" in words or "--grid" in words else ("--grid", "none")
    return bench("series", "check", folder, "--each", *boot, *cells, *words, **env)


def findings(outcome: Outcome, check: str) -> dict[int, tuple[str, str]]:
    """By patch: level and message of a check's only finding there."""
    record = json.loads(outcome.text[outcome.text.index("{") :])
    found: dict[int, tuple[str, str]] = {}
    for one in record["findings"]:
        if one["check"] == check:
            assert one["patch"] not in found
            found[one["patch"]] = (one["level"], one["message"])
    return found


def test_a_good_series(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": one\n"}, {"mm/zswap.c": ": two\n"})
    outcome = each(bench, folder, "--cell", "PVH=n")
    assert outcome.status == 0, outcome.text
    rows = [line.split() for line in outcome.text.splitlines()]
    assert ["1", "mm:", "1", "ok", "ok"] in [row[:5] for row in rows], outcome.text
    assert ["PVH=n", "ok"] in rows
    assert bench.left_behind() == []


def test_a_patch_that_does_not_build_and_the_next_one_that_does(bench: Bench) -> None:
    broken = "echo \"$srctree/mm/zswap.c:1:1: error: 'spm' undeclared\" >&2; exit 1\n"
    folder = series(bench, {"mm/zswap.c": broken}, {"mm/zswap.c": ": mended\n"})
    outcome = each(bench, folder, "--json")
    assert outcome.status == 3
    built = findings(outcome, "build")
    assert built[1] == ("error", "does not build: mm/zswap.o: mm/zswap.c:1:1: error: 'spm' undeclared")
    assert built[2][0] == "ok"
    assert findings(outcome, "W=1")[1] == ("note", "not run: the patch does not build")
    assert "command: env -C" in outcome.text


def test_a_new_warning_is_told_from_one_that_moved(bench: Bench) -> None:
    old = WARN.format(line=3, name="x")
    bench.commit("mm: old warning", {"mm/zswap.c": old})
    moved, new = WARN.format(line=30, name="x"), WARN.format(line=31, name="y")
    folder = series(bench, {"mm/zswap.c": moved}, {"mm/zswap.c": moved + new}, {"mm/zswap.c": new + ": left\n"})
    outcome = each(bench, folder, "--json")
    assert outcome.status == 1, outcome.text
    built = findings(outcome, "build")
    assert [built[1][0], built[2][0], built[3][0]] == ["ok", "error", "ok"]
    assert built[2][1] == "new warning: mm/zswap.c:31: unused variable 'y' [-Wunused-variable]"


def test_w1_sees_what_the_build_does_not(bench: Bench) -> None:
    old, new = WARN.format(line=3, name="x"), WARN.format(line=4, name="y")
    bench.commit("mm: old", {"mm/zswap.c": f'if [ "$W" = 1 ]; then\n{old}fi\n'})
    folder = series(bench, {"mm/zswap.c": f'if [ "$W" = 1 ]; then\n{old}{new}fi\n'}, {"fs/super.c": ": x\n"})
    outcome = each(bench, folder, "--json")
    assert outcome.status == 1, outcome.text
    assert findings(outcome, "build")[1][0] == "ok"
    looked = findings(outcome, "W=1")
    assert looked[1] == ("error", "new warning: mm/zswap.c:4: unused variable 'y' [-Wunused-variable]")
    assert looked[2][0] == "ok"


def test_one_patch_alone(bench: Bench) -> None:
    old = WARN.format(line=3, name="x")
    folder = series(
        bench, {"fs/super.c": "exit 1\n"}, {"fs/super.c": ":\n", "mm/zswap.c": old}, {"mm/zswap.c": ":\n" + old}
    )
    outcome = each(bench, folder, "--patch", "3", "--cell", "PVH=n", "--json")
    assert outcome.status == 0, outcome.text
    assert set(findings(outcome, "build")) == set(findings(outcome, "grid PVH=n")) == {3}


def test_what_breaks_only_with_an_option_off(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": PVH_ONLY})
    outcome = each(bench, folder, "--cell", "PVH=n", "--json")
    assert outcome.status == 3, outcome.text
    assert findings(outcome, "build")[1][0] == "ok"
    level, message = findings(outcome, "grid PVH=n")[1]
    assert level == "error" and message.startswith("does not build with PVH=n: mm/zswap.o:")


def test_what_was_broken_with_the_option_off_before_is_not_the_series_fault(bench: Bench) -> None:
    bench.commit("mm: broken before", {"mm/zswap.c": PVH_ONLY})
    folder = series(bench, {"mm/page_alloc.c": ": x\n"})
    outcome = each(bench, folder, "--cell", "PVH=n", "--json")
    assert outcome.status == 0, outcome.text
    level, message = findings(outcome, "grid PVH=n")[1]
    assert level == "note" and "nor does it without the patches" in message


def test_an_option_that_does_not_go_off_is_no_pass(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"})
    level, message = findings(each(bench, folder, "--cell", "ALWAYS=n", "--json"), "grid ALWAYS=n")[1]
    assert level == "warning" and message.startswith("not checked:")
    level, message = findings(each(bench, folder, "--cell", "MORE=n", "--json"), "grid MORE=n")[1]
    assert level == "note" and "is the same" in message


def test_the_full_grid_looks_at_every_patch(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"}, {"mm/zswap.c": PVH_ONLY}, {"mm/zswap.c": ": y\n"})
    found = findings(each(bench, folder, "--grid", "full", "--cell", "PVH=n", "--json"), "grid PVH=n")
    assert {number: level for number, (level, _) in found.items()} == {1: "ok", 2: "error", 3: "ok"}


def test_the_same_again_compiles_nothing(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": WARN.format(line=1, name="x") + PVH_ONLY})
    first = each(bench, folder, "--cell", "PVH=n", "--json")
    bench.write("bin/make", "#!/bin/sh\necho make was called >&2\nexit 1\n").chmod(0o755)
    again = each(bench, folder, "--cell", "PVH=n", "--json", PATH=f"{bench.folder}/bin:{os.environ['PATH']}")
    assert again.text[again.text.index("{") :] == first.text[first.text.index("{") :]
    assert again.status == first.status == 3


def test_a_failure_of_the_machine_is_not_kept(bench: Bench) -> None:
    flag = make_folder(bench.cache / "ccache") / "full"  # where a compiler sees it
    flag.touch()
    script = f"if [ -e {flag} ] && ! grep -q CONFIG_PVH=y $O/.config; then cat $0 > /dev/full; exit 1; fi\n"
    folder = series(bench, {"mm/zswap.c": script})
    outcome = each(bench, folder, "--cell", "PVH=n")
    assert outcome.status == 4, outcome.text
    assert "the disk is full" in outcome.text and "this is what is known so far" in outcome.text
    assert "ok      build patch 1" in outcome.text
    flag.unlink()
    assert each(bench, folder, "--cell", "PVH=n").status == 0


def test_a_failure_without_a_name_is_not_kept(bench: Bench) -> None:
    flag = make_folder(bench.cache / "ccache") / "odd"
    flag.touch()
    script = f"[ -e {flag} ] && ! grep -q CONFIG_PVH=y $O/.config && exit 7\n:\n"
    folder = series(bench, {"mm/zswap.c": script})
    assert each(bench, folder, "--cell", "PVH=n").status == 3
    flag.unlink()
    assert each(bench, folder, "--cell", "PVH=n").status == 0


def test_answers_make_a_remark_a_note_and_an_idle_one_is_told(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": WARN.format(line=1, name="x")})
    answer = '[[answers]]\npatch = 1\ncheck = "build"\ntype = "-Wunused-variable"\nreason = "the next patch uses it"\n'
    bench.write("series/series.toml", f'title = "x"\n{answer}')
    outcome = each(bench, folder, "--json")
    assert findings(outcome, "build")[1][0] == "note" and outcome.status == 0, outcome.text
    assert findings(outcome, "W=1")[1][0] == "ok"  # what the build says is said once
    assert findings(outcome, "build")[1][1].endswith("answered: the next patch uses it")
    idle = answer.replace("unused-variable", "maybe-uninitialized")
    bench.write("series/series.toml", f'title = "x"\n{answer}{idle}')
    outcome = each(bench, folder)
    assert outcome.status == 0, outcome.text
    assert "warning build patch 1: series.toml answers '-Wmaybe-uninitialized', and there is no such" in outcome.text


@pytest.mark.parametrize("bad", ["patch = 1\nreason = 'x'\n", "patch = 1\ntype = 'X'\nreason = ' '\n", "typ = 'X'\n"])
def test_an_answer_that_says_too_little(bench: Bench, bad: str) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"})
    bench.write("series/series.toml", f'title = "x"\n[[answers]]\n{bad}')
    outcome = bench("series", "check", folder)
    assert outcome.status == 2 and "series.toml" in outcome.text, outcome.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cell", "PVHH=n"), "did you mean 'PVH'"),
        (("--cell", "PVH=m"), "is a bool"),
        (("--cell", "PVH=n", "--grid", "none"), "--grid none"),
        (("--boot", "ends", "--suite", "smokey"), "smoke"),
        (("--profile", "nothing"), "unknown profile"),
        (("--jobs", "0"), "no number of jobs"),
        (("--patch", "2"), "the patches 1 to 1, not 2"),
    ],
)
def test_what_is_refused(bench: Bench, words: tuple[str, ...], said: str) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"})
    outcome = each(bench, folder, *words)
    assert outcome.status == 2 and said in outcome.text, outcome.text
    assert not list(bench.cache.glob("store/kernel/*"))


def test_options_of_each_without_it(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"})
    outcome = bench("series", "check", folder, "--grid", "quick")
    assert outcome.status == 2 and "--grid needs --each" in outcome.text


def test_a_series_that_does_not_apply(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"})
    bench.commit("mm: other", {"mm/zswap.c": ": other\n"})
    outcome = each(bench, folder)
    assert outcome.status == 3 and "ERROR   apply" in outcome.text, outcome.text


def test_the_plan_builds_nothing(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"}, {"mm/zswap.c": ": y\n"})
    outcome = each(bench, folder, "--cell", "PVH=n", "--boot", "each", "--dry-run")
    assert outcome.status == 0, outcome.text
    assert "PVH=n; at patch 2: mm/" in outcome.text and "the tree and patches 1, 2" in outcome.text
    assert not list(bench.cache.glob("store/kernel/*"))


def test_a_kernel_that_does_not_boot(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"})
    outcome = each(bench, folder, "--boot", "ends", "--json")
    assert outcome.status == 3, outcome.text
    assert {number: level for number, (level, _) in findings(outcome, "boot").items()} == {0: "error", 1: "error"}
    assert findings(outcome, "boot")[0][1].startswith("BOOT: ")
    manifests: list[Any] = [json.loads((run / "manifest.json").read_text()) for run in outcome.runs]
    assert [len(one["decides"]["series"]["patches"]) for one in manifests] == [0, 1]
    assert [one["circumstances"]["profile"]["patches"] for one in manifests] == [0, 1]
    commands: list[str] = [" ".join(one["circumstances"]["command"]) for one in manifests]
    assert all(one.startswith("harness run ") for one in commands), "what a hint can go on from"
    assert ["--patches 0" in one for one in commands] == [True, False]
    assert f"--series {folder} --patches 1" in commands[1]


def test_only_what_means_something_runs_at_a_stage(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"})
    (folder / "series.toml").write_text(
        'title = "one"\n[[stages]]\npatches = [1]\nsuites = ["smoke/test_one"]\nreason = "half there"\n'
    )
    planned = each(bench, folder, "--boot", "ends", "--dry-run")
    assert "boot        patch 1: only what its stage names (half there)" in planned.text
    outcome = each(bench, folder, "--boot", "ends", "--json")
    assert outcome.status == 3, outcome.text
    said = {number: message for number, (_, message) in findings(outcome, "boot").items()}
    assert "(not all suites: half there)" in said[1] and "not all suites" not in said[0]
    chosen = each(bench, folder, "--boot", "ends", "--suite", "smoke", "--json")  # what a user chose runs everywhere
    assert "not all suites" not in findings(chosen, "boot")[1][1]
    described = (folder / "series.toml").read_text()
    (folder / "series.toml").write_text(described.replace("test_one", "test_two"))
    refused = each(bench, folder, "--boot", "ends")
    assert refused.status == 2 and "did you mean 'test_one'" in refused.text and "building" not in refused.text


def test_an_interrupt_tells_what_is_known(bench: Bench) -> None:
    folder = series(bench, {"mm/zswap.c": ": x\n"}, {"mm/zswap.c": "sleep 60\n"})
    words = ("series", "check", folder, "--each", "--grid", "none", "--boot", "none")
    log = bench.folder / "log"
    with open(log, "wb") as stream:
        child = subprocess.Popen(
            bench.argv(*words), stdout=stream, stderr=stream, env=bench.environment({}), cwd=bench.folder,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    until = time.monotonic() + 60
    while "building at patch 2" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130
    text = log.read_text()
    assert "ok      build patch 1" in text and "interrupted; this is what is known so far" in text, text
    assert bench.left_behind() == []
