"""Steps of the row that are answered, by trying all of them: see `PositionOutput`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from rnnspec.plan.nodes import PositionOutput
from rnnspec.reference.functions import Array, Arrays, log_softmax


@dataclass(frozen=True, slots=True)
class Position:
    """The choice of each mark, 0 for none and j + 1 for step j, and the log-probabilities of all
    choices, `[1 + T, marks]`."""

    choices: tuple[int, ...]
    logs: Array


def choice_scores(node: PositionOutput, weights: Arrays, scores: Array) -> Array:
    """`[1 + T, marks]` of none and of the steps of a row, of their scores `[T, marks]`."""
    nothing = np.full(node.marks, -np.inf if len(scores) else 0.0)
    if node.none:
        nothing = weights[f"{node.name}.none"]
    return np.concatenate([nothing[None], scores])


def position_of(node: PositionOutput, scores: Array) -> Position:
    """The likeliest choices, of scores `[1 + T, marks]`."""
    logs = np.stack([log_softmax(mark) for mark in scores.T], 1)
    best, found = -np.inf, (0,) * node.marks
    for choices in product(range(len(logs)), repeat=node.marks):
        value = sum(logs[choice, mark] for mark, choice in enumerate(choices))
        earlier = value == best and choices[::-1] < found[::-1]
        if legal(node, choices) and (value > best or earlier):
            best, found = value, choices
    return Position(found, logs)


def legal(node: PositionOutput, choices: tuple[int, ...]) -> bool:
    """Whether choices can be answered together."""
    first, last = choices[0], choices[-1]
    if 0 in choices:
        return first == last
    return first <= last and (not node.longest or last - first < node.longest)
