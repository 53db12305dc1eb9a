"""Steps of the input that a decoder points at: see `rnnspec.plan.nodes.Pointer`.

What depends on the input alone is computed before the loop of the search.
"""

from __future__ import annotations

import numpy as np

from rnnspec.plan.nodes import FIRST_STEP, Pointed, Pointer
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rows import Rows


class PointedSteps:
    """One `Pointed` node: the vectors of all numbers, `[B, 2 + T, width]`."""

    def __init__(self, low: Lowering, node: Pointed) -> None:
        emit, self._name, memory = low.emit, node.name, low.steps(node.memory)
        by_row = emit.transpose(memory.name, [1, 0, 2], f"{node.name}.steps")
        marks = np.tile(low.weights[f"{node.name}.first"], (1, FIRST_STEP, 1))
        mark = emit.weight(f"{node.name}.marks", marks)
        sizes = [memory.lengths.batch(), emit.integers(FIRST_STEP, node.width)]
        shape = emit.concat(sizes, 0, f"{node.name}.shape")
        first = emit.op("Expand", [mark, shape], f"{node.name}.first.each")
        self._every = emit.concat([first, by_row], 1, f"{node.name}.every")

    def step(self, emit: Emitter, rows: Rows, previous: str) -> str:
        """`[R, width]` of the numbers before, int64 `[R]`."""
        place = emit.unsqueeze(previous, 1, f"{self._name}.place")
        every = rows.repeated(self._every)
        return emit.op("GatherND", [every, place], self._name, batch_dims=1)


class PointerScores:
    """One `Pointer` node: the keys `[B, T, units]` and the mask `[B, T]` of the steps."""

    def __init__(self, low: Lowering, node: Pointer) -> None:
        self._low, self._name = low, node.name
        emit, name, memory = low.emit, node.name, low.steps(node.memory)
        by_row = emit.transpose(memory.name, [1, 0, 2], f"{name}.steps")
        matrix = emit.weight(f"{name}.W_m.transposed", low.weights[f"{name}.W_m"].T)
        product = emit.op("MatMul", [by_row, matrix], f"{name}.product")
        self._keys = emit.op("Add", [product, low.canonical(f"{name}.b")], f"{name}.keys")
        mask = emit.squeeze(memory.lengths.mask(), 2, f"{name}.mask")
        choice = [mask, emit.number(0.0), emit.number(-np.inf)]
        self._bias = emit.transpose(
            emit.op("Where", choice, f"{name}.bias"), [1, 0], f"{name}.bias.by_row"
        )

    def step(self, emit: Emitter, rows: Rows, query: str) -> str:
        """`[R, 2 + T]` of queries `[R, query_width]`."""
        low, name = self._low, self._name
        matrix = emit.weight(f"{name}.W_q.transposed", low.weights[f"{name}.W_q"].T)
        column = emit.weight(f"{name}.v.column", low.weights[f"{name}.v"][:, np.newaxis])
        asked = emit.op("MatMul", [query, matrix], f"{name}.asked")
        end = emit.op("Add", [asked, low.canonical(f"{name}.end")], f"{name}.end.hidden")
        end = emit.op(
            "MatMul", [emit.op("Tanh", [end], f"{name}.end.tanh"), column], f"{name}.ends"
        )
        each = emit.unsqueeze(asked, 1, f"{name}.asked.each")
        hidden = emit.op("Add", [rows.repeated(self._keys), each], f"{name}.hidden")
        hidden = emit.op("Tanh", [hidden], f"{name}.tanh")
        scores = emit.squeeze(
            emit.op("MatMul", [hidden, column], f"{name}.column"), 2, f"{name}.flat"
        )
        scores = emit.op("Add", [scores, rows.repeated(self._bias)], f"{name}.own")
        zeros = emit.op("Mul", [end, emit.number(0.0)], f"{name}.zeros")
        never = emit.op("Add", [zeros, emit.number(-np.inf)], f"{name}.never")
        return emit.concat([end, never, scores], 1, name)
