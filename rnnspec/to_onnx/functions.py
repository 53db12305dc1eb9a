"""Functions and primitive operations of equations as ONNX operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rnnspec.cells import LAYER_NORM_EPSILON
from rnnspec.to_onnx.emitter import NO_ATTRIBUTES, Attributes, Emitter

Lower = Callable[[Emitter, Sequence[str], str, int], str]
"""`(emit, arguments, name, width)` to the result, called `name`; values are `[…, width]`."""


def _operator(kind: str, attributes: Attributes = NO_ATTRIBUTES) -> Lower:
    def lower(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
        return emit.op(kind, arguments, name, attributes)

    return lower


def _silu(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    (v,) = arguments
    return emit.op("Mul", [v, emit.op("Sigmoid", [v], f"{name}.gate")], name)


def _layer_norm(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    """The operator wants a gain; older runtimes refuse one of another width."""
    gain = emit.constant(np.ones(width, np.float32), f"ones.{width}")
    attributes = {"axis": -1, "epsilon": LAYER_NORM_EPSILON}
    return emit.op("LayerNormalization", [*arguments, gain], name, attributes)


FUNCTIONS: Mapping[str, Lower] = {
    "sigmoid": _operator("Sigmoid"),
    "tanh": _operator("Tanh"),
    "relu": _operator("Relu"),
    "softplus": _operator("Softplus"),
    "softsign": _operator("Softsign"),
    "elu": _operator("Elu", {"alpha": 1.0}),
    "silu": _silu,
    "gelu": _operator("Gelu", {"approximate": "none"}),
    "hard_sigmoid": _operator("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "exp": _operator("Exp"),
    "log": _operator("Log"),
    "sqrt": _operator("Sqrt"),
    "abs": _operator("Abs"),
    "max": _operator("Max"),
    "min": _operator("Min"),
    "softmax": _operator("Softmax", {"axis": -1}),
    "layer_norm": _layer_norm,
}
"""One entry for each function of `rnnspec.cells.FUNCTIONS`."""

PRIMITIVES: Mapping[str, Lower] = {
    "add": _operator("Add"),
    "sub": _operator("Sub"),
    "mul": _operator("Mul"),
    "div": _operator("Div"),
    "neg": _operator("Neg"),
    "pow": _operator("Pow"),
}
"""One entry for each primitive of a cell's graph that works element by element."""


def operation(emit: Emitter, op: str, arguments: Sequence[str], name: str, width: int) -> str:
    """An operation of a cell's graph that is no matrix product."""
    if op == "copy":
        return emit.op("Identity", arguments, name)
    lower = PRIMITIVES.get(op) or FUNCTIONS[op]
    return lower(emit, arguments, name, width)
