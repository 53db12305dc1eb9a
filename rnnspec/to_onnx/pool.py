"""Pooling: a sequence `[T, B, W]` to one vector `[B, W]`, each kind one function.

Rows of no steps give 0: what stands past a length is replaced, never multiplied away, so that
not even NaN or infinity there can reach an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rnnspec.plan.nodes import Pool, PoolKind, directions_read
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Vector

LOWEST = float(np.finfo(np.float32).min)
"""Stands for a score past the length: finite, so that a row of such scores has no NaN in it."""


def lower_pool(low: Lowering, node: Pool) -> Vector:
    """The vector of one pooling."""
    return Vector(KINDS[node.kind](low, node, low.steps(node.source)))


def own_values(source: PaddedSequence, name: str) -> str:
    """`[T, B, W]`, 0 past the length of each row."""
    return source.name if source.clean else source.lengths.cleaned(source.name, name)


def last_of_steps(low: Lowering, node: Pool, source: PaddedSequence) -> str:
    """`[B, W]` after the last step that each direction read, 0 of no steps."""
    if source.last:
        return source.last
    return source.lengths.at_end(source.name, node.name, directions_read(low.plan, node))


def _mean(low: Lowering, node: Pool, source: PaddedSequence) -> str:
    emit = low.emit
    values = own_values(source, f"{node.name}.values")
    total = emit.reduce("ReduceSum", values, 0, f"{node.name}.total")
    return emit.op("Div", [total, source.lengths.count()], node.name)


def _max(low: Lowering, node: Pool, source: PaddedSequence) -> str:
    emit, lengths = low.emit, source.lengths
    masked = [lengths.mask(), source.name, emit.number(float("-inf"))]
    values = emit.op("Where", masked, f"{node.name}.values")
    largest = emit.reduce("ReduceMax", values, 0, f"{node.name}.largest")
    return lengths.where_present(largest, node.name)


def _attention(low: Lowering, node: Pool, source: PaddedSequence) -> str:
    """The weights of a row of no steps are all alike, and what they weigh is all 0."""
    emit, name = low.emit, node.name
    values = own_values(source, f"{name}.values")
    weights = low.emit.op(
        "Softmax", [attention_scores(low, node, source, values)], f"{name}.weights", axis=0
    )
    weighted = emit.op("Mul", [values, weights], f"{name}.weighted")
    return emit.reduce("ReduceSum", weighted, 0, name)


def attention_scores(low: Lowering, node: Pool, source: PaddedSequence, values: str) -> str:
    """`[T, B, 1]`, `LOWEST` past the length of each row."""
    emit, name = low.emit, node.name
    matrix = emit.weight(f"{name}.W.transposed", low.weights[f"{name}.W"].T)
    column = emit.weight(f"{name}.v.column", low.weights[f"{name}.v"][:, np.newaxis])
    product = emit.op("MatMul", [values, matrix], f"{name}.product")
    affine = emit.op("Add", [product, low.canonical(f"{name}.b")], f"{name}.affine")
    hidden = emit.op("Tanh", [affine], f"{name}.hidden")
    scores = emit.op("MatMul", [hidden, column], f"{name}.scores")
    masked = [source.lengths.mask(), scores, emit.number(LOWEST)]
    return emit.op("Where", masked, f"{name}.masked_scores")


KINDS: Mapping[PoolKind, Callable[[Lowering, Pool, PaddedSequence], str]] = {
    "last": last_of_steps,
    "mean": _mean,
    "max": _max,
    "attention": _attention,
}
"""One entry for each kind of pooling."""
