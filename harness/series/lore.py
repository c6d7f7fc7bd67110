# SPDX-License-Identifier: GPL-2.0-only
"""``lore:<message-id>``: a series from the kernel's mailing list archives, through b4.

b4 puts the thread together and chooses what to apply; review trailers that arrive later are left out, so that the
same series stays the same. ``lore:<message-id>@v3`` chooses a revision of a thread that holds several. What a
series says it needs before it (``prerequisite-message-id``) is fetched in the same way and goes in front of it.
A fetched series is kept: message-ids do not change what they name.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness import process
from harness.display import many
from harness.errors import EnvironmentFailure, UserError
from harness.paths import make_folder
from harness.series.assemble import assemble, parse_all, prerequisites, series_digest
from harness.series.folder import file_mails
from harness.series.kind import Kind, Request
from harness.series.mail import Message
from harness.store import disk_failure
from harness.values import Series

_SECONDS = 600.0
_DEEPEST = 8
_NAME = "series"


def parse_message_id(rest: str) -> tuple[str, str | None]:
    """The message-id and the revision (``3``) of ``lore:``. An archive's URL is taken as well."""
    text, _, revision = rest.rpartition("@v") if re.search(r"@.*@v\d+$", rest) else (rest, "", "")
    url = re.match(r"https?://[^/]+/(?:r|[^/]+)/([^/]+@[^/]+)", text)
    message_id = (url[1] if url else text).strip().strip("<>")
    if not re.fullmatch(r"[^\s<>@/-][^\s<>@/]*@[^\s<>@/]+", message_id):
        raise UserError(f"'lore:{rest}' is no message-id", hint="write lore:20260108203755.1163107-1-gourry@gourry.net")
    return message_id, revision or None


def b4_argv(message_id: str, folder: Path, *, revision: str | None = None) -> tuple[str, ...]:
    """The command that fetches one series into ``folder`` (b4 0.12 and later).

    ``-T`` adds no trailers from replies: who reviewed it since must not change what is tested. No user question,
    no standard input.
    """
    version = (f"-v{revision}",) if revision else ()
    return ("b4", "--no-interactive", "--no-stdin", "am", "-T", *version, "-o", str(folder), "-n", _NAME, message_id)


def _fetch(request: Request, message_id: str, revision: str | None) -> list[Message]:
    """The mails of one series: its cover letter and its patches, from the cache or by b4."""
    key = hashlib.sha256(f"{message_id} {revision or ''}".encode()).hexdigest()[:32]
    kept = request.paths.cache / "series" / key
    with request.store.lock(f"series-{key}", what=f"the series {message_id}", progress=request.progress):
        if not (kept / f"{_NAME}.mbx").is_file():
            _run_b4(request, message_id, revision, kept)
    return parse_all(_mails(kept, message_id))


def _mails(kept: Path, message_id: str) -> list[tuple[str, bytes]]:
    found = []
    for name in (f"{_NAME}.cover", f"{_NAME}.mbx"):
        if (kept / name).is_file():
            found += [(f"{message_id}, {where}", data) for where, data in file_mails(kept / name)]
    return found


def _run_b4(request: Request, message_id: str, revision: str | None, kept: Path) -> None:
    if process.which("b4") is None:
        raise EnvironmentFailure("b4 is not installed", hint="run ci/bootstrap, or save the series as an mbox")
    with request.paths.scratch("lore") as scratch:
        request.progress.update(f"fetching {message_id} through b4")
        done = process.run(b4_argv(message_id, scratch, revision=revision), deadline=_SECONDS, cwd=scratch, check=False)
        if not (scratch / f"{_NAME}.mbx").is_file():
            raise EnvironmentFailure(
                f"b4 could not fetch the series {message_id}",
                command=done.argv,
                details=reason_of(done.error_text or done.text),
                hint="check the message-id and the network; a series saved as an mbox works without",
            )
        try:
            make_folder(kept.parent)
            shutil.rmtree(kept, ignore_errors=True)
            scratch.rename(kept)
        except OSError as reason:
            raise disk_failure(reason, f"while keeping the series {message_id}") from reason


def reason_of(said: str) -> list[str]:
    """The last words of b4 worth showing: without the Python traceback that it prints where there is no network."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith((" ", "Traceback"))]
    return [line[:300] for line in lines[-4:]]


def _with_prerequisites(request: Request, message_id: str, revision: str | None) -> list[Series]:
    """The series and before it all that it needs, each once, in the order to apply them."""
    ordered: list[Series] = []
    seen: set[str] = set()

    def visit(wanted: str, version: str | None, depth: int) -> None:
        if wanted in seen:
            return
        seen.add(wanted)
        if depth > _DEEPEST:
            raise UserError(f"{message_id}: its prerequisites go {depth} series deep", hint="apply a base with them")
        messages = _fetch(request, wanted, version)
        needed = prerequisites(messages)
        for name, value in needed:
            if name == "prerequisite-message-id":
                visit(value.strip("<>"), None, depth + 1)
        ids = [value for name, value in needed if name == "prerequisite-patch-id"]
        if ids and not any(name == "prerequisite-message-id" for name, _ in needed):
            request.progress.warn(
                f"{wanted} needs {many(len(ids), 'patch')} before it, named by patch-id only: the tree must have them"
            )
        ordered.append(assemble(messages, spec=request.spec, name=_slug(wanted), place=wanted, message_id=wanted))

    visit(message_id, revision, 0)
    return ordered


def _read(request: Request) -> Series:
    message_id, revision = parse_message_id(request.rest)
    return joined(_with_prerequisites(request, message_id, revision))


def joined(parts: Sequence[Series]) -> Series:
    """One series of several: the last one's name and title, the first one's base, the patches numbered through."""
    last = parts[-1]
    if len(parts) == 1:
        return last
    patches = [patch for part in parts for patch in part.patches]
    return replace(
        last,
        base=next((part.base for part in parts if part.base), None),
        patches=tuple(replace(patch, number=number) for number, patch in enumerate(patches, start=1)),
        digest=series_digest([patch.digest for patch in patches]),
    )


def _slug(message_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", message_id.partition("@")[0]).strip("-.") or "lore"


KIND = Kind(prefix="lore", form="lore:MESSAGE-ID[@vN]", about="a series from the mailing lists, through b4", read=_read)
