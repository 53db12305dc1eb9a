"""Dot and general attention: products of query and step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.attention.memory import Found, Memory, States, remembered
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted


class Dot(Weighted):
    """e_j = q · m_j (Luong et al. 2015)."""

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()

    def prepare(self, source: Steps) -> Memory:
        return remembered(source, source.values)

    def first(self, memory: Memory, beams: int) -> States:
        return {}

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        return by_products(query, memory, states)


class General(Weighted):
    """e_j = q · (W m_j) (same)."""

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(node.query_width, node.memory_width))

    def prepare(self, source: Steps) -> Memory:
        return remembered(source, F.linear(source.values, self.W))

    def first(self, memory: Memory, beams: int) -> States:
        return {}

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        return by_products(query, memory, states)


def by_products(query: Tensor, memory: Memory, states: States) -> Found:
    """Contexts by the products of queries `[B, N, units]` and keys."""
    scores = torch.bmm(query, memory.keys.transpose(1, 2))
    weights = memory.weights(scores)
    return Found(memory.context(weights), weights, states, memory.logs(scores))
