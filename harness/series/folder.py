# SPDX-License-Identifier: GPL-2.0-only
"""Series from files: a folder of patches (as git format-patch writes it) or an mbox."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError
from harness.series.assemble import assemble, parse_all
from harness.series.kind import Kind, Request
from harness.series.mail import is_mail, split_mbox
from harness.values import Series

_SUFFIXES = (".patch", ".eml", ".mbox", ".mbx")
_LARGEST = 32 << 20  # bytes of all mails of a series: taking them apart costs tens of times as many
_MOST = 2000  # mails


def folder_mails(folder: Path) -> list[tuple[str, bytes]]:
    """The mails in a folder's patch files, in the order of their names (numbers by value): (file, bytes).

    Raises :class:`UserError`: no such folder, no patch in it, a patch that is no mail.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", hint="give a folder of patches made by git format-patch")
    files = sorted((path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file()), key=_order)
    if not files:
        raise UserError(
            f"{folder} holds no patch", hint="it needs files named *.patch, as git format-patch -o writes them"
        )
    mails: list[tuple[str, bytes]] = []
    for path in files:
        mails += file_mails(path)
        if sum(len(data) for _, data in mails) > _LARGEST or len(mails) > _MOST:
            raise UserError(f"{folder} is larger than any series ({len(files)} files)")
    return mails


def file_mails(path: Path) -> list[tuple[str, bytes]]:
    """The mails in a file: one patch, or an mbox of many. Raises :class:`UserError` where it is neither."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path} is larger than any series ({path.stat().st_size >> 20} MiB)")
        data = path.read_bytes()
    except OSError as reason:
        raise UserError(f"{path} cannot be read: {reason.strerror}", hint="a folder of patches or an mbox") from reason
    messages = split_mbox(data)
    if len(messages) > _MOST:
        raise UserError(f"{path} is larger than any series ({len(messages)} mails)")
    if len(messages) == 1 and is_mail(messages[0].split(b"\n", 1)[-1]):
        return [(path.name, messages[0])]
    if messages and all(is_mail(message.split(b"\n", 1)[-1]) for message in messages):
        return [(f"{path.name}, message {number}", message) for number, message in enumerate(messages, start=1)]
    if not messages and is_mail(data):
        return [(path.name, data)]
    if path.suffix == ".patch" and re.search(rb"^(diff --git |--- a/)", data, re.M):
        raise UserError(
            f"{path} is a bare diff: it has no author, subject and date",
            hint="commit it and use git format-patch: a series is a list of commits",
        )
    raise UserError(
        f"{path} is neither a patch mail nor an mbox", hint="an mbox begins with a line 'From ', a patch with headers"
    )


def _order(path: Path) -> tuple[Sequence[tuple[int, str]], str]:
    """The order of names with numbers by value, so that 10 comes after 9."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts], path.name


def _read_folder(request: Request) -> Series:
    folder = Path(request.rest).expanduser()
    messages = parse_all(folder_mails(folder))
    return assemble(messages, spec=request.spec, name=folder.absolute().name, place=str(folder))


def _read_mbox(request: Request) -> Series:
    path = Path(request.rest).expanduser()
    messages = parse_all(file_mails(path))
    return assemble(messages, spec=request.spec, name=path.stem, place=str(path))


FOLDER = Kind(prefix="folder", form="FOLDER", about="a folder of patches", read=_read_folder)
MBOX = Kind(prefix="mbox", form="FILE", about="an mbox, or one patch", read=_read_mbox)
