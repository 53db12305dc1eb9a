"""The lengths of a batch's rows in the forms that operators take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import TensorProto

from rnnspec.to_onnx.emitter import FLOAT, Emitter


class Lengths:
    """Lengths `[B]` of the rows of one input; each form is emitted once, when first asked for.

    `name` is the int64 value as it came in, unchecked: native recurrent operators check it
    themselves, and so do ReverseSequence, in `mask`, and GatherND, in `at_end`.
    `sequence` is a value `[T, B, …]` as it came in; `padded` says that the graph works on more
    steps where all rows are empty. `dimension` is the name of B as a dimension.
    """

    def __init__(
        self,
        emit: Emitter,
        prefix: str,
        name: str,
        sequence: str,
        padded: bool,
        dimension: str = "batch",
    ) -> None:
        self.name, self.dimension = name, dimension
        self._emit, self._prefix, self._sequence, self._padded = emit, prefix, sequence, padded
        self._made: dict[str, str] = {}

    def int32(self) -> str:
        """`[B]` as the native recurrent operators want it."""
        return self._once(
            "lengths.int32", lambda name: self._cast(self.name, name, TensorProto.INT32)
        )

    def int32_at_least_one(self) -> str:
        """`[B]` as `int32`, but 1 for rows without a step. Only where `padded`."""
        return self._once("lengths.at_least_one", self._int32_at_least_one)

    def mask(self) -> str:
        """Bool `[T, B, 1]`: whether a step is below its row's length."""
        return self._once("mask", self._mask)

    def present(self) -> str:
        """Bool `[B, 1]`: whether a row has any step."""
        return self._once("present", self._present)

    def count(self) -> str:
        """Float `[B, 1]`: the number of steps, 1 where there is none."""
        return self._once("count", self._count)

    def ends(self) -> str:
        """Int64 `[B, 2]`, indices into `[T, B]`: each row's last step, step 0 where there is none.

        Only where `padded`: an empty time axis has no step 0.
        """
        return self._once("ends", self._ends)

    def rows(self) -> str:
        """Int64 `[B, 1]`: 0 to B-1."""
        return self._once("rows", self._rows)

    def time(self) -> str:
        """Int64 `[1]`: T."""
        return self._once("time", lambda name: self._extent(name, 0))

    def batch(self) -> str:
        """Int64 `[1]`: B."""
        return self._once("batch", lambda name: self._extent(name, 1))

    def padding(self) -> str:
        """Int64 `[2]`: steps to add before and after the time axis, above 0 if all rows are empty.

        Where lengths are above 0, a time axis of 0 is left to be refused.
        """
        return self._once("padding", self._padding)

    def zeros(self, width: int) -> str:
        """Float `[B, width]` of 0: a state before the first step."""
        return self._once(f"zeros.{width}", lambda name: self._zeros(name, width))

    def by_row(self, value: str, name: str, width: int = 0) -> str:
        """`[B, T, …]` of a value `[T, B, …]` with `width` more dimensions, for the steps given."""
        if self._padded:
            bounds = [self._emit.integers(0), self.time(), self._emit.integers(0)]
            value = self._emit.op("Slice", [value, *bounds], f"{name}.steps")
        order = [1, 0, *range(2, 2 + width)]
        return self._emit.op("Transpose", [value], name, {"perm": order})

    def cleaned(self, value: str, name: str) -> str:
        """`[T, B, W]`: the float `value` with 0 past each row's length."""
        return self._emit.op("Where", [self.mask(), value, self._emit.number(0.0)], name)

    def at_end(self, value: str, name: str, directions: Sequence[str] = ("forward",)) -> str:
        """`[B, W]`: the float `value` `[T, B, W]` at the step where each direction ends.

        It is the row's last step, in reverse its first. Each direction has an equal part of the
        width. 0 in rows without a step.
        """
        found = [self._end_of(value, name, direction) for direction in directions]
        if len(found) > 1:
            halves = [self._half(each, number, name) for number, each in enumerate(found)]
            found = [self._emit.op("Concat", halves, f"{name}.or_first", {"axis": -1})]
        return self.where_present(found[0], name)

    def _end_of(self, value: str, name: str, direction: str) -> str:
        if direction == "reverse":
            first = self._emit.integer(0)
            return self._emit.op("Gather", [value, first], f"{name}.reverse", {"axis": 0})
        return self._emit.op("GatherND", [value, self.ends()], f"{name}.forward")

    def _half(self, value: str, number: int, name: str) -> str:
        """The first (0) or the second (1) half of `[B, W]`. Split may not leave an output out:
        onnxruntime would end the process."""
        names = [f"{name}.first", f"{name}.second"]
        attributes = {"axis": -1, "num_outputs": 2}
        return self._emit.ops("Split", [value], names, attributes)[number]

    def where_present(self, value: str, name: str) -> str:
        """`[B, W]`: the float `value` `[B, W]`, 0 in rows without a step."""
        return self._emit.op("Where", [self.present(), value, self._emit.number(0.0)], name)

    def reversed(self, value: str, name: str) -> str:
        """`[T, B, W]`: each row's steps in `value` from the last to the first, the others after.

        Some versions of onnxruntime leave rows without a step unwritten.
        """
        axes = {"time_axis": 0, "batch_axis": 1}
        return self._emit.op("ReverseSequence", [value, self.name], name, axes)

    def _once(self, what: str, make: Callable[[str], str]) -> str:
        if what not in self._made:
            self._made[what] = make(f"{self._prefix}.{what}")
        return self._made[what]

    def _cast(self, value: str, name: str, kind: int) -> str:
        return self._emit.op("Cast", [value], name, {"to": kind})

    def _int32_at_least_one(self, name: str) -> str:
        return self._cast(self._once("at_least_one", self._at_least_one), name, TensorProto.INT32)

    def _at_least_one(self, name: str) -> str:
        assert self._padded
        choice = [self._some(), self.name, self._emit.integer(1)]
        return self._emit.op("Where", choice, name)

    def _extent(self, name: str, axis: int) -> str:
        bounds = {"start": axis, "end": axis + 1}
        return self._emit.op("Shape", [self._sequence], name, bounds)

    def _padding(self, name: str) -> str:
        """One step on either side if all rows are empty: one operator less than on one side."""
        emit = self._emit
        longest = emit.op("ReduceMax", [self.name], f"{name}.longest")
        none = emit.op("Equal", [longest, emit.integers(0, 0)], f"{name}.none")
        return self._cast(none, name, TensorProto.INT64)

    def _range(self, extent: str, name: str) -> str:
        emit = self._emit
        end = emit.op("Squeeze", [extent], f"{name}.end")
        return emit.op("Range", [emit.integer(0), end, emit.integer(1)], name)

    def _numbered(self, name: str) -> str:
        """Int64 `[T, B]`: 0 to length-1 in some order over a row's steps, then length to T-1.

        ReverseSequence refuses lengths that are negative, over T, or not B of them. As it turns
        the steps of a row around, row 0 of its result holds max(length - 1, 0). Before
        onnxruntime 1.23 it leaves rows of length 0 unwritten, hence the Where.
        """
        emit = self._emit
        steps = emit.op(
            "Unsqueeze",
            [self._range(self.time(), f"{name}.steps"), emit.integers(1)],
            f"{name}.column",
        )
        shape = emit.op("Concat", [self.time(), self.batch()], f"{name}.shape", {"axis": 0})
        grid = emit.op("Expand", [steps, shape], f"{name}.grid")
        checked = self.reversed(grid, f"{name}.checked")
        choice = [self._some(), checked, grid]
        if not self._padded:
            return emit.op("Where", choice, name)
        unpadded = emit.op("Where", choice, f"{name}.unpadded")
        return emit.op("Pad", [unpadded, self.padding(), "", emit.integers(0)], name)

    def _zeros(self, name: str, width: int) -> str:
        emit = self._emit
        shape = emit.op(
            "Concat", [self.batch(), emit.integers(width)], f"{name}.shape", {"axis": 0}
        )
        return emit.op("Expand", [emit.number(0.0), shape], name)

    def _mask(self, name: str) -> str:
        emit = self._emit
        numbered = self._once("numbered", self._numbered)
        mask = emit.op("Less", [numbered, self.name], f"{name}.flat")
        return emit.op("Unsqueeze", [mask, emit.integers(2)], name)

    def _present(self, name: str) -> str:
        return self._emit.op("Unsqueeze", [self._some(), self._emit.integers(1)], name)

    def _some(self) -> str:
        """Bool `[B]`: whether a row has any step."""
        return self._once("some", lambda name: self._cast(self.name, name, TensorProto.BOOL))

    def _count(self, name: str) -> str:
        emit = self._emit
        most = emit.op("Max", [self.name, emit.integer(1)], f"{name}.least_one")
        column = emit.op("Unsqueeze", [most, emit.integers(1)], f"{name}.column")
        return self._cast(column, name, FLOAT)

    def _ends(self, name: str) -> str:
        """GatherND counts negative steps from the end of the time axis; their remainders are past
        its end, and are refused as lengths over T are."""
        emit = self._emit
        at_least_one = self._once("at_least_one", self._at_least_one)
        last = emit.op("Sub", [at_least_one, emit.integer(1)], f"{name}.last")
        steps = emit.op("Mod", [last, emit.integer(2**62)], f"{name}.steps")
        column = emit.op("Unsqueeze", [steps, emit.integers(1)], f"{name}.column")
        return emit.op("Concat", [column, self.rows()], name, {"axis": 1})

    def _rows(self, name: str) -> str:
        rows = self._range(self.batch(), f"{name}.flat")
        return self._emit.op("Unsqueeze", [rows, self._emit.integers(1)], name)
