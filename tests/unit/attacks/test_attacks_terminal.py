# SPDX-License-Identifier: GPL-2.0-only
"""What a guest, a patch, a tree or QEMU says, written to act on a terminal or to break a report."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import click
import pytest
from click.testing import CliRunner

from harness.cli.main import show_error
from harness.cli.session import Session, print_json
from harness.cli.summary import show_summary
from harness.display import printable
from harness.errors import BootError
from harness.history.kinds import Noted
from harness.paths import Paths
from harness.results import folder as folders
from harness.results.record import Manifest
from harness.results.recorder import Recorder
from harness.suite.catalogue import Program
from harness.suite.judge import Judge
from harness.terminal import Terminal
from harness.values import CaseResult, Verdict

EVIL = (
    "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m \x9b2J\x9d0;c1\x9c \x00\x08\x7f \u202eabc\u2066 "
    "\u2028 \udcff\ud800 \ufffe\uffff ]]> <&\"' \x1bP+q544e\x1b\\\\ \x1b"
)
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def harmless(text: str) -> bool:
    """Whether a terminal would only show it."""
    text.encode()
    return not ACTS.search(text)


def recorded(tmp_path: Path) -> tuple[Recorder, Terminal, io.StringIO]:
    stream = io.StringIO()
    terminal = Terminal(stream, live=False)
    paths = Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")
    recorder = Recorder(folders.create(paths), terminal)
    with recorder.stage("build") as stage:
        stage.update(EVIL)
        stage.warn(EVIL)
        stage.result(EVIL)
    result = CaseResult(
        suite=f"s{EVIL}", program=f"p{EVIL}", case=f"c{EVIL}", verdict=Verdict.CRASH, reason=EVIL, splat=EVIL,
        diagnostics=(EVIL,) * 3,
    )  # fmt: skip
    recorder.view.case_started(EVIL)
    for verdict in Verdict:
        recorder.case(CaseResult(suite=EVIL, program=EVIL, case=f"{EVIL}{verdict}", verdict=verdict, reason=EVIL))
    recorder.case(result)
    recorder.failed(BootError(EVIL, hint=EVIL, command=[EVIL], details=[EVIL]))
    return recorder, terminal, stream


def test_a_run_on_the_terminal(tmp_path: Path) -> None:
    recorder, terminal, stream = recorded(tmp_path)
    show_summary(terminal, recorder.folder, recorder.results(), repeat="harness run", one=EVIL, noted=Noted())
    terminal.close()
    assert "red" in stream.getvalue() and harmless(stream.getvalue())


def test_results_and_junit(tmp_path: Path) -> None:
    recorder, _, _ = recorded(tmp_path)
    recorder.folder.write_results(recorder.results())
    recorder.folder.write_manifest(Manifest(decides={"title": EVIL}, circumstances={}))
    for name in ("results.json", "manifest.json", "junit.xml"):
        assert harmless((recorder.folder.path / name).read_text()), name
    tree = Xml.parse(recorder.folder.path / "junit.xml")
    assert len(tree.findall(".//testcase")) == len(Verdict) + 2
    read = folders.read_results(recorder.folder)
    assert len(read.cases) == len(Verdict) + 1 and "red" in read.cases[0].reason


def test_errors_progress_and_json_of_the_command_line(tmp_path: Path) -> None:
    @click.command()
    def command() -> None:
        show_error(BootError(EVIL, hint=EVIL, command=[EVIL], details=[EVIL, EVIL], log=Path(f"/x{EVIL[:4]}")))
        with Session.create(cache=tmp_path, data=tmp_path, verbose=0).stage("build") as progress:
            progress.update(EVIL)
            progress.warn(EVIL)

    shown = CliRunner().invoke(command)
    assert shown.exception is None and "red" in shown.output and harmless(shown.output)
    answer = CliRunner().invoke(click.command()(lambda: print_json({"title": EVIL})))
    assert harmless(answer.output) and "red" in json.loads(answer.output)["title"]


def test_what_a_program_writes_to_its_standard_error(tmp_path: Path) -> None:
    program = Program(suite="s", name="p", path=tmp_path / "test_p.sh", cases=("one",), options={}, timeout=1.0)
    judge = Judge(program, ["one"], now=0.0)
    judge.line("KTAP version 1", 0.0)
    judge.line("1..1", 0.0)
    (result, *_) = judge.ended(1, 1.0, stderr=EVIL)
    assert result.verdict is Verdict.FAIL and harmless(result.reason) and "red" in result.reason


@pytest.mark.parametrize("number", [*range(0x20), *range(0x7F, 0xA0), 0x202E, 0xD800, 0xFFFF])
def test_no_character_that_acts_is_shown(number: int) -> None:
    shown = printable(f"a{chr(number)}b")
    assert harmless(shown) and shown[0] == "a" and shown[-1] == "b"
