"""Steps of the row that are answered: see `rnnspec.plan.nodes.PositionOutput`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.sequences import PaddedSequence
from rnnspec.to_torch.weighted import Weighted


@dataclass(frozen=True, slots=True)
class Positions:
    """The answers to a batch: of each row and mark the choice, `[B, marks]` int64, 0 for none and
    j + 1 for step j; and the log-probabilities of all choices, `[B, 1 + T, marks]`, -inf past a
    row's length."""

    choices: Tensor
    logs: Tensor


class PositionOutput(Weighted):
    """Scores `[B, 1 + T, marks]` of none and of each step."""

    node: nodes.PositionOutput
    none: Tensor

    def forward(self, source: PaddedSequence, tokens: object = None) -> Tensor:
        """-inf past a row's length, and for none where that is no answer."""
        scores, lengths = source.values.transpose(0, 1), source.lengths
        own = lengths.mask.t()[..., None]
        first = scores.new_full((len(scores), 1, self.node.marks), -torch.inf)
        empty = (lengths.of_rows == 0)[:, None, None]
        nothing = self.none.to(scores.dtype) if self.node.none else first.masked_fill(empty, 0.0)
        return torch.cat([nothing.expand_as(first), scores.masked_fill(~own, -torch.inf)], 1)

    def answer(self, scores: Tensor) -> Positions:
        """The likeliest choices."""
        logs = torch.log_softmax(scores, dim=1)
        if self.node.marks == 1:
            return Positions(logs.argmax(1), logs)
        first, last = best_pairs(logs[..., 0], logs[..., 1], self.node.longest)
        return Positions(torch.stack([first, last], 1), logs)


def best_pairs(first: Tensor, last: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """The choices `[B]` of the legal pair with the largest sum of log-probabilities `[B, 1 + T]`:
    none at both ends, or steps of which the first is not behind the last and which are at most
    `longest` (0: any number) steps. Of equal sums the least last choice, then the least first."""
    within = first[:, 1:]
    if longest:
        padded = F.pad(within, (longest - 1, 0), value=-torch.inf)
        best = padded.unfold(1, longest, 1).amax(2)
    else:
        best = within.cummax(1).values
    both = torch.cat([first[:, :1], best], 1) + last
    end = both.argmax(1, keepdim=True)
    steps = torch.arange(first.shape[1], device=first.device)
    begin = (end - longest + 1 if longest else torch.ones_like(end)).clamp(min=1)
    legal = (steps >= torch.where(end > 0, begin, 0)) & (steps <= end)
    start = first.masked_fill(~legal, -torch.inf).argmax(1)
    return start, end[:, 0]
