# SPDX-License-Identifier: GPL-2.0-only
"""The command that runs something again, made from the one that ran it, or from a profile."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness import profile as profiles
from harness.paths import Paths
from harness.profile import Profile

DEBUG_INFO = "debuginfo"
"""The fragment with which a memory dump can be read, and a stack decoded."""

_SELECTING = ("--suite", "--case", "-k")
_OF_KERNEL = {"--source": "source", "--series": "series", "--patches": "patches"}
_OF_GUEST = {
    "--topology": "topology", "--qemu": "qemu", "--accel": "accel", "--memory": "memory_mib", "--cpus": "cpus",
    "--append": "append",
}  # fmt: skip


def of_profile(profile: Profile, *, paths: Paths, name: str = "default", word: str = "run") -> tuple[str, ...]:
    """``harness run`` (``build``, ``boot``) for a profile; what the profile of that ``name`` says is left out."""
    known = profiles.load(name, paths=paths)
    words = ["harness", word, *(("--profile", name) if name != "default" else ())]
    # a series that is asked for may name a source of its own
    differs = {"source"} if profile.series and profile.series != known.series else set()
    for option, field in {**_OF_KERNEL, **(_OF_GUEST if word != "build" else {})}.items():
        mine = getattr(profile, field)
        if mine is not None and (mine != getattr(known, field) or field in differs):
            words += [option, str(mine)]
    if profile.config != known.config:
        words += [part for one in profile.config for part in ("--config", one)]
    if known.sandbox and not profile.sandbox:
        words.append("--no-sandbox")
    return tuple(words)


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
    return one_case(words, case, config=DEBUG_INFO) if case else shlex.join([*words, "--add-config", DEBUG_INFO])
