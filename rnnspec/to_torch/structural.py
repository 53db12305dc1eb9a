"""Operations whose value has another shape than what they read (`rnnspec.cells.layout`), in torch.

Values are `[..., elements]`: a matrix is the vector of its rows, one behind the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from rnnspec.cells.graph import Graph
from rnnspec.cells.layout import Layout, is_shaped, layout
from rnnspec.to_torch.functions import FUNCTIONS, OPERATIONS, Operation


def operation_of(graph: Graph, index: int, sizes: Mapping[str, int]) -> Operation:
    """The operation of a node, with an argument `out` that may be None."""
    node = graph.nodes[index]
    if not is_shaped(node):
        return OPERATIONS[node.op]
    dims = layout(graph.nodes, index, sizes)
    return STRUCTURAL[node.op](dims) if node.op in STRUCTURAL else _of_vectors(node.op, dims)


def cut(value: Tensor, *extents: int) -> Tensor:
    """`[..., elements]` as `[..., *extents]`; one number as an axis of one."""
    value = value if value.dim() else value.reshape(1)
    whole: Tensor = value.unflatten(-1, extents)
    return whole


def _product(dims: Layout, one: Layout, other: Layout, result: Layout) -> Operation:
    """The product of matrices, each of so many rows and columns, for each of n heads."""
    n = dims[0]

    def function(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
        left, right = cut(a, n, *one), cut(b, n, *other)
        if out is None:
            return torch.matmul(left, right).flatten(-3)
        torch.matmul(left, right, out=cut(out, n, *result))
        return out

    return function


def _outer(dims: Layout) -> Operation:
    n, rows, columns = dims

    def function(v: Tensor, w: Tensor, out: Tensor | None = None) -> Tensor:
        left, right = cut(v, n, rows, 1), cut(w, n, 1, columns)
        if out is None:
            return torch.mul(left, right).flatten(-3)
        torch.mul(left, right, out=cut(out, n, rows, columns))
        return out

    return function


def _apply(dims: Layout) -> Operation:
    _, rows, columns = dims
    return _product(dims, (rows, columns), (columns, 1), (rows, 1))


def _compose(dims: Layout) -> Operation:
    _, rows, inner, columns = dims
    return _product(dims, (rows, inner), (inner, columns), (rows, columns))


def _transpose(dims: Layout) -> Operation:
    return _moved(lambda v: cut(v, *dims).transpose(-1, -2).flatten(-3))


def _sum(dims: Layout) -> Operation:
    return _moved(lambda v: cut(v, *dims).sum(-1))


def _columns(dims: Layout) -> Operation:
    n, often = dims
    return _moved(lambda v: cut(v, n, 1).expand(*v.shape[:-1], n, often).flatten(-2))


def _rows(dims: Layout) -> Operation:
    n, often, width = dims
    return _moved(lambda v: cut(v, n, 1, width).expand(*v.shape[:-1], n, often, width).flatten(-3))


def _concat(dims: Layout) -> Operation:
    n, one, other = dims

    def function(v: Tensor, w: Tensor, out: Tensor | None = None) -> Tensor:
        left, right = torch.broadcast_tensors(cut(v, n, one)[..., :1], cut(w, n, other)[..., :1])
        parts = [
            cut(v, n, one).expand(*left.shape[:-1], one),
            cut(w, n, other).expand(*right.shape[:-1], other),
        ]
        value = torch.cat(parts, -1).flatten(-2)
        return value if out is None else out.copy_(value)

    return function


def _slice(dims: Layout) -> Operation:
    n, width, start, stop = dims
    return _moved(lambda v: cut(v, n, width)[..., start:stop].flatten(-2))


def _every(dims: Layout) -> Operation:
    n, width, stride, start = dims
    return _moved(lambda v: cut(v, n, width, stride)[..., start].flatten(-2))


def _of_vectors(op: str, dims: Layout) -> Operation:
    """A function of whole vectors, of each head on its own."""
    return _moved(lambda v: FUNCTIONS[op](cut(v, *dims)).flatten(-2))


def _moved(function: Callable[[Tensor], Tensor]) -> Operation:
    """A function of one value, with `out`."""

    def into(v: Tensor, out: Tensor | None = None) -> Tensor:
        value = function(v if v.dim() else v.reshape(1))
        return value if out is None else out.copy_(value)

    return into


STRUCTURAL: Mapping[str, Callable[[Layout], Operation]] = {
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
"""Operations by their layouts."""

# ---------------------------------------------------------------- gradients

Backward = Callable[..., object]
"""`function(g, *arguments that it reads, out)` writes the gradient of an argument to `out`."""


def gradients_of(op: str, dims: Layout) -> tuple[tuple[Backward, tuple[int, ...]], ...]:
    """For each argument how its gradient follows from that of the value, and from which arguments
    (-1: the value)."""
    n, *rest = dims
    match op:
        case "outer":
            a, b = rest
            of_rows = _product(dims, (a, b), (b, 1), (a, 1))
            of_columns = _product(dims, (1, a), (a, b), (1, b))
            return ((of_rows, (1,)), (lambda g, v, out: of_columns(v, g, out), (0,)))
        case "apply":
            a, b = rest
            back = _product(dims, (1, a), (a, b), (1, b))
            return ((_outer(dims), (1,)), (lambda g, m, out: back(g, m, out), (0,)))
        case "compose":
            return _of_compose(dims)
        case "transpose":
            a, b = rest
            return ((_transpose((n, b, a)), ()),)
        case "sum":
            return ((_columns((n, *rest)), ()),)
        case "columns":
            return ((_sum((n, *rest)), ()),)
        case "rows" | "tile":
            return ((_moved(lambda g: cut(g, n, *rest).sum(-2).flatten(-2)), ()),)
        case "concat":
            a, b = rest
            whole = a + b
            return ((_slice((n, whole, 0, a)), ()), (_slice((n, whole, a, whole)), ()))
        case "slice":
            return ((partial(_slice_gradient, dims), ()),)
        case "every":
            return ((partial(_every_gradient, dims), ()),)
        case _:
            return ((partial(_of_vectors_gradient, op, dims), (-1 if op == "softmax" else 0,)),)


def _of_compose(dims: Layout) -> tuple[tuple[Backward, tuple[int, ...]], ...]:
    n, a, b, c = dims

    def first(g: Tensor, other: Tensor, out: Tensor) -> None:
        value = cut(g, n, a, c) @ cut(other, n, b, c).transpose(-1, -2)
        out.copy_(value.flatten(-3))

    def second(g: Tensor, one: Tensor, out: Tensor) -> None:
        value = cut(one, n, a, b).transpose(-1, -2) @ cut(g, n, a, c)
        out.copy_(value.flatten(-3))

    return ((first, (1,)), (second, (0,)))


def _slice_gradient(dims: Layout, g: Tensor, out: Tensor) -> None:
    n, width, start, stop = dims
    out.zero_()
    cut(out, n, width)[..., start:stop] = cut(g, n, stop - start)


def _every_gradient(dims: Layout, g: Tensor, out: Tensor) -> None:
    n, width, stride, start = dims
    out.zero_()
    cut(out, n, width, stride)[..., start] = cut(g, n, width)


def _of_vectors_gradient(op: str, dims: Layout, g: Tensor, read: Tensor, out: Tensor) -> None:
    from rnnspec.to_torch.derivatives import DERIVATIVES, Local

    (rule,) = DERIVATIVES[op]
    assert isinstance(rule, Local)
    part = torch.empty_like(cut(g, *dims).expand(cut(out, *dims).shape).contiguous())
    rule.function(cut(g, *dims).contiguous(), cut(read, *dims).contiguous(), part)
    out.copy_(part.flatten(-2))
