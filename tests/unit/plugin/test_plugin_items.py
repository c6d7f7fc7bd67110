# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin with a guest that runs the programs on this machine."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

LIBRARY = Path(__file__).parents[2] / "guest" / "lib"

CONFTEST = """
from __future__ import annotations
import contextlib, pathlib, pytest
from harness.errors import BootError
from harness.suite.attempt import Limits
from tests.unit.suite.fakes import LocalMachine

HERE = pathlib.Path(__file__).parent

class FakeProvider:
    limits = Limits(patience=0.3)
    require_feature = False
    boots = 0
    def kernel(self): return "the kernel"
    def config(self): return None
    def topology(self, name=None): return name or "direct"
    @contextlib.contextmanager
    def guest(self, *, topology=None):
        if (HERE / "no-boot").exists():
            raise BootError("the kernel did not boot", hint="look at the console", details=["panic"])
        self.boots += 1
        (HERE / "boots").write_text(str(self.boots))
        machine = LocalMachine(HERE / "guest", HERE / "scratch")
        machine.topology = topology
        yield machine
        (HERE / "ended").touch()

@pytest.hookimpl
def pytest_harness_provider(config):
    return FakeProvider()
"""

HEADER = '#!/bin/sh\n. "${0%/*}/../lib/ktap.sh"\nstate() { :; }\n'
BODY = """
case_good() { note "a note"; echo output; }
case_bad() { echo why; expect_eq a b; }
case_skipped() { skip "not here"; }
case_expected() { xfail "known"; false; }
case_last() { touch "$0.last"; }
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    (pytester.path / "guest" / "demo").mkdir(parents=True)
    (pytester.path / "guest" / "lib").symlink_to(LIBRARY)
    write(pytester, BODY)
    return pytester


def write(project: pytest.Pytester, body: str, name: str = "test_x.sh", suite: str = "demo") -> Path:
    home = project.path / "guest" / suite
    home.mkdir(exist_ok=True)
    (home / name).write_text(f'{HEADER}{body}\nktap_main "$@"\n')
    return home / name


def test_each_case_is_an_item(project: pytest.Pytester) -> None:
    result = project.runpytest("-v", "-rs", "guest")
    result.assert_outcomes(passed=2, failed=1, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["guest/demo/test_x.sh::good PASSED*", "SKIPPED*guest/demo/test_x.sh*: not here"])
    assert (project.path / "boots").read_text() == "1"
    assert (project.path / "ended").exists()


def test_failure_is_readable_and_has_no_traceback(project: pytest.Pytester) -> None:
    result = project.runpytest("guest", "-k", "bad")
    text = result.stdout.str()
    assert "FAIL: value is 'a', expected 'b'" in text
    assert "Captured diagnostics call" in text and "why" in text
    assert "Traceback" not in text and "pytest_items.py" not in text
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_collect_only_boots_nothing(project: pytest.Pytester) -> None:
    result = project.runpytest("--co", "-q", "guest")
    result.stdout.fnmatch_lines(["guest/demo/test_x.sh::good", "guest/demo/test_x.sh::last"])
    assert not (project.path / "boots").exists()


def test_keyword_runs_only_those_cases(project: pytest.Pytester) -> None:
    result = project.runpytest("guest", "-k", "good")
    result.assert_outcomes(passed=1, deselected=4)
    assert not (project.path / "guest" / "demo" / "test_x.sh.last").exists()


def test_node_id(project: pytest.Pytester) -> None:
    project.runpytest("guest/demo/test_x.sh::good").assert_outcomes(passed=1)


def test_marker_is_the_suite(project: pytest.Pytester) -> None:
    write(project, "case_other() { :; }", "test_y.sh", suite="other")
    project.runpytest("guest", "-m", "other").assert_outcomes(passed=1, deselected=5)


def test_exit_first_ends_the_program(project: pytest.Pytester) -> None:
    body = 'setup_program() { defer touch "$0.cleaned"; }\ncase_bad() { fail no; }\ncase_long() { sleep 300; }'
    write(project, body)
    result = project.runpytest("-x", "guest")
    result.assert_outcomes(failed=1)
    assert result.duration < 20
    assert (project.path / "guest" / "demo" / "test_x.sh.cleaned").exists()
    assert (project.path / "ended").exists()


def test_junit_has_cases_verdicts_and_times(project: pytest.Pytester) -> None:
    write(project, "case_slow() { sleep 0.5; }\ncase_bad() { fail no; }")
    project.runpytest("--junitxml=out.xml", "-o", "junit_family=xunit1", "guest")
    cases = {case.get("name"): case for case in ElementTree.parse(project.path / "out.xml").iter("testcase")}
    assert set(cases) == {"slow", "bad"}
    assert float(cases["slow"].get("time") or 0) >= 0.45
    assert cases["bad"].find("failure") is not None
    values = [one.get("value") for one in cases["bad"].iter("property")]
    assert values == ["FAIL"]


def test_program_that_lies_about_its_end_fails_its_last_case(project: pytest.Pytester) -> None:
    program = project.path / "guest" / "demo" / "test_x.sh"
    program.write_text('[ "$1" = -l ] && { echo a; exit; }\necho "KTAP version 1\n1..1\nok 1 a"\nexit 1\n')
    result = project.runpytest("guest")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*exit status 1 though no case failed*"])


def test_crash_and_the_cases_after_it(project: pytest.Pytester) -> None:
    splat = "[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000"
    write(project, f"case_a() {{ echo '{splat}' >>\"$KTAP_KMSG\"; }}\ncase_b() {{ :; }}")
    result = project.runpytest("guest")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*CRASH: BUG: kernel NULL pointer dereference*"])
    assert (project.path / "boots").read_text() == "2"


def test_no_boot_fails_every_case_in_words_and_boots_once(project: pytest.Pytester) -> None:
    (project.path / "no-boot").touch()
    result = project.runpytest("guest")
    result.assert_outcomes(errors=5)
    text = result.stdout.str()
    assert "BOOT: the kernel did not boot" in text and "look at the console" in text
    assert "Traceback" not in text and "pytest_items.py" not in text


def test_faulty_program_is_a_collection_error_in_words(project: pytest.Pytester) -> None:
    write(project, "exit 3")
    result = project.runpytest("guest")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*-l failed with exit status 3*"])
    assert "Traceback" not in result.stdout.str()


def test_python_tests_get_kernel_topology_and_guest(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.topology("switch-4")
        def test_it(kernel, topology, guest):
            assert kernel == "the kernel"
            assert topology == "direct"
            assert guest.topology == "switch-4"
            assert guest.run("true", deadline=5).exit_status == 0
        """
    )
    project.runpytest("--ignore=guest").assert_outcomes(passed=1)


def test_other_shell_and_c_files_are_left_alone(project: pytest.Pytester) -> None:
    other = project.path / "elsewhere"
    other.mkdir()
    (other / "test_this.sh").write_text("exit 1\n")
    (other / "test_that.c").write_text("int main;\n")
    assert project.runpytest("elsewhere").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.runpytest("--harness", "elsewhere").ret == pytest.ExitCode.INTERRUPTED


def test_plugin_imports_nothing_of_the_harness_until_needed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_it():
            loaded = [name for name in sys.modules if name.startswith("harness.")]
            assert loaded == ["harness.pytest_plugin"]
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_distributed_run_gives_each_case_once(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("-n", "2", "guest")
    result.assert_outcomes(passed=2, failed=1, skipped=1, xfailed=1)


def test_a_kept_sequence_is_an_item(project: pytest.Pytester) -> None:
    home = project.path / "lifecycle"
    home.mkdir()
    for name in ("one", "two"):
        (home / f"{name}.steps").write_text("policy offline\n")
    result = project.runpytest("--co", "-q", "lifecycle")
    result.stdout.fnmatch_lines(["lifecycle/one.steps::one", "lifecycle/two.steps::two"])
    (home / "two.steps").write_text("fly away\n")
    result = project.runpytest("--co", "-q", "lifecycle/two.steps")
    assert "Traceback" not in result.stdout.str() and "fly" in result.stdout.str()
