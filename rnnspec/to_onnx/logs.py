"""Small probabilities: onnxruntime's Sigmoid has absolute precision only.

Its error is 1e-7 whatever the value: ln sigmoid(-14) is off by 0.07, and from -18 on it is 0. Its
Softplus, Exp, Softmax and LogSoftmax are right to a few digits of float32 of the value itself. What
a logarithm or a quotient is taken of is made of those.
"""

from __future__ import annotations

from rnnspec.to_onnx.emitter import Emitter

NEVER = -1e30
"""Stands for the logarithm of 0: of two -inf the difference is no number."""


def sigmoid(emit: Emitter, value: str, name: str) -> str:
    """sigmoid(v) = exp(min(v, 0)) sigmoid(|v|), right to the last digits however small."""
    size = emit.op("Abs", [value], f"{name}.size")
    half = emit.op("Sigmoid", [size], f"{name}.upper")
    below = emit.op("Min", [value, emit.number(0.0)], f"{name}.below")
    share = emit.op("Exp", [below], f"{name}.share")
    return emit.op("Mul", [share, half], name)


def log_sigmoid(emit: Emitter, value: str, name: str) -> str:
    """ln sigmoid(v) = -softplus(-v)."""
    opposite = emit.op("Neg", [value], f"{name}.opposite")
    soft = emit.op("Softplus", [opposite], f"{name}.softplus")
    return emit.op("Neg", [soft], f"{name}.log")


def added(emit: Emitter, one: str, other: str, name: str) -> str:
    """ln(exp(a) + exp(b)) = max(a, b) + softplus(-|a - b|); one of both may be -inf."""
    larger = emit.op("Max", [one, other], f"{name}.larger")
    between = emit.op("Abs", [emit.op("Sub", [one, other], f"{name}.between")], f"{name}.gap")
    soft = emit.op("Softplus", [emit.op("Neg", [between], f"{name}.below")], f"{name}.softplus")
    return emit.op("Add", [larger, soft], name)
