# SPDX-License-Identifier: GPL-2.0-only
"""From a built target to programs: what is run how, what is left out, what was not built, what Kconfig is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.kconfig import FragmentRequest, merge
from harness.kselftest import BuiltTarget, Circumstances, Known
from harness.kselftest.known import Failure, Skip, Split, Sysctl, When
from harness.kselftest.log import Reason
from harness.kselftest.options import fragment
from harness.suite.foreign import ForeignProgram
from harness.suite.kselftest import absent, selections
from harness.values import Verdict

TCG = Circumstances(kernel="6.12.1", accel="tcg", topology="direct")
KVM = Circumstances(kernel="6.12.1", accel="kvm", topology="direct")
SPLIT = Split(program="run_vmtests.sh", option="-t", pattern=r'CATEGORY="(\w+)" run_test')
SCRIPT = (
    '#!/bin/bash\nCATEGORY="thp" run_test ./khugepaged\nCATEGORY="cow" run_test ./cow\nCATEGORY="thp" run_test ./x\n'
)


@pytest.fixture
def mm(tmp_path: Path) -> BuiltTarget:
    home = tmp_path / "tree" / "mm"
    home.mkdir(parents=True)
    (home / "run_vmtests.sh").write_text(SCRIPT)
    (home / "run_vmtests.sh").chmod(0o755)
    unbuilt = {
        "ksm_tests": Reason(text="this machine has no library to link with for -lnuma", ours=False),
        "mdwe_test": Reason(text="mdwe_test.c:3:1: error: x | y", ours=True),
    }
    return BuiltTarget(target="mm", key="k", folder=tmp_path, programs=("run_vmtests.sh",), unbuilt=unbuilt)


def chosen(
    built: BuiltTarget,
    known: Known,
    wanted: dict[str, tuple[str, ...]] | None = None,
    *,
    keyword: str = "",
    timeout: float | None = None,
    now: Circumstances = TCG,
) -> dict[str, ForeignProgram]:
    whole = not wanted or "" in wanted
    names = {name: cases for name, cases in (wanted or {}).items() if name}
    found = selections(built, known, wanted=names, whole=whole, keyword=keyword, timeout=timeout, now=now)
    programs = [selection.program for selection in found]
    return {program.name: program for program in programs if isinstance(program, ForeignProgram)}


def test_a_program_that_is_many_and_what_was_not_built(mm: BuiltTarget) -> None:
    programs = chosen(mm, Known(split=SPLIT))
    assert list(programs) == ["thp", "cow", "ksm_tests", "mdwe_test"]
    words = programs["thp"].words
    assert words[-3:] == ("./run_vmtests.sh", "-t", "thp") and "kselftest:mm/thp:program" in words
    assert "ksm_tests|*|it was not built: this machine has no library to link with for -lnuma" in words
    assert "mdwe_test|*|it was not built: mdwe_test.c:3:1: error: x y" in words
    assert programs["ksm_tests"].refused is not None and programs["ksm_tests"].refused[0] is Verdict.SKIP
    assert programs["mdwe_test"].refused is not None and programs["mdwe_test"].refused[0] is Verdict.FAIL


def test_what_is_left_out_runs_when_it_is_named(mm: BuiltTarget) -> None:
    known = Known(
        split=SPLIT,
        skip=(
            Skip(program="cow", reason="minutes under TCG", when=When(accel="tcg")),
            Skip(program="thp", file="khugepaged", arguments="-s *", reason="slow"),
        ),
    )
    programs = chosen(mm, known)
    assert programs["cow"].refused is not None
    assert "minutes under TCG" in programs["cow"].refused[1] and "kselftest:mm/cow" in programs["cow"].refused[1]
    assert "khugepaged|-s *|slow" in programs["thp"].words
    assert chosen(mm, known, now=KVM)["cow"].refused is None
    named = chosen(mm, known, {"cow": (), "thp": ("cow.a",)})
    assert list(named) == ["thp", "cow"]
    assert named["cow"].refused is None and "khugepaged|-s *|slow" not in named["thp"].words
    assert named["thp"].only == ("cow.a",)
    both = chosen(mm, known, {"": (), "cow": ()})
    assert len(both) == 4 and both["cow"].refused is None and "khugepaged|-s *|slow" in both["thp"].words


def test_known_failures_reach_their_program(mm: BuiltTarget) -> None:
    known = Known(split=SPLIT, fail=(Failure(program="c*", case="x", reason="y"), Failure(program="thp", reason="z")))
    programs = chosen(mm, known)
    assert [one.case for one in programs["cow"].known] == ["x"]
    assert [one.case for one in programs["thp"].known] == ["program"]


@pytest.mark.parametrize(
    ("timeout", "now", "expected"), [(None, TCG, 180), (None, KVM, 45), (180, TCG, 720), (0, KVM, 3600), (0, TCG, 3600)]
)
def test_deadlines(mm: BuiltTarget, timeout: float | None, now: Circumstances, expected: float) -> None:
    known = Known(split=SPLIT, timeouts={"t*": 900.0})
    programs = chosen(mm, known, timeout=timeout, now=now)
    assert (programs["thp"].timeout, programs["cow"].timeout) == (900.0, expected)


def test_a_keyword_and_an_unknown_program(mm: BuiltTarget) -> None:
    assert list(chosen(mm, Known(split=SPLIT), keyword="mm/cow or mm/thp")) == ["thp", "cow"]
    with pytest.raises(UserError, match="program of the selftests 'mm' 'cwo'") as caught:
        chosen(mm, Known(split=SPLIT), {"cwo": ()})
    assert "did you mean 'cow'?" in (caught.value.hint or "")


def test_a_target_that_does_not_build_at_all(tmp_path: Path) -> None:
    broken = BuiltTarget(
        target="x", key="k", folder=tmp_path, programs=(), unbuilt={"Makefile": Reason(text="no", ours=True)}
    )
    (program,) = chosen(broken, Known()).values()
    assert program.refused == (Verdict.FAIL, "it was not built: no")


def test_a_target_that_is_not_there() -> None:
    program = absent("dax", "no such tests").program
    assert isinstance(program, ForeignProgram)
    assert program.refused == (Verdict.SKIP, "no such tests") and program.suite == "kselftest:dax"


def test_a_script_that_is_not_executable_gets_its_interpreter(tmp_path: Path) -> None:
    home = tmp_path / "tree" / "x"
    home.mkdir(parents=True)
    (home / "a.sh").write_text("#!/bin/bash -e\n")
    built = BuiltTarget(target="x", key="k", folder=tmp_path, programs=("a.sh",), unbuilt={})
    assert chosen(built, Known())["a.sh"].words[-3:] == ("/bin/bash", "-e", "./a.sh")


def test_options_are_optional_and_leave_the_profile_its_own(tmp_path: Path) -> None:
    wanted = {"mm": {"KSM": "y", "GUP_TEST": "y", "TEST_HMM": "m", "OFF": "n"}, "cgroup": {"KSM": "y", "CGROUPS": "y"}}
    known = {"mm": Known(config=("CONFIG_SECRETMEM=y",)), "cgroup": Known()}
    request = fragment(wanted, known, asked={"GUP_TEST": "y"})
    assert request is not None and request.name == "kselftest:mm,cgroup"
    merged = merge([FragmentRequest("CONFIG_X=y"), request], tmp_path)
    assert {name: one.value for name, one in merged.asked.items()} == {
        "X": "y", "KSM": "y", "TEST_HMM": "y", "SECRETMEM": "y", "CGROUPS": "y",
    }  # fmt: skip
    assert all(one.optional for name, one in merged.asked.items() if name != "X")
    assert merged.asked["KSM"].why == "for the selftests of mm"
    modular = fragment({"mm": {"TEST_HMM": "m"}}, {"mm": Known()}, asked={"MODULES": "y"})
    assert modular is not None and "CONFIG_TEST_HMM=m" in modular.body
    assert fragment({"mm": {"GUP_TEST": "y"}}, {"mm": Known()}, asked={"GUP_TEST": "y"}) is None


def test_swap_and_zswap_are_on_where_a_program_wants_them(mm: BuiltTarget) -> None:
    programs = chosen(mm, Known(split=SPLIT, swap=("c*",), zswap=("co*",)))
    words = programs["cow"].words
    assert words[words.index("mm") - 3 : words.index("mm") - 1] == ("-w", "-z")
    assert not {"-w", "-z"} & set(programs["thp"].words)


def test_sysctls_are_set_where_a_program_needs_them(mm: BuiltTarget) -> None:
    needed = Sysctl(program="c*", name="kernel/threads-max", value="-1", reason="r", when=When(accel="tcg"))
    known = Known(split=SPLIT, sysctl=(needed,))
    words = chosen(mm, known)["cow"].words
    assert words[words.index("mm") - 3 : words.index("mm") - 1] == ("-c", "kernel/threads-max=-1")
    assert "-c" not in chosen(mm, known)["thp"].words
    assert "-c" not in chosen(mm, known, now=KVM)["cow"].words
