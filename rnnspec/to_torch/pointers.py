"""Steps of the input that a decoder points at: see `rnnspec.plan.nodes.Pointer`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.attention.memory import additive_scores
from rnnspec.to_torch.sequences import PaddedSequence
from rnnspec.to_torch.weighted import Weighted


@dataclass(frozen=True)
class Steps:
    """Of B rows what stands behind each number: `values` `[B, n, width]`, and of scores the `mask`
    `[B, n]` of the numbers that may be answered."""

    values: Tensor
    mask: Tensor


class Pointed(Weighted):
    """The vector of the step before."""

    first: Tensor

    def steps(self, memory: PaddedSequence) -> Steps:
        """The vectors of all numbers; that of the unknown is never read."""
        values = memory.values.transpose(0, 1)
        marks = self.first.to(values.dtype).expand(len(values), nodes.FIRST_STEP, -1)
        return Steps(torch.cat([marks, values], 1), memory.lengths.mask.t())

    def forward(self, numbers: Tensor, steps: Steps) -> Tensor:
        """`[U, R, width]` of numbers `[U, R]`, R = B * N for N beams of each row."""
        count, (rows, _, width) = len(numbers), steps.values.shape
        places = numbers.unflatten(1, (rows, -1)).transpose(0, 1).flatten(1)
        found = steps.values.gather(1, places[..., None].expand(-1, -1, width))
        vectors: Tensor = found.unflatten(1, (count, -1)).transpose(0, 1).flatten(1, 2)
        return vectors


class Pointer(Weighted):
    """Scores of the numbers of all steps."""

    W_q: Tensor
    W_m: Tensor
    b: Tensor
    v: Tensor
    end: Tensor

    def steps(self, memory: PaddedSequence) -> Steps:
        """The keys of the end and of all steps, `[B, 1 + T, units]`."""
        keys = F.linear(memory.values.transpose(0, 1), self.W_m, self.b)
        end = self.end.to(keys.dtype).expand(len(keys), 1, -1)
        return Steps(torch.cat([end, keys], 1), F.pad(memory.lengths.mask.t(), (1, 0), value=True))

    def forward(self, queries: Tensor, steps: Steps) -> Tensor:
        """`[U, R, 2 + T]` of queries `[U, R, query_width]`."""
        count, rows = len(queries), len(steps.values)
        each = F.linear(queries, self.W_q).unflatten(1, (rows, -1)).transpose(0, 1).flatten(1, 2)
        scores = additive_scores(each, steps.values, self.v)
        scores = scores.masked_fill(~steps.mask[:, None], -torch.inf)
        never = torch.full_like(scores[..., :1], -torch.inf)
        every = torch.cat([scores[..., :1], never, scores[..., 1:]], 2)
        found: Tensor = every.unflatten(1, (count, -1)).transpose(0, 1).flatten(1, 2)
        return found
