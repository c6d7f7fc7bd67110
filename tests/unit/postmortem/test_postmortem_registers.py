# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's register dump (recorded from 11.1.3, flags changed), and names from a System.map."""

from __future__ import annotations

from pathlib import Path

from harness.postmortem.registers import Symbols, describe, parse

TEXT = """
CPU#0
RAX=0000000000000000 RBX=ffffffff82015900 RCX=0000000000000001 RDX=4000000000000000
RSI=ffffffff81f2b0c6 RDI=00000000000028e4 RBP=ffffffff82003e98 RSP=ffffffff82003e98
R8 =00000000000028e4 R9 =0000000000000000 R10=0000000000000001 R11=0000000000000000
RIP=ffffffff8188a2db RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
ES =0000 0000000000000000 00000000 00000000

CPU#1
RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000000
RIP=000000000045d2f1 RFL=00000206 [-----P-] CPL=3 II=0 A20=1 SMM=0 HLT=0

CPU#2
RIP=ffffffff81000123 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0

CPU#3
RIP=ffffffff8188a2db RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1

CPU#4
RAX=00000000000000
"""
MAP = Symbols(
    "ffffffff81000100 T spin_here\nffffffff81000200 t next\nffffffff8188a2d0 t default_idle\n"
    "0000000000000000 A fixed\nffffffff82015900 D init_task\n"
)


def test_each_cpu_is_where_it_is() -> None:
    assert [describe(one, MAP) for one in parse(TEXT)] == [
        "CPU 0 in default_idle+0xb, halted",
        "CPU 1 in user space",
        "CPU 2 in spin_here+0x23, interrupts off",
        "CPU 3 in default_idle+0xb, halted with interrupts off",
    ], "a CPU whose block is cut off is left out"
    assert [one.deaf for one in parse(TEXT)] == [False, False, False, True]


def test_without_symbols_there_is_the_address() -> None:
    assert describe(parse(TEXT)[2], Symbols.of(None)) == "CPU 2 at 0xffffffff81000123, interrupts off"
    assert Symbols.of(Path("/nowhere/System.map")).at(0xFFFFFFFF81000123) == ""
    assert MAP.at(0x1000) == "" and MAP.at(0xFFFFFFFFFFFFFFFF) == "", "far from any symbol a name would be a guess"


def test_no_registers() -> None:
    assert parse("") == () and parse("CPU#0\nnothing") == ()
