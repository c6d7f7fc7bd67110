# SPDX-License-Identifier: GPL-2.0-only
"""Fragments: a jinja2 template of options, with a header that documents and types its parameters.

A fragment is ``kconfigs/<name>.config.j2``. Its header is TOML in the leading ``#:`` lines::

    #: summary = "KASAN, the generic one"
    #: requires = ["base"]
    #: [parameters.inline]
    #: type = "bool"
    #: default = true
    #: help = "Inline checks: faster, larger"
    CONFIG_KASAN=y
    {{ "CONFIG_KASAN_INLINE" if inline else "CONFIG_KASAN_OUTLINE" }}=y
    CONFIG_KASAN_VMALLOC=y  # optional: since 5.5
    # command line: kasan.fault=report

``# optional: why`` after an option lets a kernel do without it. ``# command line:`` has words that the options need on
the kernel's command line to act; a guest of the harness gets them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jinja2
import jinja2.sandbox
import msgspec

from harness.errors import EnvironmentFailure, UserError, unknown_name
from harness.kconfig.request import FragmentRequest

SUFFIX = ".config.j2"

_ASSIGNMENT = re.compile(r"CONFIG_(?P<name>[A-Za-z0-9_]+)=(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s#\"]*)\s*(?P<rest>#.*)?\Z")
_UNSET = re.compile(r"# CONFIG_(?P<name>[A-Za-z0-9_]+) is not set\s*(?P<rest>#.*)?\Z")
_MISSPELT_UNSET = re.compile(r"#\s*CONFIG_[A-Za-z0-9_]+ +is\b")
_COMMAND_LINE = re.compile(r"#\s*command line:\s*(?P<words>.*)")
_OPTIONAL = re.compile(r"#\s*optional(?:\s*:\s*(?P<why>.*))?\Z")


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter of a fragment, as its header declares it."""

    type: Literal["bool", "integer", "choice", "string"]
    default: bool | int | str
    help: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fragment says about itself."""

    summary: str
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A fragment before rendering: ``name`` as it is asked for, its header, and its text below the header."""

    name: str
    path: Path | None
    header: Header
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One option that a fragment asks for: ``option`` without ``CONFIG_``, ``value`` as in ``.config`` (n: unset)."""

    option: str
    value: str
    fragment: str
    optional: bool = False
    why: str = ""

    @property
    def line(self) -> str:
        """The line as ``.config`` has it."""
        return config_line(self.option, self.value)


def config_line(option: str, value: str) -> str:
    """An option as ``.config`` has it (``# CONFIG_X is not set`` for n)."""
    return f"# CONFIG_{option} is not set" if value == "n" else f"CONFIG_{option}={value}"


def names(folder: Path) -> tuple[str, ...]:
    """The names of all fragments of a folder, sorted."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")))


def load(request: FragmentRequest, folder: Path) -> Fragment:
    """The fragment that a request names. Raises :class:`UserError`: no such fragment or file, a wrong header."""
    if request.body:
        header = Header(summary="what a stage asks for")
        return Fragment(name=request.name, path=None, header=header, body=request.body)
    if request.is_option:
        return Fragment(name=request.name, path=None, header=Header(summary="an option"), body=request.name)
    if request.is_file:
        return _load_file(request.name)
    path = folder / f"{request.name}{SUFFIX}"
    if not path.is_file():
        raise unknown_name("Kconfig fragment", request.name, names(folder))
    return parse(request.name, _read(path), path)


def parse(name: str, text: str, path: Path | None = None) -> Fragment:
    """A fragment from its text. Raises :class:`UserError` where its header is wrong."""
    lines = text.splitlines()
    header = [line[2:].removeprefix(" ") for line in lines if line.startswith("#:")]
    body = "\n".join("" if line.startswith("#:") else line for line in lines)
    where = path or name
    if not header:
        raise UserError(f"the fragment {where} has no header", hint='begin it with `#: summary = "…"`')
    try:
        return Fragment(name=name, path=path, header=msgspec.toml.decode("\n".join(header), type=Header), body=body)
    except msgspec.MsgspecError as reason:
        raise UserError(f"the header of the fragment {where} is wrong: {reason}", hint=_header_hint()) from reason


def render(fragment: Fragment, request: FragmentRequest) -> tuple[Assignment, ...]:
    """The options that a fragment asks for with the parameters of a request.

    Raises :class:`UserError`: an unknown parameter or one of a wrong type, an undefined name in the template, a line
    that is no option.
    """
    return tuple(_assignments(_text(fragment, request), fragment.name))


def command_line(fragment: Fragment, request: FragmentRequest) -> tuple[str, ...]:
    """The words that a fragment needs on the kernel's command line. Raises what :func:`render` raises."""
    found = (_COMMAND_LINE.match(line.strip()) for line in _text(fragment, request).splitlines())
    return tuple(word for line in found if line is not None for word in line["words"].split())


def _text(fragment: Fragment, request: FragmentRequest) -> str:
    """A fragment with the parameters of a request in it."""
    values = bind(fragment, request)
    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    plain = fragment.path is None or fragment.path.suffix != ".j2"
    try:
        return fragment.body if plain else environment.from_string(fragment.body).render(values)
    except jinja2.TemplateError as reason:
        line = getattr(reason, "lineno", None)
        place = f"{fragment.path or fragment.name}{f':{line}' if line else ''}"
        raise UserError(f"the fragment template {place} is wrong: {reason}") from reason


def bind(fragment: Fragment, request: FragmentRequest) -> dict[str, bool | int | str]:
    """The value of each parameter: what the request gives, else its default."""
    known = fragment.header.parameters
    values: dict[str, bool | int | str] = {name: parameter.default for name, parameter in known.items()}
    for name, text in request.parameters:
        if name not in known:
            raise unknown_name(f"parameter of the fragment '{fragment.name}'", name, known)
        values[name] = _convert(f"{fragment.name}:{name}", known[name], text)
    return values


def _convert(what: str, parameter: Parameter, text: str) -> bool | int | str:
    if parameter.type == "bool":
        truth: Mapping[str, bool] = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}
        if text.lower() not in truth:
            raise UserError(f"'{text}' is not a value of {what}", hint="write yes or no")
        return truth[text.lower()]
    if parameter.type == "integer":
        try:
            number = int(text, 0)
        except ValueError:
            raise UserError(f"'{text}' is not a value of {what}", hint="write a whole number") from None
        low, high = parameter.minimum, parameter.maximum
        if (low is not None and number < low) or (high is not None and number > high):
            raise UserError(f"{number} is not a value of {what}", hint=f"it is at least {low}, at most {high}")
        return number
    if parameter.type == "choice" and text not in parameter.choices:
        raise unknown_name(f"value of {what}", text, parameter.choices)
    return text


def _assignments(text: str, fragment: str) -> Iterator[Assignment]:
    for raw in text.splitlines():
        line = raw.strip()
        found = _ASSIGNMENT.match(line) or _UNSET.match(line)
        if found is None:
            if not line or (line.startswith("#") and not _MISSPELT_UNSET.match(line)):
                continue
            raise UserError(
                f"'{line}' in the fragment '{fragment}' is not an option",
                hint="write CONFIG_X=value or `# CONFIG_X is not set`; after it `# optional: why` where it may miss",
            )
        optional = _OPTIONAL.match(found["rest"] or "")
        value = found.groupdict().get("value", "n")
        yield Assignment(
            option=found["name"],
            value=value or '""',
            fragment=fragment,
            optional=optional is not None,
            why=(optional["why"] or "") if optional else "",
        )


def _load_file(name: str) -> Fragment:
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise UserError(f"there is no Kconfig fragment file {path}")
    text = _read(path)
    if any(line.startswith("#:") for line in text.splitlines()):
        return parse(name, text, path)
    return Fragment(name=name, path=path, header=Header(summary="a file of the user"), body=text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as reason:
        raise UserError(f"the Kconfig fragment {path} is not text in UTF-8") from reason
    except OSError as reason:
        raise EnvironmentFailure(f"cannot read {path}: {reason.strerror}") from reason


def _header_hint() -> str:
    fields = ", ".join(field.name for field in msgspec.structs.fields(Header))
    parameter = ", ".join(field.name for field in msgspec.structs.fields(Parameter))
    return f"a header has {fields}; a parameter has {parameter}"
