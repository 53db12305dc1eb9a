"""Copying from the source: the weights of attention summed up by token, mixed into the answer.

All of it in logarithms, and as far as possible among the T steps of the source: the scores of the
vocabulary are touched where a token of the source stands, and nowhere else.
"""

from __future__ import annotations

import numpy as np

from rnnspec.plan.nodes import CopyMix
from rnnspec.to_onnx.copies import first_alike
from rnnspec.to_onnx.emitter import Attributes, Emitter
from rnnspec.to_onnx.logs import added, log_sigmoid
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.pool import LEAST
from rnnspec.to_onnx.rows import Rows

INTO_TOKENS: Attributes = {"axis": 1}


class Copying:
    """One `CopyMix` node: ln(g softmax(source) + (1 - g) c).

    `first` int64 `[B, T]` is the first step that holds the same token; `places` int64 `[B, T]`
    where that token stands among the `size + T` scores, at the first step that holds it, and one
    beyond all of them at the other steps, past a row's length and where there is nothing to copy.
    """

    def __init__(self, low: Lowering, node: CopyMix) -> None:
        self._low, self._node = low, node
        emit, name, tokens = low.emit, node.name, low.steps(node.tokens)
        given = emit.op("Transpose", [tokens.name], f"{name}.by_row", {"perm": [1, 0]})
        below = emit.op("Less", [given, emit.integer(0)], f"{name}.below")
        opposite = emit.op("Sub", [emit.integer(-1), given], f"{name}.opposite")
        numbers = emit.op("Where", [below, opposite, given], f"{name}.numbers")
        flat = emit.op("Squeeze", [tokens.lengths.mask(), emit.integers(2)], f"{name}.own.by_time")
        own = emit.op("Transpose", [flat], f"{name}.own", {"perm": [1, 0]})
        some = emit.op("Greater", [numbers, emit.integer(0)], f"{name}.some")
        own = emit.op("And", [own, some], f"{name}.there")
        self._first = first_alike(emit, numbers, name, own)
        extent = emit.op("Shape", [numbers], f"{name}.extent", {"start": 1, "end": 2})
        time = emit.op("Squeeze", [extent], f"{name}.time")
        steps = emit.op("Range", [emit.integer(0), time, emit.integer(1)], f"{name}.steps")
        begins = emit.op("Equal", [self._first, steps], f"{name}.begins")
        real = emit.op("And", [begins, own], f"{name}.real")
        nowhere = emit.op("Add", [time, emit.integer(node.size)], f"{name}.nowhere")
        self._places = emit.op("Where", [real, numbers, nowhere], f"{name}.places")
        self._further = emit.op("Add", [extent, emit.integers(1)], f"{name}.further")

    def step(self, emit: Emitter, rows: Rows, scores: str, gate: str, logs: str) -> str:
        """`[R, size + T]` of the scores `[R, size]`, what the gate reads, `[R, gate_width]`, and
        the logarithms of the weights of attention, `[R, T]`."""
        low, name = self._low, self._node.name
        column = emit.weight(f"{name}.w.column", low.weights[f"{name}.w"][:, np.newaxis])
        affine = emit.op("Gemm", [gate, column, low.canonical(f"{name}.b")], f"{name}.affine")
        opposite = emit.op("Neg", [affine], f"{name}.opposite")
        share = log_sigmoid(emit, affine, f"{name}.gate")
        closed = log_sigmoid(emit, opposite, f"{name}.closed")
        answered = emit.op("LogSoftmax", [scores], f"{name}.answered", {"axis": -1})
        own = emit.op("Add", [answered, share], f"{name}.own")
        copied = emit.op("Add", [self._grouped(emit, rows, logs), closed], f"{name}.copied")
        nothing = rows.wide(low.emit.number(-np.inf), f"{name}.nothing", self._further)
        mixed = emit.op("Concat", [own, nothing], f"{name}.all", {"axis": 1})
        places = rows.each(self._places)
        at = emit.op("GatherElements", [mixed, places], f"{name}.at", INTO_TOKENS)
        both = added(emit, at, copied, f"{name}.both")
        mixed = emit.op("ScatterElements", [mixed, places, both], f"{name}.mixed", INTO_TOKENS)
        bounds = [emit.integers(0), emit.integers(-1), emit.integers(1)]
        return emit.op("Slice", [mixed, *bounds], name)

    def _grouped(self, emit: Emitter, rows: Rows, logs: str) -> str:
        """`[R, T]`: at each first step of a token the logarithm of the sum over all steps that hold
        it; anything finite at the other steps."""
        name, first = f"{self._node.name}.group", rows.each(self._first)
        least = emit.op("Mul", [logs, emit.number(0.0)], f"{name}.zeros")
        lowest = emit.op("Add", [least, emit.number(LEAST)], f"{name}.lowest")
        highest: Attributes = {"axis": 1, "reduction": "max"}
        tops = emit.op("ScatterElements", [lowest, first, logs], f"{name}.tops", highest)
        top = emit.op("GatherElements", [tops, first], f"{name}.top", INTO_TOKENS)
        shares = emit.op("Exp", [emit.op("Sub", [logs, top], f"{name}.below")], f"{name}.shares")
        into: Attributes = {"axis": 1, "reduction": "add"}
        sums = emit.op("ScatterElements", [least, first, shares], f"{name}.sums", into)
        # 1 and more at the first steps: the largest of a group is exp(0).
        some = emit.op("Max", [sums, emit.number(1.0)], f"{name}.some")
        return emit.op("Add", [top, emit.op("Log", [some], f"{name}.more")], name)
