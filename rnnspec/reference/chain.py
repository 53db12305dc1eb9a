"""The likeliest path of labels of one row: see `rnnspec.plan.nodes.ChainOutput`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import LOWEST_STEP, LOWEST_TRANSITION, ChainOutput
from rnnspec.reference.functions import Array, Arrays


@dataclass(frozen=True, slots=True)
class Path:
    """The likeliest path of a row: its `labels` `[T]`, ln of its probability, and the probability
    of each label at each step `[T, K]`."""

    labels: NDArray[np.int64]
    score: float
    probabilities: Array


@dataclass(frozen=True, slots=True)
class Chain:
    """The scores of a row: of each label at each step `[T, K]`, of first and last labels `[K]`, and
    of label j after label i `[K, K]`."""

    steps: Array
    start: Array
    end: Array
    transitions: Array


def chain_of(node: ChainOutput, weights: Arrays, scores: Array) -> Chain:
    """The chain of the scores `[T, K]` of a row."""
    start, end, transitions = (
        _floored(weights[f"{node.name}.{name}"], LOWEST_TRANSITION)
        for name in ("start", "end", "transitions")
    )
    if node.scheme != "none":
        rules = weights[f"{node.name}.rules"]
        start, end = start + rules[-1, :-1], end + rules[:-1, -1]
        transitions = transitions + rules[:-1, :-1]
    steps = [_floored(step, LOWEST_STEP) for step in scores]
    return Chain(np.array(steps).reshape(-1, node.classes), start, end, transitions)


def _floored(scores: Array, lowest: float) -> Array:
    return np.asarray(np.maximum(scores - scores.max(), lowest))


def path_of(chain: Chain) -> Path:
    """The answer to a row."""
    if not len(chain.steps):
        return Path(np.zeros(0, np.int64), 0.0, chain.steps)
    forward, backward = _forward(chain), _backward(chain)
    total = np.logaddexp.reduce(forward[-1] + chain.end)
    labels = _best(chain)
    score = path_score(chain, labels) - total
    return Path(labels, float(score), np.exp(forward + backward - total))


def path_score(chain: Chain, labels: NDArray[np.int64]) -> float:
    """The score of a path of at least one step."""
    found = chain.start[labels[0]] + chain.end[labels[-1]]
    for step, label in zip(chain.steps, labels, strict=True):
        found += step[label]
    for before, label in pairwise(labels):
        found += chain.transitions[before, label]
    return float(found)


def _forward(chain: Chain) -> Array:
    """ln of the sum over the paths up to each step that end with each label, `[T, K]`."""
    found = [chain.start + chain.steps[0]]
    for step in chain.steps[1:]:
        found.append(np.logaddexp.reduce(found[-1][:, None] + chain.transitions) + step)
    return np.array(found)


def _backward(chain: Chain) -> Array:
    """ln of the sum over the paths after each step with each label, `[T, K]`."""
    found = [chain.end]
    for step in chain.steps[:0:-1]:
        found.append(np.logaddexp.reduce(chain.transitions + step + found[-1], axis=1))
    return np.array(found[::-1])


def _best(chain: Chain) -> NDArray[np.int64]:
    """The path with the largest score (Viterbi 1967)."""
    best = [chain.start + chain.steps[0]]
    for step in chain.steps[1:]:
        best.append((best[-1][:, None] + chain.transitions).max(axis=0) + step)
    labels = [int((best[-1] + chain.end).argmax())]
    for before in best[-2::-1]:
        labels.append(int((before + chain.transitions[:, labels[-1]]).argmax()))
    return np.array(labels[::-1], np.int64)
