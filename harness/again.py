# SPDX-License-Identifier: GPL-2.0-only
"""The command that runs something again, made from the one that ran it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

DEBUG_INFO = "debuginfo"
"""The fragment with which a memory dump can be read, and a stack decoded."""

_SELECTING = ("--suite", "--case", "-k")


def without(words: Sequence[str], *options: str) -> list[str]:
    """A command without some of its options and their values."""
    kept = []
    following = iter(words)
    for word in following:
        if word in options:
            next(following, None)
        elif not word.startswith(tuple(f"{option}=" for option in options)):
            kept.append(word)
    return kept


def one_case(words: Sequence[str], case: str, *, config: str = "") -> str:
    """The command line for one case (``suite/program:case``) alone; ``config`` is one more fragment."""
    more = ["--add-config", config] if config else []
    return shlex.join([*without(words, *_SELECTING), *more, "--case", case])


def with_debug_info(words: Sequence[str], case: str) -> str:
    """The command line on a kernel whose memory dump can be read; ``case`` may be "", for all that was run."""
    words = words or ("harness", "run")
    return one_case(words, case, config=DEBUG_INFO) if case else shlex.join([*words, "--add-config", DEBUG_INFO])
