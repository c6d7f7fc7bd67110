# SPDX-License-Identifier: GPL-2.0-only
"""Makes a series out of mails: picks the patches, checks their numbering, puts them in order. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from harness.errors import UserError
from harness.series.diff import DiffError
from harness.series.mail import Message, parse_message
from harness.store import value_digest
from harness.values import Patch, Series

_MOST = 2000


def parse_all(mails: Sequence[tuple[str, bytes]]) -> list[Message]:
    """Parse mails given as (where, bytes). Raises :class:`UserError` naming the one whose diff does not parse."""
    messages = []
    for where, data in mails:
        try:
            messages.append(parse_message(data, where))
        except DiffError as reason:
            raise UserError(
                f"{where}: the patch does not parse: {reason}",
                hint="mail programs wrap and strip lines: take the patch from git format-patch or from the archive",
            ) from reason
    return messages


def assemble(
    messages: Sequence[Message],
    *,
    spec: str,
    name: str,
    place: str,
    title: str | None = None,
    revision: str | None = None,
    message_id: str | None = None,
    base: str | None = None,
) -> Series:
    """The series that these mails make, replies left out; what is given goes before what the mails say.

    ``place`` is what the user calls where they come from. Raises :class:`UserError`: no patch at all, one without a
    diff, several revisions, a number that is missing or there twice.
    """
    covers = [message for message in messages if message.is_cover and not message.is_reply]
    patches = [message for message in messages if message.files]
    _check_content(messages, patches, place)
    _check_numbering(patches, place)
    if len({message.total for message in patches}) == 1 and patches[0].number is not None:
        patches.sort(key=lambda message: message.number or 0)
    first = covers[0] if covers else patches[0]
    described = [*covers, *patches]
    return Series(
        name=name,
        title=title or first.title,
        revision=revision or first.revision,
        message_id=message_id or first.message_id,
        base=base or next((message.base for message in described if message.base), None),
        spec=spec,
        patches=tuple(_patch(number, message) for number, message in enumerate(patches, start=1)),
        digest=series_digest([_digest(message) for message in patches]),
    )


def series_digest(digests: Sequence[str]) -> str:
    """The digest of a series: over its patches' digests in order."""
    return value_digest("series", list(digests))


def prerequisites(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    """What the series says it needs before it, in order and without repeats: (trailer name, value)."""
    return tuple(dict.fromkeys(pair for message in messages if not message.is_reply for pair in message.prerequisites))


def _digest(message: Message) -> str:
    return hashlib.sha256(message.content).hexdigest()


def _patch(number: int, message: Message) -> Patch:
    files = dict.fromkeys(path for diff in message.files for path in (diff.old, diff.new) if path)
    return Patch(
        number=number,
        title=message.title,
        author=message.author,
        files=tuple(sorted(files)),
        digest=_digest(message),
        content=message.content,
    )


def _check_content(messages: Sequence[Message], patches: Sequence[Message], place: str) -> None:
    for message in messages:
        if message.number and not message.files and not message.is_reply:
            raise UserError(
                f"{message.where}: patch {message.number}/{message.total} '{message.title}' has no diff",
                hint="the mail is cut short, or the patch is an attachment: take it from git format-patch",
            )
    if not patches:
        raise UserError(f"{place} holds no patch: no message in it has a diff", hint="take patches of git format-patch")
    if len(patches) > _MOST:
        raise UserError(f"{place} holds {len(patches)} patches: that is no series", hint="check the range or the file")


def _check_numbering(patches: Sequence[Message], place: str) -> None:
    """Each (revision, total) that occurs is complete; a patch missing from the numbering is named."""
    numbered = [message for message in patches if message.number is not None]
    revisions = sorted({message.revision for message in numbered})
    if len(revisions) > 1:
        shown = ", ".join(revision or "first" for revision in revisions)
        raise UserError(f"{place} holds several revisions of a series: {shown}", hint="keep the patches of one")
    for total in sorted({message.total or 0 for message in numbered}):
        group = [message for message in numbered if message.total == total]
        have = [message.number or 0 for message in group]
        twice = sorted({number for number in have if have.count(number) > 1})
        if twice:
            titles = "; ".join(message.title for message in group if message.number == twice[0])
            raise UserError(f"{place}: patch {twice[0]}/{total} is there {have.count(twice[0])} times", hint=titles)
        missing = [number for number in range(1, min(total, _MOST) + 1) if number not in have]
        beyond = [number for number in have if number > total]
        if missing or beyond:
            what = ", ".join(f"{number}/{total}" for number in (missing or beyond)[:20])
            verb = "missing from the series" if missing else "numbered beyond the series"
            noun = "patch is" if len(missing or beyond) == 1 else "patches are"
            raise UserError(
                f"{place}: {noun} {verb}: {what}",
                hint=f"it has {len(group)} of {total}: add what is missing, or renumber with git format-patch",
            )
