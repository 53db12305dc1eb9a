"""One step of a GRU in a loop that gathers the gradients of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnspec.to_torch.gathered import Gathered, Pairs

_aten = torch.ops.aten


def gru_step(loop: Gathered, step: Tensor, before: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """The state `[B, H]` after `step` `[B, I]` and the state `before` it, by the `weights` and
    equations of `rnnspec.to_torch.gru_gradient.gru_steps`."""
    w, u, b, c = weights
    outer, inner = loop.weight(w, b), loop.weight(u, c)
    given = (step, before, *outer.tensors, *inner.tensors)
    found: Tensor = _Step.apply((outer.pairs, inner.pairs), *given)  # type: ignore[no-untyped-call]
    return found


class _Step(torch.autograd.Function):
    """`gru_step`; m = U_n h + c_n, where h is the state before the step."""

    @staticmethod
    def forward(
        ctx: Any,
        pairs: tuple[Pairs, Pairs],
        step: Tensor,
        before: Tensor,
        w: Tensor,
        b: Tensor,
        u: Tensor,
        c: Tensor,
    ) -> Tensor:
        units = before.shape[1]
        gates, inner = torch.addmm(b, step, w.t()), torch.addmm(c, before, u.t())
        gates[:, : 2 * units].add_(inner[:, : 2 * units]).sigmoid_()
        r, z, n = gates.split(units, dim=1)
        m = inner[:, 2 * units :]
        n.addcmul_(r, m).tanh_()
        ctx.save_for_backward(step, before, w, u, gates, m)
        ctx.pairs = pairs
        return torch.lerp(n, before, z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        step, before, w, u, gates, m = ctx.saved_tensors
        units = before.shape[1]
        r, z, n = gates.split(units, dim=1)
        outer = torch.empty_like(gates)  # of the products with W
        of_r, of_z, of_n = outer.split(units, dim=1)
        torch.addcmul(gradient, gradient, z, value=-1, out=of_n)
        _aten.tanh_backward.grad_input(of_n, n, grad_input=of_n)
        torch.sub(before, n, out=of_z).mul_(gradient)
        _aten.sigmoid_backward.grad_input(of_z, z, grad_input=of_z)
        torch.mul(of_n, m, out=of_r)
        _aten.sigmoid_backward.grad_input(of_r, r, grad_input=of_r)
        inner = outer.clone()  # of those with U
        inner[:, 2 * units :].mul_(r)
        ctx.pairs[0].add(outer, step)
        ctx.pairs[1].add(inner, before)
        below = outer @ w if ctx.needs_input_grad[1] else None
        return None, below, torch.addcmul(inner @ u, gradient, z), *(None,) * 4
