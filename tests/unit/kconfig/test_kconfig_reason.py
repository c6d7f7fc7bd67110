# SPDX-License-Identifier: GPL-2.0-only
"""The reasons for lost options, on a small tree of symbols."""

from __future__ import annotations

import pytest

from harness.errors import UserError
from harness.kconfig.check import judge, lost
from harness.kconfig.dotconfig import difference, normalized, parse, same_value
from harness.kconfig.fragment import Assignment
from harness.kconfig.language import Symbols, read
from harness.kconfig.merge import Merged

KCONFIG = """\
config MODULES
	bool "modules"
config PCI
	bool "PCI"
config CXL_BUS
	tristate "CXL"
	depends on PCI
config CXL_REGION
	bool "Region"
	depends on CXL_BUS && SPARSEMEM && (ACPI || OF)
config SPARSEMEM
	def_bool y
	depends on !FLATMEM
config FLATMEM
	bool "flat"
config ACPI
	bool "ACPI" if EXPERT
config EXPERT
	bool "expert"
config MIGRATION
	bool
config COMPACTION
	bool "compaction"
	select MIGRATION
	select LIBCRC if PCI
config LIBCRC
	tristate "crc"
config NR_CPUS
	int "CPUs"
	range 2 64
choice
	prompt "Preemption"
config PREEMPT_NONE
	bool "none"
config PREEMPT_FULL
	bool "full"
endchoice
config COMPILER
	bool "compiler"
	depends on $(cc-option,-fsomething) && PCI
"""


def symbols() -> Symbols:
    return read({"Kconfig": KCONFIG}.get, variables={})


def reason(wanted: str, final: str, *others: str, optional: bool = False) -> str:
    """The reason why ``wanted`` is not in ``final``, beside ``others`` (fragment 'other') that were asked for."""
    asked: dict[str, Assignment] = {}
    for fragment, line in [("mine", wanted), *(("other", line) for line in others)]:
        name, _, value = line.partition("=")
        asked[name] = Assignment(option=name, value=value, fragment=fragment, optional=optional)
    merged = Merged(requests=(), asked=asked, askers={})
    values = dict(pair.split("=") for pair in final.split())
    found = [one for one in lost(merged, values, symbols) if one.wanted.fragment == "mine"]
    assert len(found) == 1
    return found[0].reason


@pytest.mark.parametrize(
    ("wanted", "final", "others", "said"),
    [
        ("CXL_REGON=y", "", (), "unknown in this kernel (nearest: CONFIG_CXL_REGION)"),
        ("QWERTYUIOP_ASDF=y", "", (), "unknown in this kernel"),
        ("CXL_BUS=y", "", (), "unmet dependency: PCI is n and no fragment asks for it"),
        ("CXL_BUS=y", "", ("PCI=n",), "unmet dependency: PCI is n (asked for as n by 'other')"),
        (
            "CXL_REGION=y",
            "SPARSEMEM=y ACPI=y",
            ("CXL_BUS=y",),
            "unmet dependency: CXL_BUS is n (asked for as y by 'other') because PCI is n and no fragment asks for it",
        ),
        (
            "CXL_REGION=y",
            "SPARSEMEM=y CXL_BUS=y",
            (),
            "unmet dependency: ACPI || OF does not hold (ACPI is n, OF is n, unknown in this kernel)",
        ),
        (
            "CXL_REGION=y",
            "ACPI=y CXL_BUS=y FLATMEM=y",
            (),
            "unmet dependency: SPARSEMEM is n, which has no prompt: it depends on !FLATMEM (FLATMEM is y)",
        ),
        ("ACPI=y", "", (), "unmet dependency: EXPERT is n and no fragment asks for it"),
        ("MIGRATION=y", "", (), "it has no prompt: it is selected by COMPACTION"),
        ("LIBCRC=n", "COMPACTION=y PCI=y LIBCRC=y", ("COMPACTION=y",), "selected by COMPACTION (fragment 'other')"),
        ("LIBCRC=m", "COMPACTION=y PCI=y LIBCRC=y", (), "it is y: selected by COMPACTION"),
        ("LIBCRC=m", "LIBCRC=y", (), "it is y: MODULES is n"),
        ("PCI=m", "PCI=y", (), "it is a bool: y or n, never m"),
        ("PCI=maybe", "", (), "it is a bool, and maybe is no value of one"),
        ("NR_CPUS=128", "NR_CPUS=64", (), "its range is 2 to 64; it is 64 now"),
        ("NR_CPUS=many", "NR_CPUS=2", (), "it is an int, and many is no value of one"),
        (
            "PREEMPT_FULL=y",
            "PREEMPT_NONE=y",
            ("PREEMPT_NONE=y",),
            "the choice 'Preemption' has another: PREEMPT_NONE is y (asked for as y by 'other')",
        ),
        ("PREEMPT_NONE=n", "PREEMPT_NONE=y", (), "it is a choice's default; ask for another of its members"),
        ("COMPILER=y", "", (), "unmet dependency: PCI is n and no fragment asks for it"),
        ("COMPILER=y", "PCI=y", (), "the tree's Kconfig made it n (a bool)"),
    ],
)
def test_the_reason(wanted: str, final: str, others: tuple[str, ...], said: str) -> None:
    assert reason(wanted, final, *others) == said


def test_all_lost_options_are_told_at_once_and_are_an_error() -> None:
    asked = {
        name: Assignment(option=name, value="y", fragment="f", optional=name == "B", why="why")
        for name in ("A", "B", "C")
    }
    found = lost(Merged(requests=(), asked=asked, askers={"A": ("f", "g")}), {}, symbols)
    with pytest.raises(UserError, match="2 requested Kconfig options did not survive") as caught:
        judge(found)
    assert caught.value.exit_code == 2
    assert caught.value.details[0].startswith("CONFIG_A=y (fragment 'f', 'g'): unknown in this kernel")
    assert judge(found[1:2]) == ("CONFIG_B=y (fragment 'f'): unknown in this kernel [why]",)
    assert len(judge(found, strict=False)) == 3


def test_nothing_is_read_where_nothing_is_lost() -> None:
    def fail() -> Symbols:
        raise AssertionError("the tree's Kconfig was read")

    asked = {
        "A": Assignment(option="A", value="0x10", fragment="f"),
        "B": Assignment(option="B", value="n", fragment="f"),
    }
    assert lost(Merged(requests=(), asked=asked, askers={}), {"A": "16"}, fail) == ()


@pytest.mark.parametrize(
    ("wanted", "actual", "same"),
    [
        ("y", "y", True),
        ("n", None, True),
        ("y", "m", False),
        ("y", None, False),
        ("16", "0x10", True),
        ("1", "y", False),
        ('""', None, True),
        ('"a"', '"a"', True),
        ('"a"', '"b"', False),
        ("a", '"a"', True),
        ("0", None, False),
    ],
)
def test_values_compare_as_kconfig_means_them(wanted: str, actual: str | None, same: bool) -> None:
    assert same_value(wanted, actual) is same


def test_a_dotconfig_reads_and_compares() -> None:
    text = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.1 Kernel Configuration\n#\n"
    body = 'CONFIG_A=y\n# CONFIG_B is not set\n\n#\n# Menu\n#\nCONFIG_N="x=y"\n'
    assert normalized(text + body) == body
    assert parse(text + body) == {"A": "y", "B": "n", "N": '"x=y"'}
    assert difference({"A": "y", "B": "n", "C": "m"}, {"A": "m", "C": "m", "D": "1"}) == {
        "A": ("y", "m"),
        "D": (None, "1"),
    }
