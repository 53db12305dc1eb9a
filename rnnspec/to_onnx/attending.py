"""Attention of an encoder over the steps of another: all pairs of steps of a row at once."""

from __future__ import annotations

from math import sqrt

import numpy as np

from rnnspec.plan.nodes import Attend
from rnnspec.to_onnx.attention import Attention, split_heads
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence
from rnnspec.to_onnx.rows import Rows


def lower_attend(low: Lowering, node: Attend) -> PaddedSequence:
    """The contexts `[T, B, memory_width]`; 0 in rows whose memory has no steps."""
    emit, name, source = low.emit, node.name, low.steps(node.source)
    attention = Attention(low, node, Rows(emit, source.lengths.batch()), read=False)
    query = emit.transpose(source.name, [1, 0, 2], f"{name}.query")
    match node.kind:
        case "dot" | "general":
            scores = emit.op("MatMul", [query, attention.keys], f"{name}.scores")
            context = _context(attention, scores)
        case "additive":
            context = _context(attention, _additive(attention, query))
        case "multi_head":
            context = _multi_head(attention, query)
        case _:
            raise NotImplementedError(f"{name} attends by {node.kind} from step to step")
    turned = emit.transpose(context, [1, 0, 2], name)
    return PaddedSequence(turned, source.lengths)


def _context(attention: Attention, scores: str) -> str:
    """`[B, N, memory_width]` of scores `[B, N, T]`."""
    emit, name = attention.low.emit, attention.node.name
    masked = emit.op("Add", [scores, attention.mask], f"{name}.masked")
    weights = emit.op("Softmax", [masked], f"{name}.weights", axis=-1)
    return emit.op("MatMul", [weights, attention.memory], f"{name}.context")


def _additive(attention: Attention, query: str) -> str:
    """`v . tanh(W_q q + k_j)`, `[B, N, T]`."""
    low, emit, name = attention.low, attention.low.emit, attention.node.name
    matrix = emit.weight(f"{name}.W_q.transposed", low.weights[f"{name}.W_q"].T)
    asked = emit.op("MatMul", [query, matrix], f"{name}.of_query")
    column = emit.unsqueeze(asked, 2, f"{name}.asked")
    total = emit.op("Add", [column, attention.keys], f"{name}.affine")
    hidden = emit.op("Tanh", [total], f"{name}.hidden")
    v = emit.weight(f"{name}.v.column", low.weights[f"{name}.v"][:, np.newaxis])
    scores = emit.op("MatMul", [hidden, v], f"{name}.scores.column")
    return emit.squeeze(scores, 3, f"{name}.scores")


def _multi_head(attention: Attention, query: str) -> str:
    """Scaled dot products in several heads (Vaswani et al. 2017)."""
    low, node, name = attention.low, attention.node, attention.node.name
    emit = low.emit
    scaled = low.weights[f"{name}.W_q"].T / np.float32(sqrt(node.units // node.heads))
    asked = emit.op("MatMul", [query, emit.weight(f"{name}.W_q.scaled", scaled)], f"{name}.q")
    asked = split_heads(attention, asked, f"{name}.asked", [0, 2, 1, 3])
    scores = emit.op("MatMul", [asked, attention.keys], f"{name}.scores")
    mask = emit.unsqueeze(attention.mask, 1, f"{name}.mask.each")
    masked = emit.op("Add", [scores, mask], f"{name}.masked")
    weights = emit.op("Softmax", [masked], f"{name}.weights", axis=-1)
    projected = attention.product(low.weights[f"{name}.W_v"], f"{name}.values.joined")
    values = split_heads(attention, projected, f"{name}.values", [0, 2, 1, 3])
    found = emit.op("MatMul", [weights, values], f"{name}.found")
    turned = emit.transpose(found, [0, 2, 1, 3], f"{name}.turned")
    joined = emit.op("Reshape", [turned, emit.integers(0, 0, node.units)], f"{name}.joined")
    matrix = emit.weight(f"{name}.W_o.transposed", low.weights[f"{name}.W_o"].T)
    return emit.op("MatMul", [joined, matrix], f"{name}.context")
