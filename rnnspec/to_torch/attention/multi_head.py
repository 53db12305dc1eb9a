"""Scaled dot products in several heads."""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.attention.memory import Found, Memory, States, remembered
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted


class MultiHead(Weighted):
    """softmax_j((W_q q) · (W_k m_j) / sqrt(units / heads)) over W_v m_j, for each head; then W_o
    (Vaswani et al. 2017, 3.2.2)."""

    def __init__(self, node: nodes.Attend) -> None:
        super().__init__()
        self.heads, self.scale = node.heads, 1 / sqrt(node.units / node.heads)
        self.W_q = nn.Parameter(torch.zeros(node.units, node.query_width))
        self.W_k = nn.Parameter(torch.zeros(node.units, node.memory_width))
        self.W_v = nn.Parameter(torch.zeros(node.units, node.memory_width))
        self.W_o = nn.Parameter(torch.zeros(node.memory_width, node.units))

    def prepare(self, source: Steps) -> Memory:
        """The keys are [W_k m; W_v m]."""
        both = F.linear(source.values, torch.cat([self.W_k, self.W_v]))
        return remembered(source, both)

    def first(self, memory: Memory, beams: int) -> States:
        return {}

    def forward(self, query: Tensor, memory: Memory, states: States) -> Found:
        rows, queries, _ = query.shape
        asked = self._heads(F.linear(query, self.W_q) * self.scale)
        keys, values = (self._heads(part) for part in memory.keys.chunk(2, dim=-1))
        scores = asked @ keys.transpose(2, 3)
        flat = scores.flatten(1, 2)
        weights, logs = memory.weights(flat).view_as(scores), memory.logs(flat)
        found = (weights @ values).transpose(1, 2).reshape(rows, queries, -1)
        if logs is not None:
            logs = logs.view_as(scores).logsumexp(1) - log(self.heads)
        return Found(F.linear(found, self.W_o), weights.mean(1), states, logs)

    def _heads(self, vectors: Tensor) -> Tensor:
        """`[B, N, units]` to `[B, heads, N, units / heads]`."""
        parts: Tensor = vectors.unflatten(-1, (self.heads, -1))
        return parts.transpose(1, 2)
