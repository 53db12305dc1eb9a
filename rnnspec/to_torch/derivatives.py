"""The derivatives of all operations of equations, in one table, for the adjoints of loops.

An entry has a rule for each argument: how its gradient follows from g, the gradient of the value. y
is the value of the operation, v (v0, v1) are its arguments. At a corner the gradient is torch's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnspec.cells import LAYER_NORM_EPSILON

aten = torch.ops.aten
Backward = Callable[..., object]
"""`function(g, *what it reads, out)` writes the gradient of an argument to `out`."""

VALUE = -1
"""Stands for the value of the operation, in place of an argument's number."""


@dataclass(frozen=True, slots=True)
class Same:
    """`g`, or `-g`."""

    sign: int = 1


@dataclass(frozen=True, slots=True)
class Times:
    """`g * v` of the argument with this number, or of the value."""

    factor: int


@dataclass(frozen=True, slots=True)
class Local:
    """`function(g, *read, out)`, of the arguments with these numbers."""

    function: Backward
    reads: tuple[int, ...]


Rule = Same | Times | Local | None
"""None: the argument gets no gradient, as the value does not change with it or it is a constant."""


def _of_torch(backward: Any) -> Backward:
    """torch's own derivative, of the value or of the argument."""

    def function(g: Tensor, read: Tensor, out: Tensor) -> None:
        backward.grad_input(g, read, grad_input=out)

    return function


def _relu(g: Tensor, y: Tensor, out: Tensor) -> None:  # g where y > 0
    aten.threshold_backward.grad_input(g, y, 0, grad_input=out)


def _softplus(g: Tensor, v: Tensor, out: Tensor) -> None:  # g * sigmoid(v)
    torch.mul(g, torch.sigmoid(v), out=out)


def _softsign(g: Tensor, y: Tensor, out: Tensor) -> None:  # 1 / (1 + |v|) is 1 - |y|
    torch.mul(g, (1 - y.abs()).square_(), out=out)


def _elu(g: Tensor, y: Tensor, out: Tensor) -> None:  # 1 where y > 0, else exp(v), that is y + 1
    torch.mul(g, y.clamp(max=0).add_(1), out=out)


def _hard_sigmoid(g: Tensor, y: Tensor, out: Tensor) -> None:  # g / 6 where 0 < y < 1
    torch.mul(g, ((y > 0) & (y < 1)).to(g.dtype).div_(6), out=out)


def _log(g: Tensor, v: Tensor, out: Tensor) -> None:  # g / v
    torch.div(g, v, out=out)


def _sqrt(g: Tensor, y: Tensor, out: Tensor) -> None:  # g / (2 y)
    torch.div(g, 2 * y, out=out)


def _abs(g: Tensor, v: Tensor, out: Tensor) -> None:  # g * sign(v)
    torch.mul(g, v.sgn(), out=out)


def _larger(g: Tensor, v: Tensor, other: Tensor, out: Tensor) -> None:
    """g where v is the larger; half of g where both are equal."""
    torch.mul(g, torch.heaviside(v - other, v.new_tensor(0.5)), out=out)


def _smaller(g: Tensor, v: Tensor, other: Tensor, out: Tensor) -> None:
    _larger(g, -v, -other, out)


def _softmax(g: Tensor, y: Tensor, out: Tensor) -> None:  # y * (g - sum(g * y))
    gy = g * y
    torch.addcmul(gy, y, gy.sum(-1, keepdim=True), value=-1, out=out)


def _layer_norm(g: Tensor, v: Tensor, out: Tensor) -> None:
    """`(g - mean(g) - y * mean(g * y)) / sqrt(var(v) + epsilon)` (Ba et al. 2016, appendix)."""
    width = v.shape[-1:]
    _, mean, scale = aten.native_layer_norm(v, width, None, None, LAYER_NORM_EPSILON)
    only_input = [True, False, False]
    found = aten.native_layer_norm_backward(g, v, width, mean, scale, None, None, only_input)
    out.copy_(found[0])


def _denominator(g: Tensor, v1: Tensor, y: Tensor, out: Tensor) -> None:  # -g * v0 / v1 ** 2
    torch.div(g * -y, v1, out=out)


def _power(g: Tensor, v: Tensor, exponent: Tensor, out: Tensor) -> None:
    """`g * n * v ** (n - 1)`, 0 where n is 0."""
    slope = exponent * torch.pow(v, exponent - 1)
    torch.mul(g, torch.where(exponent == 0, torch.zeros_like(slope), slope), out=out)


def _chosen(g: Tensor, flag: Tensor, out: Tensor) -> None:
    torch.where(flag, g, g.new_zeros(()), out=out)


def _not_chosen(g: Tensor, flag: Tensor, out: Tensor) -> None:
    torch.where(flag, g.new_zeros(()), g, out=out)


def _sin(g: Tensor, v: Tensor, out: Tensor) -> None:  # g * cos(v)
    torch.mul(g, v.cos(), out=out)


def _cos(g: Tensor, v: Tensor, out: Tensor) -> None:  # -g * sin(v)
    torch.mul(g, v.sin().neg_(), out=out)


def _selected(g: Tensor, flag: Tensor, out: Tensor) -> None:
    _chosen(g, flag != 0, out)


def _not_selected(g: Tensor, flag: Tensor, out: Tensor) -> None:
    _not_chosen(g, flag != 0, out)


DERIVATIVES: dict[str, tuple[Rule, ...]] = {
    "add": (Same(), Same()),
    "sub": (Same(), Same(-1)),
    "mul": (Times(1), Times(0)),
    "div": (Local(_log, (1,)), Local(_denominator, (1, VALUE))),
    "neg": (Same(-1),),
    "pow": (Local(_power, (0, 1)), None),
    "copy": (Same(),),
    "less": (None, None),
    "at_most": (None, None),
    "select": (None, Local(_selected, (0,)), Local(_not_selected, (0,))),
    "where": (None, Local(_chosen, (0,)), Local(_not_chosen, (0,))),
    "sigmoid": (Local(_of_torch(aten.sigmoid_backward), (VALUE,)),),
    "tanh": (Local(_of_torch(aten.tanh_backward), (VALUE,)),),
    "relu": (Local(_relu, (VALUE,)),),
    "softplus": (Local(_softplus, (0,)),),
    "softsign": (Local(_softsign, (VALUE,)),),
    "elu": (Local(_elu, (VALUE,)),),
    "silu": (Local(_of_torch(aten.silu_backward), (0,)),),
    "gelu": (Local(_of_torch(aten.gelu_backward), (0,)),),
    "hard_sigmoid": (Local(_hard_sigmoid, (VALUE,)),),
    "exp": (Times(VALUE),),
    "log": (Local(_log, (0,)),),
    "sqrt": (Local(_sqrt, (VALUE,)),),
    "sin": (Local(_sin, (0,)),),
    "cos": (Local(_cos, (0,)),),
    "floor": (None,),
    "abs": (Local(_abs, (0,)),),
    "max": (Local(_larger, (0, 1)), Local(_larger, (1, 0))),
    "min": (Local(_smaller, (0, 1)), Local(_smaller, (1, 0))),
    "softmax": (Local(_softmax, (VALUE,)),),
    "layer_norm": (Local(_layer_norm, (0,)),),
}
"""Operation to the rules of its arguments. `matmul`, `scan` and the operations of
`rnnspec.to_torch.structural` have derivatives of their own."""


def of_activation(function: str) -> Backward:
    """`backward(g, y, out)` of a function whose derivative follows from its value.

    `out` may be `g` itself: all of these are element-wise.
    """
    (rule,) = DERIVATIVES[function]
    if isinstance(rule, Times):
        return lambda g, y, out: torch.mul(g, y, out=out)
    assert isinstance(rule, Local) and rule.reads == (VALUE,)
    return rule.function
