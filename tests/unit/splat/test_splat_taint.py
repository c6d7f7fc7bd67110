# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from harness.splat.taint import FLAGS, TaintWatch, notes, taint_splat


def letters(watch: TaintWatch, text: str) -> str:
    return "".join(flag.letter for flag in watch.mark(text))


def test_the_first_mark_is_where_it_starts_from() -> None:
    watch = TaintWatch()
    assert letters(watch, "taint=512") == ""
    assert letters(watch, "taint=512") == ""
    assert letters(watch, "taint=4736") == "DO"
    assert letters(watch, "taint=4736") == ""


def test_what_is_no_value_says_nothing() -> None:
    watch = TaintWatch()
    assert letters(watch, "taint=0") == ""
    for text in ("", "taint=", "taint=x", "taint=99999999999999999999", "some=1"):
        assert letters(watch, text) == ""
    assert letters(watch, "taint=16") == "M"


def test_a_bit_that_nobody_knows_is_reported() -> None:
    watch = TaintWatch()
    watch.mark("taint=0")
    splat = taint_splat(watch.mark(f"taint={1 << 25}"), ())
    assert splat is not None and "bit 25" in splat.title


def test_bits_are_in_order_and_each_has_its_letter() -> None:
    assert [flag.bit for flag in FLAGS] == list(range(len(FLAGS)))
    assert len({flag.letter for flag in FLAGS}) == len(FLAGS)
    assert all(flag.meaning for flag in FLAGS)


def test_what_a_report_explains() -> None:
    watch = TaintWatch()
    watch.mark("taint=0")
    flags = watch.mark("taint=640")  # D and W
    assert taint_splat(flags, {"bug"}) is None
    only_warning = taint_splat(flags, {"warning"})
    assert only_warning is not None and "D (the kernel died" in only_warning.title and "W (" not in only_warning.title
    assert taint_splat(flags, {"oom"}) is not None
    assert only_warning.matches("^taint$") and only_warning.matches(r"\bD \(")


def test_modules_from_outside_are_allowed_and_noted() -> None:
    watch = TaintWatch()
    watch.mark("taint=0")
    flags = watch.mark(f"taint={1 << 12 | 1 << 13}")
    assert taint_splat(flags, ()) is None
    assert len(notes(flags)) == 2 and "O" in notes(flags)[0]
