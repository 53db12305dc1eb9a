"""Copying from the source: ids of its tokens, the extended vocabulary, and the mixture of both.

A step answers one of the `size` tokens of the vocabulary, or `size` + j, the token at step j of the
source, where the vocabulary lacks it; of several sources, at step j of the row's own steps of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.plan import TextFacts
from rnnspec.plan.copies import copies_of
from rnnspec.plan.nodes import (
    CopiesInput,
    CopyMix,
    Node,
    PointerOutput,
    SearchedOutput,
    TokensInput,
)
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
        before = [copies_of(low.plan, name).column for name in node.after]
        behind = f" of {', '.join(map(repr, [*before, node.column]))} together" if before else ""
        doc = (
            f"for each token of {node.column!r} its number in the vocabulary of {node.answers!r},"
            f" below {node.size}, or {node.size} + the first step, from 0{behind}, that holds the"
            " same token; -1 - number where it may not be answered, 0 where there is nothing to"
            " copy"
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
    first = _first_steps(low, node) if node.after else first_equal(emit, tokens, name)
    further = emit.op("Add", [first, emit.integer(node.size)], f"{name}.further")
    if node.banned:
        # ~n is -1 - n
        opposite = emit.op("Sub", [emit.integer(-1), further], f"{name}.opposite")
        closed = emit.op("Equal", [found, emit.integer(BANNED)], f"{name}.closed")
        further = emit.op("Where", [closed, opposite, further], f"{name}.open_or_not")
    lacking = emit.op("Less", [found, emit.integer(0)], f"{name}.lacking")
    return emit.op("Where", [lacking, further, found], f"{name}.extended")


def _first_steps(low: Lowering, node: CopiesInput) -> str:
    """Int64 `[B, T]`: the first of the row's own steps of all sources up to `node` that has the
    same token, for its tokens `[B, T]`."""
    emit, name, own = low.emit, f"{node.name}.first", low.tokens[node.column]
    sources = [copies_of(low.plan, each) for each in node.after]
    tokens = [*(low.tokens[each.column] for each in sources), own]
    every = emit.concat(tokens, 1, f"{name}.every")
    parts = [_own_steps(low, low.plan.node(each.steps), name) for each in (*sources, node)]
    found = first_equal(emit, own, name, emit.concat(parts, 1, f"{name}.own"), every)
    return beside_pads(low, found, sources, 0, f"{name}.of_row", pads=False)


def _own_steps(low: Lowering, node: Node, name: str) -> str:
    """Bool `[B, T]`: which tokens of a `TokensInput` are the row's own."""
    assert isinstance(node, TokensInput)
    emit = low.emit
    extent = emit.extent(low.tokens[node.column], 1, f"{name}.extent")
    steps = emit.range(emit.op("Squeeze", [extent], f"{name}.count"), f"{name}.steps")
    lengths = emit.unsqueeze(low.steps(node.name).lengths.name, 1, f"{name}.lengths")
    return emit.op("Less", [steps, lengths], f"{name}.within")


def beside_pads(
    low: Lowering,
    numbers: str,
    sources: Sequence[CopiesInput],
    size: int,
    name: str,
    pads: bool = True,
    rank: int = 2,
) -> str:
    """Int64 numbers `[B, …]` of `rank` dimensions: with `pads`, those of the row's own steps
    behind these `sources` as steps of the padded texts of all, one beside the other, and the other
    way round without. Numbers below `size` are no steps."""
    emit, moved, ends = low.emit, numbers, low.emit.integers(size)
    axes = emit.integers(*range(1, rank))
    for source in sources:
        lengths = low.steps(source.steps).lengths.name
        extent = emit.extent(low.tokens[source.column], 1, f"{name}.extent")
        missing = emit.op("Sub", [extent, lengths], f"{name}.missing")
        ends = emit.op("Add", [ends, lengths if pads else extent], f"{name}.ends")
        ends_each, missing_each = (
            emit.op("Unsqueeze", [value, axes], f"{value}.each") for value in (ends, missing)
        )
        behind = emit.op("GreaterOrEqual", [numbers, ends_each], f"{name}.behind")
        shift = emit.op("Where", [behind, missing_each, emit.integer(0)], f"{name}.shift")
        moved = emit.op("Add" if pads else "Sub", [moved, shift], f"{name}.moved")
    return moved


def first_equal(emit: Emitter, values: str, name: str, valid: str = "", among: str = "") -> str:
    """Int64 `[B, T]`: the first step of the row that has the same value, of `values` `[B, T]`,
    `among` others `[B, W]` if there are such.

    Only steps where `valid`, bool `[B, T]` or `[B, W]`, count as first ones.
    """
    column = emit.unsqueeze(values, 2, f"{name}.column")
    row = emit.unsqueeze(among or values, 1, f"{name}.row")
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
        points = isinstance(node, PointerOutput)
        further = (node.memory,) if isinstance(node, PointerOutput) else node.all_copies
        if not further:
            return
        emit, name, self._extent = self._emit, self._name, self._emit.integers(self.size)
        for steps in map(low.steps, further):
            time = emit.extent(steps.name, 0, f"{name}.time")
            self._extent = emit.op("Add", [time, self._extent], f"{name}.extent")
        self._count = emit.op("Squeeze", [self._extent], f"{name}.count")
        self._ids = emit.range(self._count, f"{name}.numbers")
        self.own_ids = emit.op("Min", [self._ids, emit.integer(self.size)], f"{name}.kept")
        if not points and (low.ids or copies_of(low.plan, further[0]).banned):
            self.banned = _banned(low, further, self._extent, name)

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


def _banned(low: Lowering, sources: Sequence[str], extent: str, name: str) -> str:
    """Float `[B, W]`: -inf for ids that may not be answered to a row, 0 for the others."""
    emit, shut = low.emit, ""
    for steps in map(low.steps, sources):
        mask = emit.squeeze(steps.lengths.mask(), 2, f"{name}.own")
        below = emit.op("Less", [steps.name, emit.integer(0)], f"{name}.below")
        closed = emit.op("And", [below, mask], f"{name}.closed")
        opposite = emit.op("Sub", [emit.integer(-1), steps.name], f"{name}.opposite")
        places = emit.op("Where", [closed, opposite, emit.integer(0)], f"{name}.closed.places")
        off = emit.op("Where", [closed, emit.number(-np.inf), emit.number(0.0)], f"{name}.off")
        if not shut:
            shape = emit.concat([steps.lengths.batch(), extent], 0, f"{name}.shape")
            shut = emit.op("Expand", [emit.number(0.0), shape], f"{name}.open")
        places, off = (emit.transpose(v, [1, 0], f"{v}.by_row") for v in (places, off))
        shut = emit.scatter(shut, places, off, f"{name}.shut", "min")
    return emit.typed(shut, FLOAT, [BATCH, name])


class CopyMixture:
    """One `CopyMix` node: ln(g softmax(source) + (1 - g) c).

    Everything is in logarithms and, as far as possible, over the T steps of the source: logits of
    the vocabulary are touched only where a token of the source stands. The steps of several sources
    are side by side.

    `first` int64 `[B, T]` is the first step with the same token. `places` int64 `[B, T]` is the
    token's index among the `size + T` logits at that first step; at the other steps, past a row's
    length and where there is nothing to copy, it is one beyond all of them.
    """

    def __init__(self, low: Lowering, node: CopyMix) -> None:
        self._low, self._node = low, node
        emit, name, sources = low.emit, node.name, [low.steps(each) for each in node.all_tokens]
        given = _side_by_side(emit, [each.name for each in sources], 0, f"{name}.all")
        given = emit.transpose(given, [1, 0], f"{name}.by_row")
        below = emit.op("Less", [given, emit.integer(0)], f"{name}.below")
        opposite = emit.op("Sub", [emit.integer(-1), given], f"{name}.opposite")
        numbers = emit.op("Where", [below, opposite, given], f"{name}.numbers")
        masks = [each.lengths.mask() for each in sources]
        mask = _side_by_side(emit, masks, 0, f"{name}.own.of_all")
        mask = emit.squeeze(mask, 2, f"{name}.own.by_time")
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
        self._absent = ""
        if node.others:
            there = [each.lengths.present() for each in sources]
            some = emit.concat(there, 1, f"{name}.sources")
            bias = [some, emit.number(0.0), emit.number(LOWEST)]
            self._absent = emit.op("Where", bias, f"{name}.absent")

    def step(
        self, emit: Emitter, rows: Rows, logits: str, gate: str, log_weights: Sequence[str]
    ) -> str:
        """`[R, size + T]` of logits `[R, size]`, what the gate reads, `[R, gate_width]`, and the
        logarithms of attention weights, `[R, T]` of each source."""
        low, name = self._low, self._node.name
        column = emit.weight(f"{name}.w.column", low.weights[f"{name}.w"][:, np.newaxis])
        affine = emit.op("Gemm", [gate, column, low.canonical(f"{name}.b")], f"{name}.affine")
        opposite = emit.op("Neg", [affine], f"{name}.opposite")
        share = log_sigmoid(emit, affine, f"{name}.gate")
        closed = log_sigmoid(emit, opposite, f"{name}.closed")
        answered = emit.op("LogSoftmax", [logits], f"{name}.answered", axis=-1)
        own = emit.op("Add", [answered, share], f"{name}.own")
        if self._absent:
            log_weights = self._shared(emit, rows, gate, log_weights)
        logs = _side_by_side(emit, log_weights, 1, f"{name}.logs")
        copied = emit.op("Add", [self._grouped(emit, rows, logs), closed], f"{name}.copied")
        nothing = rows.wide(low.emit.number(-np.inf), f"{name}.nothing", self._further)
        mixed = emit.concat([own, nothing], 1, f"{name}.all")
        places = rows.repeated(self._places)
        at = emit.pick(mixed, places, f"{name}.at")
        both = log_add_exp(emit, at, copied, f"{name}.both")
        mixed = emit.op("ScatterElements", [mixed, places, both], f"{name}.mixed", axis=1)
        return emit.slice(mixed, 0, -1, 1, name)

    def _shared(
        self, emit: Emitter, rows: Rows, gate: str, log_weights: Sequence[str]
    ) -> list[str]:
        """The logarithms of the weights `[R, T]` of each source, times the source's share of what
        is copied."""
        low, of, name = self._low, self._node.name, f"{self._node.name}.shares"
        matrix = emit.weight(f"{of}.W_s.turned", low.weights[f"{of}.W_s"].T)
        affine = [gate, matrix, low.canonical(f"{of}.b_s")]
        scores = emit.op("Gemm", affine, f"{name}.scores")
        own = emit.op("Add", [scores, rows.repeated(self._absent)], f"{name}.own")
        shares = emit.op("LogSoftmax", [own], name, axis=-1)
        return [
            emit.op("Add", [logs, emit.slice(shares, at, at + 1, 1, f"{name}.{at}")], f"{name}.of")
            for at, logs in enumerate(log_weights)
        ]

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


def _side_by_side(emit: Emitter, values: Sequence[str], axis: int, name: str) -> str:
    """The values of all sources on the axis of their steps."""
    return emit.concat(values, axis, name) if len(values) > 1 else values[0]
