"""Attention that only moves forward, by its expected weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.attention.additive import no_weights
from rnnspec.to_torch.attention.energy import energy
from rnnspec.to_torch.attention.memory import Found, Memory, States, remembered
from rnnspec.to_torch.scan import scan
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted


class Monotonic(Weighted):
    """a_j = p_j q_j, p_j = sigmoid(e_j + r) of additive e_j, q_j = (1 - p_{j-1}) q_{j-1} + a'_j
    (Raffel et al. 2017, equation 9)."""

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()
        self.W_q = nn.Parameter(torch.zeros(node.units, node.query_width))
        self.W_m = nn.Parameter(torch.zeros(node.units, node.memory_width))
        self.b = nn.Parameter(torch.zeros(node.units))
        self.v = nn.Parameter(torch.zeros(node.units))
        self.r = nn.Parameter(torch.zeros(1))

    def prepare(self, source: Steps) -> Memory:
        return remembered(source, F.linear(source.values, self.W_m, self.b))

    def first(self, memory: Memory, beams: int) -> States:
        """All weight on the first step."""
        (before,) = no_weights(memory, beams, ("weights",)).values()
        before[:, 0] = 1.0
        return {"weights": before}

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        scores = energy(F.linear(query, self.W_q), memory.keys, self.v)
        chosen = torch.sigmoid(scores + self.r).masked_fill(~memory.there[:, None], 0.0)
        chosen = chosen.flatten(0, 1)
        # q is a scan along j: steps first, and every row's q_0 is its a'_0.
        passed = F.pad(1 - chosen[:, :-1], (1, 0))
        addend = states["weights"].t()[..., None]
        reached = scan(passed.t()[..., None], addend, torch.zeros_like(addend[0]))
        weights = (chosen.t() * reached.squeeze(-1)).t().unflatten(0, query.shape[:2])
        return memory.context(weights), weights, {"weights": weights.flatten(0, 1)}
