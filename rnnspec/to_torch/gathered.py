"""Gradients of what every step of a loop multiplies with, as one product over all steps.

Autograd multiplies at each step, and adds up: products of as many rows as a batch has, a fifth as
fast as one of all steps. Here a step's backward pass keeps its two factors, and the node before the
loop, which autograd reaches when all steps have been gone through, multiplies them.

A way back may end before that node: by an error, or where other gradients alone are asked for. The
factors that it leaves are not those of the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

T = TypeVar("T")


@dataclass
class Pairs:
    """Pairs of factors of a gradient, `[rows, *]` each, of the way back at work."""

    found: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    way: int = -1

    def add(self, above: Tensor, below: Tensor) -> None:
        way = torch._C._current_graph_task_id()
        if way != self.way:
            self.found, self.way = [], way
        self.found.append((above, below))

    def joined(self, axis: int) -> list[Tensor]:
        """Both factors, of all steps along this axis; none where no step was gone through. They are
        not kept."""
        found, self.found = self.found, []
        if self.way != torch._C._current_graph_task_id():
            return []
        return [torch.cat(each, axis) for each in zip(*found, strict=True)]


@dataclass(frozen=True)
class Shared:
    """Tensors that all steps multiply with, for use in the loop, and the `pairs` of factors of
    their gradient."""

    tensors: Sequence[Tensor]
    pairs: Pairs


@dataclass
class Gathered:
    """What the steps of one loop share, by the objects that it is made of; these are kept, so that
    no other object has their identity."""

    found: dict[tuple[int, ...], tuple[object, Any]] = field(default_factory=dict)

    def once(self, of: tuple[object, ...], make: Callable[[], T]) -> T:
        key = tuple(map(id, of))
        if key not in self.found:
            self.found[key] = (of, make())
        found: T = self.found[key][1]
        return found

    def weight(self, weight: Tensor, bias: Tensor | None) -> Shared:
        """A matrix and what is added to its products."""

        def make() -> Shared:
            pairs = Pairs()
            given = [weight] if bias is None else [weight, bias]
            return Shared(_Weight.apply(pairs, *given), pairs)  # type: ignore[no-untyped-call]

        return self.once((weight, bias), make)

    def values(self, values: Tensor) -> Shared:
        """The matrices of the rows of a batch."""

        def make() -> Shared:
            pairs = Pairs()
            return Shared([_Values.apply(pairs, values)], pairs)  # type: ignore[no-untyped-call]

        return self.once((values,), make)


_now: ContextVar[Gathered | None] = ContextVar("gathered", default=None)


@contextmanager
def gathering(loop: Gathered) -> Iterator[None]:
    """In the block, a step of a loop is run. What the steps multiply with is always the same."""
    before = _now.set(loop)
    try:
        yield
    finally:
        _now.reset(before)


def gathered(like: Tensor) -> Gathered | None:
    """Where the loop at work gathers gradients; None outside of loops, where no gradient is needed,
    and under mixed precision, which casts the factors."""
    if not torch.is_grad_enabled() or torch.is_autocast_enabled(like.device.type):
        return None
    return _now.get()


def linear(steps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`, of weights that a loop may share."""
    loop = gathered(steps)
    if loop is None or not weight.requires_grad:
        return F.linear(steps, weight, bias)
    shared = loop.weight(weight, bias)
    found: Tensor = _Linear.apply(shared.pairs, steps, *shared.tensors)  # type: ignore[no-untyped-call]
    return found


def bmm(weights: Tensor, values: Tensor) -> Tensor:
    """`torch.bmm`, of values that a loop may share."""
    loop = gathered(weights)
    if loop is None or not values.requires_grad:
        return torch.bmm(weights, values)
    shared = loop.values(values)
    found: Tensor = _Bmm.apply(shared.pairs, weights, *shared.tensors)  # type: ignore[no-untyped-call]
    return found


class _Weight(torch.autograd.Function):
    """A matrix and maybe its bias, as they are."""

    @staticmethod
    def forward(ctx: Any, pairs: Pairs, *given: Tensor) -> tuple[Tensor, ...]:
        ctx.pairs, ctx.count = pairs, len(given)
        ctx.set_materialize_grads(False)
        return tuple(each.view_as(each) for each in given)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        joined = ctx.pairs.joined(0)
        if not joined:
            return (None, *[None] * ctx.count)
        above, below = joined
        bias = (above.sum(0),) if ctx.count > 1 else ()
        return None, above.t() @ below, *bias


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pairs: Pairs, steps: Tensor, weight: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        ctx.save_for_backward(steps, weight)
        ctx.pairs, ctx.count = pairs, 1 if bias is None else 2
        return F.linear(steps, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        steps, weight = ctx.saved_tensors
        ctx.pairs.add(gradient.reshape(-1, len(weight)), steps.reshape(-1, steps.shape[-1]))
        below = gradient @ weight if ctx.needs_input_grad[1] else None
        return None, below, *[None] * ctx.count


class _Values(torch.autograd.Function):
    """Values `[B, T, width]`, as they are."""

    @staticmethod
    def forward(ctx: Any, pairs: Pairs, values: Tensor) -> Tensor:
        ctx.pairs = pairs
        ctx.set_materialize_grads(False)
        return values.view_as(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor | None) -> tuple[None, Tensor | None]:
        joined = ctx.pairs.joined(1)
        if not joined:
            return None, None
        above, weights = joined
        return None, torch.bmm(weights.transpose(1, 2), above)


class _Bmm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pairs: Pairs, weights: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(weights, values)
        ctx.pairs = pairs
        return torch.bmm(weights, values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, values = ctx.saved_tensors
        ctx.pairs.add(gradient, weights)
        below = torch.bmm(gradient, values.transpose(1, 2)) if ctx.needs_input_grad[1] else None
        return None, below, None
