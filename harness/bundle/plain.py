# SPDX-License-Identifier: GPL-2.0-only
"""What a bundle does not tell of the machine that it was made on: homes, the harness's folders, passwords, host name.

Only texts of ours are changed (manifest, results, QEMU's argv, logs of failures); what a guest or a program wrote, the
patches and what decides a run stay as they are, to the byte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.paths import Paths

_LOGIN = re.compile(r"(?<=://)[^/\s@'\"]+@")  # user:password@ of a URL
_OPTION = re.compile(r"^(--history)=.*", re.DOTALL)


def plainly(paths: Paths) -> Callable[[str], str]:
    """A function that gives a text without what it says of this machine's places and of logins."""
    places = [(paths.cache, "{cache}"), (paths.data, "{data}"), (paths.project, "{project}")]
    home = Path(os.environ.get("HOME", "") or "/").absolute()
    if len(home.parts) > 1:
        places.append((home, "~"))
    known = {str(path): name for place, name in reversed(places) for path in (place, place.resolve())}
    longest = sorted((place for place in known if len(Path(place).parts) > 1), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.~/-])({'|'.join(map(re.escape, longest))})(?![\w.-])") if longest else None

    def clean(text: str) -> str:
        text = pattern.sub(lambda match: known[match[1]], text) if pattern is not None else text
        return _LOGIN.sub("", text)

    return clean


def plain_value(value: Any, clean: Callable[[str], str]) -> Any:
    """The same of all texts in a JSON value."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {name: plain_value(inner, clean) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(inner, clean) for inner in value]
    return value


def plain_circumstances(value: dict[str, Any], clean: Callable[[str], str]) -> dict[str, Any]:
    """A manifest's circumstances for others: no host name, no place of this machine, no login, no history's place."""
    cleaned: dict[str, Any] = plain_value(value, clean)
    if isinstance(cleaned.get("host"), dict):
        cleaned["host"].pop("name", None)
    if isinstance(command := cleaned.get("command"), list):
        cleaned["command"] = _without_history([str(word) for word in command])
    return cleaned


def _without_history(words: list[str]) -> list[str]:
    kept: list[str] = []
    following = iter(words)
    for word in following:
        if word == "--history":
            next(following, None)
        elif not _OPTION.match(word):
            kept.append(word)
    return kept
