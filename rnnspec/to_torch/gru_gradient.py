"""The steps of a GRU with a gradient of their own, for training on a CPU.

torch's kernel answers as fast, but its way back records every operation of every step and adds the
weights' gradients up step by step. Forward and back, of torch's time, one thread, units as wide as
the input: 0.45 (B=1, T=20, H=64), 0.61 (32, 20, 64), 0.72 (32, 100, 128), 0.82 (32, 50, 256).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_aten = torch.ops.aten

LEAST_STEPS = 4
"""Below, torch's kernel takes less time (of two steps 0.93 of it, of five 1.09)."""


def is_faster(steps: Tensor) -> bool:
    """Whether `gru_steps` takes the place of torch's kernel: on a CPU, for a gradient, of numbers
    that are not mixed with narrower ones."""
    return (
        torch.is_grad_enabled()
        and len(steps) >= LEAST_STEPS
        and steps.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


def gru_steps(steps: Tensor, before: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """States after each step `[T, B, H]` and after the last, from `steps` `[T, B, I]`, T at least
    1, and the state `before` `[B, H]`.

    `weights` and equations are those of `torch.nn.GRU`: W `[3H, I]`, U `[3H, H]`, b and c `[3H]`,
    the rows of r first, then z, then n.
    """
    found: tuple[Tensor, Tensor] = _GRU.apply(steps, before, *weights)  # type: ignore[no-untyped-call]
    return found


class _GRU(torch.autograd.Function):
    """`gru_steps`.

    The way back is linear in g, the gradient of a step's state: with m = U_n h' + c_n, where h' is
    the state before the step, the gradients of what the three gates' functions read are

        n: a g           a = (1 - z) (1 - n^2)
        z: (h' - n) z (1 - z) g
        r: a m r (1 - r) g
        m: a r g

    so that the factors of g are computed for all steps at once, and each step is one product by
    them, one by U and a sum. The gradients of all weights are products over all steps.
    """

    @staticmethod
    def forward(
        ctx: Any, steps: Tensor, before: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor]:
        length, rows, _ = steps.shape
        units = before.shape[1]
        gates = torch.addmm(b, steps.reshape(length * rows, -1), w.t()).view(length, rows, -1)
        products = torch.empty_like(gates).copy_(c)
        states = steps.new_empty(length + 1, rows, units)
        states[0] = before
        turned = u.t().contiguous()
        of_rz, of_m = products.split([2 * units, units], dim=-1)
        rz, n = gates.split([2 * units, units], dim=-1)
        r, z = rz.split(units, dim=-1)
        each = (products, of_rz, of_m, rz, r, z, n, states[:-1], states[1:])
        for product, to_rz, m, rz_, r_, z_, n_, h, after in zip(
            *(value.unbind(0) for value in each), strict=True
        ):
            product.addmm_(h, turned)
            rz_.add_(to_rz).sigmoid_()
            n_.addcmul_(r_, m).tanh_()
            torch.lerp(n_, h, z_, out=after)
        ctx.save_for_backward(steps, w, u, states, gates, of_m)
        ctx.set_materialize_grads(False)
        return states[1:], states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None, last: Tensor | None) -> tuple[Any, ...]:
        steps, w, u, states, gates, m = ctx.saved_tensors
        length, rows, units = states.shape[0] - 1, states.shape[1], states.shape[2]
        if gradient is None:
            gradient = states.new_zeros(()).expand(length, rows, units)
        r, z, n = gates.split(units, dim=-1)
        of_n, factors = _factors(states[:-1], r, z, n, m)
        found = torch.empty_like(gates)  # of the products by U
        of_states = _back(gradient, last, z, factors, found, u)
        of_before = torch.addcmul(found[0] @ u, of_states[0], z[0])
        flat = found.view(length * rows, -1)
        of_u = flat.t() @ states[:-1].reshape(length * rows, units)
        of_c = flat.sum(0)
        # The products by W are added where those by U are, but for n, to which m comes times r.
        columns = found[..., 2 * units :]
        torch.mul(of_states, of_n, out=columns)
        of_b = torch.cat([of_c[: 2 * units], columns.sum((0, 1))])
        of_w = flat.t() @ steps.reshape(length * rows, -1)
        of_steps = (flat @ w).view_as(steps) if ctx.needs_input_grad[0] else None
        return of_steps, of_before, of_w, of_u, of_b, of_c


def _factors(h: Tensor, r: Tensor, z: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """What g is multiplied by: a `[T, B, H]`, and of r, z and m, `[3, T, B, H]`."""
    a = torch.sub(1, z)
    _aten.tanh_backward.grad_input(a, n, grad_input=a)
    factors = a.new_empty(3, *a.shape)
    of_r, of_z, of_m = factors
    torch.mul(a, m, out=of_r)
    _aten.sigmoid_backward.grad_input(of_r, r, grad_input=of_r)
    torch.sub(h, n, out=of_z)
    _aten.sigmoid_backward.grad_input(of_z, z, grad_input=of_z)
    torch.mul(a, r, out=of_m)
    return a, factors


def _back(
    gradient: Tensor, last: Tensor | None, z: Tensor, factors: Tensor, found: Tensor, u: Tensor
) -> Tensor:
    """The gradient of each step's state `[T, B, H]`; writes that of its products to `found`."""
    of_states = torch.empty_like(factors[0])
    each = (of_states, gradient, factors.permute(1, 2, 0, 3), found, found.unflatten(-1, (3, -1)))
    later: tuple[Tensor, Tensor, Tensor] | None = None
    for now, told, factor, product, parts, z_ in zip(
        *(value.unbind(0)[::-1] for value in (*each, z)), strict=True
    ):
        if later is not None:
            torch.addcmul(told, later[0], later[1], out=now)
            now.addmm_(later[2], u)
        elif last is not None:
            torch.add(told, last, out=now)
        else:
            now.copy_(told)
        torch.mul(now.unsqueeze(1), factor, out=parts)
        later = (now, z_, product)
    return of_states
