# SPDX-License-Identifier: GPL-2.0-only
"""Reads machine descriptions: ``qemu/<name>.toml``, or a file of the user's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from harness.errors import UserError, nearest, unknown_name
from harness.paths import Paths
from harness.topology.checks import check
from harness.topology.model import CpuNode, Device, HostBridge, Region, Restriction, RootPort, Switch, Topology, Window

_TABLES: dict[str, type[msgspec.Struct]] = {
    "cpu_node": CpuNode,
    "host_bridge": HostBridge,
    "root_port": RootPort,
    "switch": Switch,
    "device": Device,
    "window": Window,
    "region": Region,
}
_GIVEN_BY_US = {"name", "path"}
_PLACE = re.compile(r" - at `\$\.?(?P<table>\w+)?(?:\[(?P<index>\d+)\])?(?:\.(?P<field>[^`\[]+))?(?:\[[^`]*)?`$")


def names(paths: Paths) -> tuple[str, ...]:
    """The names of the topologies that are shipped, sorted."""
    return tuple(sorted(path.stem for path in paths.topologies.glob("*.toml")))


def load(name_or_path: str, *, paths: Paths) -> Topology:
    """The topology of this name, or in this file (anything with a ``/`` or ending in ``.toml``), checked.

    Raises :class:`UserError` for a name that is not there (with the nearest), a file that cannot be read, an unknown
    key (with the nearest), a value of the wrong type, and parts that do not fit together (:func:`check`).
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        path = Path(name_or_path).expanduser()
    elif name_or_path in names(paths):
        path = paths.topologies / f"{name_or_path}.toml"
    else:
        raise unknown_name("topology", name_or_path, names(paths))
    topology = parse(_read(path), name=path.stem, path=str(path))
    check(topology)
    return topology


def parse(text: str, *, name: str, path: str) -> Topology:
    """The topology that a description says, well formed but not checked; raises :class:`UserError`."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise UserError(f"{path}: not TOML: {reason}", hint="see CONTRIBUTING for a topology that is") from reason
    return from_definition(tables, name=name, path=path)


def definition(topology: Topology) -> dict[str, Any]:
    """A topology as plain values, as its file has them: for a manifest. Where the file was is not in it."""
    tables: dict[str, Any] = msgspec.to_builtins(topology)
    return {key: value for key, value in tables.items() if key not in _GIVEN_BY_US}


def from_definition(tables: Mapping[str, Any], *, name: str, path: str) -> Topology:
    """The topology that plain values say, as :func:`parse`; ``path`` is where they come from, for messages."""
    _refuse_unknown_keys(tables, path)
    try:
        return msgspec.convert({**tables, "name": name, "path": path}, Topology)
    except msgspec.ValidationError as reason:
        raise _in_words(str(reason), tables, path) from reason


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as reason:
        raise UserError(
            f"there is no topology file {path}", hint="`harness topology list` shows the topologies that have a name"
        ) from reason
    except UnicodeDecodeError as reason:
        raise UserError(f"{path}: not a text file in UTF-8") from reason
    except OSError as reason:
        raise UserError(f"cannot read the topology {path}: {reason.strerror}") from reason


def _refuse_unknown_keys(tables: Mapping[str, Any], path: str) -> None:
    known = _fields(Topology) - _GIVEN_BY_US
    for key, value in tables.items():
        if key not in known:
            raise _unknown_key(key, known, path)
        items = value if key in _TABLES and isinstance(value, list) else []
        for index, item in enumerate(items):
            where = f"{path}: {_label(key, index, tables)}"
            for field, inner in item.items() if isinstance(item, dict) else ():
                if field not in _fields(_TABLES[key]):
                    raise _unknown_key(field, _fields(_TABLES[key]), where)
                for name in inner if field == "restrictions" and isinstance(inner, dict) else ():
                    if name not in get_args(Restriction):
                        raise _unknown_key(name, set(get_args(Restriction)), f"{where}: restrictions")


def _unknown_key(key: str, known: set[str], where: str) -> UserError:
    close = nearest(key, known)
    hint = f"did you mean '{close}'? " if close else ""
    return UserError(f"{where}: unknown key '{key}'", hint=f"{hint}known: {', '.join(sorted(known))}")


def _fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def _label(table: str, index: int, tables: Mapping[str, Any]) -> str:
    """How to call an item: by its id, else by its place in the file."""
    try:
        return f"{table} '{tables[table][index]['id']}'"
    except (KeyError, IndexError, TypeError):
        return f"{table} {index}"


def _in_words(reason: str, tables: Mapping[str, Any], path: str) -> UserError:
    """The error of the type checker, with the item's name in place of a JSON path."""
    place = _PLACE.search(reason)
    message = reason[: place.start()] if place else reason
    message = message.replace("Object missing required field", "missing").replace("`", "'")
    message = message[:1].lower() + message[1:]
    if place is None or place["table"] is None:
        return UserError(f"{path}: {message}", hint="a topology needs at least a title and one [[cpu_node]]")
    table, index = str(place["table"]), place["index"]
    where = _label(table, int(index), tables) if index and table in _TABLES else table
    if place["field"]:
        where += f": {place['field']}"
    wrong_brackets = table in _TABLES and not index
    hint = f"write [[{table}]] with two brackets, once for each" if wrong_brackets else None
    return UserError(f"{path}: {where}: {message}", hint=hint)
