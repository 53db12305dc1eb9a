"""The rows that a decoder works on: one a row of the batch, or one a hypothesis of a beam."""

from __future__ import annotations

from rnnspec.plan.nodes import Decoder
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.values import BATCH, Lowering, Steps

HYPOTHESES = "hypotheses"
"""Name of the dimension of all hypotheses of all rows of the batch."""


class Rows:
    """`R = B * width` rows, those of one row of the batch side by side. All is emitted outside of
    the decoder's loop, once, when first asked for."""

    def __init__(self, low: Lowering, batch: str, width: int = 1) -> None:
        self._emit, self.width, self.batch = low.emit, width, batch
        self.dimension = BATCH if width == 1 else HYPOTHESES
        self._made: dict[str, str] = {}

    def count(self) -> str:
        """Int64 `[1]`: R."""
        if self.width == 1:
            return self.batch
        if "count" not in self._made:
            factors = [self.batch, self._emit.integers(self.width)]
            self._made["count"] = self._emit.op("Mul", factors, "hypotheses.count")
        return self._made["count"]

    def owners(self) -> str:
        """Int64 `[R]`: the row of the batch that each belongs to."""
        if "owners" not in self._made:
            emit = self._emit
            end = emit.op("Squeeze", [self.count()], "hypotheses.end")
            every = emit.op("Range", [emit.integer(0), end, emit.integer(1)], "hypotheses.numbers")
            owners = emit.op("Div", [every, emit.integer(self.width)], "hypotheses.owners")
            self._made["owners"] = owners
        return self._made["owners"]

    def firsts(self) -> str:
        """Int64 `[B, 1]`: the first of the rows of each row of the batch."""
        if "firsts" not in self._made:
            emit = self._emit
            end = emit.op("Squeeze", [self.batch], "hypotheses.rows")
            rows = emit.op("Range", [emit.integer(0), end, emit.integer(1)], "hypotheses.each")
            firsts = emit.op("Mul", [rows, emit.integer(self.width)], "hypotheses.first")
            self._made["firsts"] = emit.op(
                "Unsqueeze", [firsts, emit.integers(1)], "hypotheses.firsts"
            )
        return self._made["firsts"]

    def each(self, value: str) -> str:
        """`[R, …]`: a value `[B, …]`, once for each of a row's own."""
        if self.width == 1:
            return value
        if value not in self._made:
            inputs = [value, self.owners()]
            self._made[value] = self._emit.op("Gather", inputs, f"{value}.each")
        return self._made[value]

    def filled(self, value: str, name: str, *shape: int) -> str:
        """`[R, *shape]`: everywhere `value`, of one dimension or none."""
        emit = self._emit
        parts = [self.count(), emit.integers(*shape)] if shape else [self.count()]
        extents = parts[0]
        if shape:
            extents = emit.op("Concat", parts, f"{name}.shape", {"axis": 0})
        return emit.op("Expand", [value, extents], name)

    def per_row(self, value: str, name: str, *shape: int) -> str:
        """`[B, *shape]`: everywhere `value`, which fits into it."""
        emit = self._emit
        parts = [self.batch, emit.integers(*shape)]
        extents = emit.op("Concat", parts, f"{name}.shape", {"axis": 0})
        return emit.op("Expand", [value, extents], name)

    def zeros(self, name: str, width: int) -> str:
        """Float `[R, width]` of 0."""
        key = f"zeros.{width}"
        if key not in self._made:
            self._made[key] = self.filled(self._emit.number(0.0), f"{name}.zeros", width)
        return self._made[key]

    def by_beam(self, emit: Emitter, value: str, name: str, *shape: int) -> str:
        """`[B, width, *shape]` of `[R, *shape]`."""
        return emit.op("Reshape", [value, emit.integers(-1, self.width, *shape)], name)


def rows_of(low: Lowering, node: Decoder, width: int = 1) -> Rows:
    """The rows of a decoder. Their number is that of the first value that the body reads, or of the
    first input."""
    name = next(iter(node.reads), "") or low.plan.inputs[0].name
    value = low.values[name]
    if isinstance(value, Steps):
        return Rows(low, value.lengths.batch(), width)
    bounds = {"start": 0, "end": 1}
    batch = low.emit.op("Shape", [value.name], f"{node.name}.batch", bounds)
    return Rows(low, batch, width)
