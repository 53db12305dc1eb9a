"""v · tanh(q + k) for each query and each step: the score of additive attention and its kin."""

from __future__ import annotations

import torch
from torch import Tensor


def energy(query: Tensor, keys: Tensor, v: Tensor, extra: Tensor | None = None) -> Tensor:
    """`[B, N, T]` of queries `[B, N, units]`, keys `[B, T, units]` and v `[units]`.

    `extra` `[B, N, T, units]` is added inside the tanh.
    """
    if extra is not None:
        return torch.tanh(query[:, :, None] + keys[:, None] + extra) @ v
    found: Tensor = _Energy.apply(query, keys, v)  # type: ignore[no-untyped-call]
    return found


class _Energy(torch.autograd.Function):
    """Keeps the tanh alone, the one tensor of B · N · T · units numbers that the gradient needs."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, query: Tensor, keys: Tensor, v: Tensor
    ) -> Tensor:
        hidden = (query[:, :, None] + keys[:, None]).tanh_()
        ctx.save_for_backward(hidden, v)
        return hidden @ v

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        hidden, v = ctx.saved_tensors  # type: ignore[attr-defined]
        of_v = gradient.flatten() @ hidden.flatten(0, -2)
        inner = torch.addcmul(gradient[..., None], hidden.square(), gradient[..., None], value=-1)
        return inner.sum(2) * v, inner.sum(1) * v, of_v
