"""Overrides from the command line: `train.epochs=3`, its value read as YAML 1.2.

All overrides together are shown as a file named `--set`, one line each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rnnspec.errors import SpecError
from rnnspec.source.composer import Composer
from rnnspec.source.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode, shown_path
from rnnspec.source.problems import Problem, Span
from rnnspec.source.text import Source, check_characters
from rnnspec.source.yaml12 import Document

NAME = "--set"
"""The file that problems of overrides are placed in."""

_PART = re.compile(r"[^.\[\]\s]+")
_KEY = re.compile(r"[^.\[\]\s=]+(?:\.[^.\[\]\s=]+|\[[0-9]+\])*")


Options = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]
"""For a path to a choice of options: the settings of each option by its name; else empty."""


def apply_overrides(
    document: Document, overrides: Sequence[str], options: Options = lambda path: {}
) -> tuple[Document, list[Problem]]:
    """The document with each `key.path=value` put in its place, later ones last.

    List items are named by their number, from 0: `encoder.layers.0.units=64`. Overrides that
    cannot be applied are left out and returned as problems. `options` gives the options at a path.
    """
    problems: list[Problem] = []
    root = document.root
    for number in range(len(overrides)):
        source = Source.of("\n".join(overrides[: number + 1]), NAME)
        start = len(source.text) - len(overrides[number])
        try:
            root = _Override(source, start, options).applied(root)
        except SpecError as error:
            problems += error.problems
    return replace(document, root=root), problems


class _Override:
    """One override, which starts at `start` of the text of `source`."""

    def __init__(self, source: Source, start: int, options: Options) -> None:
        check_characters(source)
        self.source, self.start, self.options = source, start, options
        self.text = source.text[start:]
        self.key = _KEY.match(self.text)

    def applied(self, root: Node) -> Node:
        """The tree with the value in its place. Raises SpecError if there is no such place."""
        if not self.key or self.text[self.key.end() : self.key.end() + 1] != "=":
            raise self._wrong(
                0, len(self.text), "expected key=value", "write it like train.epochs=3"
            )
        value = self._value(self.key.end() + 1)
        parts = [(part[0], part.start()) for part in _PART.finditer(self.key[0])]
        return self._placed(root, parts, 0, value)

    def _value(self, at: int) -> Node:
        """The value after the `=`; for its places, the text before it is blanked out."""
        if not self.text[at:].strip():
            raise self._wrong(0, len(self.text), "no value after '='", "write null for none")
        blank = re.sub(r"[^\r\n]", " ", self.source.text[: self.start + at])
        composer = Composer(self.source, blank + self.text[at:])
        value = composer.document()
        if value is None or composer.problems:
            raise SpecError(composer.problems)
        return value

    def _placed(
        self, node: Node | None, parts: list[tuple[str, int]], depth: int, value: Node
    ) -> Node:
        """`node` with the value at `parts[depth:]` below it; missing mappings are made."""
        if depth == len(parts):
            return value
        part, at = parts[depth]
        span = self.source.place(self.start + at, len(part))
        if isinstance(node, SequenceNode):
            return self._in_list(node, parts, depth, value)
        if isinstance(node, ScalarNode) and node.value is not None:
            node = self._from_name(node, parts, depth)
        entries = dict(node.entries) if isinstance(node, MappingNode) else {}
        old = entries.get(part)
        below = self._placed(old.node if old else None, parts, depth + 1, value)
        if old and depth + 1 < len(parts):
            entries[part] = replace(old, node=below)
        else:
            entries[part] = Entry(self.source, span, below)
        if isinstance(node, MappingNode):
            return replace(node, entries=entries)
        return MappingNode(self.source, span, entries, flow=False)

    def _in_list(
        self, node: SequenceNode, parts: list[tuple[str, int]], depth: int, value: Node
    ) -> Node:
        part, at = parts[depth]
        count = len(node.items)
        if not part.isdecimal() or len(part) > 6 or int(part) >= count:
            shown = shown_path([name for name, _ in parts[:depth]])
            what = f"{shown} is a list of {count}; {part!r} is no item of it"
            hint = f"set the list itself: {shown}=[…]"
            if count:
                hint = f"name an item by its number, from 0 to {count - 1}"
            raise self._wrong(at, len(part), what, hint)
        items = list(node.items)
        items[int(part)] = self._placed(items[int(part)], parts, depth + 1, value)
        return replace(node, items=tuple(items))

    def _from_name(
        self, node: ScalarNode, parts: list[tuple[str, int]], depth: int
    ) -> MappingNode | None:
        """`optimizer: adam` becomes a mapping for `optimizer.adam.lr=…`; any other value stays."""
        part, at = parts[depth]
        if node.value == part:
            return None
        raise self._wrong(at, len(part), *self._of_name(str(node.value), parts, depth))

    def _of_name(self, value: str, parts: list[tuple[str, int]], depth: int) -> tuple[str, str]:
        """The message and the hint for keys below a plain value."""
        assert self.key is not None, "it is applied only with one"
        path, below = [n for n, _ in parts[:depth]], [n for n, _ in parts[depth:]]
        shown, options = shown_path(path), self.options(path)
        new = self.text[self.key.end() + 1 :][:40]
        if below[0] in options:  # another option
            for name in reversed(below):
                new = f"{{{name}: {new}}}"
            return f"{shown} is {value[:40]!r}", f"write {shown}={new}"
        settings = options.get(value, ())
        if not settings:
            what = f"{shown} is {value[:40]!r}, which has no keys"
            return what, f"set {shown} itself: {shown}=…"
        what = f"{shown} is {value!r}, whose settings stand below its name"
        if below[0] in settings:
            return what, f"write {shown}.{value}.{'.'.join(below)}={new}"
        return (
            what,
            f"its settings are {', '.join(settings)}; write {shown}.{value}.{settings[0]}=…",
        )

    def _wrong(self, at: int, length: int, message: str, hint: str) -> SpecError:
        index = self.start + at
        span = self.source.place(index, max(1, length))
        line = self.source.line(span.line)
        room = max(1, len(line) - span.column + 1)
        place = Span(span.line, span.column, min(span.length, room))
        return SpecError([self.source.problem(place, message, hint)])
