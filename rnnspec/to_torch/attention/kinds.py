"""The kinds of attention, one class each.

Each has `prepare`, the part of the memory that no query changes; `first`, the states before the
first step; and `forward(query [B, N, width], memory, states)`. The N queries of a row are the steps
of its answer, or its beams at one step; a kind with states is given one step at a time.
"""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.to_torch.attention.memory import Attended, Memory, States, additive_scores, memory_of
from rnnspec.to_torch.gathered import linear
from rnnspec.to_torch.scan import scan
from rnnspec.to_torch.sequences import PaddedSequence
from rnnspec.to_torch.weighted import Weighted

NEVER = -1e30
"""Stands for the logarithm of 0: the gradient of logaddexp at -inf is NaN."""


class Kind(Weighted):
    """What the kinds share: without coverage they have no states."""

    node: nodes.Attend

    def first(self, memory: Memory, beams: int) -> States:
        return {"total": memory.zeros(beams)} if self.node.coverage else {}


class Dot(Kind):
    """e_j = q · m_j (Luong et al. 2015)."""

    def prepare(self, source: PaddedSequence) -> Memory:
        return memory_of(source, source.values)

    def forward(self, query: Tensor, memory: Memory, states: States) -> Attended:
        return memory.attended(torch.bmm(query, memory.keys.transpose(1, 2)), states)


class General(Dot):
    """e_j = q · (W m_j) (Luong et al. 2015)."""

    W: Tensor

    def prepare(self, source: PaddedSequence) -> Memory:
        return memory_of(source, F.linear(source.values, self.W))


class MultiHead(Kind):
    """softmax_j((W_q q) · (W_k m_j) / sqrt(units / heads)) over W_v m_j, for each head; then W_o
    (Vaswani et al. 2017, 3.2.2)."""

    W_q: Tensor
    W_k: Tensor
    W_v: Tensor
    W_o: Tensor

    def prepare(self, source: PaddedSequence) -> Memory:
        """The keys are [W_k m; W_v m]."""
        both = F.linear(source.values, torch.cat([self.W_k, self.W_v]))
        return memory_of(source, both)

    def forward(self, query: Tensor, memory: Memory, states: States) -> Attended:
        rows, queries, _ = query.shape
        scale = 1 / sqrt(self.node.units / self.node.heads)
        projected = self._heads(linear(query, self.W_q) * scale)
        keys, values = (self._heads(part) for part in memory.keys.chunk(2, dim=-1))
        scores = projected @ keys.transpose(2, 3)
        flat = scores.flatten(1, 2)
        weights, logs = memory.weights(flat).view_as(scores), memory.log_weights(flat)
        found = (weights @ values).transpose(1, 2).reshape(rows, queries, -1)
        if logs is not None:
            logs = logs.view_as(scores).logsumexp(1) - log(self.node.heads)
        return Attended(linear(found, self.W_o), weights.mean(1), states, logs)

    def _heads(self, vectors: Tensor) -> Tensor:
        """`[B, N, units]` to `[B, heads, N, units / heads]`."""
        parts: Tensor = vectors.unflatten(-1, (self.node.heads, -1))
        return parts.transpose(1, 2)


class Hidden(Kind):
    """Scores of a hidden layer. With `coverage`, products of `w_c` with the sums of earlier weights
    are added inside the tanh (See et al. 2017, equation 11)."""

    v: Tensor
    w_c: Tensor

    def attended(self, query: Tensor, memory: Memory, states: States) -> Attended:
        """By projected queries `[B, N, units]`."""
        if not self.node.coverage:
            return memory.attended(additive_scores(query, memory.keys, self.v), states)
        total = states["total"].view(*query.shape[:2], -1)
        scores = additive_scores(query, memory.keys, self.v, total[..., None] * self.w_c)
        found = memory.attended(scores, {})
        found.states["total"] = (total + found.weights).flatten(0, 1)
        return found


class Additive(Hidden):
    """e_j = v · tanh(W_q q + W_m m_j + b) (Bahdanau et al. 2015)."""

    W_q: Tensor
    W_m: Tensor
    b: Tensor

    def prepare(self, source: PaddedSequence) -> Memory:
        return memory_of(source, F.linear(source.values, self.W_m, self.b))

    def forward(self, query: Tensor, memory: Memory, states: States) -> Attended:
        return self.attended(linear(query, self.W_q), memory, states)


class Concat(Hidden):
    """e_j = v · tanh(W [q; m_j]) (Luong et al. 2015), W split into its two halves."""

    W: Tensor

    def prepare(self, source: PaddedSequence) -> Memory:
        return memory_of(source, F.linear(source.values, self.W[:, self.node.query_width :]))

    def forward(self, query: Tensor, memory: Memory, states: States) -> Attended:
        return self.attended(F.linear(query, self.W[:, : self.node.query_width]), memory, states)


class Location(Additive):
    """e_j = v · tanh(W_q q + W_m m_j + (U f)_j + b), f the convolution of the last step's weights
    with the filters F (Chorowski et al. 2015, equation 8)."""

    F: Tensor
    U: Tensor

    def first(self, memory: Memory, beams: int) -> States:
        return {"weights": memory.zeros(beams)}

    def forward(self, query: Tensor, memory: Memory, states: States) -> Attended:
        before = states["weights"]
        filtered = F.conv1d(before[:, None], self.F[:, None], padding=self.F.shape[1] // 2)
        location = F.linear(filtered.transpose(1, 2), self.U).unflatten(0, query.shape[:2])
        scores = additive_scores(linear(query, self.W_q), memory.keys, self.v, location)
        found = memory.attended(scores, {})
        found.states["weights"] = found.weights.flatten(0, 1)
        return found


class Monotonic(Additive):
    """a_j = p_j q_j, p_j = sigmoid(e_j + r) of additive e_j, q_j = (1 - p_{j-1}) q_{j-1} + a'_j
    (Raffel et al. 2017, equation 9)."""

    r: Tensor

    def first(self, memory: Memory, beams: int) -> States:
        """All weight on the first step."""
        before = memory.zeros(beams)
        if memory.logged:
            logs = before.float() if before.dtype.itemsize < 4 else before
            logs[:, 1:] = NEVER
            return {"logs": logs}
        before[:, 0] = 1.0
        return {"weights": before}

    def forward(self, query: Tensor, memory: Memory, states: States) -> Attended:
        energies = additive_scores(linear(query, self.W_q), memory.keys, self.v) + self.r
        if memory.logged:
            return _by_logarithms(energies, memory, states["logs"])
        chosen = torch.sigmoid(energies).masked_fill(~memory.mask[:, None], 0.0).flatten(0, 1)
        # q is a scan along j: steps first, and every row's q_0 is its a'_0. 1 - p would lose the
        # digits of a small 1 - p.
        passed = F.pad(torch.sigmoid(-energies).flatten(0, 1)[:, :-1], (1, 0))
        addend = states["weights"].t()[..., None]
        reached = scan(passed.t()[..., None], addend, torch.zeros_like(addend[0]))
        weights = (chosen.t() * reached.squeeze(-1)).t().unflatten(0, query.shape[:2])
        return Attended(memory.context(weights), weights, {"weights": weights.flatten(0, 1)})


def _by_logarithms(energies: Tensor, memory: Memory, before: Tensor) -> Attended:
    """Monotonic attention by the logarithms of all its weights."""
    chosen, passed = (F.logsigmoid(e).flatten(0, 1) for e in (energies, -energies))
    reached = log_scan(passed[:, :-1], before)
    logs = (chosen + reached).unflatten(0, energies.shape[:2])
    logs = logs.masked_fill(~memory.mask[:, None], NEVER)
    weights = logs.exp()
    return Attended(memory.context(weights), weights, {"logs": logs.flatten(0, 1)}, logs)


def log_scan(factors: Tensor, addends: Tensor) -> Tensor:
    """ln h `[R, T]` of h_j = f_{j-1} h_{j-1} + b_j, from the logarithms of the factors `[R, T - 1]`
    and of the addends `[R, T]`.

    By doubling: after pass n an entry holds the sum of the last 2^n addends up to it (Hillis and
    Steele 1986, Data Parallel Algorithms). Nothing is subtracted, so no digits are lost.
    """
    found, product, steps = addends, F.pad(factors, (1, 0)), addends.shape[1]
    distance = 1
    while distance < steps:
        earlier = F.pad(found[:, :-distance], (distance, 0), value=NEVER)
        found = torch.logaddexp(found, product + earlier)
        product = product + F.pad(product[:, :-distance], (distance, 0))
        distance *= 2
    return found
