"""The functions and primitive operations of equations in torch, on tensors `[..., width]`.

Each takes `out` as torch's own operations do: a tensor for the result, or None for a new one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.cells import LAYER_NORM_EPSILON

Operation = Callable[..., Tensor]


def _with_out(function: Operation) -> Operation:
    """Adds `out` to a function of torch that has none."""

    def into(*args: Tensor, out: Tensor | None = None) -> Tensor:
        value = function(*args)
        return value if out is None else out.copy_(value)

    return into


def _copy(value: Tensor, out: Tensor | None = None) -> Tensor:
    return value if out is None else out.copy_(value)


def _relu(value: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.relu(value) if out is None else torch.clamp_min(value, 0.0, out=out)


def _hard_sigmoid(value: Tensor) -> Tensor:
    """torch's own has a float32 1/6 in its gradient, even for float64."""
    return F.hardtanh(value.div(6).add_(0.5), 0.0, 1.0)


FUNCTIONS: dict[str, Operation] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": _relu,
    "softplus": _with_out(F.softplus),
    "softsign": _with_out(F.softsign),
    "elu": _with_out(F.elu),
    "silu": _with_out(F.silu),
    "gelu": _with_out(F.gelu),
    "hard_sigmoid": _with_out(_hard_sigmoid),
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "floor": torch.floor,
    "max": torch.maximum,
    "min": torch.minimum,
    "softmax": _with_out(lambda v: torch.softmax(v, dim=-1)),
    "layer_norm": _with_out(lambda v: F.layer_norm(v, v.shape[-1:], eps=LAYER_NORM_EPSILON)),
}
"""Name of a function to its implementation."""

PRIMITIVES: dict[str, Operation] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "pow": torch.pow,
    "copy": _copy,
    "where": torch.where,
    "less": _with_out(lambda v, w: torch.lt(v, w).to(v.dtype)),
    "at_most": _with_out(lambda v, w: torch.le(v, w).to(v.dtype)),
    "select": _with_out(lambda flag, v, w: torch.where(flag != 0, v, w)),
}
"""Primitive operations except `matmul`, which is computed in joined products, and `scan`."""

OPERATIONS: dict[str, Operation] = {**PRIMITIVES, **FUNCTIONS}
