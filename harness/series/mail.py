# SPDX-License-Identifier: GPL-2.0-only
"""Reads patch mails: splits an mbox, and takes a message apart into what a series needs to know. Pure."""

from __future__ import annotations

import email
import email.header
import email.message
import email.utils
import re
from dataclasses import dataclass, field

from harness.series.diff import FileDiff, parse

# "[RFC PATCH v3 net-next 2/8] mm: title": the last bracket that says PATCH, a number or a revision
_PREFIX = re.compile(r"^\s*(?:\[[^\]]*\]\s*)+")
_NUMBER = re.compile(r"\b(\d+)/(\d+)\b")
_REVISION = re.compile(r"\bv(\d+)\b", re.I)
_FROM_LINE = re.compile(rb"^From \S+.*\b\d{1,2}:\d{2}(?::\d{2})?\b.*\d{4}.*$|^From [0-9a-f]{40,64} .*$")
_TRAILER = re.compile(r"^(?P<name>base-commit|prerequisite-patch-id|prerequisite-message-id):\s*<?(?P<value>[^\s>]+)>?",
                      re.I | re.M)  # fmt: skip
_FIXED_DATE = b"Date: Thu, 01 Jan 1970 00:00:00 +0000\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A mail of a series.

    ``where`` names it to a user (a file, "message 3"). ``number``/``total`` are those of ``[PATCH 2/8]`` (0 is the
    cover letter; None where the subject has none). ``commit`` is the commit that git format-patch wrote it from.
    ``files`` is what its diff touches (empty: no diff). ``base`` and ``prerequisites`` are what git format-patch
    ``--base`` and b4 put at the end of a mail: a commit, and (kind, value) pairs.
    """

    where: str
    title: str
    author: str
    message_id: str | None
    number: int | None
    total: int | None
    revision: str
    is_reply: bool
    commit: str | None
    files: tuple[FileDiff, ...]
    base: str | None
    prerequisites: tuple[tuple[str, str], ...] = ()
    content: bytes = field(repr=False)

    @property
    def is_cover(self) -> bool:
        """Whether it is the cover letter of a numbered series."""
        return self.number == 0 and not self.files


def split_mbox(data: bytes) -> list[bytes]:
    """The messages of an mbox, each with its ``From `` line. An empty list where it does not begin with one."""
    if not data.startswith(b"From "):
        return []
    messages: list[list[bytes]] = []
    blank = True
    for line in data.splitlines(keepends=True):
        if blank and line.startswith(b"From ") and _FROM_LINE.match(line.rstrip(b"\r\n")):
            messages.append([line])
        elif not messages:
            return []
        else:
            messages[-1].append(line)
        blank = line.strip() == b""
    return [b"".join(lines) for lines in messages]


def is_mail(data: bytes) -> bool:
    """Whether a file looks like one mail: header lines with a sender and a subject."""
    head = data.split(b"\n\n", 1)[0][: 1 << 16]
    return (
        re.search(rb"^From:", head, re.M | re.I) is not None and re.search(rb"^Subject:", head, re.M | re.I) is not None
    )


def parse_message(data: bytes, where: str) -> Message:
    """Take one mail apart. Raises :class:`harness.series.diff.DiffError` where its diff does not parse."""
    commit = re.match(rb"From ([0-9a-f]{40}(?:[0-9a-f]{24})?) ", data)
    content = _with_date(data)
    mail = email.message_from_bytes(_without_from_line(data))
    subject = _decoded(mail.get("Subject", ""))
    number, total, revision = _numbering(subject)
    body = _body(mail)
    is_reply = re.match(r"\s*(re|aw|fwd?)\s*:", subject, re.I) is not None
    trailers = [(match["name"].lower(), match["value"]) for match in _TRAILER.finditer(body)]
    return Message(
        where=where,
        title=re.sub(r"\s+", " ", _PREFIX.sub("", subject)).strip() or "(no subject)",
        author=_author(mail, body),
        message_id=(_decoded(mail.get("Message-ID", "")).strip().strip("<>") or None),
        number=number,
        total=total,
        revision=revision,
        is_reply=is_reply,
        commit=commit[1].decode() if commit and set(commit[1]) != {ord("0")} else None,
        files=() if is_reply else parse(body),
        base=next((value for name, value in trailers if name == "base-commit" and _is_hex(value)), None),
        prerequisites=tuple((name, value) for name, value in trailers if name != "base-commit"),
        content=content,
    )


def body_text(content: bytes) -> str:
    """The text of one mail, its transfer encoding undone: message, diff, signature."""
    return _body(email.message_from_bytes(_without_from_line(content)))


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{12,64}", text) is not None


def _without_from_line(data: bytes) -> bytes:
    return data.split(b"\n", 1)[1] if data.startswith(b"From ") and b"\n" in data else data


def _with_date(data: bytes) -> bytes:
    """The mail as git am gets it: one without a date gets a fixed one, else the time of day would be in the commit."""
    start = data.index(b"\n") + 1 if data.startswith(b"From ") and b"\n" in data else 0
    head = data[start:].split(b"\n\n", 1)[0]
    if re.search(rb"^Date:", head, re.M | re.I):
        return data
    return data[:start] + _FIXED_DATE + data[start:]


def _numbering(subject: str) -> tuple[int | None, int | None, str]:
    prefix = _PREFIX.match(subject)
    inside = prefix[0] if prefix else ""
    found = _NUMBER.search(inside)
    revision = _REVISION.search(inside)
    words = [f"v{revision[1]}" if revision else ""]
    if re.search(r"\bRFC\b", inside, re.I):
        words.insert(0, "RFC")
    number, total = (int(found[1]), int(found[2])) if found else (None, None)
    return number, total, " ".join(word for word in words if word)


def _author(mail: email.message.Message, body: str) -> str:
    """The author: the body's own ``From:`` line where it begins with one (git-am(1)), else the sender."""
    first = body.lstrip("\r\n").split("\n", 1)[0]
    if first.startswith("From: ") and "@" in first:
        return first.removeprefix("From: ").strip()
    return re.sub(r"\s+", " ", _decoded(mail.get("From", ""))).strip()


def _decoded(value: object) -> str:
    """A header as text: encoded words decoded, folding undone, whatever cannot be decoded replaced."""
    try:
        text = str(email.header.make_header(email.header.decode_header(str(value))))
    except (LookupError, ValueError, UnicodeError):
        text = str(value)
    return re.sub(r"[\r\n]+[ \t]*", " ", text)


def _body(mail: email.message.Message) -> str:
    """The text of a mail, its transfer encoding undone; of a multipart one all text parts in order."""
    parts = [
        part for part in mail.walk() if part.get_content_maintype() in ("text", "message") or not mail.is_multipart()
    ]
    texts = []
    for part in parts:
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            continue
        charset = part.get_content_charset() or "utf-8"
        try:
            texts.append(payload.decode(charset, "replace"))
        except LookupError:
            texts.append(payload.decode("utf-8", "replace"))
    return "\n".join(texts)
