# SPDX-License-Identifier: GPL-2.0-only
"""What objects define, export and need: read from objects of a real compiler, and compared."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.patchcheck.objects import Objects, Unresolved, read_objects, unresolved
from harness.process import Enclosure, run

_SOURCE = """
extern int elsewhere(void); extern int maybe(void) __attribute__((weak));
static int hidden(void) { return 1; }
int shown(void) { return elsewhere() + hidden() + (maybe ? maybe() : 0); }
asm(".section \\".export_symbol\\",\\"a\\"\\n__export_symbol_shown: .asciz \\"\\"\\n.previous");
"""


def none(names: Collection[str]) -> Collection[str]:
    return ()


def compile_to(folder: Path, name: str, source: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.c").write_text(source)
    run(["gcc", "-fno-pic", "-c", "-o", f"{name}.o", f"{name}.c"], deadline=60, cwd=folder)


def test_objects_of_a_real_compiler(tmp_path: Path) -> None:
    compile_to(tmp_path / "mm", "a", _SOURCE)
    compile_to(tmp_path / "mm", "m", "extern int shown(void); int in_module(void) { return shown(); }")
    run(["ar", "rcT", "built-in.a", "a.o"], deadline=60, cwd=tmp_path / "mm")
    (tmp_path / "mm/modules.order").write_text("mm/m.o\n")
    assert read_objects(tmp_path, ["mm/", "fs/"], within=Enclosure()) == Objects(
        defined=frozenset({"shown"}),
        needed=frozenset({"elsewhere"}),
        module_needed=frozenset({"shown"}),
        exported=frozenset({"shown"}),
    )


def objects(**names: str) -> Objects:
    return Objects(**{kind: frozenset(text.split()) for kind, text in names.items()})


def judged(base: Objects, head: Objects, usual: str = "", exported: str = "", mentioned: str = "") -> Unresolved:
    return unresolved(
        base,
        head,
        usual=frozenset(usual.split()),
        exported=lambda names: set(names) & set(exported.split()),
        mentioned=lambda names: set(names) & set(mentioned.split()),
    )


def test_what_the_base_needs_too_is_not_asked_for() -> None:
    assert judged(objects(needed="kfree lost"), objects(needed="kfree lost", defined="new")) == Unresolved()


def test_a_function_that_is_left_out_with_the_option_is_missing() -> None:
    head = objects(needed="zswap_leave")
    assert judged(objects(), head, usual="zswap_leave").missing == ("zswap_leave",)
    assert judged(objects(), objects(needed="x", defined="x")) == Unresolved()


def test_what_is_not_compiled_here_is_unsure() -> None:
    assert judged(objects(), objects(needed="sysfs_emit")).elsewhere == ("sysfs_emit",)


def test_what_is_gone_matters_if_it_is_still_named() -> None:
    assert judged(objects(defined="old"), objects()) == Unresolved()
    assert judged(objects(defined="old"), objects(), mentioned="old").unsure == ("old",)


def test_a_module_needs_exports() -> None:
    head = objects(defined="register_it", module_needed="register_it")
    assert judged(objects(), head).not_exported == ("register_it",)
    exports = objects(defined="register_it", module_needed="register_it", exported="register_it")
    assert judged(objects(), exports) == Unresolved()
    there = objects(module_needed="sysfs_emit")
    assert judged(objects(), there, exported="sysfs_emit") == Unresolved()
    assert judged(objects(), there).unsure == ("sysfs_emit",)
    assert judged(objects(), there, usual="sysfs_emit").missing == ("sysfs_emit",)
