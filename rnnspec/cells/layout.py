"""The numbers behind operations whose value has another shape than what they read.

Back ends hold a matrix as the vector of its rows one behind the other, and the values of heads one
behind the other. So an operation needs to be told the numbers of rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnspec.cells.graph import Node, Shape
from rnnspec.cells.sizes import Numbers, extent

SHAPED = frozenset(
    {
        "outer",
        "apply",
        "compose",
        "transpose",
        "sum",
        "rows",
        "columns",
        "concat",
        "slice",
        "every",
        "tile",
    }
)
"""Operations that are told a `layout`, beside functions of whole vectors in cells with heads."""

Layout = tuple[int, ...]


def is_shaped(node: Node) -> bool:
    """Whether an operation needs a layout."""
    return node.op in SHAPED or (node.op in ("softmax", "layer_norm") and len(node.shape) > 1)


def layout(nodes: Sequence[Node], index: int, sizes: Mapping[str, int]) -> Layout:
    """The numbers of an operation on values of `n` heads (1 in cells without heads).

    outer: n, rows, columns of the result. apply, transpose: n, rows, columns of the matrix.
    compose: n, rows and columns of the first, columns of the second. concat: n and both widths.
    slice: n, width, start, stop. every: n, width of the result, stride, start.
    sum, softmax, layer_norm: n, width. columns: n * width, how often. rows, tile: n, how often,
    width.
    """
    node = nodes[index]
    shapes = [nodes[arg].shape for arg in node.args]
    first = shapes[0]
    match node.op:
        case "outer" | "concat":
            return _of(first[:-1], sizes), _last(first, sizes), _last(shapes[1], sizes)
        case "apply" | "transpose":
            return _of(first[:-2], sizes), sizes[first[-2]], sizes[first[-1]]
        case "compose":
            rows, columns = sizes[first[-2]], sizes[first[-1]]
            return _of(first[:-2], sizes), rows, columns, _last(shapes[1], sizes)
        case "columns":
            return _of(first, sizes), _of(node.shape, sizes) // _of(first, sizes)
        case "rows":
            return _of(first[:-1], sizes), sizes[node.shape[-2]], _last(first, sizes)
        case "tile":
            return 1, sizes[node.shape[0]], _of(first, sizes)
        case "slice":
            start = _start(node.name, sizes)
            width = _last(first, sizes)
            return _of(first[:-1], sizes), width, start, start + sizes[node.shape[-1]]
        case "every":
            start, stride = map(int, node.name.split("::"))
            return _of(first[:-1], sizes), sizes[node.shape[-1]], stride, start
        case _:
            return _of(first[:-1], sizes), _last(first, sizes)


def _of(shape: Shape, sizes: Mapping[str, int]) -> int:
    return extent(shape, sizes)


def _last(shape: Shape, sizes: Mapping[str, int]) -> int:
    return sizes[shape[-1]] if shape else 1


def _start(size: str, sizes: Mapping[str, int]) -> int:
    """A size that may be 0."""
    names = {name: number for name, number in sizes.items() if name.isidentifier()}
    return Numbers(names)[f"{size} + 1"] - 1
