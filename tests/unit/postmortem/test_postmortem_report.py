# SPDX-License-Identifier: GPL-2.0-only
"""The lines of a splat's frames in a triage report: drgn on a real program with debug information."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import drgn
import pytest

from harness.postmortem.report_splat import frame_lines
from harness.splat.stack import Entry

SOURCE = """\
#include <unistd.h>
static inline __attribute__((always_inline)) int inlined(int much)
{
	return much / (much - 7);
}
__attribute__((noinline)) int outer(int much)
{
	return inlined(much) + 1;
}
int main(int argc, char **argv)
{
	write(1, "x", 1);
	pause();
	return outer(argc);
}
"""


@pytest.fixture
def prog(tmp_path: Path) -> Iterator[drgn.Program]:
    (tmp_path / "a.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-O2", "-o", "a", "a.c"], cwd=tmp_path, check=True, timeout=60)
    with subprocess.Popen([tmp_path / "a"], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None and child.stdout.read(1) == b"x"
            made = drgn.Program()
            made.set_pid(child.pid)
            made.load_debug_info([str(tmp_path / "a")])
            yield made
        finally:
            child.kill()


def test_a_frame_has_its_line_and_those_of_what_was_inlined_there(prog: drgn.Program) -> None:
    size = prog.symbol("outer").size
    seen = {}
    for offset in range(size):
        lines = frame_lines(prog, Entry(symbol="outer", offset=offset, size=size, exact=True))
        assert re.fullmatch(r"outer at .*a\.c:[6-9]", lines[-1]), lines
        seen[len(lines)] = lines
    assert re.fullmatch(r"inlined at .*a\.c:4", seen[2][0]), seen


def test_a_return_address_is_the_line_of_the_call(prog: drgn.Program) -> None:
    size = prog.symbol("outer").size
    after = frame_lines(prog, Entry(symbol="outer", offset=size, size=size))
    assert re.fullmatch(r"outer at .*a\.c:[89]", after[-1]), "the function's last byte, not the next one's first"


@pytest.mark.parametrize(
    "entry",
    [
        Entry(symbol="nothing", offset=1, size=8),
        Entry(symbol="outer", offset=1 << 40, size=8),
        Entry(symbol="outer", offset=1, size=8, module="lkdtm"),
    ],
)
def test_what_has_no_line_is_as_the_kernel_wrote_it(prog: drgn.Program, entry: Entry) -> None:
    assert frame_lines(prog, entry) == [str(entry)]
