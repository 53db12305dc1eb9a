"""Copying from the source: the weights of attention summed up by token, mixed into the answer."""

from __future__ import annotations

import numpy as np

from rnnspec.plan.nodes import CopyMix
from rnnspec.to_onnx.emitter import FLOAT, Attributes, Emitter
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.values import Lowering


class Copying:
    """One `CopyMix` node: log(g softmax(source) + (1 - g) c)."""

    def __init__(self, low: Lowering, node: CopyMix) -> None:
        self._low, self._node = low, node
        emit, name, tokens = low.emit, node.name, low.steps(node.tokens)
        table = emit.constant(np.array(node.numbers, np.int64), f"{name}.table")
        numbers = emit.op("Gather", [table, tokens.name], f"{name}.by_time")
        by_row = emit.op("Transpose", [numbers], f"{name}.by_row", {"perm": [1, 0]})
        self._numbers = by_row
        flags = emit.op("Cast", [tokens.lengths.mask()], f"{name}.flags", {"to": FLOAT})
        flat = emit.op("Squeeze", [flags, emit.integers(2)], f"{name}.own.by_time")
        self._own = emit.op("Transpose", [flat], f"{name}.own", {"perm": [1, 0]})

    def step(self, emit: Emitter, rows: Rows, scores: str, gate: str, weights: str) -> str:
        """`[R, size]` of the scores `[R, size]`, what the gate reads, `[R, gate_width]`, and the
        weights `[R, T]`."""
        low, name = self._low, self._node.name
        column = emit.weight(f"{name}.w.column", low.weights[f"{name}.w"][:, np.newaxis])
        affine = emit.op("Gemm", [gate, column, low.canonical(f"{name}.b")], f"{name}.affine")
        share = emit.op("Sigmoid", [affine], f"{name}.gate")
        own = emit.op("Mul", [weights, rows.each(self._own)], f"{name}.weights")
        zeros = rows.zeros(name, self._node.size)
        added: Attributes = {"axis": 1, "reduction": "add"}
        copied = emit.op(
            "ScatterElements", [zeros, rows.each(self._numbers), own], f"{name}.c", added
        )
        answered = emit.op("Softmax", [scores], f"{name}.answered", {"axis": -1})
        opposite = emit.op("Neg", [affine], f"{name}.opposite")
        closed = emit.op("Sigmoid", [opposite], f"{name}.closed")  # 1 - g loses digits near 1
        taken = emit.op("Mul", [share, answered], f"{name}.taken")
        passed = emit.op("Mul", [closed, copied], f"{name}.passed")
        mixed = emit.op("Add", [taken, passed], f"{name}.mixed")
        return emit.op("Log", [mixed], name)
