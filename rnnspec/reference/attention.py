"""One step of attention over the steps of one row, by the formulas of `Attend`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.plan.nodes import Attend
from rnnspec.reference.functions import Array, sigmoid, softmax
from rnnspec.reference.layers import Arrays


@dataclass(frozen=True, slots=True)
class Looked:
    """Where an attention has looked: the weights of the last step, and the sum of all steps'."""

    last: Array
    total: Array


def unlooked(node: Attend, steps: int) -> Looked:
    """Before the first step."""
    last = np.zeros(steps)
    if node.kind == "monotonic" and steps:
        last[0] = 1.0
    return Looked(last, np.zeros(steps))


def attend(
    node: Attend, weights: Arrays, query: Array, memory: Array, before: Looked
) -> tuple[Array, Looked]:
    """The context `[memory_width]` of a query, and where it was looked for."""
    if not len(memory):
        return np.zeros(node.memory_width), before
    if node.kind == "multi_head":
        context, found = _multi_head(node, weights, query, memory)
    elif node.kind == "monotonic":
        found = _monotonic(_energies(node, weights, query, memory, before), before.last)
        context = found @ memory
    else:
        found = softmax(_energies(node, weights, query, memory, before))
        context = found @ memory
    return context, Looked(found, before.total + found)


def _energies(node: Attend, weights: Arrays, query: Array, memory: Array, before: Looked) -> Array:
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
    """a_j = p_j q_j with q_j = (1 - p_{j-1}) q_{j-1} + last_j."""
    chosen, found, q = sigmoid(energies), np.zeros(len(energies)), 0.0
    for j in range(len(energies)):
        q = (1 - chosen[j - 1]) * q + last[j] if j else last[j]
        found[j] = chosen[j] * q
    return found


def _multi_head(node: Attend, weights: Arrays, query: Array, memory: Array) -> tuple[Array, Array]:
    """The context, and the mean over heads of the weights."""
    asked = np.split(weights[f"{node.name}.W_q"] @ query, node.heads)
    keys = np.split(memory @ weights[f"{node.name}.W_k"].T, node.heads, axis=1)
    given = np.split(memory @ weights[f"{node.name}.W_v"].T, node.heads, axis=1)
    scale = np.sqrt(node.units / node.heads)
    each = [softmax(key @ one / scale) for key, one in zip(keys, asked, strict=True)]
    parts = [found @ value for found, value in zip(each, given, strict=True)]
    return weights[f"{node.name}.W_o"] @ np.concatenate(parts), np.mean(each, axis=0)
