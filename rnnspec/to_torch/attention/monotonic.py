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

NEVER = -1e30
"""Stands for the logarithm of 0: of -inf, the gradient of logaddexp would be no number."""


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
        if memory.logged:
            logs = before.float() if before.dtype.itemsize < 4 else before
            logs[:, 1:] = NEVER
            return {"logs": logs}
        before[:, 0] = 1.0
        return {"weights": before}

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        energies = energy(F.linear(query, self.W_q), memory.keys, self.v) + self.r
        past = ~memory.there[:, None]
        if memory.logged:
            chosen, passed = (F.logsigmoid(e).flatten(0, 1) for e in (energies, -energies))
            reached = log_scan(passed[:, :-1], states["logs"])
            logs = (chosen + reached).unflatten(0, query.shape[:2]).masked_fill(past, NEVER)
            weights = logs.exp()
            return Found(memory.context(weights), weights, {"logs": logs.flatten(0, 1)}, logs)
        chosen = torch.sigmoid(energies).masked_fill(past, 0.0).flatten(0, 1)
        # q is a scan along j: steps first, and every row's q_0 is its a'_0. Taken from 1, p would
        # leave nothing of a small 1 - p.
        passed = F.pad(torch.sigmoid(-energies).flatten(0, 1)[:, :-1], (1, 0))
        addend = states["weights"].t()[..., None]
        reached = scan(passed.t()[..., None], addend, torch.zeros_like(addend[0]))
        weights = (chosen.t() * reached.squeeze(-1)).t().unflatten(0, query.shape[:2])
        return Found(memory.context(weights), weights, {"weights": weights.flatten(0, 1)})


def log_scan(factors: Tensor, addends: Tensor) -> Tensor:
    """ln h `[R, T]` of h_j = f_{j-1} h_{j-1} + b_j, from the logarithms of the factors `[R, T - 1]`
    and of the addends `[R, T]`.

    By doubling: after pass n an entry holds what the 2^n addends up to it give (Hillis and Steele
    1986, Data Parallel Algorithms). Nothing is ever subtracted, as closed forms would.
    """
    found, product, steps = addends, F.pad(factors, (1, 0)), addends.shape[1]
    distance = 1
    while distance < steps:
        earlier = F.pad(found[:, :-distance], (distance, 0), value=NEVER)
        found = torch.logaddexp(found, product + earlier)
        product = product + F.pad(product[:, :-distance], (distance, 0))
        distance *= 2
    return found
