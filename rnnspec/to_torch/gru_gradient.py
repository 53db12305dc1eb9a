"""The steps of a GRU with a gradient of their own, for training on a CPU.

torch's kernel is as fast forward, but its backward pass records every operation of every step and
accumulates the weights' gradients step by step. Forward and backward take this share of torch's
time, on one thread, with as many units as inputs: 0.45 (B=1, T=20, H=64), 0.61 (32, 20, 64), 0.72
(32, 100, 128), 0.82 (32, 50, 256).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnspec.to_torch.sequences import LookedUp

_aten = torch.ops.aten

LEAST_STEPS = 4
"""With fewer steps torch's kernel is faster: it takes 0.93 of the time at two, 1.09 at five."""


def is_faster(steps: Tensor) -> bool:
    """Whether `gru_steps` replaces torch's kernel: on a CPU, if a gradient is needed, without mixed
    precision."""
    return (
        torch.is_grad_enabled()
        and len(steps) >= LEAST_STEPS
        and steps.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


def gru_steps(
    steps: Tensor, before: Tensor, weights: Sequence[Tensor], looked_up: LookedUp | None = None
) -> tuple[Tensor, Tensor]:
    """States after each step `[T, B, H]` and after the last, from `steps` `[T, B, I]`, T at least
    1, and the state `before` `[B, H]`; `looked_up`: the same steps.

    `weights` and equations are those of `torch.nn.GRU`: W `[3H, I]`, U `[3H, H]`, b and c `[3H]`,
    the rows of r first, then z, then n.
    """
    numbers = None
    if looked_up is not None and looked_up.repeat:
        steps, numbers = looked_up.rows(), looked_up.numbers.reshape(-1)
    found: tuple[Tensor, Tensor] = _GRU.apply(steps, before, *weights, numbers)  # type: ignore[no-untyped-call]
    return found


class _GRU(torch.autograd.Function):
    """`gru_steps`.

    The backward pass is linear in g, the gradient of a step's state. With m = U_n h' + c_n, where
    h' is the state before the step, the gradients of the pre-activations and of m are

        n: a g           a = (1 - z) (1 - n^2)
        z: (h' - n) z (1 - z) g
        r: a m r (1 - r) g
        m: a r g

    The factors of g are computed for all steps at once; each step is then one product with them,
    one with U, and a sum. The gradients of all weights are products over all steps.

    With `numbers` `[T * B]` of steps, `steps` are the rows of a table `[size, I]`: W is multiplied
    with these, and the gradients of all steps of a row are added up before they are.

    tanh(x) is 2 sigmoid(2 x) - 1, which takes a third of the time: off by an ulp of 1 at most. All
    that makes n is twice as large for that, and exact, since 2 is.
    """

    @staticmethod
    def forward(
        ctx: Any,
        steps: Tensor,
        before: Tensor,
        w: Tensor,
        u: Tensor,
        b: Tensor,
        c: Tensor,
        numbers: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        rows, units = before.shape
        flat, two = steps.reshape(-1, steps.shape[-1]), 2 * units
        # Holds r, z and m: the product with U is added to what is known before it, in one call.
        known = steps.new_empty(len(flat), 3 * units)
        torch.addmm(b[:two] + c[:two], flat, w[:two].t(), out=known[:, :two])
        known[:, two:] = c[two:]
        candidates = torch.addmm(b[two:], flat, w[two:].t(), beta=2, alpha=2)
        if numbers is not None:
            known, candidates = (v.index_select(0, numbers) for v in (known, candidates))
        length = len(known) // rows
        gates, candidates = (v.view(length, rows, -1) for v in (known, candidates))
        states = steps.new_empty(length + 1, rows, units)
        states[0] = before
        transposed = u.t().contiguous()
        rz, m = gates.split([two, units], dim=-1)
        each = (gates, rz, *rz.split(units, dim=-1), m, candidates, states[:-1], states[1:])
        below = steps.new_tensor(-1.0)
        for gate, rz_, r, z, m_, n, h, after in zip(*(v.unbind(0) for v in each), strict=True):
            gate.addmm_(h, transposed)
            rz_.sigmoid_()
            n.addcmul_(r, m_, value=2).sigmoid_()
            torch.add(below, n, alpha=2, out=n)
            torch.lerp(n, h, z, out=after)
        ctx.save_for_backward(steps, w, u, states, gates, candidates, numbers)
        ctx.set_materialize_grads(False)
        return states[1:], states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None, last: Tensor | None) -> tuple[Any, ...]:
        steps, w, u, states, gates, n, numbers = ctx.saved_tensors
        length, rows, units = states.shape[0] - 1, states.shape[1], states.shape[2]
        if gradient is None:
            gradient = states.new_zeros(()).expand(length, rows, units)
        r, z, m = gates.split(units, dim=-1)
        a, factors = _factors(states[:-1], r, z, n, m)
        grads = torch.empty_like(gates)  # of the products with U
        grad_states = _back(gradient, last, z, factors, grads, u)
        grad_before = torch.addcmul(grads[0] @ u, grad_states[0], z[0])
        flat = grads.view(length * rows, -1)
        grad_u = flat.t() @ states[:-1].reshape(length * rows, units)
        grad_c = flat.sum(0)
        # The products with W have the same gradients, except for n, where m is multiplied by r.
        columns = grads[..., 2 * units :]
        torch.mul(grad_states, a, out=columns)
        grad_b = torch.cat([grad_c[: 2 * units], columns.sum((0, 1))])
        if numbers is not None:
            flat = flat.new_zeros(len(steps), 3 * units).index_add_(0, numbers, flat)
        grad_w = flat.t() @ steps.reshape(len(flat), -1)
        grad_steps = (flat @ w).view_as(steps) if ctx.needs_input_grad[0] else None
        return grad_steps, grad_before, grad_w, grad_u, grad_b, grad_c, None


def _factors(h: Tensor, r: Tensor, z: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of g: a `[T, B, H]`, and for r, z and m `[3, T, B, H]`."""
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
    gradient: Tensor, last: Tensor | None, z: Tensor, factors: Tensor, grads: Tensor, u: Tensor
) -> Tensor:
    """The gradient of each step's state `[T, B, H]`; writes those of its products to `grads`."""
    grad_states = torch.empty_like(factors[0])
    each = (grad_states, gradient, factors.permute(1, 2, 0, 3), grads, grads.unflatten(-1, (3, -1)))
    later: tuple[Tensor, Tensor, Tensor] | None = None
    for now, given, factor, product, parts, z_ in zip(
        *(value.unbind(0)[::-1] for value in (*each, z)), strict=True
    ):
        if later is not None:
            torch.addcmul(given, later[0], later[1], out=now)
            now.addmm_(later[2], u)
        elif last is not None:
            torch.add(given, last, out=now)
        else:
            now.copy_(given)
        torch.mul(now.unsqueeze(1), factor, out=parts)
        later = (now, z_, product)
    return grad_states
