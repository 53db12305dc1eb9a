"""The functions of equations in NumPy, by the formulas of `rnnspec.cells.functions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells import LAYER_NORM_EPSILON
from rnnspec.cells.heads import BLOCKS, HEADS

Array = NDArray[np.float64]
Arrays = Mapping[str, Array]


def sigmoid(v: Array) -> Array:
    """1 / (1 + exp(-v)), without overflow for large negative v."""
    small = np.exp(-np.abs(v))
    return np.asarray(np.where(v >= 0, 1 / (1 + small), small / (1 + small)))


def softmax(v: Array) -> Array:
    """exp(v) / sum(exp(v)) along the last axis."""
    weights = np.exp(v - v.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def log_sigmoid(v: Array) -> Array:
    """The logarithm of `sigmoid`, finite also where the sigmoid is rounded to 0."""
    return np.asarray(-np.logaddexp(0, -v))


def log_softmax(v: Array) -> Array:
    """The logarithm of `softmax`, finite also where the softmax is rounded to 0."""
    shifted = v - v.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def layer_norm(v: Array) -> Array:
    """(v - mean) / sqrt(variance + epsilon) along the last axis."""
    centred = v - v.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + LAYER_NORM_EPSILON))


def gelu(v: Array) -> Array:
    """v * P(X <= v) for a standard normal X."""
    erf_of = np.vectorize(erf, otypes=[np.float64])
    return np.asarray(v * 0.5 * (1 + erf_of(v / sqrt(2))))


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0),
    "softplus": lambda v: np.logaddexp(0, v),
    "softsign": lambda v: v / (1 + np.abs(v)),
    "elu": lambda v: np.asarray(np.where(v > 0, v, np.expm1(np.minimum(v, 0)))),
    "silu": lambda v: v * sigmoid(v),
    "gelu": gelu,
    "hard_sigmoid": lambda v: np.clip(v / 6 + 0.5, 0, 1),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "max": np.maximum,
    "min": np.minimum,
    "softmax": softmax,
    "layer_norm": layer_norm,
}
"""Name of a function to its implementation on arrays `[..., width]`."""

PRIMITIVES: dict[str, Callable[..., Array]] = {
    "matmul": np.matmul,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "pow": np.power,
    "less": lambda v, w: np.asarray(v < w, np.float64),
    "at_most": lambda v, w: np.asarray(v <= w, np.float64),
    "select": lambda flag, v, w: np.asarray(np.where(flag != 0, v, w)),
}
"""Primitive operations of a cell's graph, on vectors `[width]` and matrices."""

STRUCTURAL: dict[str, Callable[..., Array]] = {
    "outer": np.outer,
    "apply": np.matmul,
    "compose": np.matmul,
    "transpose": np.transpose,
    "sum": np.sum,
    "concat": lambda v, w: np.concatenate([v, w]),
}
"""Operations on vectors `[width]` and matrices `[rows, columns]` whose value has another shape."""


def flat(op: str, layout: tuple[int, ...], *args: Array) -> Array:
    """An operation of `rnnspec.cells.layout` on values `[..., elements]`, or of single numbers."""
    values = [np.atleast_1d(arg) for arg in args]
    n, *dims = layout

    def cut(value: Array, *extents: int) -> Array:
        return value.reshape(*value.shape[:-1], *extents)

    found = _flat(op, n, dims, values, cut)
    axes = max(value.ndim for value in values)
    whole = found.reshape(*found.shape[: axes - 1], -1)
    single = whole.shape[-1] == 1 and op == "sum" and all(np.ndim(arg) < 2 for arg in args)
    return np.asarray(whole[..., 0] if single else whole)


def _flat(
    op: str, n: int, dims: list[int], values: list[Array], cut: Callable[..., Array]
) -> Array:
    v, w = values[0], values[-1]
    match op:
        case "outer":
            a, b = dims
            return np.asarray(cut(v, n, a, 1) * cut(w, n, 1, b))
        case "apply":
            a, b = dims
            return np.asarray(cut(v, n, a, b) @ cut(w, n, b, 1))
        case "compose":
            a, b, c = dims
            return np.asarray(cut(v, n, a, b) @ cut(w, n, b, c))
        case "transpose":
            return np.swapaxes(cut(v, n, *dims), -1, -2)
        case "sum":
            return np.asarray(cut(v, n, *dims).sum(-1))
        case "columns":
            return np.repeat(cut(v, n, 1), dims[0], axis=-1)
        case "rows" | "tile":
            m, b = dims
            return np.repeat(cut(v, n, 1, b), m, axis=-2)
        case "concat":
            a, b = dims
            return np.concatenate([cut(v, n, a), cut(w, n, b)], axis=-1)
        case "slice":
            width, start, stop = dims
            return cut(v, n, width)[..., start:stop]
        case "every":
            width, stride, start = dims
            return cut(v, n, width, stride)[..., start]
        case _:
            return FUNCTIONS[op](cut(v, n, *dims))


OPERATIONS = {**PRIMITIVES, **STRUCTURAL, **FUNCTIONS}


def block_diagonal(matrix: NDArray[np.floating], heads: int) -> NDArray[np.floating]:
    """The matrix of blocks that `matrix` has one below the other."""
    rows, columns = len(matrix) // heads, matrix.shape[1]
    whole = np.zeros((len(matrix), columns * heads), matrix.dtype)
    for head in range(heads):
        part = slice(head * rows, (head + 1) * rows)
        whole[part, head * columns : (head + 1) * columns] = matrix[part]
    return whole


def applied(
    parameters: Mapping[str, NDArray[np.floating]], name: str, sizes: Mapping[str, int]
) -> NDArray[np.floating]:
    """A parameter as products use it, by its name in them."""
    matrix = parameters[name.removesuffix(BLOCKS)]
    return block_diagonal(matrix, sizes[HEADS]) if name.endswith(BLOCKS) else matrix
