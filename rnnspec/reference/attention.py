"""One step of attention over the steps of one row, by the formulas of `Attend`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.plan.nodes import Attend
from rnnspec.reference.functions import Array, log_sigmoid, log_softmax
from rnnspec.reference.layers import Arrays


@dataclass(frozen=True, slots=True)
class AttentionState:
    """Where an attention has looked: the logarithms of the weights of the last step, and the sum of
    all steps' weights."""

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
    """The context `[memory_width]` of a query, and where it was looked for."""
    if not len(memory):
        return np.zeros(node.memory_width), before
    if node.kind == "multi_head":
        context, logs = _multi_head(node, weights, query, memory)
    else:
        energies = _energies(node, weights, query, memory, before)
        logs = log_softmax(energies)
        if node.kind == "monotonic":
            logs = _monotonic(energies, before.logs)
        context = np.exp(logs) @ memory
    return context, AttentionState(logs, before.total + np.exp(logs))


def _energies(
    node: Attend, weights: Arrays, query: Array, memory: Array, before: AttentionState
) -> Array:
    """e_j for every step j of the memory."""
    of = {name: weights.get(f"{node.name}.{name}", np.zeros(0)) for name in _NAMES}
    covered = np.outer(before.total, of["w_c"]) if node.coverage else np.zeros((len(memory), 1))
    match node.kind:
        case "dot":
            return np.asarray(memory @ query)
        case "general":
            return np.asarray((memory @ of["W"].T) @ query)
        case "concat":
            pairs = np.concatenate([np.tile(query, (len(memory), 1)), memory], axis=1)
            return np.asarray(np.tanh(pairs @ of["W"].T + covered) @ of["v"])
        case "location":
            seen = _convolved(before.last, of["F"]) @ of["U"].T
        case _:
            seen = covered
    energies = np.tanh(of["W_q"] @ query + memory @ of["W_m"].T + of["b"] + seen) @ of["v"]
    return np.asarray(energies + of["r"] if node.kind == "monotonic" else energies)


_NAMES = ("W", "W_q", "W_m", "b", "v", "F", "U", "r", "w_c")


def _convolved(last: Array, filters: Array) -> Array:
    """f `[T, filters]`: f_jk = sum_i F_ki last_(j + i - (kernel - 1) / 2), 0 beyond the ends."""
    steps, (count, kernel) = len(last), filters.shape
    found, half = np.zeros((steps, count)), (kernel - 1) // 2
    for j in range(steps):
        for i in range(kernel):
            if 0 <= j + i - half < steps:
                found[j] += filters[:, i] * last[j + i - half]
    return found


def _monotonic(energies: Array, last: Array) -> Array:
    """ln a_j of a_j = p_j q_j with q_j = (1 - p_{j-1}) q_{j-1} + a'_j; `last` is ln a'."""
    chosen, passed = log_sigmoid(energies), log_sigmoid(-energies)
    found, left = np.zeros(len(energies)), -np.inf
    for j in range(len(energies)):
        q = np.logaddexp(left, last[j])
        found[j], left = chosen[j] + q, passed[j] + q
    return found


def _multi_head(node: Attend, weights: Arrays, query: Array, memory: Array) -> tuple[Array, Array]:
    """The context, and the logarithm of the mean over heads of the weights."""
    asked = np.split(weights[f"{node.name}.W_q"] @ query, node.heads)
    keys = np.split(memory @ weights[f"{node.name}.W_k"].T, node.heads, axis=1)
    given = np.split(memory @ weights[f"{node.name}.W_v"].T, node.heads, axis=1)
    scale = np.sqrt(node.units / node.heads)
    each = [log_softmax(key @ one / scale) for key, one in zip(keys, asked, strict=True)]
    parts = [np.exp(logs) @ value for logs, value in zip(each, given, strict=True)]
    mean = np.logaddexp.reduce(each, axis=0) - np.log(node.heads)
    return weights[f"{node.name}.W_o"] @ np.concatenate(parts), mean
