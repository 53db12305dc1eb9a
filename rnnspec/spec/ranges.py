"""Ranges of values that `rnnspec tune` searches through, written where a value stands.

    units: {tune: [32, 64, 128]}                      one of several values
    lr: {tune: {low: 1e-4, high: 1e-2, log: true}}    a number between two
    units: {tune: {low: 16, high: 128, step: 16}}     every 16th whole number

Numbers are whole where `low` and `high` are. The values of a list may hold ranges themselves, which
are searched where that value is taken. An alias takes the value of the range it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from rnnspec.source.emit import flow
from rnnspec.source.fill import written
from rnnspec.source.nodes import (
    Entry,
    MappingNode,
    Node,
    Path,
    ScalarNode,
    SequenceNode,
    plain,
    shown_path,
)
from rnnspec.source.problems import Problem, did_you_mean

if TYPE_CHECKING:
    from rnnspec.source.yaml12 import Document

KEY = "tune"
DIGITS = 3
"""Digits of a number that is drawn: of itself in a range with `log`, else of the whole range."""
_INSIDE = "…"
Number = int | float
Outer = tuple[tuple["Choices", int], ...]
"""The choices around a range, and which of their values it stands in."""


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """One of several values; a value of the range is its number, from 0."""

    name: str
    path: Path
    node: MappingNode
    outer: Outer
    options: tuple[Node, ...]

    def at(self, value: Number) -> Node:
        return self.options[int(value)]

    def ends(self) -> tuple[Number, ...]:
        """The values to check."""
        return tuple(range(len(self.options)))

    def described(self) -> str:
        """`32, 64 or 128`."""
        *others, last = map(self.shown, self.ends())
        return f"{', '.join(others)} or {last}"

    def shown(self, value: Number) -> str:
        """A value as it is written; ranges within it as `…`."""
        node = self.at(value)
        whole = plain(node)
        short = _without_ranges(whole)
        if short != whole:
            return flow(short).replace(flow(_INSIDE), _INSIDE)
        return written(node) or flow(whole)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A number from `low` to `high`, both included; on the scale of its logarithm with `log`."""

    name: str
    path: Path
    node: MappingNode
    outer: Outer
    low: Number
    high: Number
    step: Number | None
    log: bool

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, value: Number) -> Node:
        place = _bounds(self.node)["low" if value == self.low else "high"]
        return replace(place, value=value, written=place.written if value == self.low else "")

    def ends(self) -> tuple[Number, ...]:
        """The values to check."""
        return self.low, self.high

    def described(self) -> str:
        """`0.0001 to 0.01, log`."""
        step = "" if self.step is None else f" by {self.step:g}"
        return f"{self.shown(self.low)} to {self.shown(self.high)}{step}{', log' * self.log}"

    def shown(self, value: Number) -> str:
        """A value as it is written."""
        return flow(value)

    def rounded(self, value: Number) -> Number:
        """A drawn number with `DIGITS` digits, so that it can be read."""
        if self.whole or self.step is not None:
            return value
        scale = abs(value) if self.log else self.high - self.low
        places = DIGITS - 1 - math.floor(math.log10(scale))
        return min(max(float(round(value, places)), self.low), self.high)


Range = Choices | Numbers
Picked = Mapping[Range, Number]


def ranges_of(document: Document) -> tuple[tuple[Range, ...], list[Problem]]:
    """The ranges of a document, outer ones first, and the problems of those that are none."""
    search = _Search(document)
    search.walk(document.root, (), ())
    return tuple(search.found.values()), search.problems


def with_values(root: Node, ranges: tuple[Range, ...], picked: Picked) -> Node:
    """The tree with a value in place of each range: the picked one, or the first."""
    of_node = {id(each.node): each for each in ranges}

    def values(node: Node) -> Node:
        if found := of_node.get(id(node)):
            return values(found.at(picked.get(found, found.ends()[0])))
        match node:
            case MappingNode():
                entries = {k: replace(e, node=values(e.node)) for k, e in node.entries.items()}
                return replace(node, entries=entries)
            case SequenceNode():
                return replace(node, items=tuple(map(values, node.items)))
        return node

    return values(root)


def active(ranges: tuple[Range, ...], pick: Callable[[Range], Number]) -> dict[Range, Number]:
    """A value of each range that has a place, as it is picked: not of those in values of others
    that are not taken."""
    picked: dict[Range, Number] = {}
    for each in ranges:
        if all(picked.get(outer) == number for outer, number in each.outer):
            picked[each] = pick(each)
    return picked


def ends(ranges: tuple[Range, ...]) -> Iterator[dict[Range, Number]]:
    """What is to be checked: the first values of all ranges, then each end of each of them."""
    yield {}
    for each in ranges:
        for value in each.ends():
            yield {**dict(each.outer), each: value}


class _Search:
    """Ranges by the identity of their nodes, so that aliases are one range."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: dict[int, Range] = {}
        self.problems: list[Problem] = []

    def walk(self, node: Node, path: Path, outer: Outer) -> None:
        if isinstance(node, MappingNode) and _is_range(node, path):
            if id(node) not in self.found:
                self._add(node, path, outer)
        elif isinstance(node, MappingNode):
            for key, entry in node.entries.items():
                self.walk(entry.node, (*path, key), outer)
        elif isinstance(node, SequenceNode):
            for index, item in enumerate(node.items):
                self.walk(item, (*path, index), outer)

    def _add(self, node: MappingNode, path: Path, outer: Outer) -> None:
        before = len(self.problems)
        beside = [key for key in node.entries if key != KEY]
        for key in beside:
            entry = node.entries[key]
            hint = f"write {{{KEY}: …}} alone, as the value of {shown_path(path) or 'a key'}"
            self._problem(
                entry, path, f"{key!r} stands beside '{KEY}', which is a whole value", hint
            )
        if hint := _refused(path):
            self._problem(node.entries[KEY], path, "the trials could not be compared", hint)
        name = self._named(path)
        inside = node.entries[KEY].node
        found: Range | None
        if isinstance(inside, SequenceNode):
            found = self._choices(name, node, inside, path, outer)
        else:
            assert isinstance(inside, MappingNode)
            found = self._numbers(name, node, inside, path, outer)
        if found is None or len(self.problems) > before:
            return
        self.found[id(node)] = found
        if isinstance(found, Choices):
            for number, option in enumerate(found.options):
                self.walk(option, path, (*outer, (found, number)))

    def _named(self, path: Path) -> str:
        """The path, with a number where ranges of several values of a choice have the same."""
        name, taken = shown_path(path), [each.path for each in self.found.values()]
        times = taken.count(path)
        return f"{name} ({times + 1})" if times else name

    def _choices(
        self, name: str, node: MappingNode, inside: SequenceNode, path: Path, outer: Outer
    ) -> Choices | None:
        if len(inside.items) < 2:
            what = f"a range of {len(inside.items) or 'no'} value{'s' * (not inside.items)}"
            self._problem(node.entries[KEY], path, what, "write several, or the value alone")
            return None
        seen: list[str] = []
        for item in inside.items:
            shown = repr(plain(item))
            if shown in seen:
                what = f"the value {shown[:40]} stands in the range twice"
                self._problem(item, path, what, "write it once")
            seen.append(shown)
        return Choices(name, path, node, outer, inside.items)

    def _numbers(
        self, name: str, node: MappingNode, inside: MappingNode, path: Path, outer: Outer
    ) -> Numbers | None:
        known = ("low", "high", "step", "log")
        for key, entry in inside.entries.items():
            if key not in known:
                hint = did_you_mean(key, known) or f"use {', '.join(known)}, or a list of values"
                self._problem(entry, path, f"unknown key {key!r} of a range", hint)
        values = plain(inside)
        for key in ("low", "high"):
            if key not in values:
                hint = "write it like {tune: {low: 0.1, high: 0.5}}"
                self._problem(node.entries[KEY], path, f"the range has no {key!r}", hint)
        for key in ("low", "high", "step"):
            if key in values and not _is_number(values[key]):
                self._problem(inside.entries[key], path, f"{key} is no number", "write a number")
        if not isinstance(log := values.get("log", False), bool):
            self._problem(inside.entries["log"], path, "log is true or false", "write 'log: true'")
        keys = ("low", "high", *(("step",) if "step" in values else ()))
        if not all(_is_number(values.get(key)) for key in keys):
            return None
        found = Numbers(
            name, path, node, outer, values["low"], values["high"], values.get("step"), log is True
        )
        for key, what, hint in _faults(found):
            self._problem(inside.entries[key], path, what, hint)
        return found

    def _problem(self, at: Node | Entry, path: Path, message: str, hint: str) -> None:
        self.problems.append(at.source.problem(at.span, message, hint, shown_path(path)))


def _faults(found: Numbers) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a range of numbers: the key, the message and the cure."""
    low, high, step = found.low, found.high, found.step
    if not low < high:
        yield (
            "high",
            f"the range ends at {high:g} and begins at {low:g}",
            "let 'high' be the larger",
        )
    elif step is not None and found.log:
        yield "step", "a range with 'log' has no even steps", "remove step or log"
    elif step is not None and not step > 0:
        yield "step", f"a step of {step:g}", "write a number above 0"
    elif step is not None and found.whole and not isinstance(step, int):
        yield "step", f"a step of {step:g} between whole numbers", "write a whole number"
    elif step is not None and not math.isclose(count := (high - low) / step, round(count)):
        last = low + math.floor(count) * step
        what = f"{high:g} is not reached from {low:g} by steps of {step:g}"
        yield "high", what, f"write 'high: {last if count >= 1 else low + step:g}'"
    if found.log and not low > 0:
        yield "low", f"a range with 'log' begins above 0, not at {low:g}", "raise it, or remove log"


def _refused(path: Path) -> str:
    """The cure where a range would let trials be measured in different ways; empty elsewhere."""
    places: dict[Path, str] = {
        ("name",): "write one name",
        ("data", "valid"): "measure all of them on the same rows",
        ("train", "seed"): "a seed is no setting; see 'rnnspec build --seeds'",
        ("train", "monitor"): "name one metric",
        ("train", "early_stopping", "metric"): "name one metric",
    }
    return places.get(tuple(path), "")


def _is_range(node: MappingNode, path: Path) -> bool:
    """`tune` may also be the name of a cell, or of a class with a weight."""
    entry = node.entries.get(KEY)
    return (
        entry is not None
        and not isinstance(entry.node, ScalarNode)
        and path not in ((), ("cells",))
    )


def _without_ranges(value: Any) -> Any:
    match value:
        case {"tune": list() | dict(), **others} if not others:
            return _INSIDE
        case dict():
            return {key: _without_ranges(inner) for key, inner in value.items()}
        case list():
            return [_without_ranges(inner) for inner in value]
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bounds(node: MappingNode) -> dict[Literal["low", "high"], ScalarNode]:
    inside = node.entries[KEY].node
    assert isinstance(inside, MappingNode)
    low, high = inside.entries["low"].node, inside.entries["high"].node
    assert isinstance(low, ScalarNode) and isinstance(high, ScalarNode)
    return {"low": low, "high": high}
