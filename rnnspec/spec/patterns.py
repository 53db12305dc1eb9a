"""Regular expressions that an exported file can match exactly as Python's `re` does.

onnxruntime matches with RE2, and takes the longest of the matches that begin first. Python takes
the first one that its alternatives and repetitions come to. Where the two differ for some text,
which is decided by automata, the expression is rewritten: to one of all texts that Python would
take whole. The longest of these that a text begins with is Python's match.

Offered are characters, classes, `.`, `|`, groups `(?:…)` and the greedy `*`, `+`, `?` and `{m,n}`.
"""

from __future__ import annotations

import re
import sys
import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import assert_never

MOST_STATES = 2_000
"""Of either automaton; beyond it an expression is refused."""
MOST_RANGES = 10_000
"""Of all classes of an expression, each as often as it is repeated: RE2, whose memory is bounded,
is slow beyond 15,000."""
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a class: of one of these ranges of code points, which rise."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Sequential:
    """Parts, one after the other."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """The first of these that fits."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, as often as it fits, from `least` to `most` times; None is any number."""

    part: Pattern
    least: int
    most: int | None


Pattern = Chars | Sequential | Either | Repeat


class PatternError(ValueError):
    """An expression that is not offered: what it holds, and what to write instead."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


def parsed(pattern: str) -> Pattern:
    """What `re.findall` finds, as an expression whose longest matches these are.

    Raises PatternError where `pattern` is no expression of `re`, or is not offered.
    """
    _check_syntax(pattern)
    try:
        return _longest(pattern)
    except RecursionError as error:
        raise PatternError("its groups are nested too deeply", "nest them less") from error


def _check_syntax(pattern: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except FutureWarning as error:  # says which and where: "Possible nested set at position 1"
        message = f"{error}, whose meaning may change in Python"
        raise PatternError(
            message[:1].lower() + message[1:], r"write \[, \-, \&, \~ or \|"
        ) from error
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"no regular expression of Python's re: {error}", "mend it") from error


def _longest(pattern: str) -> Pattern:
    found = _Parser(pattern).whole()
    if _may_be_empty(found):
        raise PatternError("it matches the empty text", "let it match a character at least")
    _check_size(found)
    preferred = _preferred(found)
    if preferred is not found:
        _check_size(preferred)
    return preferred


def holds_white_space(pattern: Pattern) -> bool:
    """Whether a match may hold white space."""
    match pattern:
        case Chars():
            return any(_holds(pattern, at) for a, b in _class_of("s") for at in range(a, b + 1))
        case Sequential(parts=parts) | Either(parts=parts):
            return any(map(holds_white_space, parts))
        case Repeat(part=part, most=most):
            return most != 0 and holds_white_space(part)
        case _:
            assert_never(pattern)


def in_re2(pattern: Pattern) -> str:
    """The expression in the syntax of RE2, with every class spelled out."""
    match pattern:
        case Chars(ranges=ranges):
            return "[" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ranges) + "]"
        case Sequential(parts=parts):
            return "".join(map(in_re2, parts))
        case Either(parts=parts):
            return "(?:" + "|".join(map(in_re2, parts)) + ")"
        case Repeat(part=part, least=least, most=most):
            return f"(?:{in_re2(part)}){{{least},{'' if most is None else most}}}"
        case _:
            assert_never(pattern)


_LAST = sys.maxunicode
_SPECIAL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEXADECIMAL = {"x": 2, "u": 4, "U": 8}


@cache
def _class_of(letter: str) -> tuple[Range, ...]:
    """The ranges of `\\w`, `\\d` or `\\s`, or of their opposites."""
    every = "".join(map(chr, range(_LAST + 1)))
    return tuple((run.start(), run.end() - 1) for run in re.finditer(rf"\{letter}+", every))


def _joined(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """The ranges in order, none of which touches another."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def _others(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """All code points that are not in the ranges."""
    bounds = [-1, *(at for pair in ranges for at in pair), _LAST + 1]
    gaps = zip(bounds[::2], bounds[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if before + 1 < after)


class _Parser:
    """Reads an expression that `re` has taken."""

    def __init__(self, pattern: str) -> None:
        self._text, self._at = pattern, 0

    def whole(self) -> Pattern:
        return self._either()

    def _ahead(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _next(self, count: int = 1) -> str:
        found = self._ahead(count)
        self._at += count
        return found

    def _either(self) -> Pattern:
        parts = [self._sequence()]
        while self._ahead() == "|":
            self._next()
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _sequence(self) -> Pattern:
        parts = []
        while self._ahead() not in ("", "|", ")"):
            parts.append(self._repeated(self._one()))
        return parts[0] if len(parts) == 1 else Sequential(tuple(parts))

    def _one(self) -> Pattern:
        match self._next():
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return Chars(_others(((10, 10),)))
            case "^" | "$" as anchor:
                raise PatternError(
                    f"{anchor} is a place, and a token is found at any place", "leave it out"
                )
            case "\\":
                return Chars(_joined(self._escaped()))
            case "{":
                raise PatternError("{ stands where nothing is repeated", r"write \{")
            case char:
                return Chars(((ord(char), ord(char)),))

    def _group(self) -> Pattern:
        if self._ahead(2) != "?:":
            what = "a group that captures" if self._ahead() != "?" else f"({self._ahead(2)}…)"
            raise PatternError(f"{what} is not offered", "write groups as (?:…)")
        self._next(2)
        found = self._either()
        self._next()
        return found

    def _repeated(self, part: Pattern) -> Pattern:
        sign = _REPETITION.match(self._text, self._at)
        if sign is None:
            return part
        self._next(len(sign[0]))
        if self._ahead() in ("?", "+"):
            raise PatternError(
                f"{sign[0]}{self._ahead()} is not offered", "write greedy repetitions, as * or +"
            )
        known: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        least, most = known.get(sign[0], (int(sign["least"] or 0), None))
        if sign["least"] is not None:
            most = int(sign["most"]) if sign["most"] else None if sign["comma"] else least
        return Repeat(part, least, most)

    def _class(self) -> Chars:
        opposite = self._ahead() == "^"
        self._next(opposite)
        found: list[Range] = []
        begun = self._at
        while self._ahead() != "]" or self._at == begun:
            found += self._range()
        self._next()
        ranges = _joined(found)
        ranges = _others(ranges) if opposite else ranges
        if not ranges:
            raise PatternError("a class has no character", "leave it out")
        return Chars(ranges)

    def _range(self) -> Sequence[Range]:
        first = self._member()
        if self._ahead() != "-" or self._ahead(2) == "-]":
            return first
        self._next()
        return ((first[0][0], self._member()[0][0]),)

    def _member(self) -> Sequence[Range]:
        char = self._next()
        if char == "\\":
            return self._escaped(in_class=True)
        return ((ord(char), ord(char)),)

    def _escaped(self, in_class: bool = False) -> Sequence[Range]:
        letter = self._next()
        if letter in "wdsWDS":
            return _class_of(letter)
        if letter in _HEXADECIMAL:
            point = int(self._next(_HEXADECIMAL[letter]), 16)
        elif letter == "b" and in_class:
            point = 8
        elif letter in _SPECIAL:
            point = ord(_SPECIAL[letter])
        elif letter.isascii() and letter.isalnum():
            raise PatternError(
                f"\\{letter} is not offered", r"write characters, classes, or \w, \d and \s"
            )
        else:
            point = ord(letter)
        return ((point, point),)


_REPETITION = re.compile(r"[*+?]|\{(?!\})(?P<least>\d*)(?P<comma>,)?(?P<most>\d*)\}", re.ASCII)


def _check_size(pattern: Pattern) -> None:
    if (ranges := _ranges(pattern)) > MOST_RANGES:
        raise PatternError(
            f"it is too large, {ranges:,} ranges of characters with its repetitions",
            "repeat less, or smaller classes",
        )


def _may_be_empty(pattern: Pattern) -> bool:
    """Whether it matches the empty text. Raises PatternError for a repetition of what may."""
    match pattern:
        case Chars():
            return False
        case Sequential(parts=parts):
            empty = list(map(_may_be_empty, parts))  # of all: each may raise
            return all(empty)
        case Either(parts=parts):
            empty = list(map(_may_be_empty, parts))
            return any(empty)
        case Repeat(part=part, least=least):
            if _may_be_empty(part):
                raise PatternError(
                    "it repeats what may be empty", "repeat what has a character at least"
                )
            return not least
        case _:
            assert_never(pattern)


def _ranges(pattern: Pattern) -> int:
    """Ranges of all classes, each as often as it is repeated."""
    match pattern:
        case Chars(ranges=ranges):
            return len(ranges)
        case Sequential(parts=parts) | Either(parts=parts):
            return sum(map(_ranges, parts))
        case Repeat(part=part, least=least, most=most):
            return _ranges(part) * max(least + 1 if most is None else most, 1)
        case _:
            assert_never(pattern)


@dataclass(slots=True)
class _Automaton:
    """States by number: `chars` of one that takes a character, and goes on to `later`'s only state;
    the others go on to all of `later` at once, the first preferred. State 0 is the match."""

    chars: list[Chars | None] = field(default_factory=lambda: [None])
    later: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    start: int = 0

    def add(self, chars: Chars | None, *later: int) -> int:
        if len(self.chars) >= MOST_STATES:
            raise PatternError("it is too large", "repeat less")
        self.chars.append(chars)
        self.later.append(later)
        return len(self.chars) - 1


def _automaton(pattern: Pattern) -> _Automaton:
    """The automaton of Thompson (1968), with preferences."""
    found = _Automaton()
    found.start = _built(found, pattern, 0)
    return found


def _built(of: _Automaton, pattern: Pattern, end: int) -> int:
    """The state where `pattern` begins, which goes on to `end`."""
    match pattern:
        case Chars():
            return of.add(pattern, end)
        case Sequential(parts=parts):
            for part in reversed(parts):
                end = _built(of, part, end)
            return end
        case Either(parts=parts):
            return of.add(None, *[_built(of, part, end) for part in parts])
        case Repeat(part=part, least=least, most=most):
            start = end
            if most is None:
                start = of.add(None)
                of.later[start] = (_built(of, part, start), end)
            for _ in range(0 if most is None else most - least):
                start = of.add(None, _built(of, part, start), end)
            for _ in range(least):
                start = _built(of, part, start)
            return start
        case _:
            assert_never(pattern)


def _preferred(pattern: Pattern) -> Pattern:
    """The pattern if its longest match is always Python's, else one of which that is so.

    Python's match is the one of the automaton whose states are kept in order of preference, and
    where those behind a match are dropped; the longest match is the one without dropping (Cox 2010,
    Regular Expression Matching in the Wild).
    """
    of = _automaton(pattern)
    kinds = _kinds(of)
    states = _closed(of, [of.start], drop=True), _closed(of, [of.start], drop=False)
    seen, waiting = {states}, [states]
    for first, every in waiting:
        if len(seen) > MOST_STATES:
            raise PatternError("it is too large to be decided", "write it with less repetitions")
        for kind in kinds:
            letter = kind.ranges[0][0]
            states = (
                _closed(of, _moved(of, first, letter), drop=True),
                _closed(of, _moved(of, every, letter), drop=False),
            )
            if (0 in states[0]) != (0 in states[1]):
                return _rewritten(of, kinds)
            if states[1] and states not in seen:
                seen.add(states)
                waiting.append(states)
    return pattern


def _rewritten(of: _Automaton, kinds: Sequence[Chars]) -> Pattern:
    """The texts that Python takes whole: states of the automaton with dropping are left out one by
    one, each edge into one then ends where it led to (Brzozowski and McCluskey 1963)."""
    edges = _edges(of, kinds)
    inner = {state for pair in edges for state in pair} - {_BEGIN, _END}
    while inner:
        state = min(inner, key=lambda each: _cost(edges, each))
        inner.remove(state)
        own = edges.pop((state, state), None)
        before = [(pair, edges.pop(pair)) for pair in list(edges) if pair[1] == state]
        after = [(pair, edges.pop(pair)) for pair in list(edges) if pair[0] == state]
        again = () if own is None else (Repeat(own, 0, None),)
        for (source, _), to in before:
            for (_, target), onward in after:
                _add_edge(edges, source, target, _sequence((to, *again, onward)))
    return edges[_BEGIN, _END]


_BEGIN, _END = -1, -2
_Edges = dict[tuple[int, int], Pattern]
_NOTHING = Sequential(())


def _edges(of: _Automaton, kinds: Sequence[Chars]) -> _Edges:
    """The edges of the automaton with dropping, whose states are numbered."""
    numbers = {_closed(of, [of.start], drop=True): 0}
    edges: _Edges = {(_BEGIN, 0): _NOTHING}
    waiting = list(numbers)
    for states in waiting:
        if 0 in states:
            edges[numbers[states], _END] = _NOTHING
        for kind in kinds:
            after = _closed(of, _moved(of, states, kind.ranges[0][0]), drop=True)
            if after and after not in numbers:
                numbers[after] = len(numbers)
                waiting.append(after)
            if after:
                _add_edge(edges, numbers[states], numbers[after], kind)
    return edges


def _add_edge(edges: _Edges, source: int, target: int, pattern: Pattern) -> None:
    """An edge beside the one there is."""
    match edges.get((source, target)), pattern:
        case None, _:
            found = pattern
        case Chars(ranges=known), Chars(ranges=more):
            found = Chars(_joined([*known, *more]))
        case other, _:
            found = Either((other, pattern))
    edges[source, target] = found


def _sequence(parts: Sequence[Pattern]) -> Pattern:
    several = tuple(part for part in parts if part != _NOTHING)
    return several[0] if len(several) == 1 else Sequential(several)


def _cost(edges: _Edges, state: int) -> int:
    """How much larger the edges get where `state` is left out."""
    ways = [len([pair for pair in edges if pair[side] == state]) for side in (0, 1)]
    return ways[0] * ways[1]


def _moved(of: _Automaton, states: Sequence[int], letter: int) -> list[int]:
    """The states after a character."""
    found = []
    for state in states:
        chars = of.chars[state]
        if chars is not None and _holds(chars, letter):
            found.append(of.later[state][0])
    return found


def _holds(chars: Chars, letter: int) -> bool:
    at = bisect_left(chars.ranges, (letter + 1,)) - 1
    return at >= 0 and chars.ranges[at][0] <= letter <= chars.ranges[at][1]


def _closed(of: _Automaton, states: Sequence[int], drop: bool) -> tuple[int, ...]:
    """The states that take a character, and the match, by preference; with `drop` none behind the
    match, else in order of number."""
    found: dict[int, None] = {}
    seen: set[int] = set()
    waiting = list(reversed(states))
    while waiting:
        state = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        if state == 0 or of.chars[state] is not None:
            found[state] = None
            if drop and state == 0:
                break
        else:
            waiting += reversed(of.later[state])
    return tuple(found) if drop else tuple(sorted(found))


def _kinds(of: _Automaton) -> list[Chars]:
    """The code points by the classes that they are in: those in the same classes are alike."""
    classes = sorted({each.ranges for each in of.chars if each is not None})
    bounds = sorted({at for ranges in classes for a, b in ranges for at in (a, b + 1)})
    known = [Chars(ranges) for ranges in classes]
    found: dict[tuple[bool, ...], list[Range]] = {}
    for first, after in pairwise([*bounds, _LAST + 1]):
        kind = tuple(_holds(chars, first) for chars in known)
        if any(kind):
            found.setdefault(kind, []).append((first, after - 1))
    return [Chars(_joined(ranges)) for ranges in found.values()]
