# SPDX-License-Identifier: GPL-2.0-only
"""Named series: a folder ``patches/<name>`` with a ``series.toml`` that says what it is and where its patches are.

::

    title = "mm,numa: N_PRIVATE node isolation for device-managed memory"
    revision = "RFC v3"
    message-id = "20260108203755.1163107-1-gourry@gourry.net"
    base = "803dd4b1159cf9864be17aab8a17653e6ecbbbb6"    # the commit that it was made on
    source = "debian:6.12"                                # a source that it is known to apply to
    patches = "lore:20260108203755.1163107-1-gourry@gourry.net"   # or a path; default: this folder
    see = "cat /sys/…"                                    # a guest command that shows it

    [[answers]]                                           # a remark of `series check` that stays, and why
    patch = 2
    type = "SUSPECT_CODE_INDENT"
    reason = "the line is context: the macro was so before"

    [[stages]]                                            # patches at which only some suites mean something, and why
    patches = [6, 7]
    suites = ["smoke", "cxl"]
    reason = "there are private regions, and no type yet that they can be bound with"

Only ``title`` is required; an unknown key is an error. What an answer answers: :mod:`harness.series.answers`.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import msgspec

from harness.errors import UserError, nearest, unknown_name
from harness.paths import Paths
from harness.series.answers import Answer
from harness.series.kind import Kind, Request
from harness.series.stages import Stage
from harness.values import Series

FILE = "series.toml"


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What a ``series.toml`` says (see the module)."""

    title: str
    revision: str = ""
    message_id: str | None = None
    base: str | None = None
    source: str | None = None
    patches: str = "."
    see: str = ""
    answers: tuple[Answer, ...] = ()
    stages: tuple[Stage, ...] = ()


def names(paths: Paths) -> list[str]:
    """The names of all series in ``patches/``."""
    return sorted(path.parent.name for path in paths.patches.glob(f"*/{FILE}"))


def describe(name_or_folder: str, *, paths: Paths) -> tuple[Path, Description]:
    """The folder of a named series and what its ``series.toml`` says. Raises :class:`UserError`."""
    folder = paths.patches / name_or_folder
    if "/" in name_or_folder or not (folder / FILE).is_file():
        folder = Path(name_or_folder).expanduser()
    if not (folder / FILE).is_file():
        raise unknown_name("series", name_or_folder, names(paths))
    return folder, parse_description((folder / FILE).read_bytes(), folder / FILE)


def parse_description(data: bytes, path: Path) -> Description:
    """Read a ``series.toml``. Raises :class:`UserError` naming the file, the key and the nearest known one."""
    try:
        found = msgspec.toml.decode(data, type=Description)
    except msgspec.ValidationError as reason:
        raise UserError(f"{path}: {_explained(str(reason))}", hint=_hint(str(reason))) from reason
    except (msgspec.DecodeError, UnicodeDecodeError) as reason:
        raise UserError(f"{path} is not valid TOML: {reason}") from reason
    if found.base is not None and not re.fullmatch(r"[0-9a-f]{12,64}", found.base):
        raise UserError(f"{path}: base '{found.base}' is no commit", hint="its hex name, at least 12 digits")
    return found


def _keys() -> list[str]:
    return [field.encode_name for kind in (Description, Answer, Stage) for field in msgspec.structs.fields(kind)]


def _explained(reason: str) -> str:
    unknown = re.search(r"unknown field `([^`]+)`", reason)
    return f"unknown key '{unknown[1]}'" if unknown else reason.replace("`$.", "`")


def _hint(reason: str) -> str:
    unknown = re.search(r"unknown field `([^`]+)`", reason)
    close = nearest(unknown[1], _keys()) if unknown else None
    return (f"did you mean '{close}'? " if close else "") + f"known: {', '.join(_keys())}"


def _read(request: Request) -> Series:
    folder, description = describe(request.rest, paths=request.paths)
    name = folder.absolute().name
    prefix = description.patches.partition(":")[0]
    if prefix in request.kinds and prefix != KIND.prefix and ":" in description.patches:
        rest = description.patches.partition(":")[2]
        kind = request.kinds[prefix]
    else:
        target = folder / description.patches
        kind, rest = request.kinds["folder" if target.is_dir() else "mbox"], str(target)
        if not target.exists():
            raise UserError(
                f"{folder / FILE}: patches = '{description.patches}' is not there", hint="a path beside it, or lore:…"
            )
    found = kind.read(dataclasses.replace(request, rest=rest))
    return dataclasses.replace(
        found,
        name=name,
        title=description.title,
        revision=description.revision or found.revision,
        message_id=description.message_id or found.message_id,
        base=description.base or found.base,
    )


KIND = Kind(prefix="name", form="NAME", about="a series of patches/", read=_read)
