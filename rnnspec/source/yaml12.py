"""YAML 1.2 with positions: a document of plain values, each with its place in the file.

PyYAML splits the text into events; they are composed here, because PyYAML's own composer reads
YAML 1.1 (`no` is false, `1:1` is sixty-one, `1e-3` is a word), takes duplicate keys and expands
aliases without end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rnnspec.errors import SpecError
from rnnspec.source.composer import Composer
from rnnspec.source.nodes import (
    Entry,
    MappingNode,
    Node,
    Path,
    ScalarNode,
    SequenceNode,
    plain,
    shown_path,
    with_key,
)
from rnnspec.source.offsets import offsets
from rnnspec.source.problems import Problem, Span
from rnnspec.source.text import Source, check_characters


@dataclass(frozen=True)
class Document:
    """A parsed file. A `path` is the keys and list indices that lead to a value."""

    source: Source
    root: Node

    @property
    def data(self) -> Any:
        """The values alone: dict, list, str, int, float, bool, None; fresh at each call."""
        return plain(self.root)

    def has(self, path: Path) -> bool:
        return len(self._reach(path)) == len(path)

    def problem(self, path: Path, message: str, hint: str = "", key: bool = False) -> Problem:
        """A problem of the value (or key) at `path`; a missing one has the place of its parent."""
        source, span = self._place(path, key)
        if not self._reach(path) and path:
            return Problem(source.file, Span(1, 1), shown_path(path), message, hint)
        return source.problem(span, message, hint, shown_path(path))

    def problem_inside(
        self, path: Path, line: int, column: int, length: int, message: str, hint: str = ""
    ) -> Problem:
        """A problem at a line and column, from 1, counted inside the text at `path`."""
        node = self._node(path)
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            return self.problem(path, message, hint)
        lines = node.value.removesuffix("\n").split("\n")
        line = min(max(line, 1), len(lines))
        first = sum(len(text) + 1 for text in lines[: line - 1])
        column = min(max(column, 1), len(lines[line - 1]) + 1)
        places = offsets(node.source.text, node.start, node.style, node.value)
        start = places[min(first + column - 1, len(places) - 1)]
        end = places[min(first + min(column - 1 + length, len(lines[line - 1])), len(places) - 1)]
        span = node.source.place(start, max(1, end - start))
        room = len(node.source.line(span.line)) - span.column + 1
        span = replace(span, length=max(1, min(span.length, room)))
        return node.source.problem(span, message, hint, shown_path(path))

    def renamed(self, path: Path, key: str) -> Document:
        """The document with `key` in place of the last key of `path`."""
        return replace(self, root=with_key(self.root, path, key))

    def _reach(self, path: Path) -> list[tuple[Entry | None, Node]]:
        """The entries from the root along `path`, as far as it goes; no entry for list items."""
        node = self.root
        reached: list[tuple[Entry | None, Node]] = []
        for part in path:
            if isinstance(node, MappingNode) and isinstance(part, str) and part in node.entries:
                entry = node.entries[part]
                reached.append((entry, entry.node))
            elif isinstance(node, SequenceNode) and isinstance(part, int):
                if not 0 <= part < len(node.items):
                    break
                reached.append((None, node.items[part]))
            else:
                break
            node = reached[-1][1]
        return reached

    def _node(self, path: Path) -> Node | None:
        reached = self._reach(path)
        if len(reached) < len(path):
            return None
        return reached[-1][1] if reached else self.root

    def _place(self, path: Path, key: bool) -> tuple[Source, Span]:
        reached = self._reach(path)
        if not reached:
            return self.root.source, self.root.span
        entry, node = reached[-1]
        bare = not node.written if isinstance(node, ScalarNode) else not node.flow
        if entry and (key or bare or len(reached) < len(path)):
            return entry.source, entry.span
        return node.source, node.span


def load(text: str, file: str) -> Document:
    """The document in `text`; raises SpecError with every problem of its YAML.

    `file` is the name shown in problems.
    """
    source = Source.of(text.removeprefix("\ufeff"), file)
    check_characters(source)
    document, problems = compose(source)
    if problems or document is None:
        raise SpecError(problems)
    return document


def compose(source: Source) -> tuple[Document | None, list[Problem]]:
    """The document as far as it can be read, and the problems of its YAML.

    The document lacks the entries that have problems; it is None where the text is not YAML at all.
    """
    composer = Composer(source)
    root = composer.document()
    return (None if root is None else Document(source, root)), composer.problems
