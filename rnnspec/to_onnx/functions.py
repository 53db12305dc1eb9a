"""Functions and primitive operations of equations as ONNX operators.

The error of onnxruntime's Sigmoid is 1e-7 whatever the value: ln sigmoid(-14) is off by 0.07, and
sigmoid(v) is 0 from v = -18 on. That of its Elu is 6e-8, of values near 0 too. Its Tanh, Softplus,
Exp, Softmax and LogSoftmax are right to a few digits of float32 of the value itself. What a
logarithm or a quotient is taken of is made of those. Gelu loses the digits of its left tail, as
torch's does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rnnspec.cells import LAYER_NORM_EPSILON
from rnnspec.to_onnx.emitter import BOOL, FLOAT, Attribute, Emitter
from rnnspec.to_onnx.rewrite import CENTRED_NORM, SCALED_CENTRED_NORM, SCALED_NORM, SMALL_SIGMOID

LOG_ZERO = -1e30
"""Stands for the logarithm of 0: the difference of two -inf is NaN."""
Lower = Callable[[Emitter, Sequence[str], str, int], str]
"""`(emit, arguments, name, width)` to the result, called `name`; values are `[…, width]`."""


def precise_sigmoid(emit: Emitter, value: str, name: str) -> str:
    """sigmoid(v) = exp(min(v, 0)) sigmoid(|v|), right to the last digits however small."""
    size = emit.op("Abs", [value], f"{name}.size")
    upper = emit.op("Sigmoid", [size], f"{name}.upper")
    below = emit.op("Min", [value, emit.number(0.0)], f"{name}.below")
    share = emit.op("Exp", [below], f"{name}.share")
    return emit.op("Mul", [share, upper], name)


def log_sigmoid(emit: Emitter, value: str, name: str) -> str:
    """ln sigmoid(v) = -softplus(-v)."""
    opposite = emit.op("Neg", [value], f"{name}.opposite")
    soft = emit.op("Softplus", [opposite], f"{name}.softplus")
    return emit.op("Neg", [soft], f"{name}.log")


def log_add_exp(emit: Emitter, a: str, b: str, name: str) -> str:
    """ln(exp(a) + exp(b)) = max(a, b) + softplus(-|a - b|); one of both may be -inf."""
    larger = emit.op("Max", [a, b], f"{name}.larger")
    distance = emit.op("Abs", [emit.op("Sub", [a, b], f"{name}.between")], f"{name}.gap")
    soft = emit.op("Softplus", [emit.op("Neg", [distance], f"{name}.below")], f"{name}.softplus")
    return emit.op("Add", [larger, soft], name)


def _operator(kind: str, **attributes: Attribute) -> Lower:
    def lower(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
        return emit.op(kind, arguments, name, **attributes)

    return lower


def _silu(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    (v,) = arguments  # a key of a delta rule is divided by its own length
    return emit.op("Mul", [v, precise_sigmoid(emit, v, f"{name}.gate")], name)


def _elu(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    """max(v, 0) + expm1(u) with u = min(v, 0) and expm1(u) = tanh(u / 2) (exp(u) + 1)."""
    (v,) = arguments
    above = emit.op("Relu", [v], f"{name}.above")
    below = emit.op("Min", [v, emit.number(0.0)], f"{name}.below")
    half = emit.op("Mul", [below, emit.number(0.5)], f"{name}.half")
    turned = emit.op("Tanh", [half], f"{name}.tanh")
    power = emit.op("Exp", [below], f"{name}.exp")
    more = emit.op("Add", [power, emit.number(1.0)], f"{name}.more")
    return emit.op("Add", [above, emit.op("Mul", [turned, more], f"{name}.expm1")], name)


def _layer_norm(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    (v,) = arguments
    gain = emit.constant(np.ones(width, np.float32), f"ones.{width}")
    return normalized(emit, centred(emit, v, name), [gain], name, width)


def centred(emit: Emitter, v: str, name: str) -> str:
    """`v - mean(v)` over the last axis."""
    mean = emit.reduce("ReduceMean", v, -1, f"{name}.mean", keep=True)
    return emit.op("Sub", [v, mean], f"{name}.centred")


def normalized(emit: Emitter, v: str, parameters: Sequence[str], name: str, width: int) -> str:
    """`v / sqrt(mean(v^2) + 1e-5) * scale + shift` of a centred v.

    `parameters` are the scale, which older runtimes want to be as wide as v, and the shift, if any.
    v must be centred before: onnxruntime takes the variance as mean(v^2) - mean(v)^2, which is
    wrong in the third digit where the mean is a hundred times the deviation. Older runtimes refuse
    a width of 1, where the centred v is 0.
    """
    if width > 1:
        inputs = [v, *parameters]
        return emit.op("LayerNormalization", inputs, name, axis=-1, epsilon=LAYER_NORM_EPSILON)
    return emit.op("Add", [v, parameters[1]], name) if len(parameters) > 1 else v


def _centred_layer_norm(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    gain = emit.constant(np.ones(width, np.float32), f"ones.{width}")
    return normalized(emit, arguments[0], [gain], name, width)


def _scaled_layer_norm(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    v, *parameters = arguments
    return normalized(emit, centred(emit, v, name), parameters, name, width)


def _scaled_centred(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    v, *parameters = arguments
    return normalized(emit, v, parameters, name, width)


def _comparison(kind: str) -> Lower:
    def lower(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
        return emit.op("Cast", [emit.op(kind, arguments, f"{name}.holds")], name, to=FLOAT)

    return lower


def _select(emit: Emitter, arguments: Sequence[str], name: str, width: int) -> str:
    flag, one, other = arguments
    return emit.op("Where", [emit.op("Cast", [flag], f"{name}.flag", to=BOOL), one, other], name)


FUNCTIONS: Mapping[str, Lower] = {
    "sigmoid": _operator("Sigmoid"),
    "tanh": _operator("Tanh"),
    "relu": _operator("Relu"),
    "softplus": _operator("Softplus"),
    "softsign": _operator("Softsign"),
    "elu": _elu,
    "silu": _silu,
    "gelu": _operator("Gelu", approximate="none"),
    "hard_sigmoid": _operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    "exp": _operator("Exp"),
    "log": _operator("Log"),
    "sqrt": _operator("Sqrt"),
    "abs": _operator("Abs"),
    "sin": _operator("Sin"),
    "cos": _operator("Cos"),
    "floor": _operator("Floor"),
    "max": _operator("Max"),
    "min": _operator("Min"),
    "softmax": _operator("Softmax", axis=-1),
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
    "less": _comparison("Less"),
    "at_most": _comparison("LessOrEqual"),
    "select": _select,
}
"""One entry for each primitive of a cell's graph that works element by element."""


def operation(emit: Emitter, op: str, arguments: Sequence[str], name: str, width: int) -> str:
    """An operation of a rewritten cell's graph that is no matrix product."""
    lower = _REWRITTEN.get(op) or PRIMITIVES.get(op) or FUNCTIONS[op]
    return lower(emit, arguments, name, width)


_REWRITTEN: Mapping[str, Lower] = {
    "copy": _operator("Identity"),
    CENTRED_NORM: _centred_layer_norm,
    SCALED_NORM: _scaled_layer_norm,
    SCALED_CENTRED_NORM: _scaled_centred,
    SMALL_SIGMOID: lambda emit, arguments, name, width: precise_sigmoid(emit, arguments[0], name),
}
"""Operations that stand in rewritten cells only."""
