"""Operations whose value has another shape than what they read (`rnnspec.cells.layout`), in ONNX.

Values are `[…, elements]` with one axis before (rows) or two (steps and rows); what needs weights
only is `[elements]`, or `[]`. A matrix is the vector of its rows, one behind the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from rnnspec.cells.layout import Layout
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.functions import FUNCTIONS


@dataclass(frozen=True, slots=True)
class Argument:
    """A value and the number of axes before its elements; `elements` is their number."""

    name: str
    before: int
    elements: int


@dataclass(frozen=True, slots=True)
class _Lowering:
    emit: Emitter
    title: str
    before: int
    """The axes before the elements of the result."""

    def cut(self, value: Argument, *extents: int) -> str:
        """`[…, elements]` as `[…, *extents]`, without a first extent of 1 head."""
        kept = extents[1:] if extents[0] == 1 else extents
        if kept == (value.elements,):
            return value.name
        return self.reshaped(value.name, value.before, kept, "cut")

    def flat(self, value: str, elements: int) -> str:
        """Back to `[…, elements]`."""
        return self.reshaped(value, self.before, (elements,), "")

    def reshaped(self, value: str, before: int, extents: Sequence[int], what: str) -> str:
        shape = self.emit.integers(*[0] * before, *extents)
        return self.emit.op("Reshape", [value, shape], f"{self.title}.{what or 'flat'}")

    def op(self, kind: str, inputs: Sequence[str], what: str, **attributes: int) -> str:
        return self.emit.op(kind, inputs, f"{self.title}.{what}", **attributes)

    def product(self, one: str, other: str, elements: int) -> str:
        return self.flat(self.op("MatMul", [one, other], "product"), elements)

    def expanded(self, value: str, extents: Sequence[int]) -> str:
        kept = extents[1:] if extents[0] == 1 else extents
        return self.op("Expand", [value, self.emit.integers(*kept)], "expanded")


Lower = Callable[[_Lowering, Layout, Sequence[Argument]], str]


def _outer(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, a, b = dims
    sides = [to.cut(args[0], n, a, 1), to.cut(args[1], n, 1, b)]
    return to.flat(to.op("Mul", sides, "outer"), n * a * b)


def _apply(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, a, b = dims
    return to.product(to.cut(args[0], n, a, b), to.cut(args[1], n, b, 1), n * a)


def _compose(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, a, b, c = dims
    return to.product(to.cut(args[0], n, a, b), to.cut(args[1], n, b, c), n * a * c)


def _transpose(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    (arg,) = args
    rank = arg.before + (2 if dims[0] == 1 else 3)
    order = [*range(rank - 2), rank - 1, rank - 2]
    turned = to.emit.op("Transpose", [to.cut(arg, *dims)], f"{to.title}.turned", perm=order)
    return to.flat(turned, prod(dims))


def _sum(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, _ = dims
    value = to.cut(args[0], *dims)
    found = to.emit.reduce("ReduceSum", value, -1, f"{to.title}.sum", keep=n == 1)
    return found if n == 1 or to.before == args[0].before else to.flat(found, n)


def _columns(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, often = dims
    value = to.reshaped(args[0].name, args[0].before, (n, 1), "cut")
    return to.flat(to.op("Expand", [value, to.emit.integers(n, often)], "expanded"), n * often)


def _rows(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, often, width = dims
    value = to.cut(args[0], n, 1, width)
    return to.flat(to.expanded(value, (n, often, width)), prod(dims))


def _concat(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, a, b = dims
    widest = max(args, key=lambda arg: arg.before)
    parts = [
        to.cut(_beside(to, arg, widest), n, width) for arg, width in zip(args, (a, b), strict=True)
    ]
    return to.flat(to.op("Concat", parts, "joined", axis=-1), n * (a + b))


def _beside(to: _Lowering, value: Argument, other: Argument) -> Argument:
    """A value of weights only for each row and step of another."""
    if value.before == other.before:
        return value
    before = to.op("Shape", [other.name], "before", start=0, end=other.before)
    shape = to.emit.concat([before, to.emit.integers(value.elements)], 0, f"{to.title}.shape")
    return Argument(to.op("Expand", [value.name, shape], "beside"), other.before, value.elements)


def _slice(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, width, start, stop = dims
    part = to.emit.slice(to.cut(args[0], n, width), start, stop, -1, f"{to.title}.slice")
    return part if n == 1 else to.flat(part, n * (stop - start))


def _every(to: _Lowering, dims: Layout, args: Sequence[Argument]) -> str:
    n, width, stride, start = dims
    (arg,) = args
    pieces = to.reshaped(arg.name, arg.before, (n * width, stride), "cut")
    return to.op("Gather", [pieces, to.emit.integer(start)], "every", axis=-1)


STRUCTURAL: Mapping[str, Lower] = {
    "outer": _outer,
    "apply": _apply,
    "compose": _compose,
    "transpose": _transpose,
    "sum": _sum,
    "rows": _rows,
    "tile": _rows,
    "columns": _columns,
    "concat": _concat,
    "slice": _slice,
    "every": _every,
}
"""One entry for each operation that is told a layout."""


def structural(
    emit: Emitter, op: str, dims: Layout, arguments: Sequence[Argument], name: str
) -> str:
    """An operation that is told the layout `dims`; its result has as many axes as its widest
    argument."""
    to = _Lowering(emit, name, max(arg.before for arg in arguments))
    if op in STRUCTURAL:
        return STRUCTURAL[op](to, dims, arguments)
    value = FUNCTIONS[op](emit, [to.cut(arguments[0], *dims)], f"{name}.of_heads", dims[1])
    return to.flat(value, prod(dims))
