# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from harness.kconfig.language import Symbols, read

ROOT = """\
# a comment
mainmenu "Linux/$(ARCH)"
source "scripts/Kconfig.include"
source "arch/$(SRCARCH)/Kconfig"

config BUS
\ttristate "A bus" if EXPERT
\tdefault y if PCI
\tdepends on PCI && \\
\t\tHAS_IOMEM
\tselect MIGRATION if SWAP
\timply EXTRA
\thelp
\t  First paragraph, with select and depends on in it.

\t  config NOT_A_SYMBOL

config AFTER
\tbool

if BUS
menu "Devices"
\tdepends on HAS_IOMEM
\tvisible if !TINY

config MEM
\tint "Size # not a comment"
\trange 2 512 if BUS
\tdefault 8
endmenu
endif

choice
\tprompt "Preemption"
\tdefault NONE
config NONE
\tbool "None"
if SMP
config FULL
\tbool "Full"
endif
endchoice

config LATER
\tdef_bool $(success,test -e "x")
\tsomething-new in a later kernel
"""
FILES = {
    "Kconfig": ROOT,
    "scripts/Kconfig.include": "comma := ,\ncc-option = $(success,$(CC) -Werror $(1))\n",
    "arch/x86/Kconfig": 'config PCI\n\tbool "PCI"\nosource "missing/Kconfig"\nsource "gone"\n',
}


def symbols() -> Symbols:
    return read(FILES.get, variables={"SRCARCH": "x86"})


def test_reads_every_symbol_and_nothing_of_help_texts() -> None:
    assert sorted(symbols().definitions) == ["AFTER", "BUS", "FULL", "LATER", "MEM", "NONE", "PCI"]


def test_reads_attributes_over_joined_lines() -> None:
    (bus,) = symbols().definitions["BUS"]
    assert (bus.type, bus.prompt, bus.place) == ("tristate", "A bus", "Kconfig:6")
    assert str(bus.depends) == "PCI && HAS_IOMEM"
    assert str(bus.prompt_condition) == "EXPERT"
    assert bus.help.startswith("First paragraph") and bus.help.endswith("config NOT_A_SYMBOL")
    assert [(value, str(condition)) for value, condition in bus.defaults] == [("y", "PCI")]


def test_enclosing_conditions_belong_to_a_symbol() -> None:
    (mem,) = symbols().definitions["MEM"]
    assert str(mem.depends) == "BUS && HAS_IOMEM"
    assert str(mem.prompt_condition) == "!TINY"
    assert mem.prompt == "Size # not a comment"
    assert [(low, high) for low, high, _ in mem.ranges] == [("2", "512")]
    (after,) = symbols().definitions["LATER"]
    assert str(after.depends) == "y"


def test_knows_who_selects_a_symbol_and_when() -> None:
    ((by, condition),) = symbols().selected_by["MIGRATION"]
    assert (by, str(condition)) == ("BUS", "PCI && HAS_IOMEM && SWAP")


def test_choice_members_know_their_choice() -> None:
    known = symbols().definitions
    (none,), (full,) = known["NONE"], known["FULL"]
    assert none.choice is full.choice and none.choice is not None
    assert (none.choice.prompt, none.choice.members) == ("Preemption", ["NONE", "FULL"])
    assert str(full.depends) == "SMP"


def test_a_symbol_without_prompt_is_not_asked_for() -> None:
    assert symbols().prompts("AFTER") == [] and symbols().type_of("LATER") == "bool"
