"""One step of attention over the steps of one row, by the formulas of `Attend`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnspec.plan.nodes import Attend, AttentionKind
from rnnspec.reference.functions import Array, Arrays, log_sigmoid, log_softmax


@dataclass(frozen=True, slots=True)
class AttentionState:
    """The logarithms of the weights of the last step, and the sum of the weights of all steps."""

    logs: Array
    total: Array

    @property
    def last(self) -> Array:
        """The weights of the last step."""
        return np.exp(self.logs)


def initial_attention(node: Attend, steps: int) -> AttentionState:
    """Before the first step."""
    logs = np.full(steps, -np.inf)
    if node.kind == "monotonic" and steps:
        logs[0] = 0.0
    return AttentionState(logs, np.zeros(steps))


def attend(
    node: Attend, weights: Arrays, query: Array, memory: Array, before: AttentionState
) -> tuple[Array, AttentionState]:
    """The context `[memory_width]` of a query, and the state after it."""
    if not len(memory):
        return np.zeros(node.memory_width), before
    own = {each.name.rpartition(".")[2]: weights[each.name] for each in node.weights()}
    context, logs = ATTENTIONS[node.kind](node, own, query, memory, before)
    return context, AttentionState(logs, before.total + np.exp(logs))


Energies = Callable[[Arrays, Array, Array, AttentionState], Array]
"""From the weights, a query, the memory and the state before to e_j for every step j."""
Kind = Callable[[Attend, Arrays, Array, Array, AttentionState], tuple[Array, Array]]
"""The same to the context and the logarithms of the weights `[T]`."""


def _softmax_of(energies: Energies) -> Kind:
    def found(
        node: Attend, own: Arrays, query: Array, memory: Array, before: AttentionState
    ) -> tuple[Array, Array]:
        logs = log_softmax(energies(own, query, memory, before))
        return np.exp(logs) @ memory, logs

    return found


def _concat(own: Arrays, query: Array, memory: Array, before: AttentionState) -> Array:
    pairs = np.concatenate([np.tile(query, (len(memory), 1)), memory], axis=1)
    hidden = np.tanh(pairs @ own["W"].T + _covered(own, before))
    return np.asarray(hidden @ own["v"])


def _additive(own: Arrays, query: Array, memory: Array, before: AttentionState) -> Array:
    return _hidden(own, query, memory, _covered(own, before)) @ own["v"]


def _location(own: Arrays, query: Array, memory: Array, before: AttentionState) -> Array:
    located = _convolved(before.last, own["F"]) @ own["U"].T
    return _hidden(own, query, memory, located) @ own["v"]


def _hidden(own: Arrays, query: Array, memory: Array, added: Array) -> Array:
    inner = own["W_q"] @ query + memory @ own["W_m"].T + own["b"] + added
    return np.asarray(np.tanh(inner))


def _covered(own: Arrays, before: AttentionState) -> Array:
    """w_c times the sums of earlier weights; 0 without coverage."""
    return np.outer(before.total, own["w_c"]) if "w_c" in own else np.zeros(1)


def _convolved(last: Array, filters: Array) -> Array:
    """f `[T, filters]`: f_jk = sum_i F_ki last_(j + i - (kernel - 1) / 2), 0 beyond the ends."""
    steps, (count, kernel) = len(last), filters.shape
    found, half = np.zeros((steps, count)), (kernel - 1) // 2
    for j in range(steps):
        for i in range(kernel):
            if 0 <= j + i - half < steps:
                found[j] += filters[:, i] * last[j + i - half]
    return found


def _monotonic(
    node: Attend, own: Arrays, query: Array, memory: Array, before: AttentionState
) -> tuple[Array, Array]:
    """a_j = p_j q_j with q_j = (1 - p_{j-1}) q_{j-1} + a'_j, by logarithms."""
    energies = _additive(own, query, memory, before) + own["r"]
    chosen, passed = log_sigmoid(energies), log_sigmoid(-energies)
    logs, carried = np.zeros(len(energies)), -np.inf
    for j in range(len(energies)):
        q = np.logaddexp(carried, before.logs[j])
        logs[j], carried = chosen[j] + q, passed[j] + q
    return np.exp(logs) @ memory, logs


def _multi_head(
    node: Attend, own: Arrays, query: Array, memory: Array, before: AttentionState
) -> tuple[Array, Array]:
    """The weights are the mean over heads."""
    queries = np.split(own["W_q"] @ query, node.heads)
    keys = np.split(memory @ own["W_k"].T, node.heads, axis=1)
    values = np.split(memory @ own["W_v"].T, node.heads, axis=1)
    scale = np.sqrt(node.units / node.heads)
    heads = [log_softmax(key @ one / scale) for key, one in zip(keys, queries, strict=True)]
    parts = [np.exp(logs) @ value for logs, value in zip(heads, values, strict=True)]
    mean = np.logaddexp.reduce(heads, axis=0) - np.log(node.heads)
    return own["W_o"] @ np.concatenate(parts), mean


ATTENTIONS: dict[AttentionKind, Kind] = {
    "additive": _softmax_of(_additive),
    "dot": _softmax_of(lambda own, query, memory, before: memory @ query),
    "general": _softmax_of(lambda own, query, memory, before: (memory @ own["W"].T) @ query),
    "concat": _softmax_of(_concat),
    "location": _softmax_of(_location),
    "monotonic": _monotonic,
    "multi_head": _multi_head,
}
