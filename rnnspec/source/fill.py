"""Putting other values into a YAML text, which keeps its comments and its layout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rnnspec.errors import SpecError
from rnnspec.source.nodes import Node, extent
from rnnspec.source.yaml12 import Document, load

_ANCHOR = re.compile(r"&\S+\s+")
_KEY_END = re.compile(r":\s*\n\s*\Z")


def filled(document: Document, values: Iterable[tuple[Node, str]], data: Any) -> str | None:
    """The text of `document` with each text in place of its node, which keeps its anchor.

    None where the result is not a text with the values `data`, or a node is not of this text.
    """
    source = document.source
    text = source.text
    for node, value in sorted(values, key=lambda each: extent(each[0]), reverse=True):
        if node.source is not source:
            return None
        start, end = extent(node)
        anchor = _ANCHOR.match(text, start)
        start = anchor.end() if anchor else start
        before = _KEY_END.sub(": ", text[:start])  # a block below its key becomes a value beside it
        text = before + value + text[end:]
    try:
        same = load(text, source.file).data == data
    except SpecError:
        return None
    return text if same else None


def written(node: Node) -> str | None:
    """A scalar or a collection in brackets as it is written; None for a block."""
    if getattr(node, "flow", True) and getattr(node, "style", None) not in ("|", ">"):
        start, end = extent(node)
        return _ANCHOR.sub("", node.source.text[start:end], count=1)
    return None
