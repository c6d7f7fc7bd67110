# SPDX-License-Identifier: GPL-2.0-only
"""What a user asks of Kconfig: fragments by name, with parameters; files; single options."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import UserError

DEFAULT_FRAGMENTS = ("base", "cxl", "numa", "cpuset", "memcg", "zswap", "swap", "net")
"""The fragments of a kernel where the user names none: what the suites of an ordinary run need, and no more."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_OPTION = re.compile(r"(?:CONFIG_[A-Za-z0-9_]+=.*|# CONFIG_[A-Za-z0-9_]+ is not set)\Z")


@dataclass(frozen=True, slots=True)
class FragmentRequest:
    """A fragment and the parameters given for it, as text, sorted by name.

    ``name`` is a fragment of ``kconfigs/``, the path of a file (it has a ``/``), or one ``CONFIG_X=value``. ``body`` is
    the text of a fragment that is in no file: what a stage asks for itself.
    """

    name: str
    parameters: tuple[tuple[str, str], ...] = ()
    body: str = ""

    @property
    def is_option(self) -> bool:
        """Whether this is a single option rather than a fragment."""
        return _OPTION.match(self.name) is not None

    @property
    def is_file(self) -> bool:
        """Whether this is the path of a user's own file rather than a fragment of ours."""
        return not self.is_option and not self.body and "/" in self.name

    def __str__(self) -> str:
        values = ",".join(f"{name}={value}" for name, value in self.parameters)
        return f"{self.name}:{values}" if values else self.name


def parse_request(text: str) -> FragmentRequest:
    """A request as a user writes it.

    ``cxl``, ``debug-kasan:mode=generic,inline=yes``, ``./my.config``, ``CONFIG_KSM=y``.
    Raises :class:`UserError` where it is none of these.
    """
    text = text.strip()
    if _OPTION.match(text):
        return FragmentRequest(text)
    name, colon, rest = text.partition(":")
    if not name or ("/" not in name and not _NAME.match(name)):
        hint = "a fragment is NAME or NAME:PARAMETER=VALUE,…; a file has a / in it; an option is CONFIG_X=value"
        raise UserError(f"'{text}' is not a Kconfig fragment", hint=hint)
    parameters: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _PARAMETER.match(key):
            raise UserError(
                f"'{part}' in '{text}' is not a parameter", hint=f"write {name}:PARAMETER=VALUE,PARAMETER=VALUE"
            )
        if key in parameters:
            raise UserError(f"the parameter '{key}' is given twice in '{text}'")
        parameters[key] = value
    return FragmentRequest(name, tuple(sorted(parameters.items())))


def parse_requests(texts: Iterable[str]) -> tuple[FragmentRequest, ...]:
    """Several requests; each text may join some with ``+`` (``base+cxl+debug-kasan:mode=generic``)."""
    requests: list[FragmentRequest] = []
    for text in texts:
        parts = [text] if _OPTION.match(text.strip()) or "/" in text else text.split("+")
        requests += (parse_request(part) for part in parts)
    return tuple(requests)


def default_requests() -> tuple[FragmentRequest, ...]:
    """The requests where the user makes none."""
    return tuple(FragmentRequest(name) for name in DEFAULT_FRAGMENTS)
