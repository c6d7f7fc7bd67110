# SPDX-License-Identifier: GPL-2.0-only
"""A reader of a tree's Kconfig files: what each symbol is, needs, and is selected by. Never decides a configuration.

The tree's own ``conf`` makes the ``.config``; this reader only explains it. It follows the kernel's
Documentation/kbuild/kconfig-language.rst; a line that it does not know is left out, since new kernels add words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.kconfig.expression import YES, Expression, ExpressionError, both, parse

_TYPES = ("bool", "tristate", "int", "hex", "string")
_BLOCK_ENDS = {"endif": "if", "endmenu": "menu", "endchoice": "choice"}
_IF = re.compile(r"\s+if\s+")
_MAXIMUM_DEPTH = 64


@dataclass(slots=True)
class Choice:
    """A ``choice``: one of ``members`` is y."""

    place: str
    prompt: str = ""
    members: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Definition:
    """One place where a symbol is defined; ``depends`` includes what encloses it (if, menu, choice)."""

    place: str
    depends: Expression
    type: str = ""
    prompt: str | None = None
    prompt_condition: Expression = YES
    defaults: list[tuple[str, Expression]] = field(default_factory=list)
    selects: list[tuple[str, Expression]] = field(default_factory=list)
    implies: list[tuple[str, Expression]] = field(default_factory=list)
    ranges: list[tuple[str, str, Expression]] = field(default_factory=list)
    choice: Choice | None = None
    transitional: bool = False
    help: str = ""


@dataclass(slots=True)
class Symbols:
    """All symbols of a tree by name, and who selects each: (selecting symbol, condition)."""

    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    selected_by: dict[str, list[tuple[str, Expression]]] = field(default_factory=dict)

    def type_of(self, name: str) -> str:
        """``bool``, ``tristate``, ``int``, ``hex`` or ``string``; empty where it has none."""
        return next((d.type for d in self.definitions.get(name, ()) if d.type), "")

    def prompts(self, name: str) -> list[Definition]:
        """The definitions of a symbol that ask the user."""
        return [definition for definition in self.definitions.get(name, ()) if definition.prompt is not None]


def read(read_file: Callable[[str], str | None], *, variables: dict[str, str], root: str = "Kconfig") -> Symbols:
    """Read a tree's Kconfig files from ``root`` on; ``read_file`` gives a file's text or None where there is none.

    ``variables`` replace ``$(NAME)`` in paths (``SRCARCH``).
    """
    reader = _Reader(read_file, variables)
    reader.file(root, 0)
    for name, definitions in reader.symbols.definitions.items():
        for definition in definitions:
            for target, condition in definition.selects:
                reader.symbols.selected_by.setdefault(target, []).append((name, both(definition.depends, condition)))
    return reader.symbols


@dataclass(slots=True)
class _Block:
    """An open ``if``, ``menu`` or ``choice`` and the conditions that it puts on what is in it."""

    kind: str
    depends: Expression
    visible: Expression = YES
    choice: Choice | None = None


class _Reader:
    def __init__(self, read_file: Callable[[str], str | None], variables: dict[str, str]) -> None:
        self.symbols = Symbols()
        self._read_file = read_file
        self._variables = variables
        self._blocks: list[_Block] = [_Block("file", YES)]
        self._entry: Definition | _Block | None = None

    def file(self, path: str, depth: int) -> None:
        text = self._read_file(path) if depth < _MAXIMUM_DEPTH else None
        if text is None:
            return
        lines = _logical_lines(text)
        for number, line in lines:
            word, _, rest = line.strip().partition(" ")
            word, tab, more = word.partition("\t")
            rest = (more + " " + rest if tab else rest).strip()
            if word in ("help", "---help---"):
                self._help(lines)
            elif word in ("source", "osource", "rsource", "orsource"):
                self._entry = None
                self.file(self._path(rest), depth + 1)
            else:
                self._line(word, rest, f"{path}:{number}")

    def _line(self, word: str, rest: str, place: str) -> None:
        if word in ("config", "menuconfig"):
            self._config(rest, place)
        elif word in ("menu", "if", "choice"):
            self._open(word, rest, place)
        elif word in _BLOCK_ENDS:
            self._entry = None
            if len(self._blocks) > 1:
                self._blocks.pop()
        elif word in ("comment", "mainmenu"):
            self._entry = None
        elif isinstance(self._entry, Definition):
            self._attribute(self._entry, word, rest)
        elif isinstance(self._entry, _Block):
            self._block_attribute(self._entry, word, rest)

    def _config(self, name: str, place: str) -> None:
        block = self._blocks[-1]
        choice = block.choice
        definition = Definition(
            place=place,
            depends=block.depends,
            prompt_condition=block.visible,
            choice=choice,
            type="bool" if choice else "",
        )
        if choice is not None:
            choice.members.append(name)
        self.symbols.definitions.setdefault(name, []).append(definition)
        self._entry = definition

    def _open(self, word: str, rest: str, place: str) -> None:
        outer = self._blocks[-1]
        inside = both(outer.depends, _condition(rest)) if word == "if" else outer.depends
        choice = Choice(place) if word == "choice" else outer.choice if word == "if" else None
        block = _Block(word, inside, outer.visible, choice)
        self._blocks.append(block)
        self._entry = None if word == "if" else block

    def _attribute(self, entry: Definition, word: str, rest: str) -> None:
        value, condition = _split_if(rest)
        if word in _TYPES:
            entry.type = word
            if value:
                self._prompt(entry, value, condition)
        elif word == "prompt":
            self._prompt(entry, value, condition)
        elif word in ("def_bool", "def_tristate"):
            entry.type = word.removeprefix("def_")
            entry.defaults.append((value, condition))
        elif word == "default":
            entry.defaults.append((value, condition))
        elif word == "depends":
            entry.depends = both(entry.depends, _condition(rest.removeprefix("on").strip()))
        elif word in ("select", "imply"):
            (entry.selects if word == "select" else entry.implies).append((value, condition))
        elif word == "range":
            low, _, high = value.partition(" ")
            entry.ranges.append((low, high.strip(), condition))
        elif word == "transitional":
            entry.transitional = True

    @staticmethod
    def _prompt(entry: Definition, value: str, condition: Expression) -> None:
        entry.prompt = value.strip().strip("\"'")
        entry.prompt_condition = both(entry.prompt_condition, condition)

    @staticmethod
    def _block_attribute(block: _Block, word: str, rest: str) -> None:
        if word == "depends":
            block.depends = both(block.depends, _condition(rest.removeprefix("on").strip()))
        elif word == "visible":
            block.visible = both(block.visible, _condition(rest.removeprefix("if").strip()))
        elif word in ("prompt", "bool", "tristate") and block.choice is not None and rest:
            block.choice.prompt = _split_if(rest)[0].strip().strip("\"'")

    def _help(self, lines: _Lines) -> None:
        text = lines.indented()
        if isinstance(self._entry, Definition):
            self._entry.help = text

    def _path(self, text: str) -> str:
        path = text.strip().strip("\"'")
        for name, value in self._variables.items():
            path = path.replace(f"$({name})", value).replace(f"${name}", value)
        return path


class _Lines:
    """Lines with their numbers; a backslash joins a line to the next, comments and blank lines are dropped."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._next = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self._next < len(self._lines):
            number = self._next + 1
            line = self._take()
            while line.endswith("\\") and self._next < len(self._lines):
                line = line[:-1] + " " + self._take()
            line = _without_comment(line)
            if line.strip():
                yield number, line

    def indented(self) -> str:
        """A help text: the lines that are indented at least as its first one."""
        while self._next < len(self._lines) and not self._lines[self._next].strip():
            self._next += 1
        if self._next == len(self._lines):
            return ""
        indent = _indent(self._lines[self._next])
        text: list[str] = []
        while indent and self._next < len(self._lines):
            line = self._lines[self._next].expandtabs()
            if line.strip() and _indent(line) < indent:
                break
            text.append(line[indent:].rstrip())
            self._next += 1
        return "\n".join(text).strip()

    def _take(self) -> str:
        self._next += 1
        return self._lines[self._next - 1]


def _logical_lines(text: str) -> _Lines:
    return _Lines(text)


def _indent(line: str) -> int:
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


def _without_comment(line: str) -> str:
    if "#" not in line:
        return line
    quote = ""
    for position, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return line[:position]
    return line


def _split_if(text: str) -> tuple[str, Expression]:
    """``VALUE if CONDITION`` in its two parts; an ``if`` within quotes belongs to the value."""
    for found in _IF.finditer(text):
        head = text[: found.start()]
        if head.count('"') % 2 == 0:
            return head.strip(), _condition(text[found.end() :])
    return text.strip(), YES


def _condition(text: str) -> Expression:
    try:
        return parse(text)
    except ExpressionError:
        return Expression("macro", text)  # unknown: never a reason of its own
