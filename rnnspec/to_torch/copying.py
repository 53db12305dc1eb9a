"""The log-probabilities of a decoder that may copy tokens of its sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.sequences import PaddedSequence
from rnnspec.to_torch.weighted import Weighted


@dataclass(frozen=True)
class Copied:
    """The tokens that B rows of T steps may copy; the steps of several sources are side by side.

    `[B, T]` each: `mask`, whether a step has one; `first`, the first step with the same token;
    `places`, at the first step of a token its number, and `width` at all others. `width`: how many
    numbers there are. `banned` `[B, width]`: the numbers that may not be answered, None if there
    are none. `there` `[B, S]`: of which of S sources a row has a step.
    """

    first: Tensor
    places: Tensor
    mask: Tensor
    width: int
    banned: Tensor | None = None
    there: Tensor | None = None


def copied_of(numbers: Tensor, mask: Tensor, size: int) -> Copied:
    """From the numbers `[B, T]` of a `CopiesInput` at the steps `mask` `[B, T]`, for a vocabulary
    of `size` numbers."""
    width = size + numbers.shape[1]
    mask = mask & (numbers != 0)
    closed = numbers < 0
    numbers = torch.where(closed, ~numbers, numbers).masked_fill(~mask, width)
    order = numbers.sort(dim=1, stable=True)
    steps = torch.arange(numbers.shape[1], device=numbers.device).expand_as(numbers)
    begins = F.pad(order.values[:, 1:] != order.values[:, :-1], (1, 0), value=True)
    begin = steps.masked_fill(~begins, 0).cummax(dim=1).values  # of each run of equal numbers
    firsts = order.indices.gather(1, begin)
    first = torch.empty_like(numbers).scatter_(1, order.indices, firsts)
    places = torch.where(mask & (first == steps), numbers, width)
    banned = None
    if bool((closed & mask).any()):
        every = torch.zeros((len(numbers), width + 1), dtype=torch.bool, device=numbers.device)
        excluded = torch.where(closed, numbers, width)
        banned = every.scatter_(1, excluded, True)[:, :width]
    return Copied(first, places, mask, width, banned)


class CopyMix(Weighted):
    """ln(g softmax(source) + (1 - g) c), g = sigmoid(w · gate + b) (See et al. 2017), added as
    logarithms, so that small numbers are not lost."""

    node: nodes.CopyMix
    w: Tensor
    b: Tensor
    W_s: Tensor
    b_s: Tensor

    def copied(self, sources: Sequence[PaddedSequence]) -> Copied:
        """The tokens to copy, from the numbers `[T, B]` of each `CopiesInput`."""
        numbers = torch.cat([each.values for each in sources]).t()
        mask = torch.cat([each.lengths.mask for each in sources]).t()
        found = copied_of(numbers, mask, self.node.size)
        if not self.node.others:
            return found
        there = torch.stack([each.lengths.of_rows > 0 for each in sources], dim=1)
        return replace(found, there=there)

    def forward(
        self,
        source: PaddedSequence,
        gate: PaddedSequence,
        weights: Sequence[Tensor],
        copied: Copied,
    ) -> PaddedSequence:
        """`[U, B * N, size + T]` of logits `source` `[U, B * N, size]`; `weights` `[B, U * N, T]`
        of each source are the logarithms of attention's weights."""
        steps, rows, _ = source.values.shape
        chosen = F.linear(gate.values, self.w[None], self.b)
        own = F.logsigmoid(chosen) + F.log_softmax(source.values, dim=-1)
        logs = torch.cat(list(weights), dim=2)
        logs = logs.unflatten(1, (steps, -1)).masked_fill(~copied.mask[:, None, None], 0.0)
        logs = logs.transpose(0, 1).flatten(1, 2).to(own.dtype)
        if copied.there is not None:
            counts = [each.shape[2] for each in weights]
            logs = logs + self._shares(gate.values, copied.there, counts)
        first, places = (
            each.repeat_interleave(rows // len(each), dim=0).expand(steps, -1, -1)
            for each in (copied.first, copied.places)
        )
        others = F.logsigmoid(-chosen) + grouped(logs, first)
        mixed = F.pad(own, (0, copied.width + 1 - self.node.size), value=-torch.inf)
        both = torch.logaddexp(mixed.gather(2, places), others)
        return PaddedSequence(mixed.scatter(2, places, both)[..., : copied.width], source.lengths)

    def _shares(self, gate: Tensor, there: Tensor, steps: Sequence[int]) -> Tensor:
        """`[U, B * N, T]`: at each step the logarithm of the share of its source."""
        there = there.repeat_interleave(gate.shape[1] // len(there), dim=0)
        scores = F.linear(gate, self.W_s, self.b_s)
        # Not -inf: of a row without any step nothing is copied, and no gradient is NaN.
        scores = scores.masked_fill(~there, torch.finfo(scores.dtype).min)
        counts = torch.tensor(steps, device=gate.device)
        size = sum(steps)
        return scores.log_softmax(dim=2).repeat_interleave(counts, dim=2, output_size=size)


def grouped(logs: Tensor, first: Tensor) -> Tensor:
    """Sums by token of numbers given as logarithms `[U, R, T]`: at the first step of each token the
    logarithm of the sum over all steps with that token; arbitrary at the other steps."""
    lowest = torch.full_like(logs, torch.finfo(logs.dtype).min)
    top = lowest.scatter_reduce(2, first, logs.detach(), "amax").gather(2, first)
    sums = torch.zeros_like(logs).scatter_add(2, first, (logs - top).exp())
    return top + sums.clamp(min=1.0).log()  # 1 and more: the largest of them is exp(0)
