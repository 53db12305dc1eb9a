"""Scores of a decoder that may copy tokens of its source, in torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted


class CopyMix(Weighted):
    """log(g softmax(source) + (1 - g) c), g = sigmoid(w · gate + b) (See et al. 2017)."""

    numbers: Tensor

    def __init__(self, node: nodes.CopyMix) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(node.gate_width))
        self.b = nn.Parameter(torch.zeros(1))
        # No weight: not among the buffers that have canonical names.
        self._numbers = torch.tensor(node.numbers)

    def answers(self, tokens: Steps) -> Tensor:
        """The source's tokens `[B, T]` as numbers of the answer's vocabulary."""
        return self._numbers.to(tokens.values.device)[tokens.values.t()]

    def forward(self, source: Steps, gate: Steps, weights: Tensor, answers: Tensor) -> Steps:
        """`source` `[U, B * N, size]`; attention's `weights` `[B, U * N, T]` over `answers`."""
        steps, rows, size = source.values.shape
        queries = weights.shape[1]
        places = answers[:, None].expand(-1, queries, -1)
        copied = weights.new_zeros((len(answers), queries, size)).scatter_add(2, places, weights)
        copied = copied.view(len(answers), steps, -1, size).transpose(0, 1)
        copied = copied.reshape(steps, rows, size).to(source.values.dtype)
        chosen = F.linear(gate.values, self.w[None], self.b)
        own = F.logsigmoid(chosen) + F.log_softmax(source.values, dim=-1)
        # log(0) apart, so that no gradient is 0 times inf.
        there = copied > 0
        others = F.logsigmoid(-chosen) + torch.where(there, copied, 1.0).log()
        mixed = torch.logaddexp(own, others.masked_fill(~there, -torch.inf))
        return Steps(mixed, source.lengths)
