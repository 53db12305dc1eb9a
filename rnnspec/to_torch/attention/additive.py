"""Additive and concat attention: a hidden layer scores each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.attention.energy import energy
from rnnspec.to_torch.attention.memory import Found, Memory, States, remembered
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted


class Additive(Weighted):
    """e_j = v · tanh(W_q q + W_m m_j + b) (Bahdanau et al. 2015)."""

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()
        self.W_q = nn.Parameter(torch.zeros(node.units, node.query_width))
        self.W_m = nn.Parameter(torch.zeros(node.units, node.memory_width))
        self.b = nn.Parameter(torch.zeros(node.units))
        self.v = nn.Parameter(torch.zeros(node.units))
        if node.coverage:
            self.w_c = nn.Parameter(torch.zeros(node.units))
        self.coverage = node.coverage

    def prepare(self, source: Steps) -> Memory:
        return remembered(source, F.linear(source.values, self.W_m, self.b))

    def first(self, memory: Memory, beams: int) -> States:
        return no_weights(memory, beams, ("total",) if self.coverage else ())

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        covered = self.w_c if self.coverage else None
        return by_energy(F.linear(query, self.W_q), memory, self.v, states, covered)


class Concat(Weighted):
    """e_j = v · tanh(W [q; m_j]) (Luong et al. 2015), W taken apart into its two halves."""

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()
        self.query_width, self.coverage = node.query_width, node.coverage
        width = node.query_width + node.memory_width
        self.W = nn.Parameter(torch.zeros(node.units, width))
        self.v = nn.Parameter(torch.zeros(node.units))
        if node.coverage:
            self.w_c = nn.Parameter(torch.zeros(node.units))

    def prepare(self, source: Steps) -> Memory:
        return remembered(source, F.linear(source.values, self.W[:, self.query_width :]))

    def first(self, memory: Memory, beams: int) -> States:
        return no_weights(memory, beams, ("total",) if self.coverage else ())

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        asked = F.linear(query, self.W[:, : self.query_width])
        return by_energy(asked, memory, self.v, states, self.w_c if self.coverage else None)


def by_energy(
    asked: Tensor, memory: Memory, v: Tensor, states: States, covered: Tensor | None
) -> Found:
    """Contexts of queries `[B, N, units]`; with `covered` `[units]`, its products with the sums of
    earlier weights inside the tanh (See et al. 2017, equation 11)."""
    if covered is None:
        scores = energy(asked, memory.keys, v)
        weights = memory.weights(scores)
        return Found(memory.context(weights), weights, states, memory.logs(scores))
    total = states["total"].view(*asked.shape[:2], -1)
    scores = energy(asked, memory.keys, v, total[..., None] * covered)
    weights = memory.weights(scores)
    after = {"total": (total + weights).flatten(0, 1)}
    return Found(memory.context(weights), weights, after, memory.logs(scores))


def no_weights(memory: Memory, beams: int, names: tuple[str, ...]) -> States:
    """States of 0, `[B * N, T]` each."""
    rows, steps = memory.there.shape
    return {name: memory.values.new_zeros((rows * beams, steps)) for name in names}
