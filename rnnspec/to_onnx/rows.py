"""The rows that a decoder works on, one for each row of the batch or hypothesis of a beam, and the
states that it carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rnnspec.plan.nodes import Decoder
from rnnspec.to_onnx.emitter import FLOAT, Emitter, Extent
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence

HYPOTHESES = "hypotheses"
"""Name of the dimension of all hypotheses of all rows of the batch."""
ACTIVE, ACTIVE_HYPOTHESES = "active", "active_hypotheses"
"""The same of the rows that a search still works on. onnxruntime takes dimensions of one name for
equal."""
MEMORY = "memory"
"""Name of the dimension of the steps that a decoder attends to."""


@dataclass(frozen=True, slots=True)
class State:
    """What a decoder carries from step to step, `[R, *extents]`: its value before the first."""

    name: str
    initial: str
    extents: tuple[Extent, ...]
    kind: int = FLOAT


class Rows:
    """`R = B * width` rows; the hypotheses of one row of the batch stand side by side.

    `batch` is B, int64 `[1]`. `chosen`, int64 `[B]`, are the rows of the whole batch that these
    are; "" is all of them. Each value is emitted by `emit` once, when first asked for.
    """

    def __init__(self, emit: Emitter, batch: str, width: int = 1, chosen: str = "") -> None:
        self._emit, self.width, self.batch, self._chosen = emit, width, batch, chosen
        row, each = (ACTIVE, ACTIVE_HYPOTHESES) if chosen else (BATCH, HYPOTHESES)
        self.row_dimension, self.dimension = row, row if width == 1 else each
        self._made: dict[tuple[str, ...], str] = {}

    def count(self) -> str:
        """Int64 `[1]`: R."""
        if self.width == 1:
            return self.batch
        factors = [self.batch, self._emit.integers(self.width)]
        return self._once(("count",), lambda: self._emit.op("Mul", factors, "hypotheses.count"))

    def owners(self) -> str:
        """Int64 `[R]`: the row that each hypothesis belongs to."""
        width = self._emit.integer(self.width)
        return self._once(
            ("owners",),
            lambda: self._emit.op("Div", [self.numbers(self.count()), width], "hypotheses.owners"),
        )

    def firsts(self) -> str:
        """Int64 `[B, 1]`: the first hypothesis of each row."""

        def make() -> str:
            emit = self._emit
            width = emit.integer(self.width)
            first = emit.op("Mul", [self.numbers(self.batch), width], "hypotheses.first")
            return emit.unsqueeze(first, 1, "hypotheses.firsts")

        return self._once(("firsts",), make)

    def numbers(self, count: str) -> str:
        """Int64: 0 to `count` - 1, of an int64 `[1]`."""

        def make() -> str:
            end = self._emit.op("Squeeze", [count], f"{count}.end")
            return self._emit.range(end, f"{count}.numbers")

        return self._once(("numbers", count), make)

    def chosen(self, value: str, axis: int = 0) -> str:
        """`[B, …]`: the elements of a value of the whole batch, on `axis`, of these rows."""
        if not self._chosen:
            return value

        def make() -> str:
            return self._emit.op("Gather", [value, self._chosen], f"{value}.active", axis=axis)

        return self._once(("at", value), make)

    def repeated(self, value: str) -> str:
        """`[R, …]`: a value of the whole batch, `[B, …]`, repeated for each hypothesis."""
        of_rows = self.chosen(value)
        if self.width == 1:
            return of_rows
        inputs = [of_rows, self.owners()]
        return self._once(("each", value), lambda: self._emit.op("Gather", inputs, f"{value}.each"))

    def filled(self, value: str, name: str, *shape: int) -> str:
        """`[R, *shape]` filled with `value`, of one dimension or none."""
        return self._expanded(value, name, self.count(), shape)

    def per_row(self, value: str, name: str, *shape: int) -> str:
        """`[B, *shape]` filled with `value`, which broadcasts to it."""
        return self._expanded(value, name, self.batch, shape)

    def zeros(self, name: str, width: int) -> str:
        """Float `[R, width]` of 0."""
        zero = self._emit.number(0.0)
        return self._once(("zeros", str(width)), lambda: self.filled(zero, f"{name}.zeros", width))

    def wide(self, value: str, name: str, extent: str) -> str:
        """`[R, W]` filled with `value`; `extent` int64 `[1]` is W."""

        def make() -> str:
            shape = self._emit.concat([self.count(), extent], 0, f"{name}.shape")
            return self._emit.op("Expand", [value, shape], name)

        return self._once(("wide", value, extent), make)

    def by_beam(self, emit: Emitter, value: str, name: str, *shape: int) -> str:
        """`[B, width, *shape]` of `[R, *shape]`."""
        return emit.op("Reshape", [value, emit.integers(-1, self.width, *shape)], name)

    def _expanded(self, value: str, name: str, count: str, shape: tuple[int, ...]) -> str:
        emit, extents = self._emit, count
        if shape:
            parts = [count, emit.integers(*shape)]
            extents = emit.concat(parts, 0, f"{name}.shape")
        return emit.op("Expand", [value, extents], name)

    def _once(self, key: tuple[str, ...], make: Callable[[], str]) -> str:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def rows_of(low: Lowering, node: Decoder, width: int = 1) -> Rows:
    """The rows of a decoder: as many as the first value that the body reads has, or the first
    input."""
    name = next(iter(node.reads), "") or low.plan.inputs[0].name
    value = low.values[name]
    if isinstance(value, PaddedSequence):
        return Rows(low.emit, value.lengths.batch(), width)
    bounds = {"start": 0, "end": 1}
    batch = low.emit.op("Shape", [value.name], f"{node.name}.batch", **bounds)
    return Rows(low.emit, batch, width)
