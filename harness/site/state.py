# SPDX-License-Identifier: GPL-2.0-only
"""``.site.json``: what a site was made of, so that the next time only what changed is written; and its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from harness.display import printable
from harness.errors import UserError
from harness.page import templates
from harness.paths import make_folder
from harness.store import disk_failure

FILE = ".site.json"
_HERE = Path(__file__).parent


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a run: what it looked like (``mark``), and what plots need (seconds, MiB)."""

    mark: str
    boot: float | None = None
    memory: float | None = None


class CaseState(msgspec.Struct, frozen=True, kw_only=True):
    """A case as the list of cases shows it: over all cells, ``passed`` of the last outcomes in which it ``ran``."""

    name: str
    state: str
    ran: int
    passed: int
    verdict: str
    seconds: float
    when: str


class State(msgspec.Struct, kw_only=True):
    """The whole; ``code`` is the digest of what makes pages: another harness makes all of them again.

    ``whole`` are the runs (by uid) whose pages were made from their folders, and stay when these are gone.
    """

    code: str = ""
    whole: set[str] = set()
    runs: dict[str, RunState] = {}
    cases: dict[str, CaseState] = {}
    topologies: dict[str, tuple[str, str]] = {}
    summaries: tuple[tuple[str, str, str], ...] = ()


def code_digest() -> str:
    """The digest of this package's and the pages' own files."""
    files = sorted([*_HERE.rglob("*"), *(_HERE.parent / "page").rglob("*")])
    known = hashlib.sha256()
    for file in files:
        if file.suffix in (".py", ".j2", ".css", ".js"):
            known.update(file.read_bytes())
    return known.hexdigest()


def read(out: Path, *, code: str) -> State:
    """The state of a site; an empty one for a new folder, a damaged or another harness's state.

    Raises :class:`UserError` for a folder that has other things in it.
    """
    try:
        found = msgspec.json.decode((out / FILE).read_bytes(), type=State)
        return found if found.code == code else State(code=code, whole=found.whole)
    except FileNotFoundError:
        if out.is_dir() and any(out.iterdir()):
            raise UserError(
                f"{out} is not empty and no site of the harness", hint="give --out a new folder, or one of a site"
            ) from None
        return State(code=code)
    except msgspec.MsgspecError:
        return State(code=code)
    except OSError as reason:
        raise UserError(f"cannot use {out}: {reason.strerror}") from None


class Files:
    """The files of a site; one that would not change is not written. Raises :class:`EnvironmentFailure`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.written = self.same = 0
        self._environment: jinja2.Environment = templates(_HERE / "templates")
        make_folder(out)
        for folder in ("runs", "cases", "cells", "compare", "topologies", "nights"):
            make_folder(out / folder)

    def page(self, path: str, template: str, context: Mapping[str, Any]) -> None:
        """Write a page; ``root`` leads from it to the site's own folder."""
        text = self._environment.get_template(f"{template}.html.j2").render(root="../" * path.count("/"), **context)
        self.put(path, printable(text, limit=1 << 30).encode("utf-8", "replace"))

    def put(self, path: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        file = self.out / path
        try:
            if file.is_file() and file.stat().st_size == len(content) and file.read_bytes() == content:
                self.same += 1
                return
            beside = file.with_name(f".{file.name[:80]}.new")
            beside.write_bytes(content)
            beside.replace(file)
        except OSError as reason:
            raise disk_failure(reason, f"while writing {file}") from reason
        self.written += 1
