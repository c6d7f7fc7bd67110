# SPDX-License-Identifier: GPL-2.0-only
"""The diff reader: files and hunks of every form that git writes, and what is damaged is said where."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.series.diff import DiffError, parse

GOOD = """diff --git a/mm/a.c b/mm/a.c
index 1..2 100644
--- a/mm/a.c
+++ b/mm/a.c
@@ -1,3 +1,3 @@ int main(void)
 one
-two
+zwei
 three
@@ -10 +10,2 @@
-ten
+zehn
+elf
\\ No newline at end of file
"""


def test_hunks() -> None:
    (found,) = parse("text\n--\n" + GOOD + "-- \n2.39.5\n")
    assert (found.old, found.new) == ("mm/a.c", "mm/a.c")
    assert [(hunk.old_start, hunk.new_start) for hunk in found.hunks] == [(1, 1), (10, 10)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "diff --git a/x b/x\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n",
            (None, "x"),
        ),
        ("diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", ("x", None)),
        ("diff --git a/x b/x\nnew file mode 100644\nindex 0..0\n", (None, "x")),
        ("diff --git a/x y b/x y\nold mode 100644\nnew mode 100755\n", ("x y", "x y")),
        ("diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n", ("x", "y")),
        ('diff --git "a/\\303\\244" "b/\\303\\244"\nold mode 1\nnew mode 2\n', ("ä", "ä")),
        ("diff --git a/x b/x\nindex 0..1\nGIT binary patch\nliteral 0\n", ("x", "x")),
        ("--- linux.orig/mm/x.c\t2020\n+++ linux/mm/x.c\t2020\n@@ -1 +1 @@\n-a\n+b\n", ("mm/x.c", "mm/x.c")),
    ],
)
def test_forms(text: str, names: tuple[str | None, str | None]) -> None:
    (found,) = parse(text)
    assert (found.old, found.new) == names


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (" three\n@@ -10", "@@ -10", "does not belong into the hunk"),
        ("-two\n", "", "does not belong|more lines"),
        ("+zehn\n+elf\n\\ No newline at end of file\n", "+zehn\n", "cut short|does not belong"),
        ("+++ b/mm/a.c\n", "", "expected"),
        (
            "@@ -1,3 +1,3 @@ int main(void)\n one\n-two\n+zwei\n three\n@@ -10 +10,2 @@\n-ten\n+zehn\n+elf\n",
            "",
            "no hunk",
        ),
        (" three", "three", "does not belong"),
    ],
)
def test_damage(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(DiffError, match=says):
        parse(GOOD.replace(old, new))


def test_file_without_change_and_hunk_without_file() -> None:
    with pytest.raises(DiffError, match="without any change"):
        parse("diff --git a/x b/x\nindex 1..2 100644\n")
    with pytest.raises(DiffError, match="without the file"):
        parse("@@ -1 +1 @@\n-a\n+b\n")


def test_prose_is_no_diff() -> None:
    assert parse("A list:\n--- a thing\nnot a diff\n@@ is a shell word\n") == ()


@given(st.text(alphabet="ab+- @\\\n0123456789,dif-gt/", max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(DiffError):
        parse(GOOD + text)
