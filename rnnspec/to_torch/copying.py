"""Scores of a decoder that may copy tokens of its source, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted


@dataclass(frozen=True)
class Copied:
    """What B rows of T steps have to copy.

    `[B, T]` each: `there`, whether a step belongs to its row; `first`, the first step that holds
    the same token; `places`, where that token stands among the `width` scores, at the first step
    that holds it, and `width` at all others and where there is nothing to copy. `shut`
    `[B, width]`: the numbers that may not be answered, None if there are none.
    """

    first: Tensor
    places: Tensor
    there: Tensor
    width: int
    shut: Tensor | None = None


def copied_of(numbers: Tensor, there: Tensor, size: int) -> Copied:
    """Of the numbers `[B, T]` of a `CopiesInput` for a vocabulary of `size` numbers, at the steps
    `there` `[B, T]`."""
    width = size + numbers.shape[1]
    there = there & (numbers != 0)
    closed = numbers < 0
    numbers = torch.where(closed, ~numbers, numbers).masked_fill(~there, width)
    order = numbers.sort(dim=1, stable=True)
    steps = torch.arange(numbers.shape[1], device=numbers.device).expand_as(numbers)
    begins = F.pad(order.values[:, 1:] != order.values[:, :-1], (1, 0), value=True)
    begin = steps.masked_fill(~begins, 0).cummax(dim=1).values  # of each run of equal numbers
    firsts = order.indices.gather(1, begin)
    first = torch.empty_like(numbers).scatter_(1, order.indices, firsts)
    places = torch.where(there & (first == steps), numbers, width)
    shut = None
    if bool((closed & there).any()):
        every = torch.zeros((len(numbers), width + 1), dtype=torch.bool, device=numbers.device)
        excluded = torch.where(closed, numbers, width)
        shut = every.scatter_(1, excluded, True)[:, :width]
    return Copied(first, places, there, width, shut)


class CopyMix(Weighted):
    """ln(g softmax(source) + (1 - g) c), g = sigmoid(w · gate + b) (See et al. 2017): the sum is
    taken of logarithms, so that no small number is lost."""

    def __init__(self, node: nodes.CopyMix) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(node.gate_width))
        self.b = nn.Parameter(torch.zeros(1))
        self.size = node.size

    def copied(self, numbers: Steps) -> Copied:
        """What there is to copy, of the numbers `[T, B]` of a `CopiesInput`."""
        return copied_of(numbers.values.t(), numbers.lengths.mask.t(), self.size)

    def forward(self, source: Steps, gate: Steps, logs: Tensor, copied: Copied) -> Steps:
        """`[U, B * N, size + T]` of `source` `[U, B * N, size]`; `logs` `[B, U * N, T]` of the
        weights of attention."""
        steps, rows, _ = source.values.shape
        chosen = F.linear(gate.values, self.w[None], self.b)
        own = F.logsigmoid(chosen) + F.log_softmax(source.values, dim=-1)
        logs = logs.unflatten(1, (steps, -1)).masked_fill(~copied.there[:, None, None], 0.0)
        logs = logs.transpose(0, 1).flatten(1, 2).to(own.dtype)
        first, places = (
            each.repeat_interleave(rows // len(each), dim=0).expand(steps, -1, -1)
            for each in (copied.first, copied.places)
        )
        others = F.logsigmoid(-chosen) + grouped(logs, first)
        mixed = F.pad(own, (0, copied.width + 1 - self.size), value=-torch.inf)
        both = torch.logaddexp(mixed.gather(2, places), others)
        return Steps(mixed.scatter(2, places, both)[..., : copied.width], source.lengths)


def grouped(logs: Tensor, first: Tensor) -> Tensor:
    """At each first step of a token the logarithm of the sum over all steps that hold it, of
    logarithms `[U, R, T]`; arbitrary at the other steps."""
    lowest = torch.full_like(logs, torch.finfo(logs.dtype).min)
    top = lowest.scatter_reduce(2, first, logs.detach(), "amax").gather(2, first)
    sums = torch.zeros_like(logs).scatter_add(2, first, (logs - top).exp())
    return top + sums.clamp(min=1.0).log()  # 1 and more: the largest of them is exp(0)
