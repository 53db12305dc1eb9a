"""The files that a spec names, seen from another folder."""

from __future__ import annotations

import os
from dataclasses import replace
from glob import glob
from pathlib import Path as File

from rnnspec.source.emit import flow
from rnnspec.source.nodes import MappingNode, Node, Path, ScalarNode, SequenceNode

_KEYS = ("file", "words", "start_from")
"""Keys of files beside the rows'."""
Written = tuple[Node, str]


def moved(root: Node, old: File, new: File) -> tuple[Node, list[Written]]:
    """The tree of a spec in folder `old` as it is written in folder `new`, and the texts of the
    nodes that change: relative names of files that are there."""
    changes: list[Written] = []

    def walk(node: Node, path: Path) -> Node:
        match node:
            case MappingNode():
                entries = {
                    key: replace(entry, node=walk(entry.node, (*path, key)))
                    for key, entry in node.entries.items()
                }
                return replace(node, entries=entries)
            case SequenceNode():
                items = tuple(walk(item, (*path, n)) for n, item in enumerate(node.items))
                return replace(node, items=items)
        name = _moved_name(node, path, old, new)
        if name is None:
            return node
        changes.append((node, flow(name)))
        return replace(node, value=name)

    return walk(root, ()), changes


def _moved_name(node: ScalarNode, path: Path, old: File, new: File) -> str | None:
    name = node.value
    of_rows = tuple(path[:2]) in (("data", "train"), ("data", "valid"))
    if not isinstance(name, str) or not (of_rows or (path and path[-1] in _KEYS)):
        return None
    if File(name).is_absolute() or not ((old / name).exists() or glob(name, root_dir=old)):
        return None
    return os.path.relpath(old / name, new)
