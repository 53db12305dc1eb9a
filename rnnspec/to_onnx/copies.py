"""What an answer may copy: numbers of the source's tokens, and those that a step has to choose
from."""

from __future__ import annotations

import numpy as np

from rnnspec.plan import TextFacts
from rnnspec.plan.nodes import CopiesInput, TextOutput
from rnnspec.to_onnx.axis import on_time_axis, time_major
from rnnspec.to_onnx.emitter import FLOAT, INT64, Attributes, Emitter, Extent
from rnnspec.to_onnx.lowering import BATCH, TIME, Lowering, PaddedSequence
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.tokens import look_up, numbered

NOT_KNOWN, BANNED = -1, -2
"""Stand for tokens that the vocabulary lacks."""


def lower_copies(low: Lowering, node: CopiesInput) -> PaddedSequence:
    """Numbers `[T, B]`, of texts or, if so asked, as they come in."""
    if low.ids:
        doc = (
            f"for each token of {node.column!r} its number in the vocabulary of {node.answers!r},"
            f" below {node.size}, or {node.size} + the first step, from 0, that holds the same"
            " token; -1 - number where it may not be answered, 0 where there is nothing to copy"
        )
        numbers = low.emit.input(node.key, INT64, [BATCH, TIME], doc, reserved=True)
    else:
        numbers = _of_texts(low, node)
    return on_time_axis(low, node, time_major(low, numbers, f"{node.name}.numbers"))


def _of_texts(low: Lowering, node: CopiesInput) -> str:
    """Numbers `[B, T]` of tokens as they were given."""
    emit, name, tokens = low.emit, node.name, low.tokens[node.column]
    known = low.facts.outputs[node.answers]
    assert isinstance(known, TextFacts), f"{node.answers} has no vocabulary"
    table = {**look_up(known.vocabulary, False), **dict.fromkeys(node.banned, BANNED)}
    found = numbered(low, tokens, table, NOT_KNOWN, f"{name}.looked_up")
    first = first_alike(emit, tokens, name)
    further = emit.op("Add", [first, emit.integer(node.size)], f"{name}.further")
    if node.banned:
        # ~n is -1 - n
        opposite = emit.op("Sub", [emit.integer(-1), further], f"{name}.opposite")
        closed = emit.op("Equal", [found, emit.integer(BANNED)], f"{name}.closed")
        further = emit.op("Where", [closed, opposite, further], f"{name}.open_or_not")
    lacking = emit.op("Less", [found, emit.integer(0)], f"{name}.lacking")
    return emit.op("Where", [lacking, further, found], f"{name}.extended")


def first_alike(emit: Emitter, values: str, name: str, own: str = "") -> str:
    """Int64 `[B, T]`: the first step of the row whose value, of `[B, T]`, is the same. Of the steps
    that are not its `own`, bool `[B, T]`, none is the first of others."""
    column = emit.op("Unsqueeze", [values, emit.integers(2)], f"{name}.column")
    row = emit.op("Unsqueeze", [values, emit.integers(1)], f"{name}.row")
    alike = emit.op("Equal", [column, row], f"{name}.alike")
    if own:
        there = emit.op("Unsqueeze", [own, emit.integers(1)], f"{name}.there")
        alike = emit.op("And", [alike, there], f"{name}.alike.own")
    ones = emit.op("Cast", [alike], f"{name}.alike.ones", {"to": INT64})
    # One place more, which is never the first: of an axis without any, nothing can be chosen.
    pads = emit.integers(0, 0, 0, 0, 0, 1)
    some = emit.op("Pad", [ones, pads, emit.integer(0)], f"{name}.alike.some")
    attributes: Attributes = {"axis": 2, "keepdims": 0}
    return emit.op("ArgMax", [some], f"{name}.first", attributes)


class Entries:
    """The numbers that a step may answer: the `size` ones of the vocabulary, and with copying one
    more for each step of the source, W in all.

    With copying `kept` int64 `[W]` gives for each its own number in the vocabulary, or the number
    beyond all of them, else it is ""; `shut` float `[B, W]` is -inf for those that may not be
    answered to a row, 0 for the others, "" where there are none.
    """

    def __init__(self, low: Lowering, node: TextOutput) -> None:
        self._emit, self._name = low.emit, f"{node.name}.entries"
        self.size, self.kept, self.shut, self._extent = node.size, "", "", ""
        if not node.copies:
            return
        emit, name, source = self._emit, self._name, low.plan.node(node.copies)
        assert isinstance(source, CopiesInput), f"{node.name} copies from {source.name}"
        steps = low.steps(source.name)
        time = emit.op("Shape", [steps.name], f"{name}.time", {"start": 0, "end": 1})
        self._extent = emit.op("Add", [time, emit.integers(self.size)], f"{name}.extent")
        self._count = emit.op("Squeeze", [self._extent], f"{name}.count")
        bounds = [emit.integer(0), self._count, emit.integer(1)]
        self._numbers = emit.op("Range", bounds, f"{name}.numbers")
        self.kept = emit.op("Min", [self._numbers, emit.integer(self.size)], f"{name}.kept")
        if low.ids or source.banned:
            self.shut = _shut(low, steps, self._extent, name)

    @property
    def dimension(self) -> Extent:
        """For shapes."""
        return "entries" if self.kept else self.size

    def count(self) -> str:
        """Int64 `[]`: W."""
        return self._count if self.kept else self._emit.integer(self.size)

    def extent(self, most: int = 0) -> str:
        """Int64 `[1]`: W, or `most` where that is fewer, unless it is 0."""
        if not self.kept:
            return self._emit.integers(min(most or self.size, self.size))
        limit = [self._extent, self._emit.integers(most)]
        return self._emit.op("Min", limit, f"{self._name}.most") if most else self._extent

    def numbers(self) -> str:
        """Int64 `[W]`: all of them."""
        known = np.arange(self.size)
        return self._numbers if self.kept else self._emit.constant(known, f"{self._name}.numbers")

    def side_by_side(self, width: int) -> str:
        """Int64 `[2]`: the shape of a row for all continuations of `width` hypotheses."""
        emit = self._emit
        if not self.kept:
            return emit.integers(-1, width * self.size)
        every = emit.op("Mul", [self._extent, emit.integers(width)], f"{self._name}.every")
        return emit.op("Concat", [emit.integers(-1), every], f"{self._name}.row", {"axis": 0})

    def filled(self, rows: Rows, value: str, name: str) -> str:
        """`[R, W]`: everywhere `value`."""
        if not self.kept:
            return rows.filled(value, name, self.size)
        return rows.wide(value, name, self._extent)

    def zeros(self, rows: Rows, name: str) -> str:
        """Float `[R, W]` of 0."""
        if not self.kept:
            return rows.zeros(name, self.size)
        return rows.wide(self._emit.number(0.0), f"{name}.zeros", self._extent)


def _shut(low: Lowering, steps: PaddedSequence, extent: str, name: str) -> str:
    """Float `[B, W]`: -inf for what may not be answered to a row."""
    emit = low.emit
    flat = emit.op("Squeeze", [steps.lengths.mask(), emit.integers(2)], f"{name}.own")
    below = emit.op("Less", [steps.name, emit.integer(0)], f"{name}.below")
    closed = emit.op("And", [below, flat], f"{name}.closed")
    opposite = emit.op("Sub", [emit.integer(-1), steps.name], f"{name}.opposite")
    places = emit.op("Where", [closed, opposite, emit.integer(0)], f"{name}.closed.places")
    off = emit.op("Where", [closed, emit.number(-np.inf), emit.number(0.0)], f"{name}.off")
    shape = emit.op("Concat", [steps.lengths.batch(), extent], f"{name}.shape", {"axis": 0})
    zeros = emit.op("Expand", [emit.number(0.0), shape], f"{name}.open")
    by_row = [emit.op("Transpose", [v], f"{v}.by_row", {"perm": [1, 0]}) for v in (places, off)]
    least: Attributes = {"axis": 1, "reduction": "min"}
    return emit.typed(
        emit.op("ScatterElements", [zeros, *by_row], f"{name}.shut", least), FLOAT, [BATCH, name]
    )
