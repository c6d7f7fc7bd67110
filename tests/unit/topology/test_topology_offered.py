# SPDX-License-Identifier: GPL-2.0-only
"""What a QEMU offers: QMP answers recorded from Debian's 7.2.22, 10.0.13 and 11.1.3, and a stub in its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import topology as topologies
from harness.errors import EnvironmentFailure, UserError
from harness.paths import default_paths
from harness.store import Store
from harness.topology.offered import check_against_qemu, missing, parse_answers
from harness.values import Qemu

_PATHS = default_paths(project=Path(__file__).parents[3])
_RECORDED = Path(__file__).parent / "recorded"
_NAMES = topologies.names(_PATHS)


def recorded(version: str) -> str:
    return (_RECORDED / f"qemu-{version}.jsonl").read_text()


@pytest.mark.parametrize("version", ["10.0.13", "11.1.3"])
@pytest.mark.parametrize("name", _NAMES)
def test_new_enough_qemus_have_all_that_is_shipped(version: str, name: str) -> None:
    assert missing(topologies.load(name, paths=_PATHS), parse_answers(recorded(version))) == ()


def test_an_old_qemu_lacks_what_came_after_it() -> None:
    old = parse_answers(recorded("7.2.22"))
    assert old.version == (7, 2, 22)
    assert missing(topologies.load("none", paths=_PATHS), old) == ()
    assert missing(topologies.load("dcd", paths=_PATHS), old) == (
        "its 'pxb-cxl' has no 'hdm_for_passthrough' (there since 8.0)",
        "its 'cxl-type3' has no 'volatile-memdev' (there since 8.1)",
        "its 'cxl-type3' has no 'volatile-dc-memdev' (there since 9.1)",
        "its 'cxl-type3' has no 'num-dc-regions' (there since 9.1)",
    )


def test_a_qemu_without_the_device_or_the_machine_property() -> None:
    lines = [
        '{"id": "cxl-upstream", "error": {"class": "DeviceNotFound", "desc": "no"}}' if '"id": "cxl-upstream"' in line
        else line.replace('"cxl-fmw"', '"other"').replace('"name": "cxl",', '"name": "lxc",')
        for line in recorded("11.1.3").splitlines()
    ]  # fmt: skip
    lacking = missing(topologies.load("switch-4", paths=_PATHS), parse_answers("\n".join(lines)))
    assert lacking == (
        "its q35 machine has no 'cxl'",
        "its q35 machine has no 'cxl-fmw'",
        "it has no device 'cxl-upstream' (the first with CXL is 7.1)",
    )


@pytest.mark.parametrize("cut", [0, 1, 200, 5000, 9000])
def test_answers_cut_short_are_an_error(cut: int) -> None:
    with pytest.raises(EnvironmentFailure, match="cannot be understood"):
        parse_answers(recorded("11.1.3")[:cut])


def test_answers_of_something_else_are_an_error() -> None:
    for text in ("Hello\n", "[]\n", "null\n", '{"QMP": {}}\n', "\x00"):
        with pytest.raises(EnvironmentFailure):
            parse_answers(text)


def stub(tmp_path: Path, body: str) -> Qemu:
    """A program in QEMU's place. It gets the real questions and counts how often it runs."""
    program = tmp_path / "qemu.py"
    program.write_text(f"import sys\nsys.stdin.read()\nopen({str(tmp_path / 'count')!r}, 'a').write('x')\n{body}")
    return Qemu(argv=(sys.executable, str(program)), env={}, version=(11, 1, 3), origin="given", digest="stub")


def answering(version: str, machine: str = "pass") -> str:
    return (
        f"if '-numa' in sys.argv:\n    {machine}\n"
        f"else:\n    sys.stdout.write(open({str(_RECORDED / f'qemu-{version}.jsonl')!r}).read())\n"
    )


def test_each_question_is_asked_once(tmp_path: Path) -> None:
    qemu, store = stub(tmp_path, answering("11.1.3")), Store(tmp_path / "cache")
    for name in ("direct", "direct", "mixed", "direct"):
        check_against_qemu(topologies.load(name, paths=_PATHS), qemu, store=store)
    assert (tmp_path / "count").read_text() == "xxx"  # what it offers, and one machine each


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    qemu, store = stub(tmp_path, answering("7.2.22")), Store(tmp_path / "cache")
    with pytest.raises(EnvironmentFailure, match="cannot make topology direct: its 'pxb-cxl' has no") as caught:
        check_against_qemu(topologies.load("direct", paths=_PATHS), qemu, store=store)
    assert caught.value.details == ("its 'cxl-type3' has no 'volatile-memdev' (there since 8.1)",)


def test_a_machine_that_qemu_refuses_is_refused_in_its_words_and_not_kept(tmp_path: Path) -> None:
    qemu, store = stub(tmp_path, answering("11.1.3", "sys.exit('Bus 12 is already in use')")), Store(tmp_path / "cache")
    for _ in range(2):
        with pytest.raises(UserError, match="refuses this machine") as caught:
            check_against_qemu(topologies.load("direct", paths=_PATHS), qemu, store=store)
        assert caught.value.details == ("Bus 12 is already in use",)
    assert (tmp_path / "count").read_text() == "xxx"


def test_a_qemu_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="does not start"):
        check_against_qemu(
            topologies.load("direct", paths=_PATHS), stub(tmp_path, "sys.exit(127)"), store=Store(tmp_path / "cache")
        )
    assert not list((tmp_path / "cache").glob("store/qemu-offered/[!.]*"))
