"""The tree of a YAML document: plain values, each with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
    source: Source
    span: Span
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key of a mapping, where it stands, and its value."""

    source: Source
    span: Span
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class MappingNode:
    source: Source
    span: Span
    entries: Mapping[str, Entry]


Node = ScalarNode | SequenceNode | MappingNode


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


def grafted(node: Node, path: tuple[str | int, ...], entry: Entry) -> Node:
    """A tree with `entry` at `path`; everything else is shared with `node`."""
    if not path:
        return entry.node
    first, rest = path[0], path[1:]
    if isinstance(node, MappingNode) and isinstance(first, str):
        old = node.entries.get(first)
        kept = entry if old is None or not rest else old
        below = grafted(old.node, rest, entry) if old and rest else entry.node
        return replace(node, entries={**node.entries, first: replace(kept, node=below)})
    if isinstance(node, SequenceNode) and isinstance(first, int):
        items = list(node.items)
        items[first] = grafted(items[first], rest, entry)
        return replace(node, items=tuple(items))
    raise KeyError(first)
