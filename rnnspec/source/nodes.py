"""The tree of a YAML document: plain values, each with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from rnnspec.source.problems import Span
from rnnspec.source.scalars import Scalar
from rnnspec.source.text import Source

Path = Sequence[str | int]


@dataclass(frozen=True, slots=True, eq=False)
class ScalarNode:
    """A text, number, truth value or null; `start` and `style` as written in the source."""

    source: Source
    span: Span
    value: Scalar
    start: int = 0
    style: str | None = None
    written: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SequenceNode:
    """A list; `flow` if written in brackets. It stands from `start` to `end` of the source."""

    source: Source
    span: Span
    items: tuple[Node, ...]
    flow: bool
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key of a mapping, where it stands, and its value."""

    source: Source
    span: Span
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class MappingNode:
    """Keys and values, in the order of the file; `flow` if written in brackets. It stands from
    `start` to `end` of the source."""

    source: Source
    span: Span
    entries: Mapping[str, Entry]
    flow: bool
    start: int = 0
    end: int = 0


Node = ScalarNode | SequenceNode | MappingNode


def extent(node: Node) -> tuple[int, int]:
    """Where a node stands in the text of its source: from the first index to before the second."""
    if isinstance(node, ScalarNode):
        return node.start, node.start + len(node.written)
    return node.start, node.end


def shown_path(path: Path) -> str:
    """`encoder.layers[0].units`; keys that are no plain words are quoted."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        elif part and part.replace("_", "").replace("-", "").isalnum() and len(part) <= 60:
            shown += f".{part}" if shown else part
        else:
            short = part if len(part) <= 60 else part[:59] + "…"
            shown += f"[{short!r}]"
    return shown


def plain(node: Node) -> Any:
    """The values alone, in fresh dicts and lists."""
    match node:
        case ScalarNode():
            return node.value
        case SequenceNode():
            return [plain(item) for item in node.items]
        case MappingNode():
            return {key: plain(entry.node) for key, entry in node.entries.items()}
        case _:
            assert_never(node)


def with_key(node: Node, path: Path, key: str) -> Node:
    """`node` with `key` in place of the last key of `path`."""
    first, rest = path[0], path[1:]
    match node:
        case SequenceNode() if isinstance(first, int) and rest:
            changed = with_key(node.items[first], rest, key)
            return replace(node, items=(*node.items[:first], changed, *node.items[first + 1 :]))
        case MappingNode():
            entries: dict[str, Entry] = {}
            for name, entry in node.entries.items():
                if name == first and rest:
                    entries[name] = replace(entry, node=with_key(entry.node, rest, key))
                else:
                    entries[key if name == first else name] = entry
            return replace(node, entries=entries)
    return node
