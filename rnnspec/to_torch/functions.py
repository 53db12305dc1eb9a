"""The functions and primitive operations of equations in torch, on tensors `[..., width]`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.cells import LAYER_NORM_EPSILON

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "elu": F.elu,
    "silu": F.silu,
    "gelu": F.gelu,
    "hard_sigmoid": F.hardsigmoid,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "max": torch.maximum,
    "min": torch.minimum,
    "softmax": lambda v: torch.softmax(v, dim=-1),
    "layer_norm": lambda v: F.layer_norm(v, v.shape[-1:], eps=LAYER_NORM_EPSILON),
}
"""Name of a function to its implementation."""

PRIMITIVES: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "pow": torch.pow,
}
"""Primitive operations but for `matmul`, which is computed in joined products."""
