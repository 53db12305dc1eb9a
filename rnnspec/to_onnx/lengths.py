"""The lengths of a batch's rows in the forms that operators take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps

import numpy as np
from onnx import TensorProto

from rnnspec.to_onnx.emitter import FLOAT, Emitter, Extent


def _once(what: str) -> Callable[[Callable[[Lengths, str], str]], Callable[[Lengths], str]]:
    """A form called `what`, which is emitted when first asked for."""

    def decorated(make: Callable[[Lengths, str], str]) -> Callable[[Lengths], str]:
        @wraps(make)
        def form(lengths: Lengths) -> str:
            return lengths.emitted(what, partial(make, lengths))

        return form

    return decorated


class Lengths:
    """Lengths `[B]` of the rows of one input; each form is emitted once, when first asked for.

    `name` is the int64 value as it came in, unchecked: native recurrent operators check it
    themselves, and so do ReverseSequence, in `mask`, and GatherND, in `at_end`.
    `sequence` is a value `[T, B, …]` as it came in; `padded` says that the graph works on more
    steps where all rows are empty. `dimension` is the name of B as a dimension, `time_dimension`
    that of T. `derived` lengths come from those of another axis: their `sequence` has the further
    steps already. Where each row has just `steps` steps, hardly an operator looks at lengths.
    """

    def __init__(
        self,
        emit: Emitter,
        prefix: str,
        name: str,
        sequence: str,
        padded: bool,
        dimension: str = "batch",
        derived: bool = False,
        time: Extent = "time",
        steps: int = 0,
    ) -> None:
        self._name, self.dimension, self._derived = name, dimension, derived
        self.time_dimension, self.steps = steps or time, steps
        self.given = name
        """The lengths of the chunk that came in, of which these are made."""
        self._others: dict[tuple[str, int], Lengths] = {}
        self._emit, self._prefix, self._sequence, self._padded = emit, prefix, sequence, padded
        self._made: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Int64 `[B]`."""
        return self._name or self._all_alike()

    @_once("alike")
    def _all_alike(self, name: str) -> str:
        return self._emit.op("Expand", [self._emit.integer(self.steps), self.batch()], name)

    def strided(self, stride: int, sequence: str) -> Lengths:
        """The lengths of ceil(n / stride) of n steps, for the value `sequence` that has them."""
        return self if stride == 1 else self._other("every", stride, sequence)

    def times(self, count: int, sequence: str) -> Lengths:
        """The lengths of `count` steps for each, for the value `sequence` that has them."""
        return self._other("times", count, sequence)

    def latest(self, most: int, sequence: str) -> Lengths:
        """The lengths of the last `most` steps, for the value `sequence` that has them."""
        return self._other("latest", most, sequence)

    def _other(self, how: str, count: int, sequence: str) -> Lengths:
        key, emit, prefix = (how, count), self._emit, f"{self._prefix}.{how}_{count}"
        if key not in self._others:
            if how == "every":
                more = emit.op("Add", [self.name, emit.integer(count - 1)], f"{prefix}.rounded_up")
                name = emit.op("Div", [more, emit.integer(count)], f"{prefix}.lengths")
            elif how == "latest":
                name = emit.op("Min", [self.name, emit.integer(count)], f"{prefix}.lengths")
            else:
                name = emit.op("Mul", [self.name, emit.integer(count)], f"{prefix}.lengths")
            self._others[key] = Lengths(
                emit, prefix, name, sequence, self._padded, self.dimension, derived=True
            )
        return self._others[key]

    def int32(self) -> str:
        """`[B]` as the native recurrent operators want it; "" where all steps are the rows'."""
        return "" if self.steps else self._int32()

    @_once("lengths.int32")
    def _int32(self, name: str) -> str:
        return self._emit.op("Cast", [self.name], name, to=TensorProto.INT32)

    def int32_at_least_one(self) -> str:
        """`[B]` as `int32`, but 1 for rows without a step. Only where `padded`."""
        return "" if self.steps else self._int32_at_least_one()

    @_once("lengths.at_least_one")
    def _int32_at_least_one(self, name: str) -> str:
        return self._emit.op("Cast", [self._at_least_one()], name, to=TensorProto.INT32)

    @_once("mask")
    def mask(self, name: str) -> str:
        """Bool `[T, B, 1]`: whether a step is below its row's length."""
        if self.steps:
            return self._emit.constant(np.ones((1, 1, 1), np.bool_), name)
        mask = self._emit.op("Less", [self._numbered(), self.name], f"{name}.flat")
        return self._emit.unsqueeze(mask, 2, name)

    @_once("grid_mask")
    def grid_mask(self, name: str) -> str:
        """Bool `[T, B, 1, 1]`: as `mask`."""
        return self._emit.unsqueeze(self.mask(), 3, name)

    @_once("frame_mask")
    def frame_mask(self, name: str) -> str:
        """Bool `[T, B, 1, 1, 1]`: as `mask`."""
        return self._emit.unsqueeze(self.grid_mask(), 4, name)

    @_once("present")
    def present(self, name: str) -> str:
        """Bool `[B, 1]`: whether a row has any step."""
        return self._emit.unsqueeze(self._some(), 1, name)

    @_once("count")
    def count(self, name: str) -> str:
        """Float `[B, 1]`: the number of steps, 1 where there is none."""
        emit = self._emit
        most = emit.op("Max", [self.name, emit.integer(1)], f"{name}.least_one")
        return self._emit.op("Cast", [emit.unsqueeze(most, 1, f"{name}.column")], name, to=FLOAT)

    @_once("ends")
    def ends(self, name: str) -> str:
        """Int64 `[B, 2]`, indices into `[T, B]`: each row's last step, step 0 where there is none.

        Only where `padded`: an empty time axis has no step 0. GatherND counts negative steps from
        the end of the time axis; their remainders are past its end, and are refused as lengths
        over T are.
        """
        emit = self._emit
        last = emit.op("Sub", [self._at_least_one(), emit.integer(1)], f"{name}.last")
        steps = emit.op("Mod", [last, emit.integer(2**62)], f"{name}.steps")
        column = emit.unsqueeze(steps, 1, f"{name}.column")
        return emit.concat([column, self.rows()], 1, name)

    @_once("rows")
    def rows(self, name: str) -> str:
        """Int64 `[B, 1]`: 0 to B-1."""
        return self._emit.unsqueeze(counted(self._emit, self.batch(), f"{name}.flat"), 1, name)

    @_once("time")
    def time(self, name: str) -> str:
        """Int64 `[1]`: T."""
        return self._emit.extent(self._sequence, 0, name)

    @_once("batch")
    def batch(self, name: str) -> str:
        """Int64 `[1]`: B."""
        return self._emit.extent(self._sequence, 1, name)

    @_once("padding")
    def padding(self, name: str) -> str:
        """Int64 `[2]`: a step to add before and after the time axis if all rows are empty, or 0.

        Both sides take one operator less than one. Where lengths are above 0, a time axis of 0 is
        left to be refused.
        """
        emit = self._emit
        longest = emit.op("ReduceMax", [self.name], f"{name}.longest")
        none = emit.op("Equal", [longest, emit.integers(0, 0)], f"{name}.none")
        return self._emit.op("Cast", [none], name, to=TensorProto.INT64)

    def zeros(self, width: int) -> str:
        """Float `[B, width]` of 0: a state before the first step."""
        return self.emitted(f"zeros.{width}", lambda name: self._zeros(name, width))

    def by_row(self, value: str, name: str, width: int = 0) -> str:
        """`[B, T, …]` of a value `[T, B, …]` with `width` more dimensions, for the steps given."""
        if self._padded and not self._derived:
            value = self._emit.slice(value, 0, self.time(), 0, f"{name}.steps")
        order = [1, 0, *range(2, 2 + width)]
        return self._emit.transpose(value, order, name)

    def cleaned(self, value: str, name: str) -> str:
        """`[T, B, W]`: the float `value` with 0 past each row's length."""
        if self.steps:
            return value
        return self._emit.op("Where", [self.mask(), value, self._emit.number(0.0)], name)

    def last_step(self, value: str, name: str) -> str:
        """`[B, …]`: the value `[T, B, …]` at the last step of each row, of a row without steps at
        any."""
        if self.steps == 1:
            return self._emit.squeeze(value, 0, name)
        if self.steps:
            return self._emit.op("Gather", [value, self._emit.integer(-1)], name, axis=0)
        return self._emit.op("GatherND", [value, self.ends()], name)

    def or_before(self, value: str, before: str, name: str) -> str:
        """`[B, W]`: `value`, in rows without a step `before`."""
        if self.steps:
            return value
        return self._emit.op("Where", [self.present(), value, before], name)

    def at_end(self, value: str, name: str, directions: Sequence[str] = ("forward",)) -> str:
        """`[B, W]`: the float `value` `[T, B, W]` at the step where each direction ends.

        It is the row's last step, in reverse its first. Each direction has an equal part of the
        width. 0 in rows without a step.
        """
        found = [self._end_of(value, name, direction) for direction in directions]
        if len(found) > 1:
            halves = [self._half(each, number, name) for number, each in enumerate(found)]
            found = [self._emit.concat(halves, -1, f"{name}.or_first")]
        return self.where_present(found[0], name)

    def _end_of(self, value: str, name: str, direction: str) -> str:
        if direction == "reverse":
            first = self._emit.integer(0)
            return self._emit.op("Gather", [value, first], f"{name}.reverse", axis=0)
        return self.last_step(value, f"{name}.forward")

    def _half(self, value: str, number: int, name: str) -> str:
        """The first (0) or the second (1) half of `[B, W]`. Split may not leave an output out:
        onnxruntime would end the process."""
        names = [f"{name}.first", f"{name}.second"]
        return self._emit.ops("Split", [value], names, axis=-1, num_outputs=2)[number]

    def where_present(self, value: str, name: str) -> str:
        """`[B, W]`: the float `value` `[B, W]`, 0 in rows without a step."""
        return self.or_before(value, self._emit.number(0.0), name)

    def reversed(self, value: str, name: str) -> str:
        """`[T, B, W]`: each row's steps in `value` from the last to the first, the others after.

        Some versions of onnxruntime leave rows without a step unwritten.
        """
        inputs = [value, self.name]
        return self._emit.op("ReverseSequence", inputs, name, time_axis=0, batch_axis=1)

    def emitted(self, what: str, make: Callable[[str], str]) -> str:
        if what not in self._made:
            self._made[what] = make(f"{self._prefix}.{what}")
        return self._made[what]

    @_once("some")
    def _some(self, name: str) -> str:
        """Bool `[B]`: whether a row has any step."""
        return self._emit.op("Cast", [self.name], name, to=TensorProto.BOOL)

    @_once("at_least_one")
    def _at_least_one(self, name: str) -> str:
        assert self._padded
        choice = [self._some(), self.name, self._emit.integer(1)]
        return self._emit.op("Where", choice, name)

    def _range(self, extent: str, name: str) -> str:
        emit = self._emit
        end = emit.op("Squeeze", [extent], f"{name}.end")
        return emit.range(end, name)

    @_once("numbered")
    def _numbered(self, name: str) -> str:
        """Int64 `[T, B]`: 0 to length-1 in some order over a row's steps, then length to T-1.

        ReverseSequence refuses lengths that are negative, over T, or not B of them. As it turns
        the steps of a row around, row 0 of its result holds max(length - 1, 0). Before
        onnxruntime 1.23 it leaves rows of length 0 unwritten, hence the Where.
        """
        emit = self._emit
        steps = emit.unsqueeze(counted(emit, self.time(), f"{name}.steps"), 1, f"{name}.column")
        shape = emit.concat([self.time(), self.batch()], 0, f"{name}.shape")
        grid = emit.op("Expand", [steps, shape], f"{name}.grid")
        checked = self.reversed(grid, f"{name}.checked")
        choice = [self._some(), checked, grid]
        if not self._padded or self._derived:
            return emit.op("Where", choice, name)
        unpadded = emit.op("Where", choice, f"{name}.unpadded")
        return emit.op("Pad", [unpadded, self.padding(), "", emit.integers(0)], name)

    def _zeros(self, name: str, width: int) -> str:
        emit = self._emit
        shape = emit.concat([self.batch(), emit.integers(width)], 0, f"{name}.shape")
        return emit.op("Expand", [emit.number(0.0), shape], name)


def counted(emit: Emitter, extent: str, name: str) -> str:
    """Int64 `[n]`: 0 to n-1, of an extent int64 `[1]`."""
    return emit.range(emit.op("Squeeze", [extent], f"{name}.end"), name)
