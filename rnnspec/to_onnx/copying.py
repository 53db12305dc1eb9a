"""Copying from the source: ids of its tokens, the extended vocabulary, and the mixture of both.

A step answers one of the `size` tokens of the vocabulary, or `size` + j, the token at step j of the
source, where the vocabulary lacks it.
"""

from __future__ import annotations

import numpy as np

from rnnspec.plan import TextFacts
from rnnspec.plan.nodes import CopiesInput, CopyMix, PointerOutput, SearchedOutput
from rnnspec.to_onnx.axis import on_time_axis, time_major
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.functions import log_add_exp, log_sigmoid
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, time_dimension
from rnnspec.to_onnx.pool import LOWEST
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.tokens import ids_by_text, looked_up

NOT_KNOWN, BANNED = -1, -2
"""Stand for tokens that the vocabulary lacks."""


def lower_copies(low: Lowering, node: CopiesInput) -> PaddedSequence:
    """Extended ids `[T, B]`, of texts or, with `ids`, as they come in."""
    if low.ids:
        doc = (
            f"for each token of {node.column!r} its number in the vocabulary of {node.answers!r},"
            f" below {node.size}, or {node.size} + the first step, from 0, that holds the same"
            " token; -1 - number where it may not be answered, 0 where there is nothing to copy"
        )
        shape: list[Extent] = [BATCH, time_dimension(node.axis)]
        numbers = low.emit.input(node.key, INT64, shape, doc, reserved=True)
    else:
        numbers = _of_texts(low, node)
    return on_time_axis(low, node, time_major(low, numbers, f"{node.name}.numbers"))


def _of_texts(low: Lowering, node: CopiesInput) -> str:
    """Extended ids `[B, T]` of the texts of the tokens."""
    emit, name, tokens = low.emit, node.name, low.tokens[node.column]
    known = low.facts.outputs[node.answers]
    assert isinstance(known, TextFacts), f"{node.answers} has no vocabulary"
    table = {**ids_by_text(known.vocabulary, False), **dict.fromkeys(node.banned, BANNED)}
    found = looked_up(low, tokens, table, NOT_KNOWN, f"{name}.looked_up")
    first = first_equal(emit, tokens, name)
    further = emit.op("Add", [first, emit.integer(node.size)], f"{name}.further")
    if node.banned:
        # ~n is -1 - n
        opposite = emit.op("Sub", [emit.integer(-1), further], f"{name}.opposite")
        closed = emit.op("Equal", [found, emit.integer(BANNED)], f"{name}.closed")
        further = emit.op("Where", [closed, opposite, further], f"{name}.open_or_not")
    lacking = emit.op("Less", [found, emit.integer(0)], f"{name}.lacking")
    return emit.op("Where", [lacking, further, found], f"{name}.extended")


def first_equal(emit: Emitter, values: str, name: str, valid: str = "") -> str:
    """Int64 `[B, T]`: the first step of the row that has the same value, of `values` `[B, T]`.

    Only steps where `valid`, bool `[B, T]`, count as first ones.
    """
    column = emit.unsqueeze(values, 2, f"{name}.column")
    row = emit.unsqueeze(values, 1, f"{name}.row")
    alike = emit.op("Equal", [column, row], f"{name}.alike")
    if valid:
        there = emit.unsqueeze(valid, 1, f"{name}.there")
        alike = emit.op("And", [alike, there], f"{name}.alike.own")
    ones = emit.op("Cast", [alike], f"{name}.alike.ones", to=FLOAT)
    # In floats: onnxruntime 1.17 has no ArgMax of int64.
    # One place more, which is never the first: ArgMax refuses an axis of no elements.
    pads = emit.integers(0, 0, 0, 0, 0, 1)
    some = emit.op("Pad", [ones, pads, emit.number(0.0)], f"{name}.alike.some")
    return emit.op("ArgMax", [some], f"{name}.first", axis=2, keepdims=0)


class ExtendedVocabulary:
    """The ids that a step may answer: the `size` ones of the vocabulary and, with copying or where
    steps are pointed at, one for each step of the source; W in all.

    With copying `own_ids`, int64 `[W]`, are the ids in the vocabulary, `size` for copied ones; else
    "". `banned`, float `[B, W]`, is -inf for ids that may not be answered to a row and 0 for the
    others, "" where there are none.
    """

    def __init__(self, low: Lowering, node: SearchedOutput) -> None:
        self._emit, self._name = low.emit, f"{node.name}.entries"
        self.size, self.own_ids, self.banned, self._extent = node.size, "", "", ""
        further = node.memory if isinstance(node, PointerOutput) else node.copies
        if not further:
            return
        emit, name, source = self._emit, self._name, low.plan.node(further)
        steps = low.steps(source.name)
        time = emit.extent(steps.name, 0, f"{name}.time")
        self._extent = emit.op("Add", [time, emit.integers(self.size)], f"{name}.extent")
        self._count = emit.op("Squeeze", [self._extent], f"{name}.count")
        self._ids = emit.range(self._count, f"{name}.numbers")
        self.own_ids = emit.op("Min", [self._ids, emit.integer(self.size)], f"{name}.kept")
        if isinstance(source, CopiesInput) and (low.ids or source.banned):
            self.banned = _banned(low, steps, self._extent, name)

    @property
    def dimension(self) -> Extent:
        """W as the extent of a shape."""
        return "entries" if self.own_ids else self.size

    def count(self) -> str:
        """Int64 `[]`: W."""
        return self._count if self.own_ids else self._emit.integer(self.size)

    def extent(self, most: int = 0) -> str:
        """Int64 `[1]`: W, at most `most` unless that is 0."""
        if not self.own_ids:
            return self._emit.integers(min(most or self.size, self.size))
        limit = [self._extent, self._emit.integers(most)]
        return self._emit.op("Min", limit, f"{self._name}.most") if most else self._extent

    def ids(self) -> str:
        """Int64 `[W]`: all ids."""
        own = np.arange(self.size)
        return self._ids if self.own_ids else self._emit.constant(own, f"{self._name}.numbers")

    def side_by_side(self, width: int) -> str:
        """Int64 `[2]`: the shape of a row for all continuations of `width` hypotheses."""
        emit = self._emit
        if not self.own_ids:
            return emit.integers(-1, width * self.size)
        every = emit.op("Mul", [self._extent, emit.integers(width)], f"{self._name}.every")
        return emit.concat([emit.integers(-1), every], 0, f"{self._name}.row")

    def filled(self, rows: Rows, value: str, name: str) -> str:
        """`[R, W]` filled with `value`."""
        if not self.own_ids:
            return rows.filled(value, name, self.size)
        return rows.wide(value, name, self._extent)

    def zeros(self, rows: Rows, name: str) -> str:
        """Float `[R, W]` of 0."""
        if not self.own_ids:
            return rows.zeros(name, self.size)
        return rows.wide(self._emit.number(0.0), f"{name}.zeros", self._extent)


def _banned(low: Lowering, steps: PaddedSequence, extent: str, name: str) -> str:
    """Float `[B, W]`: -inf for ids that may not be answered to a row, 0 for the others."""
    emit = low.emit
    mask = emit.squeeze(steps.lengths.mask(), 2, f"{name}.own")
    below = emit.op("Less", [steps.name, emit.integer(0)], f"{name}.below")
    closed = emit.op("And", [below, mask], f"{name}.closed")
    opposite = emit.op("Sub", [emit.integer(-1), steps.name], f"{name}.opposite")
    places = emit.op("Where", [closed, opposite, emit.integer(0)], f"{name}.closed.places")
    off = emit.op("Where", [closed, emit.number(-np.inf), emit.number(0.0)], f"{name}.off")
    shape = emit.concat([steps.lengths.batch(), extent], 0, f"{name}.shape")
    zeros = emit.op("Expand", [emit.number(0.0), shape], f"{name}.open")
    places, off = (emit.transpose(v, [1, 0], f"{v}.by_row") for v in (places, off))
    shut = emit.scatter(zeros, places, off, f"{name}.shut", "min")
    return emit.typed(shut, FLOAT, [BATCH, name])


class CopyMixture:
    """One `CopyMix` node: ln(g softmax(source) + (1 - g) c).

    Everything is in logarithms and, as far as possible, over the T steps of the source: logits of
    the vocabulary are touched only where a token of the source stands.

    `first` int64 `[B, T]` is the first step with the same token. `places` int64 `[B, T]` is the
    token's index among the `size + T` logits at that first step; at the other steps, past a row's
    length and where there is nothing to copy, it is one beyond all of them.
    """

    def __init__(self, low: Lowering, node: CopyMix) -> None:
        self._low, self._node = low, node
        emit, name, tokens = low.emit, node.name, low.steps(node.tokens)
        given = emit.transpose(tokens.name, [1, 0], f"{name}.by_row")
        below = emit.op("Less", [given, emit.integer(0)], f"{name}.below")
        opposite = emit.op("Sub", [emit.integer(-1), given], f"{name}.opposite")
        numbers = emit.op("Where", [below, opposite, given], f"{name}.numbers")
        mask = emit.squeeze(tokens.lengths.mask(), 2, f"{name}.own.by_time")
        mask = emit.transpose(mask, [1, 0], f"{name}.own")
        some = emit.op("Greater", [numbers, emit.integer(0)], f"{name}.some")
        valid = emit.op("And", [mask, some], f"{name}.there")
        self._first = first_equal(emit, numbers, name, valid)
        extent = emit.extent(numbers, 1, f"{name}.extent")
        time = emit.op("Squeeze", [extent], f"{name}.time")
        steps = emit.range(time, f"{name}.steps")
        begins = emit.op("Equal", [self._first, steps], f"{name}.begins")
        real = emit.op("And", [begins, valid], f"{name}.real")
        nowhere = emit.op("Add", [time, emit.integer(node.size)], f"{name}.nowhere")
        self._places = emit.op("Where", [real, numbers, nowhere], f"{name}.places")
        self._further = emit.op("Add", [extent, emit.integers(1)], f"{name}.further")

    def step(self, emit: Emitter, rows: Rows, logits: str, gate: str, log_weights: str) -> str:
        """`[R, size + T]` of logits `[R, size]`, what the gate reads, `[R, gate_width]`, and the
        logarithms of attention weights, `[R, T]`."""
        low, name = self._low, self._node.name
        column = emit.weight(f"{name}.w.column", low.weights[f"{name}.w"][:, np.newaxis])
        affine = emit.op("Gemm", [gate, column, low.canonical(f"{name}.b")], f"{name}.affine")
        opposite = emit.op("Neg", [affine], f"{name}.opposite")
        share = log_sigmoid(emit, affine, f"{name}.gate")
        closed = log_sigmoid(emit, opposite, f"{name}.closed")
        answered = emit.op("LogSoftmax", [logits], f"{name}.answered", axis=-1)
        own = emit.op("Add", [answered, share], f"{name}.own")
        copied = emit.op("Add", [self._grouped(emit, rows, log_weights), closed], f"{name}.copied")
        nothing = rows.wide(low.emit.number(-np.inf), f"{name}.nothing", self._further)
        mixed = emit.concat([own, nothing], 1, f"{name}.all")
        places = rows.repeated(self._places)
        at = emit.pick(mixed, places, f"{name}.at")
        both = log_add_exp(emit, at, copied, f"{name}.both")
        mixed = emit.op("ScatterElements", [mixed, places, both], f"{name}.mixed", axis=1)
        return emit.slice(mixed, 0, -1, 1, name)

    def _grouped(self, emit: Emitter, rows: Rows, log_weights: str) -> str:
        """`[R, T]`: at the first step of each token the logarithm of the sum of its weights, at the
        other steps anything finite."""
        name, first = f"{self._node.name}.group", rows.repeated(self._first)
        least = emit.op("Mul", [log_weights, emit.number(0.0)], f"{name}.zeros")
        lowest = emit.op("Add", [least, emit.number(LOWEST)], f"{name}.lowest")
        tops = emit.scatter(lowest, first, log_weights, f"{name}.tops", "max")
        top = emit.pick(tops, first, f"{name}.top")
        below = emit.op("Sub", [log_weights, top], f"{name}.below")
        shares = emit.op("Exp", [below], f"{name}.shares")
        sums = emit.scatter(least, first, shares, f"{name}.sums", "add")
        # 1 and more at the first steps: the largest of a group is exp(0).
        some = emit.op("Max", [sums, emit.number(1.0)], f"{name}.some")
        return emit.op("Add", [top, emit.op("Log", [some], f"{name}.more")], name)
