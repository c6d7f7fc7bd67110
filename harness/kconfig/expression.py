# SPDX-License-Identifier: GPL-2.0-only
"""Kconfig's conditions: read, evaluated against a final ``.config``, and explained where they do not hold. Pure.

Grammar and values: the kernel's Documentation/kbuild/kconfig-language.rst, "Menu dependencies". A macro that asks the
compiler (``$(cc-option,…)``) has no value here: it is *unknown*, and never given as the reason alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Operator = Literal["and", "or", "not", "=", "!=", "<", "<=", ">", ">=", "symbol", "constant", "macro"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<operator>&&|\|\||!=|<=|>=|[!=<>()])|(?P<macro>\$\()|(?P<word>[^\s!=<>()&|"']+))"""
)
_LEVEL = {"n": 0, "m": 1, "y": 2}


@dataclass(frozen=True, slots=True)
class Expression:
    """A node: an operator over ``left`` and ``right``, or a leaf with ``text``."""

    operator: Operator
    text: str = ""
    left: Expression | None = None
    right: Expression | None = None

    def __str__(self) -> str:
        if self.operator == "not":
            return f"!{_wrapped(self.left)}"
        if self.operator in ("and", "or"):
            sign = "&&" if self.operator == "and" else "||"
            return f"{_wrapped(self.left, self.operator)} {sign} {_wrapped(self.right, self.operator)}"
        return f"{self.left} {self.operator} {self.right}" if self.left is not None else self.text


YES = Expression("constant", "y")


class ExpressionError(ValueError):
    """A condition that cannot be read."""


def parse(text: str) -> Expression:
    """A condition as Kconfig writes it. Raises :class:`ExpressionError`."""
    tokens = _tokens(text)
    expression = _or(tokens)
    if tokens:
        raise ExpressionError(f"'{tokens[0][1]}' is out of place in '{text}'")
    return expression


def both(left: Expression, right: Expression) -> Expression:
    """Both conditions; one that always holds is left out."""
    if left == YES:
        return right
    return left if right == YES else Expression("and", left=left, right=right)


def evaluate(expression: Expression, values: Mapping[str, str]) -> int | None:
    """0 (n), 1 (m) or 2 (y) for the symbol values of a ``.config``; None where it hangs on a macro."""
    kind, left, right = expression.operator, expression.left, expression.right
    if kind == "macro":
        return None
    if kind in ("symbol", "constant"):
        return _LEVEL.get(values.get(expression.text, "n") if kind == "symbol" else expression.text, 0)
    assert left is not None
    if kind == "not":
        value = evaluate(left, values)
        return None if value is None else 2 - value
    assert right is not None
    if kind not in ("and", "or"):
        return _compare(kind, left, right, values)
    one, two = evaluate(left, values), evaluate(right, values)
    decisive = 0 if kind == "and" else 2
    if decisive in (one, two):
        return decisive
    if one is None or two is None:
        return None
    return min(one, two) if kind == "and" else max(one, two)


def unmet(expression: Expression, values: Mapping[str, str], wanted: int = 2) -> list[Expression]:
    """The parts of a condition that keep it below ``wanted``: each would have to change. Empty where it holds."""
    value = evaluate(expression, values)
    if value is None or value >= wanted:
        return []
    if expression.operator == "and":
        assert expression.left is not None and expression.right is not None
        return unmet(expression.left, values, wanted) + unmet(expression.right, values, wanted)
    return [expression]


def symbols(expression: Expression) -> list[str]:
    """The symbols in a condition, in order, each once."""
    found: dict[str, None] = {}
    _walk(expression, lambda node: found.setdefault(node.text) if node.operator == "symbol" else None)
    return list(found)


def _walk(expression: Expression | None, visit: Callable[[Expression], object]) -> None:
    if expression is not None:
        visit(expression)
        _walk(expression.left, visit)
        _walk(expression.right, visit)


def _wrapped(expression: Expression | None, within: str = "not") -> str:
    assert expression is not None
    inner = expression.operator in ("and", "or", "=", "!=", "<", "<=", ">", ">=")
    loose = expression.operator == within or (within != "not" and expression.operator not in ("and", "or"))
    return f"({expression})" if inner and not loose else str(expression)


def _compare(kind: str, left: Expression, right: Expression, values: Mapping[str, str]) -> int | None:
    if "macro" in (left.operator, right.operator):
        return None
    one, two = (_text(side, values) for side in (left, right))
    if kind in ("=", "!="):
        return 2 if (one == two) == (kind == "=") else 0
    try:
        difference = int(one, 0) - int(two, 0)
    except ValueError:
        difference = (one > two) - (one < two)
    holds = {"<": difference < 0, "<=": difference <= 0, ">": difference > 0, ">=": difference >= 0}
    return 2 if holds[kind] else 0


def _text(side: Expression, values: Mapping[str, str]) -> str:
    if side.operator == "constant":
        return side.text
    value = values.get(side.text)
    if value is None:
        # a name that is no symbol of this configuration is its own value where it looks like one (8, 0x10), else n
        return side.text if side.text[0].isdigit() and not side.text[-1].isalpha() else "n"
    return value.strip('"')


Tokens = list[tuple[str, str]]


def _tokens(text: str) -> Tokens:
    tokens: Tokens = []
    position = 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(f"cannot read '{text[position:]}'")
        kind = found.lastgroup or ""
        position = found.end()
        if kind == "macro":
            end = _macro_end(text, position)
            tokens.append(("macro", text[found.start(kind) : end]))
            position = end
        else:
            tokens.append((kind, found[kind]))
    return tokens


def _macro_end(text: str, position: int) -> int:
    depth = 1
    while position < len(text) and depth:
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        position += 1
    return position


def _or(tokens: Tokens) -> Expression:
    left = _and(tokens)
    while tokens and tokens[0] == ("operator", "||"):
        tokens.pop(0)
        left = Expression("or", left=left, right=_and(tokens))
    return left


def _and(tokens: Tokens) -> Expression:
    left = _not(tokens)
    while tokens and tokens[0] == ("operator", "&&"):
        tokens.pop(0)
        left = Expression("and", left=left, right=_not(tokens))
    return left


def _not(tokens: Tokens) -> Expression:
    if not tokens:
        raise ExpressionError("a condition ends early")
    if tokens[0] == ("operator", "!"):
        tokens.pop(0)
        return Expression("not", left=_not(tokens))
    if tokens[0] == ("operator", "("):
        tokens.pop(0)
        inner = _or(tokens)
        if not tokens or tokens.pop(0) != ("operator", ")"):
            raise ExpressionError("a parenthesis is not closed")
        return inner
    left = _leaf(tokens.pop(0))
    if tokens and tokens[0][0] == "operator" and tokens[0][1] in ("=", "!=", "<", "<=", ">", ">="):
        sign = tokens.pop(0)[1]
        if not tokens:
            raise ExpressionError("a comparison ends early")
        return Expression(sign, left=left, right=_leaf(tokens.pop(0)))  # type: ignore[arg-type]
    return left


def _leaf(token: tuple[str, str]) -> Expression:
    kind, text = token
    if kind == "string":
        body = text[1:-1]
        return Expression("macro" if body.startswith("$(") else "constant", body)
    if kind == "macro":
        return Expression("macro", text)
    if kind != "word":
        raise ExpressionError(f"'{text}' is out of place")
    return Expression("constant" if text in _LEVEL else "symbol", text)
