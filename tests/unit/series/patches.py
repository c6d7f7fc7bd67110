# SPDX-License-Identifier: GPL-2.0-only
"""Builds patch mails for tests."""

from __future__ import annotations


def mail(
    subject: str, diff: str = "", *, body: str = "Why.\n", date: str | None = "Fri, 20 Nov 2026 12:00:00 +0000",
    message_id: str = "", sender: str = "Dev <dev@example.org>", from_line: bool = True,
) -> bytes:  # fmt: skip
    """One mail as git format-patch writes it."""
    lines = ["From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"] if from_line else []
    lines.append(f"From: {sender}")
    if date:
        lines.append(f"Date: {date}")
    lines.append(f"Subject: {subject}")
    if message_id:
        lines.append(f"Message-ID: <{message_id}>")
    text = "\n".join(lines) + f"\n\n{body}"
    return (text + (f"---\n{diff}" if diff else "") + "-- \n2.39.5\n\n").encode()


def change(path: str = "mm/swap.c", old: str = "int swap;", new: str = "int patched;", line: int = 1) -> str:
    """A diff that replaces one line."""
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{line} +{line} @@\n-{old}\n+{new}\n"


def new_file(path: str, text: str = "int new;") -> str:
    """A diff that adds a file of one line."""
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{text}\n"


def three(prefix: str = "PATCH") -> list[bytes]:
    """A series of three patches with a cover letter."""
    cover = "Cover.\n\nbase-commit: 803dd4b1159cf9864be17aab8a17653e6ecbbbb6\n"
    return [
        mail(f"[{prefix} 0/3] mm: three things", body=cover, message_id="cover@example.org"),
        mail(f"[{prefix} 1/3] mm: first", change(), message_id="1@example.org"),
        mail(f"[{prefix} 2/3] mm: second", change(old="int patched;", new="int twice;")),
        mail(f"[{prefix} 3/3] mm: third", new_file("mm/new.c")),
    ]  # fmt: skip
