"""Embeddings, and dropout, which is nothing at inference."""

from __future__ import annotations

from rnnspec.plan.nodes import Dropout, Embed
from rnnspec.to_onnx.lowering import Lowering, Value, like


def lower_embed(low: Lowering, node: Embed) -> Value:
    """Rows of the table: `[T, B]` to `[T, B, width]`, or `[B]` to `[B, width]`."""
    source = low.values[node.source]
    table = low.canonical(f"{node.name}.table")
    return like(source, low.emit.op("Gather", [table, source.name], node.name))


def lower_dropout(low: Lowering, node: Dropout) -> Value:
    """The source itself."""
    return low.values[node.source]
