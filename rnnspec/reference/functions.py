"""The functions of equations in NumPy, by the formulas of `rnnspec.cells.functions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells import LAYER_NORM_EPSILON

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
}
"""Primitive operations of a cell's graph, on vectors `[width]` and matrices."""

OPERATIONS = {**PRIMITIVES, **FUNCTIONS}
