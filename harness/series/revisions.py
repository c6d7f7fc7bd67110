# SPDX-License-Identifier: GPL-2.0-only
"""The newest revision of a series that is posted again and again: on the mailing lists, or in a mail archive here.

On the lists b4 looks, from any revision's message-id: by the change-id that b4 writes into a series, else by subject
and sender. In an archive (an mbox, a maildir as lei and public-inbox tools keep them) the first mail of each revision
is found by change-id or by subject, and b4 puts the newest one's thread together without the network.
"""

from __future__ import annotations

import mailbox
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths, make_folder
from harness.progress import Progress
from harness.series.diff import DiffError
from harness.series.folder import file_mails
from harness.series.lore import parse_message_id, reason_of
from harness.series.mail import Message, body_text, parse_message
from harness.store import disk_failure

_SECONDS = 600.0
_NAME = "series"
_FROM = b"From git@z Thu Jan  1 00:00:00 1970\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """A revision: ``spec`` names it and no other, as ``harness run --series`` takes it."""

    spec: str
    message_id: str
    revision: str
    title: str


def newest_on_lists(spec: str, *, paths: Paths, progress: Progress) -> Newest:
    """The newest revision of the series that ``lore:MESSAGE-ID`` is one of.

    Raises :class:`EnvironmentFailure` where b4 or the network cannot say.
    """
    message_id, _ = parse_message_id(spec.removeprefix("lore:"))
    with paths.scratch("revisions") as scratch:
        progress.update(f"looking for revisions of {message_id}")
        first = _fetched(("am", "-C", "-c", "-T", "-o", str(scratch), "-n", _NAME, message_id), scratch)
        version = version_of(first.revision)
        at = f"@v{version}" if version > 1 else ""
        return Newest(
            spec=f"lore:{first.message_id or message_id}{at}",
            message_id=first.message_id or message_id,
            revision=first.revision,
            title=first.title,
        )


def newest_in_archive(
    archive: Path, *, change_id: str, subject: str, target: Path, paths: Paths, progress: Progress
) -> Newest:
    """The newest revision in an mbox or a maildir, written to the mbox ``target``.

    Raises :class:`UserError` where the archive has none, :class:`EnvironmentFailure` where b4 makes no series of it.
    """
    progress.update(f"looking through {archive}")
    wanted = f"the change-id '{change_id}'" if change_id else f"the subject '{subject}'"
    candidates = list(_first_mails(archive, change_id, subject))
    if not candidates:
        raise UserError(f"{archive} has no series with {wanted}", hint="is the archive of this list, and up to date?")
    newest = max(candidates, key=lambda message: version_of(message.revision))
    if newest.message_id is None:
        raise UserError(f"{archive}: '{newest.title}' has no Message-ID", hint="take the mails as they were sent")
    with paths.scratch("revisions") as scratch:
        version = f"-v{version_of(newest.revision)}"
        words = ("am", "-T", version, "-m", str(archive), "-o", str(scratch), "-n", _NAME, newest.message_id)
        _fetched(words, scratch, offline=True)
        cover, patches = scratch / f"{_NAME}.cover", scratch / f"{_NAME}.mbx"
        try:
            content = _FROM + cover.read_bytes() + b"\n" if cover.is_file() else b""
            make_folder(target.parent)
            target.write_bytes(content + patches.read_bytes())
        except OSError as reason:
            raise disk_failure(reason, f"while keeping the series in {target}") from reason
    return Newest(spec=str(target), message_id=newest.message_id, revision=newest.revision, title=newest.title)


def version_of(revision: str) -> int:
    """The number of a revision: 3 for ``RFC v3``, 1 where it says none."""
    found = re.search(r"v(\d+)", revision)
    return int(found[1]) if found else 1


def _fetched(words: tuple[str, ...], scratch: Path, *, offline: bool = False) -> Message:
    """Let b4 put a series into ``scratch``; its cover letter, else its first patch."""
    if process.which("b4") is None:
        raise EnvironmentFailure("b4 is not installed", hint="run ci/bootstrap")
    argv = ("b4", "--no-interactive", "--no-stdin", *(("--offline-mode",) if offline else ()), *words)
    done = process.run(argv, deadline=_SECONDS, cwd=scratch, check=False)
    found = [path for path in (scratch / f"{_NAME}.cover", scratch / f"{_NAME}.mbx") if path.is_file()]
    if not (scratch / f"{_NAME}.mbx").is_file():
        raise EnvironmentFailure(
            f"b4 could not fetch the series {words[-1]}",
            command=done.argv,
            details=reason_of(done.error_text or done.text),
            hint="check the message-id and the network",
        )
    where, data = file_mails(found[0])[0]
    return parse_message(data, where)


def _first_mails(archive: Path, change_id: str, subject: str) -> Iterator[Message]:
    """The cover letters, or first patches of series without, that have the change-id or the subject."""
    wanted = change_id.encode()
    for where, data in _mails(archive):
        if wanted and wanted not in data:
            continue
        try:
            message = parse_message(data, where)
        except (DiffError, ValueError):
            continue  # a mail of the list that is no patch of ours
        if message.is_reply or (message.number or 0) > 1:
            continue
        if not change_id:
            found = message.title.casefold() == " ".join(subject.split()).casefold()
        else:
            found = re.search(rf"^change-id:\s*{re.escape(change_id)}\s*$", body_text(data), re.I | re.M) is not None
        if found:
            yield message


def _mails(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The mails of an mbox or a maildir."""
    try:
        box = mailbox.Maildir(archive, create=False) if archive.is_dir() else mailbox.mbox(archive, create=False)
        for key in box.keys():  # noqa: SIM118 (a mailbox is no dict: iterating it gives messages)
            yield f"{archive.name}, message {key}", box.get_bytes(key)
        box.close()
    except (OSError, mailbox.Error) as reason:
        raise UserError(f"cannot read the mail archive {archive}: {reason}", hint="an mbox, or a maildir") from None
