# SPDX-License-Identifier: GPL-2.0-only
"""What every HTML page of the harness shares: one style, one small script, strict templates that escape everything."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from harness.display import duration, printable

_HERE = Path(__file__).parent

STYLE = (_HERE / "style.css").read_text("utf-8")
SCRIPT = (_HERE / "script.js").read_text("utf-8")
"""The script of the site: themes, filters, sorting, keys. Pages say the same without it."""

MARKS = {
    "PASS": "✓", "XFAIL": "✓", "SKIP": "–", "FAIL": "✗", "XPASS": "✗", "CRASH": "▲", "TIMEOUT": "T", "LOST": "L",
    "APPLY": "A", "BUILD": "B", "BOOT": "N", "INFRA": "I",
}  # fmt: skip
"""A verdict in one character, for grids: read without its colour."""


def templates(folder: Path) -> jinja2.Environment:
    """The templates of a folder: an undefined name is an error, a value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.globals |= {"duration": duration, "v": word, "q": square, "style": STYLE}
    environment.filters["clean"] = clean
    return environment


def clean(text: Any, limit: int = 2000) -> str:
    """Text from outside without what a terminal or a reader's eye would act on, cut to ``limit`` characters."""
    return printable(str(text), limit=limit)


@lru_cache(maxsize=64)
def word(verdict: str) -> Markup:
    """A verdict as a word with a sign and a colour."""
    known = verdict if verdict in MARKS else "none"
    return Markup('<b class="v {}">{}</b>').format(known, verdict or "none")


def square(verdict: str, href: str = "", title: str = "") -> Markup:
    """A verdict as one sign in a grid, with what it links to; ``title`` says it in words."""
    known = verdict if verdict in MARKS else "empty"
    what, sign = escape(title or verdict or "no run"), MARKS.get(verdict, "·")
    if href:
        return Markup(f'<a class="q {known}" href="{escape(href)}" title="{what}">{sign}</a>')
    return Markup(f'<span class="q {known}" title="{what}">{sign}</span>')
