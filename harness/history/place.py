# SPDX-License-Identifier: GPL-2.0-only
"""Where the history is: a flag, ``HARNESS_HISTORY``, the user's ``config.toml``, or a file in the data folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from harness.errors import UserError, nearest
from harness.paths import Paths

FILE = "history.sqlite"
OFF = "off"

_KINDS = ("sqlite", "postgresql")
_HINT = "give postgresql://USER@HOST/NAME, a file for SQLite, or 'off'"
_PASSWORD = re.compile(r"(\w+://[^/@\s:]*):[^/@\s]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a history is: the ``file`` of SQLite, or the ``url`` of a database on a server."""

    file: Path | None = None
    url: str = ""

    def __str__(self) -> str:
        return str(self.file) if self.file is not None else hidden(self.url)


class _Config(msgspec.Struct, forbid_unknown_fields=True):
    """The user's ``config.toml``."""

    history: str = ""


def choose(given: str | None, *, paths: Paths) -> Place | None:
    """The history's place; None where there is to be none (``off``). Raises :class:`UserError` for what is no place."""
    text = given or os.environ.get("HARNESS_HISTORY") or _configured() or str(paths.data / FILE)
    if text == OFF:
        return None
    kind, is_url, rest = text.partition("://")
    if not is_url:
        return Place(file=Path(text).expanduser().absolute())
    kind = "postgresql" if kind == "postgres" else kind
    if kind == "sqlite":
        if not rest.removeprefix("/"):
            raise UserError(f"the history '{text}' names no file", hint=_HINT)
        return Place(file=Path(rest.removeprefix("/")).expanduser().absolute())
    if kind != "postgresql":
        close = nearest(kind, _KINDS)
        raise UserError(
            f"the history is in SQLite or PostgreSQL, not in '{kind}'",
            hint=f"{f'did you mean {close}://? ' if close else ''}{_HINT}",
        )
    return Place(url=f"{kind}://{rest}")


def hidden(text: str) -> str:
    """A URL, or a command with one, without its password."""
    return _PASSWORD.sub(r"\1:***@", text)


def _configured() -> str:
    file = platformdirs.user_config_path("n_private-harness") / "config.toml"
    if not file.is_file():
        return ""
    try:
        return msgspec.toml.decode(file.read_bytes(), type=_Config).history
    except (msgspec.MsgspecError, OSError, UnicodeDecodeError) as reason:
        raise UserError(f"{file}: {reason}", hint='known: history = "postgresql://USER@HOST/NAME"') from None
