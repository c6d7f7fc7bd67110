# SPDX-License-Identifier: GPL-2.0-only
"""The guest libraries ktap.sh and ktap.h, with real programs, under each shell that this machine has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import process
from harness.suite.ktap import Diagnostic, Parser, Result
from tests.unit.suite.fakes import SHELL_HEADER, guest_tests

SHELLS = [[name] for name in ("dash", "bash") if shutil.which(name)]
SHELLS += [["busybox", "ash"]] if shutil.which("busybox") else []


class Ran:
    """What a program said: results by name, diagnostics, exit status, its lines in the kernel log."""

    def __init__(self, done: process.Completed, log: Path) -> None:
        parser = Parser()
        events = [event for line in done.text.splitlines() for event in parser.feed(line)] + parser.finish()
        self.status = done.returncode
        self.complete = parser.complete
        self.problems = parser.problems
        self.results = {event.name: event.verdict()[0].value for event in events if isinstance(event, Result)}
        self.reasons = {event.name: event.reason for event in events if isinstance(event, Result)}
        self.said = [event.text for event in events if isinstance(event, Diagnostic)]
        self.marks = [line.removeprefix("<3>harness: case ") for line in log.read_text().splitlines()]


def run(argv: list[str], folder: Path, **env: str) -> Ran:
    log = folder / "kmsg"
    log.touch()
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    ours = {"KTAP_KMSG": str(log), "KTAP_TAINTED": "/nonexistent", "TMPDIR": str(scratch)}
    done = process.run(argv, deadline=30, check=False, env={**ours, **env}, cwd=folder)
    assert not list(scratch.iterdir()), "the program left its scratch folder"
    return Ran(done, log)


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[-1])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], Path]:
    return request.param, guest_tests(tmp_path)


def sh(shell: tuple[list[str], Path], body: str, *arguments: str, header: str = SHELL_HEADER, **env: str) -> Ran:
    argv, folder = shell
    home = folder / "demo"
    home.mkdir(exist_ok=True)
    (home / "test_x.sh").write_text(f'{header}{body}\nktap_main "$@"\n')
    return run([*argv, str(home / "test_x.sh"), *arguments], folder.parent, **env)


@pytest.mark.parametrize(
    ("body", "verdict", "said"),
    [
        ("case_x() { :; }", "PASS", ""),
        ("case_x() { echo out; echo err >&2; }", "PASS", "err"),
        ("case_x() { false; }", "FAIL", "a command failed with status 1"),
        ("case_x() { true; return 3; }", "FAIL", "a command failed with status 3"),
        ("case_x() { nonsuch_command; }", "FAIL", "a command failed with status 127"),
        ('case_x() { echo "$unset_variable"; }', "FAIL", "a command failed"),
        ("case_x() { exit 0; }", "FAIL", "the case called exit"),
        ("case_x() { exit 4; }", "FAIL", "a command failed with status 4"),
        ("case_x() { kill -9 $(sh -c 'echo $PPID'); }", "FAIL", "the case died with status 137"),
        ("case_x() { fail because; }", "FAIL", "because"),
        ("case_x() { fail because | cat; }", "FAIL", "because"),
        ("case_x() { if fail because; then :; fi; }", "FAIL", "because"),
        ("case_x() { y=$(fail because) || :; }", "FAIL", "because"),
        ("case_x() { ( skip no ) || :; fail yes; }", "FAIL", "yes"),
        ("case_x() { ( fail yes ) || :; skip no; }", "FAIL", "yes"),
        ("case_x() { defer echo tidy; fail because; }", "FAIL", "tidy"),
        ("case_x() { defer false; }", "FAIL", "clean-up failed with status 1"),
        ("case_x() { defer exit 5; defer echo both; }", "FAIL", "clean-up failed with status 5"),
        ("case_x() { defer false; skip later; }", "FAIL", "clean-up failed"),
        ("case_x() { defer fail in-clean-up; }", "FAIL", "in-clean-up"),
        ('case_x() { echo left >"$KTAP_TMP/left"; }', "FAIL", "the case left state behind"),
        ('case_x() { defer rm "$KTAP_TMP/left"; echo l >"$KTAP_TMP/left"; }', "PASS", ""),
        ("case_x() { xfail known; false; }", "XFAIL", "failed as expected"),
        ("case_x() { xfail known; }", "XPASS", ""),
        ("case_x() { need_file /nonexistent; }", "SKIP", ""),
        ("case_x() { need_program nonsuch_program; }", "SKIP", ""),
        ("case_x() { need_program sh; need_file /proc; }", "PASS", ""),
        ("case_x() { expect_eq a a; expect_ne a b; }", "PASS", ""),
        ('case_x() { expect_eq a b "the mode"; }', "FAIL", "the mode is 'a', expected 'b'"),
        ("case_x() { expect_ne a a; }", "FAIL", "expected anything else"),
        ("case_x() { expect_lt 1 2; expect_le 2 2; expect_gt 3 2; expect_ge 2 2; }", "PASS", ""),
        ("case_x() { expect_lt 2 1 size; }", "FAIL", "size is 2, expected less than 1"),
        ("case_x() { expect_lt '' 1; }", "FAIL", "is not a number"),
        ("case_x() { expect_match region7 'region*'; }", "PASS", ""),
        ("case_x() { expect_match region7 'decoder*'; }", "FAIL", "expected to match"),
        ("case_x() { expect_file /proc/sys/kernel/ostype Linux; }", "PASS", ""),
        ("case_x() { expect_file /proc/sys/kernel/ostype Hurd; }", "FAIL", "reads 'Linux', expected 'Hurd'"),
        ("case_x() { expect_file /nonexistent x; }", "FAIL", "is not there"),
        ('case_x() { expect_ok echo hi; expect_eq "$output" hi; }', "PASS", ""),
        ("case_x() { expect_ok false; }", "FAIL", "'false' failed with status 1"),
        ("case_x() { expect_fail false; }", "PASS", ""),
        ("case_x() { expect_fail true; }", "FAIL", "succeeded, expected a failure"),
        ("case_x() { expect_fail nonsuch_command; }", "FAIL", "could not run"),
        ("case_x() { expect_errno EINVAL write_file x /proc/self/oom_score_adj; }", "PASS", ""),
        ("case_x() { expect_errno EBUSY write_file x /proc/self/oom_score_adj; }", "FAIL", "expected EBUSY"),
        ("case_x() { expect_errno ENOENT write_file x /nonexistent; }", "PASS", ""),
        ("case_x() { expect_errno ENODEV sh -c 'echo No such device or address; exit 1'; }", "FAIL", "expected ENODEV"),
        ("case_x() { expect_errno ENXIO sh -c 'echo No such device or address; exit 1'; }", "PASS", ""),
        ("case_x() { expect_errno ENODEV sh -c 'echo No such device; exit 1'; }", "PASS", ""),
        ("case_x() { expect_errno EWHAT false; }", "FAIL", "does not know EWHAT"),
        ("case_x() { wait_for 2 true; }", "PASS", ""),
        ("case_x() { wait_for 1 false; }", "FAIL", "did not come true within 1 s"),
        ('case_x() { read_value v /proc/sys/kernel/ostype; expect_eq "$v" Linux; }', "PASS", ""),
        (
            'case_x() { read_value v /proc/sys/kernel/pid_max; expect_eq "$v" "$(cat /proc/sys/kernel/pid_max)"; }',
            "PASS",
            "",
        ),
        ("case_x() { read_value v /proc/sys/nonexistent; }", "FAIL", "cannot be read"),
        ("case_x() { read_value v /nonexistent; }", "FAIL", ""),
        # what a case swaps is not its to restore, the swap itself is
        (
            'state() { printf "/proc/swaps:/x file\\t99\\t\\t%s\\t\\t-2\\n" "$(cat "$KTAP_TMP/used" || echo 0)"; }\n'
            'case_x() { echo 512 >"$KTAP_TMP/used"; }',
            "PASS",
            "",
        ),
        (
            'state() { printf "/proc/swaps:/x file\\t99\\t\\t0\\t\\t%s\\n" "$(cat "$KTAP_TMP/used" || echo 7)"; }\n'
            'case_x() { echo 5 >"$KTAP_TMP/used"; }',
            "FAIL",
            "left state behind",
        ),
        ("case_x() { sleep 100 & :; }", "PASS", ""),
    ],
)
def test_shell_case(shell: tuple[list[str], Path], body: str, verdict: str, said: str) -> None:
    ran = sh(shell, body.replace("sleep 100 &", "sleep 1 &"))
    assert ran.complete, ran.problems
    assert ran.results == {"x": verdict}, ran.said
    assert any(said in line for line in ran.said) or not said, ran.said
    assert ran.status == {"PASS": 0, "XFAIL": 0, "SKIP": 4}.get(verdict, 1)
    assert ran.marks == ["begin demo/test_x:x", "end demo/test_x:x"]


def test_shell_cleanups_run_last_in_first_out_with_their_words(shell: tuple[list[str], Path]) -> None:
    body = """case_x() { defer echo "it's" 'b  "c"' '$x'; defer "echo second; echo third"; defer echo first; }"""
    assert sh(shell, body).said == ["first", "second", "third", """it's b  "c" $x"""]


def test_shell_cases_do_not_share_anything(shell: tuple[list[str], Path]) -> None:
    ran = sh(
        shell, 'case_a() { shared=1; cd /; fail no; }\ncase_b() { expect_eq "${shared:-}" ""; expect_ne "$PWD" /; }'
    )
    assert ran.results == {"a": "FAIL", "b": "PASS"}


def test_shell_listing_and_selection(shell: tuple[list[str], Path]) -> None:
    body = 'setup_program() { touch "$0.touched"; }\ncase_a() { :; }\ncase_b2() { :; }\ncase_c () { :; }'
    argv, folder = shell
    sh(shell, body)
    (folder / "demo" / "test_x.sh.touched").unlink()
    program = str(folder / "demo" / "test_x.sh")
    listing = process.run([*argv, program, "-l"], deadline=10)
    assert listing.text == "a\nb2\nc\n"
    assert not (folder / "demo" / "test_x.sh.touched").exists()
    assert sh(shell, body, "-t", "c", "-t", "a").results == {"a": "PASS", "c": "PASS"}
    assert process.run([*argv, program, "-t", "nope"], deadline=10, check=False).returncode == 2
    assert process.run([*argv, program, "--what"], deadline=10, check=False).returncode == 2


@pytest.mark.parametrize(
    ("setup", "verdict", "status", "text"),
    [
        ("plan_skip_all 'no CXL here'", "SKIP", 4, "no CXL here"),
        ("need_file /nonexistent", "SKIP", 4, "/nonexistent is not there"),
        ("inner() { skip deep; }; inner", "SKIP", 4, "deep"),
        ("false", "FAIL", 1, "setup_program failed: a command failed with status 1"),
        ("fail broken", "FAIL", 1, "setup_program failed: broken"),
        ("exit 0", "FAIL", 1, "setup_program failed"),
        ("true", "PASS", 0, ""),
    ],
)
def test_shell_setup(shell: tuple[list[str], Path], setup: str, verdict: str, status: int, text: str) -> None:
    ran = sh(shell, f"setup_program() {{ defer echo tidied; {setup}; }}\ncase_a() {{ :; }}\ncase_b() {{ :; }}")
    assert ran.complete
    assert ran.results == {"a": verdict, "b": verdict}
    assert ran.status == status
    assert any(text in line for line in [*ran.said, *ran.reasons.values()])
    assert ran.marks[-1].startswith("end demo/test_x:b"), "who waits for the kernel's log waits in vain"


def test_shell_failed_program_cleanup_fails_the_program(shell: tuple[list[str], Path]) -> None:
    ran = sh(shell, "setup_program() { defer false; }\ncase_a() { :; }")
    assert ran.results == {"a": "PASS"} and ran.status == 1


def test_shell_announced_splat(shell: tuple[list[str], Path]) -> None:
    ran = sh(shell, "case_a() { expect_splat 'kernel BUG at .*lkdtm'; }")
    assert "expect-splat: kernel BUG at .*lkdtm" in ran.said
    assert ran.marks[1] == "expects demo/test_x:a kernel BUG at .*lkdtm"


@pytest.mark.parametrize(("before", "after"), [("0", "512"), ("4096", "4608"), ("0", "0")])
def test_shell_marks_say_what_the_kernel_is_tainted_with(
    shell: tuple[list[str], Path], tmp_path: Path, before: str, after: str
) -> None:
    tainted = tmp_path / "tainted"
    tainted.write_text(f"{before}\n")
    ran = sh(shell, f"case_a() {{ echo {after} >{tainted}; }}", KTAP_TAINTED=str(tainted))
    assert ran.marks == [f"begin demo/test_x:a taint={before}", f"end demo/test_x:a taint={after}"]


def test_shell_much_output_is_cut(shell: tuple[list[str], Path]) -> None:
    ran = sh(shell, "case_a() { seq 1 5000; head -c 5000 /dev/zero | tr '\\0' x; }")
    assert ran.complete and 200 <= len(ran.said) <= 201
    assert max(len(line) for line in ran.said) <= 2000


def test_shell_default_state_is_quiet_on_a_still_machine(shell: tuple[list[str], Path]) -> None:
    header = '#!/bin/sh\n. "${0%/*}/../lib/ktap.sh"\n'
    ran = sh(
        shell, 'case_a() { ktap_state >"$KTAP_TMP/s"; expect_ok grep -q node/online "$KTAP_TMP/s"; }', header=header
    )
    assert set(ran.results) == {"a"}


C_HEADER = '#include "../lib/ktap.h"\n#include <stdlib.h>\n'
C_HELPERS = """
static int say(void *text) { printf("%s\\n", (char *)text); return 0; }
static int refuse(void *text) { (void)text; errno = EBUSY; return -1; }
static const char *left = "";
static void extra(FILE *out) { fputs(getenv("LEFT_FILE") && !access(getenv("LEFT_FILE"), F_OK) ? "left" : left, out); }
"""
C_CASES = """
KTAP_SETUP()
{
	ktap_state_extra = extra;
	if (getenv("SKIP_ALL")) { ktap_defer(say, "tidied"); ktap_skip("no %s # here", "CXL"); }
	if (getenv("FAIL_ALL")) ktap_fail("broken");
}
KTAP_CASE(passes) { ktap_defer(say, "one"); ktap_defer(say, "two"); ktap_note("noted"); ktap_expect_eq(2, 1 + 1); }
KTAP_CASE(fails) { ktap_expect_lt(3, 2); }
KTAP_CASE(condition) { ktap_expect(1 == 2); }
KTAP_CASE(skips) { ktap_need_file("/nonexistent"); }
KTAP_CASE(dies) { raise(SIGKILL); }
KTAP_CASE(exits) { exit(0); }
KTAP_CASE(cleanup) { ktap_defer(refuse, NULL); }
KTAP_CASE(errno_right) { ktap_expect_errno(EBADF, close(-1)); ktap_expect_success(close(dup(1))); }
KTAP_CASE(errno_wrong) { ktap_expect_errno(EINVAL, close(-1)); }
KTAP_CASE(errno_none) { ktap_expect_errno(EINVAL, getpid()); }
KTAP_CASE(no_success) { ktap_expect_success(close(-1)); }
KTAP_CASE(known) { ktap_xfail("known"); ktap_fail("no"); }
KTAP_CASE(unknown) { ktap_xfail("known"); }
KTAP_CASE(in_child) { if (!fork()) ktap_fail("in the child"); wait(NULL); }
KTAP_CASE(leaves) { close(open(getenv("LEFT_FILE"), O_CREAT | O_WRONLY, 0600)); }
KTAP_MAIN()
"""
C_EXPECTED = {
    "passes": "PASS", "fails": "FAIL", "condition": "FAIL", "skips": "SKIP", "dies": "FAIL", "exits": "FAIL",
    "cleanup": "FAIL", "errno_right": "PASS", "errno_wrong": "FAIL", "errno_none": "FAIL", "no_success": "FAIL",
    "known": "XFAIL", "unknown": "XPASS", "in_child": "FAIL", "leaves": "FAIL",
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    folder = guest_tests(tmp_path_factory.mktemp("c"))
    source = folder / "demo" / "test_c.c"
    source.parent.mkdir()
    source.write_text(C_HEADER + C_HELPERS + C_CASES)
    process.run(
        ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-o", source.with_suffix(""), source], deadline=60
    )
    return source.with_suffix("")


def test_c_cases(compiled: Path, tmp_path: Path) -> None:
    ran = run([str(compiled)], tmp_path, LEFT_FILE=str(tmp_path / "left"))
    assert ran.complete, ran.problems
    assert ran.results == C_EXPECTED
    assert ran.status == 1
    assert ran.marks[:2] == ["begin demo/test_c:passes", "end demo/test_c:passes"]
    assert ran.said[:3] == ["noted", "two", "one"]
    assert any("answer" in line or "expected < 2" in line for line in ran.said)
    assert any("left behind" in line for line in ran.said)


def test_c_listing_and_selection(compiled: Path, tmp_path: Path) -> None:
    assert process.run([compiled, "-l"], deadline=10).text.split() == list(C_EXPECTED)
    ran = run([str(compiled), "-t", "known", "-t", "passes"], tmp_path)
    assert ran.results == {"passes": "PASS", "known": "XFAIL"} and ran.status == 0
    assert run([str(compiled), "-t", "skips"], tmp_path).status == 4
    assert process.run([compiled, "-t", "nope"], deadline=10, check=False).returncode == 2


def test_c_marks_say_what_the_kernel_is_tainted_with(compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "tainted").write_text("4608\n")
    ran = run([str(compiled), "-t", "passes"], tmp_path, KTAP_TAINTED=str(tmp_path / "tainted"))
    assert ran.marks == ["begin demo/test_c:passes taint=4608", "end demo/test_c:passes taint=4608"]


def test_c_setup(compiled: Path, tmp_path: Path) -> None:
    ran = run([str(compiled)], tmp_path, SKIP_ALL="1")
    assert set(ran.results.values()) == {"SKIP"} and ran.status == 4 and ran.complete
    assert set(ran.reasons.values()) == {"no CXL % here"} and ran.said == ["tidied"]
    ran = run([str(compiled)], tmp_path, FAIL_ALL="1")
    assert set(ran.results.values()) == {"FAIL"} and ran.status == 1 and ran.complete
