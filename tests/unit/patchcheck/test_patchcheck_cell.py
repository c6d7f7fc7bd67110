# SPDX-License-Identifier: GPL-2.0-only
"""Cells of the grid: how they are named, what is refused, which are there by default."""

from __future__ import annotations

import pytest

from harness.errors import UserError
from harness.kconfig.expression import YES
from harness.kconfig.language import Definition, Symbols
from harness.patchcheck.cell import decide_objects, default_cells, folders, parse_cell, tristates_of

SYMBOLS = Symbols(
    definitions={
        name: [Definition(place="x:1", depends=YES, type=kind, prompt=name)]
        for name, kind in (("ZSWAP", "bool"), ("NUMA", "bool"), ("CXL_BUS", "tristate"), ("DAX", "tristate"),
                           ("HZ", "int"))
    }
)  # fmt: skip


def test_what_a_user_writes() -> None:
    assert parse_cell("ZSWAP=n", SYMBOLS, ()).requests == ("CONFIG_ZSWAP=n",)
    assert parse_cell("CONFIG_ZSWAP=n", SYMBOLS, ()).name == "ZSWAP=n"
    assert parse_cell("CXL_BUS=m", SYMBOLS, ()).requests == ("CONFIG_MODULES=y", "CONFIG_CXL_BUS=m")
    assert parse_cell("modules", SYMBOLS, ("DAX",)).requests == ("CONFIG_MODULES=y", "CONFIG_DAX=m")
    assert parse_cell("randconfig:7", SYMBOLS, ()).seed == 7
    assert parse_cell("randconfig:7", SYMBOLS, ()).folder == "randconfig-7"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ZSWAPP=n", "no option CONFIG_ZSWAPP"),
        ("ZSWAP=m", "is a bool"),
        ("HZ=n", "is int"),
        ("ZSWAP", "is no cell"),
        ("randconfig:x", "is no cell"),
        ("", "is no cell"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        parse_cell(text, SYMBOLS, ())
    assert caught.value.hint or "cannot be turned off" in caught.value.message


def test_the_nearest_option_is_named() -> None:
    with pytest.raises(UserError) as caught:
        parse_cell("ZSWAPP=n", SYMBOLS, ())
    assert caught.value.hint == "did you mean 'ZSWAP'?"


def test_default_cells_are_of_options_that_the_tree_has() -> None:
    names = [cell.name for cell in default_cells("quick", SYMBOLS, ("CXL_BUS", "DAX"))]
    assert names == ["NUMA=n", "ZSWAP=n", "modules"]
    full = [cell.name for cell in default_cells("full", SYMBOLS, ("CXL_BUS", "DAX"))]
    assert full == [*names, "CXL_BUS=m", "DAX=m"]


def test_folders_that_hold_objects() -> None:
    files = ["mm/zswap.c", "mm/damon/core.c", "include/linux/mm.h", "Documentation/mm/x.rst", "MAINTAINERS",
             "drivers/cxl/core/region.c", "drivers/cxl/cxl.h", "tools/testing/cxl/Kbuild", "drivers/dax/Kconfig",
             "arch/x86/include/asm/a.h", "kernel/cgroup/cpuset.c"]  # fmt: skip
    assert folders(files) == ("drivers/cxl/", "kernel/cgroup/", "mm/")


def test_documents_decide_no_object() -> None:
    assert not decide_objects(["Documentation/mm/x.rst", "MAINTAINERS"])
    assert decide_objects(["MAINTAINERS", "include/linux/mm.h"]) and decide_objects(["drivers/dax/Kconfig"])


def test_tristates_are_those_of_the_makefiles_that_are_built_in() -> None:
    makefiles = ["obj-$(CONFIG_CXL_BUS) += core/\nobj-$(CONFIG_ZSWAP) += z.o\n", "obj-$(CONFIG_DAX) += dax.o"]
    assert tristates_of(makefiles, SYMBOLS, {"CXL_BUS": "y", "DAX": "m", "ZSWAP": "y"}) == ("CXL_BUS",)
