"""Attention that sees where it was at the step before."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.attention.additive import no_weights
from rnnspec.to_torch.attention.energy import energy
from rnnspec.to_torch.attention.memory import Found, Memory, States, remembered
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted


class Location(Weighted):
    """e_j = v · tanh(W_q q + W_m m_j + (U f)_j + b), f the convolution of the last step's weights
    with the filters F (Chorowski et al. 2015, equation 8)."""

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()
        self.W_q = nn.Parameter(torch.zeros(node.units, node.query_width))
        self.W_m = nn.Parameter(torch.zeros(node.units, node.memory_width))
        self.b = nn.Parameter(torch.zeros(node.units))
        self.v = nn.Parameter(torch.zeros(node.units))
        self.F = nn.Parameter(torch.zeros(node.filters, node.kernel))
        self.U = nn.Parameter(torch.zeros(node.units, node.filters))

    def prepare(self, source: Steps) -> Memory:
        return remembered(source, F.linear(source.values, self.W_m, self.b))

    def first(self, memory: Memory, beams: int) -> States:
        return no_weights(memory, beams, ("weights",))

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        before = states["weights"]
        filtered = F.conv1d(before[:, None], self.F[:, None], padding=self.F.shape[1] // 2)
        where = F.linear(filtered.transpose(1, 2), self.U).unflatten(0, query.shape[:2])
        scores = energy(F.linear(query, self.W_q), memory.keys, self.v, where)
        weights = memory.weights(scores)
        after = {"weights": weights.flatten(0, 1)}
        return Found(memory.context(weights), weights, after, memory.logs(scores))
