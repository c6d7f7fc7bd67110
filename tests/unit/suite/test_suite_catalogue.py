# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.suite import catalogue
from tests.unit.suite.fakes import guest_tests, shell_program, write_program

PROJECT_TESTS = Path(__file__).parents[2] / "guest"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = guest_tests(tmp_path)
    shell_program(folder, "case_one() { :; }\ncase_two() { :; }", name="test_x.sh")
    write_program(folder, '#include "../lib/ktap.h"\nKTAP_CASE(first)\n{\n}\n\nKTAP_CASE(second) {}\n', name="test_y.c")
    write_program(folder, "[ $1 = -l ] && echo only", suite="other", name="test_z.sh")
    return folder


def test_suites_are_folders_but_for_libraries(folder: Path) -> None:
    (folder / "helpers").mkdir()
    (folder / ".hidden").mkdir()
    assert catalogue.suites(folder) == ("demo", "other")


def test_programs_and_cases(folder: Path) -> None:
    shell, compiled = catalogue.programs(folder, "demo")
    assert (shell.name, shell.cases, shell.guest_path) == (
        "test_x",
        ("one", "two"),
        "/opt/harness/tests/demo/test_x.sh",
    )
    assert (compiled.name, compiled.cases) == ("test_y", ("first", "second"))
    assert compiled.guest_path == "/opt/harness/tests/demo/test_y"
    assert shell.timeout == catalogue.DEFAULT_TIMEOUT


@pytest.mark.parametrize(
    ("wanted", "keyword", "names"),
    [
        (["demo/test_x:two"], "", ["demo/test_x:two"]),
        (["demo/x"], "", ["demo/test_x:one", "demo/test_x:two"]),
        (["demo/test_x.sh:one", "demo/test_x"], "", ["demo/test_x:one", "demo/test_x:two"]),
        (["other", "demo/test_y"], "", ["other/test_z:only", "demo/test_y:first", "demo/test_y:second"]),
        (["demo"], "one or second", ["demo/test_x:one", "demo/test_y:second"]),
        (["demo"], "not (one or two) and FIRST", ["demo/test_y:first"]),
        (["demo", "demo"], "one", ["demo/test_x:one"]),
    ],
)
def test_selection(folder: Path, wanted: list[str], keyword: str, names: list[str]) -> None:
    chosen = catalogue.select(folder, wanted, keyword=keyword)
    assert [name for selection in chosen for name in selection.names] == names


@pytest.mark.parametrize(
    ("wanted", "keyword", "message", "hint"),
    [
        (["dmeo"], "", "unknown suite 'dmeo'", "did you mean 'demo'"),
        (["demo/test_q"], "", "unknown program of the suite 'demo' 'test_q'", "test_x"),
        (["demo/test_x:tow"], "", "unknown case of demo/test_x 'tow'", "did you mean 'two'"),
        (["demo"], "nothing", "no case is selected", "nothing matches"),
        ([], "", "no case is selected", "name a suite"),
        (["demo"], "one and", "not valid: a word is missing", ""),
        (["demo"], "(one", "not valid: a ')' is missing", ""),
        (["demo"], "one two", "not valid: 'two' is one too many", ""),
    ],
)
def test_bad_selection(folder: Path, wanted: list[str], keyword: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        catalogue.select(folder, wanted, keyword=keyword)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_empty_suite(folder: Path) -> None:
    (folder / "hollow").mkdir()
    (folder / "hollow" / "README").touch()
    with pytest.raises(UserError, match="'hollow' is empty"):
        catalogue.select(folder, ["hollow"])


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("exit 3", "test_a.sh", "failed with exit status 3"),
        ("exit 0", "test_a.sh", "has no case"),
        ("echo 'a b'", "test_a.sh", "is no case name"),
        ("echo a; echo a", "test_a.sh", "'a' twice"),
        ("int main;", "test_a.c", "has no case"),
        ("  KTAP_CASE(indented)", "test_a.c", "has no case"),
    ],
)
def test_faulty_programs(folder: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        write_program(folder, text, name=name)
    assert message in caught.value.message


def test_listing_that_hangs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_LIST_DEADLINE", 0.2)
    with pytest.raises(UserError, match="cannot list its cases"):
        write_program(folder, "sleep 60", name="test_slow.sh")


def test_two_programs_of_one_name(folder: Path) -> None:
    (folder / "demo" / "test_x.c").write_text("KTAP_CASE(a) {}\n")
    with pytest.raises(UserError, match="same name"):
        catalogue.programs(folder, "demo")


def test_config_and_settings(folder: Path) -> None:
    (folder / "demo" / "config").write_text('# needs\nCONFIG_ZSWAP=y\nCONFIG_X="a b"\n# CONFIG_KASAN is not set\n\n')
    (folder / "demo" / "settings").write_text("timeout=90\ncase_timeout = 2.5\n")
    shell, _ = catalogue.programs(folder, "demo")
    assert shell.options == {"ZSWAP": "y", "X": '"a b"', "KASAN": "n"}
    assert (shell.timeout, shell.case_timeout) == (90.0, 2.5)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config", "ZSWAP=y\n", "config:1: 'ZSWAP=y' is no CONFIG_NAME=value line"),
        ("settings", "\ntimeuot=3\n", "settings:2: unknown setting 'timeuot'"),
        ("settings", "timeout=soon\n", "timeout is 'soon', not a number"),
        ("settings", "timeout=0\n", "must be more than 0"),
    ],
)
def test_faulty_config_and_settings(folder: Path, file: str, text: str, message: str) -> None:
    (folder / "demo" / file).write_text(text)
    with pytest.raises(UserError) as caught:
        catalogue.programs(folder, "demo")
    assert message in caught.value.message


def test_a_changed_program_is_listed_anew(folder: Path) -> None:
    assert catalogue.select(folder, ["demo/x"])[0].cases == ("one", "two")
    changed = shell_program(folder, "case_other() { :; }")
    assert changed.cases == ("other",)


@pytest.mark.parametrize("suite", catalogue.suites(PROJECT_TESTS))
def test_the_projects_own_suites_list(suite: str) -> None:
    for program in catalogue.programs(PROJECT_TESTS, suite):
        assert program.cases


def test_a_program_that_loads_test_modules_says_so_through_its_libraries(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("module.sh", "ktap.sh"):
        (tmp_path / "lib" / name).write_text("")
    (tmp_path / "lib" / "deep.sh").write_text('. "${0%/*}/../lib/module.sh"\n: "${0%/*}/../lib/deep.sh"\n')
    (tmp_path / "a").mkdir()
    bodies = {"direct": "module.sh", "through": "deep.sh", "none": "ktap.sh"}
    for name, library in bodies.items():
        (tmp_path / "a" / f"test_{name}.sh").write_text(f'#!/bin/sh\n. "${{0%/*}}/../lib/{library}"\necho x\n')
    found = {name: catalogue.program(tmp_path / "a" / f"test_{name}.sh").modules for name in bodies}
    assert found == {"direct": True, "through": True, "none": False}
