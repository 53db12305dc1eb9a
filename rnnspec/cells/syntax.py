"""Parser of equations. The text looks like Python and is never executed as Python.

    equations  = { [name "=" value] end-of-line }
    value      = sum [ ("<" | "<=" | ">" | ">=") sum ]
    sum        = product { ("+" | "-") product }
    product    = sign { ("*" | "/" | "@") sign }
    sign       = "-" sign | power
    power      = atom { "[" ( [size] ":" [size] | [number] ":" ":" number ) "]" } [ "**" sign ]
    atom       = number | name | name "(" value { "," value } ")" | "(" value ")"

A size is a sum of names, numbers and their products (`rnnspec.cells.sizes`).

A line goes on while a bracket is open; `#` starts a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rnnspec.cells.sizes import size_of
from rnnspec.errors import CellError

MAX_NESTING = 60
"""Open brackets and signs at once; deeper text is refused instead of exhausting the stack."""
MAX_OPERATORS = 150
"""Operators and brackets in one equation: bounds the depth of the tree, walked recursively."""
MAX_LENGTH = 20_000
"""Code points in one set of equations."""

Operator = Literal["+", "-", "*", "/", "@", "**", "<", "<=", ">", ">="]
COMPARISONS = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column (from 1) and length of a part of the equations' text."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    place: Place


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Negated:
    operand: Expression
    place: Place


@dataclass(frozen=True, slots=True)
class Binary:
    operator: Operator
    left: Expression
    right: Expression
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Slice:
    """`operand[start:stop]`; a bound is the text of a size, "" where it is left out. With a
    `stride` above 1, `operand[start::stride]`."""

    operand: Expression
    start: str
    stop: str
    place: Place
    stride: int = 1


Expression = Number | Name | Negated | Binary | Call | Slice


@dataclass(frozen=True, slots=True)
class Equation:
    """`target = value`; `place` is the target's."""

    target: str
    value: Expression
    place: Place


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """name, number, operator, end-of-line, end; unknown for a character without a meaning."""
    text: str
    place: Place


_TOKEN = re.compile(
    r"(?P<space>[ \t]+|#[^\n]*)|(?P<newline>\r?\n)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)"
    r"|(?P<operator>\*\*|[<>]=?|[-+*/@=(),:\[\]])"
)
_HEAD = re.compile(r"[ \t]*[^\W\d]\w*[ \t]*=")
"""The beginning of an equation; "=" occurs nowhere else."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The equations that can be read, in order, and the mistakes of all others.

    `broken` are the targets of equations with mistakes, `lost` is set if some target is unknown.
    """

    equations: tuple[Equation, ...]
    mistakes: tuple[CellError, ...] = ()
    broken: frozenset[str] = frozenset()
    lost: bool = False


def parse(text: str) -> tuple[Equation, ...]:
    """The equations of `text`, in order. Raises CellError with the place of the first mistake."""
    found = parsed(text)
    if found.mistakes:
        raise found.mistakes[0]
    return found.equations


def parsed(text: str) -> Parsed:
    """The equations of `text` and every mistake in them, at most one in each equation."""
    if len(text) > MAX_LENGTH:
        what = f"the equations are longer than {MAX_LENGTH:,} characters"
        return Parsed((), (CellError(what),), lost=True)
    mistakes: list[CellError] = []
    parser = _Parser(_tokens(text, mistakes), mistakes)
    equations = parser.equations()
    if not equations and not mistakes:
        what = "there are no equations; write at least one, such as h = tanh(W @ x + b)"
        return Parsed((), (CellError(what),), lost=True)
    mistakes.sort(key=lambda mistake: (mistake.line, mistake.column))
    return Parsed(equations, tuple(mistakes), frozenset(parser.broken), parser.lost)


def _tokens(text: str, mistakes: list[CellError]) -> list[_Token]:
    """Tokens of `text`.

    Inside brackets ends of lines are left out, up to the next line that begins an equation. A
    character without a meaning is a mistake, and the rest of its line is left out.
    """
    tokens: list[_Token] = []
    line, line_start, position, open_brackets = 1, 0, 0, 0
    while position < len(text):
        column = position - line_start + 1
        found = _TOKEN.match(text, position)
        if found is None:
            what = f"{text[position]!r} has no meaning in an equation"
            mistakes.append(CellError(what, line, column))
            tokens.append(_Token("unknown", text[position], Place(line, column)))
            end = text.find("\n", position)
            position, open_brackets = end if end >= 0 else len(text), 0
            continue
        kind, piece = str(found.lastgroup), found.group()
        place = Place(line, column, len(piece))
        position = found.end()
        if kind == "newline":
            line, line_start = line + 1, position
            if not open_brackets or _HEAD.match(text, position):
                open_brackets = 0
                tokens.append(_Token("end-of-line", piece, place))
        elif kind != "space":
            open_brackets = max(0, open_brackets + (piece in "([") - (piece in ")]"))
            tokens.append(_Token(kind, piece, place))
    tokens.append(_Token("end", "", Place(line, position - line_start + 1)))
    return tokens


class _Parser:
    """Recursive descent over tokens, one method a rule of the grammar above."""

    def __init__(self, tokens: list[_Token], mistakes: list[CellError]) -> None:
        self._tokens, self._mistakes = tokens, mistakes
        self.broken: set[str] = set()
        """Targets of equations that have mistakes."""
        self.lost = False
        """Whether an equation with a mistake has no target."""
        self._at = 0
        self._nesting = 0
        self._operators = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> _Token | None:
        """The current operator if it is one of `texts`, moving past it."""
        token = self._token
        if token.kind != "operator" or token.text not in texts:
            return None
        self._at += 1
        self._operators += token.text not in ("=", ")", ",", ":", "]")
        if self._operators > MAX_OPERATORS:
            raise self._fail(f"more than {MAX_OPERATORS} operators in one equation; name the parts")
        return token

    def _fail(self, message: str) -> CellError:
        place = self._token.place
        return CellError(message, place.line, place.column, place.length)

    def equations(self) -> tuple[Equation, ...]:
        """The equations that can be read; records the mistakes of the others."""
        found = []
        while self._token.kind != "end":
            start = self._at
            if self._token.kind == "end-of-line":
                self._at += 1
                continue
            try:
                found.append(self._equation())
                if self._token.kind not in ("end-of-line", "end"):
                    what = f"{self._token.text!r} is not expected here; one equation a line"
                    raise self._fail(what)
            except CellError as mistake:
                if self._token.kind != "unknown":  # recorded by the tokenizer
                    self._mistakes.append(mistake)
                self._recover(start)
        return tuple(found)

    def _recover(self, start: int) -> None:
        """Go on after the line with the mistake, or at a token that begins an equation."""
        if self._tokens[start].kind == "name":
            self.broken.add(self._tokens[start].text)
        else:
            self.lost = True
        if self._at > start and self._begins(self._at):
            return
        while self._token.kind not in ("end-of-line", "end"):
            self._at += 1

    def _begins(self, at: int) -> bool:
        """Whether an equation begins with token number `at`."""
        after = self._tokens[min(at + 1, len(self._tokens) - 1)]
        return self._tokens[at].kind == "name" and (after.kind, after.text) == ("operator", "=")

    def _equation(self) -> Equation:
        target = self._token
        if target.kind != "name":
            raise self._fail(f"an equation starts with a name, not with {target.text!r}")
        self._at += 1
        self._operators = self._nesting = 0
        if not self._take("="):
            raise self._fail(f"expected '=' after {target.text!r}, as in {target.text} = …")
        return Equation(target.text, self._value(), target.place)

    def _value(self) -> Expression:
        left = self._sum()
        if operator := self._take(*COMPARISONS):
            found = _binary(operator, left, self._sum())
            if self._token.kind == "operator" and self._token.text in COMPARISONS:
                raise self._fail("one comparison at a time: both hold where (a < b) * (b < c) is 1")
            return found
        return left

    def _sum(self) -> Expression:
        left = self._product()
        while operator := self._take("+", "-"):
            left = _binary(operator, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._sign()
        while operator := self._take("*", "/", "@"):
            left = _binary(operator, left, self._sign())
        return left

    def _sign(self) -> Expression:
        if minus := self._take("-"):
            with_sign = self._nested(self._sign)
            return Negated(with_sign, minus.place)
        return self._power()

    def _power(self) -> Expression:
        base = self._sliced(self._atom())
        if operator := self._take("**"):
            return _binary(operator, base, self._nested(self._sign))
        return base

    def _sliced(self, operand: Expression) -> Expression:
        while bracket := self._take("["):
            start = self._size(":")
            if not self._take(":"):
                raise self._fail("expected ':', as in v[0:units]")
            stop = self._size(":", "]")
            stride = self._stride() if self._take(":") else 1
            if stop and stride > 1:
                raise self._fail(
                    f"a stride goes to the end of a vector, as in v[{start}::{stride}]"
                )
            if not self._take("]"):
                raise self._fail("expected ']': a bracket is not closed")
            operand = Slice(operand, start, stop, bracket.place, stride)
        return operand

    def _stride(self) -> int:
        token = self._token
        if not token.text.isdigit() or int(token.text) < 2:
            raise self._fail("a stride is a whole number of at least 2, as in v[0::2]")
        self._at += 1
        return int(token.text)

    def _size(self, *ends: str) -> str:
        """The text of a size, up to one of the tokens `ends`."""
        parts: list[str] = []
        while self._token.text not in ends and self._token.kind in ("name", "number", "operator"):
            parts.append(self._token.text)
            self._at += 1
        text = "".join(parts)
        try:
            return text and size_of(text)
        except ValueError as problem:
            raise self._fail(f"{problem}; a bound is one, such as units or 2*units") from None

    def _atom(self) -> Expression:
        token = self._token
        if token.kind == "number":
            self._at += 1
            value = float(token.text)
            if value == float("inf"):
                raise CellError("a number too large to hold", token.place.line, token.place.column)
            return Number(value, token.place)
        if token.kind == "name":
            self._at += 1
            if self._take("("):
                return Call(token.text, self._arguments(), token.place)
            return Name(token.text, token.place)
        if self._take("("):
            inside = self._nested(self._value)
            self._close()
            return inside
        got = "the end" if token.kind in ("end", "end-of-line") else repr(token.text)
        raise self._fail(f"expected a number, a name or a bracket, not {got}")

    def _arguments(self) -> tuple[Expression, ...]:
        arguments = [self._nested(self._value)]
        while self._take(","):
            arguments.append(self._nested(self._value))
        self._close()
        return tuple(arguments)

    def _close(self) -> None:
        if not self._take(")"):
            raise self._fail("expected ')': a bracket is not closed")

    def _nested(self, rule: Callable[[], Expression]) -> Expression:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self._fail(f"nested deeper than {MAX_NESTING} levels; name the inner parts")
        inside = rule()
        self._nesting -= 1
        return inside


def _binary(operator: _Token, left: Expression, right: Expression) -> Binary:
    return Binary(operator.text, left, right, operator.place)  # type: ignore[arg-type]
