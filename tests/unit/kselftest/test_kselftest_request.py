# SPDX-License-Identifier: GPL-2.0-only
"""What a user may ask of the tree's selftests, and what a tree answers."""

from __future__ import annotations

import pytest

from harness.errors import UserError
from harness.kselftest.request import Wanted, is_request, parse
from harness.kselftest.tree import decides, digest_of, read_options, read_timeout, resolve, targets_of

TARGETS = ("cgroup", "filesystems", "filesystems/epoll", "mm", "net/af_unix")


def test_several_targets_programs_and_cases() -> None:
    assert parse("kselftest:mm, cgroup/test_core:test_a,mm,net/af_unix") == (
        Wanted("mm"),
        Wanted("cgroup/test_core", "test_a"),
        Wanted("net/af_unix"),
    )
    assert str(Wanted("cgroup/test_core", "test_a")) == "kselftest:cgroup/test_core:test_a"


def test_which_names_are_requests() -> None:
    assert is_request("kselftest:mm") and is_request("kselftest")
    assert not is_request("kselftests") and not is_request("cxl/test_region:x")


@pytest.mark.parametrize("name", ["kselftest", "kselftest:", "kselftest:,", "kselftest: "])
def test_a_request_for_nothing(name: str) -> None:
    with pytest.raises(UserError, match="names no target") as caught:
        parse(name)
    assert "kselftest:mm" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "name", ["kselftest:../mm", "kselftest:mm;ls", "kselftest:/mm", "kselftest:mm/", "kselftest:mm,,x", "kselftest:m m",
             "kselftest:cgroup/test_core:", "kselftest:cgroup/test_core:a b", "kselftest:-x"],
)  # fmt: skip
def test_what_no_target_can_be_called(name: str) -> None:
    with pytest.raises(UserError, match="is no target"):
        parse(name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("mm", ("mm", "")),
        ("mm/cow", ("mm", "cow")),
        ("filesystems", ("filesystems", "")),
        ("filesystems/epoll", ("filesystems/epoll", "")),
        ("filesystems/devpts", ("filesystems", "devpts")),
        ("filesystems/epoll/epoll_wakeup_test", ("filesystems/epoll", "epoll_wakeup_test")),
        ("net/af_unix/x", ("net/af_unix", "x")),
    ],
)
def test_target_and_program(path: str, expected: tuple[str, str]) -> None:
    assert resolve(Wanted(path), TARGETS) == expected


def test_an_unknown_target_names_the_nearest_and_some() -> None:
    with pytest.raises(UserError, match="no selftest target 'cgruop'") as caught:
        resolve(Wanted("cgruop"), TARGETS)
    assert "did you mean 'cgroup'?" in (caught.value.hint or "")
    assert "mm" in (caught.value.hint or "")


def test_a_folder_of_targets_names_those_below() -> None:
    with pytest.raises(UserError) as caught:
        resolve(Wanted("net"), TARGETS)
    assert "net/af_unix" in (caught.value.hint or "")


def test_a_target_that_a_tree_may_do_without() -> None:
    assert resolve(Wanted("dax"), TARGETS, absent=("dax",)) == ("dax", "")
    with pytest.raises(UserError):
        resolve(Wanted("dax"), TARGETS)


FILES = {
    "Makefile": "1",
    "mm/page_alloc.c": "2",
    "mm/gup_test.h": "3",
    "include/uapi/linux/mman.h": "4",
    "drivers/cxl/cxl.h": "5",
    "tools/testing/selftests/lib.mk": "6",
    "tools/testing/selftests/Makefile": "7",
    "tools/testing/selftests/mm/Makefile": "8",
    "tools/testing/selftests/net/af_unix/Makefile": "9",
    "tools/testing/selftests/kselftest/runner.sh": "10",
}


def test_the_targets_of_a_tree() -> None:
    assert targets_of(FILES) == ["mm", "net/af_unix"]


def test_a_kernel_source_file_does_not_decide_a_selftest_and_a_header_does() -> None:
    assert digest_of(FILES) == digest_of({**FILES, "mm/page_alloc.c": "x", "drivers/cxl/cxl.h": "x"})
    for name in ("mm/gup_test.h", "include/uapi/linux/mman.h", "tools/testing/selftests/lib.mk", "Makefile"):
        assert decides(name)
        assert digest_of(FILES) != digest_of({**FILES, name: "x"})


def test_config_and_settings() -> None:
    text = "CONFIG_A=y\n# a remark\nCONFIG_B=m # why\n\n# CONFIG_C is not set\nnonsense\nCONFIG_D=12\n"
    assert read_options(text) == {"A": "y", "B": "m", "C": "n", "D": "12"}
    assert read_timeout("# slow\ntimeout=180\n") == 180.0
    assert read_timeout("timeout=0\n") == 0.0
    assert read_timeout("timeout=soon\nuser=x\n") is None
