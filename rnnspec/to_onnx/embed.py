"""Embeddings, and dropout, which is nothing at inference."""

from __future__ import annotations

from rnnspec.plan.nodes import Dropout, Embed
from rnnspec.to_onnx.values import Lowering, Steps, Value


def lower_embed(low: Lowering, node: Embed) -> Steps:
    """Rows of the table: `[T, B]` to `[T, B, width]`."""
    source = low.steps(node.source)
    table = low.canonical(f"{node.name}.table")
    return Steps(low.emit.op("Gather", [table, source.name], node.name), source.lengths)


def lower_dropout(low: Lowering, node: Dropout) -> Value:
    """The source itself."""
    return low.values[node.source]
