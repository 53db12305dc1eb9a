"""What the steps of a row read as: see `rnnspec.plan.nodes.CtcOutput` and `plan.nodes.search`.

Log-probabilities of a row are `[T, size]`; the blank is number 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

import numpy as np

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import BestPath, CtcSearch, PrefixBeam
from rnnspec.reference.functions import Array, log_softmax

BLANK = END_ID
NEVER = -np.inf
Tokens = tuple[int, ...]
Span = tuple[int, int]
"""The first and the last step of a token."""


def log_probabilities(scores: Array) -> Array:
    return np.array([log_softmax(step) for step in scores]).reshape(scores.shape)


def reading(path: Iterable[int]) -> Tokens:
    """The text that a path reads as."""
    found, before = list[int](), BLANK
    for number in path:
        if number not in (before, BLANK):
            found.append(number)
        before = number
    return tuple(found)


def spans_of(path: Sequence[int]) -> tuple[Span, ...]:
    """The first and the last step of each token that a path reads as."""
    found, before = list[Span](), BLANK
    for step, number in enumerate(path):
        if number != BLANK:
            first = found.pop()[0] if number == before else step
            found.append((first, step))
        before = number
    return tuple(found)


def find(logs: Array, search: CtcSearch) -> list[tuple[Tokens, float]]:
    """The `n_best` answers with their log-probabilities, the best first."""
    known = logs.copy()
    known[:, UNKNOWN_ID] = NEVER
    match search:
        case BestPath():
            return [(reading(best_path(logs)), float(known.max(axis=1).sum()))]
        case PrefixBeam():
            found = beam(known, search.width)[: search.n_best]
            return found + [((), NEVER)] * (search.n_best - len(found))
        case _:
            assert_never(search)


def best_path(logs: Array) -> list[int]:
    """The most probable number at each step, not the unknown."""
    known = logs.copy()
    known[:, UNKNOWN_ID] = NEVER
    return [int(np.argmax(step)) for step in known]


def beam(logs: Array, width: int) -> list[tuple[Tokens, float]]:
    """The prefixes in the beam after the last step, the best first."""
    kept: dict[Tokens, tuple[float, float]] = {(): (0.0, NEVER)}  # in the blank, in the last token
    for step in logs:
        found: dict[Tokens, list[float]] = {prefix: [NEVER, NEVER] for prefix in kept}
        for prefix, (in_blank, in_token) in kept.items():
            found[prefix][0] = float(np.logaddexp(in_blank, in_token) + step[BLANK])
            if prefix:
                again = in_token + step[prefix[-1]]
                found[prefix][1] = float(np.logaddexp(found[prefix][1], again))
        for prefix, (in_blank, in_token) in kept.items():
            for number in range(len(step)):
                if number == BLANK or step[number] == NEVER:
                    continue
                repeats = prefix[-1:] == (number,)
                before = in_blank if repeats else np.logaddexp(in_blank, in_token)
                into = found.setdefault((*prefix, number), [NEVER, NEVER])
                into[1] = float(np.logaddexp(into[1], before + step[number]))
        likely = {p: (b, t) for p, (b, t) in found.items() if max(b, t) > NEVER}
        ranked = sorted(likely.items(), key=lambda item: -float(np.logaddexp(*item[1])))
        kept = dict(ranked[:width])
    return [(prefix, float(np.logaddexp(*both))) for prefix, both in kept.items()]


def log_probability(logs: Array, tokens: Tokens) -> float:
    """Of all paths that read as `tokens`, by the forward variables of Graves et al. 2006, equations
    5 to 8."""
    states = interleaved(tokens)
    forward = np.full(len(states), NEVER)
    forward[0] = 0.0  # before the first step
    for step in logs:
        before, forward = forward, np.full(len(states), NEVER)
        for at, number in enumerate(states):
            for origin in _origins(states, at):
                forward[at] = np.logaddexp(forward[at], before[origin] + step[number])
    return float(np.logaddexp.reduce(forward[-2:]))


def align(logs: Array, tokens: Tokens) -> tuple[Span, ...]:
    """The first and the last step of each token on the most probable path that reads as `tokens`;
    of equal paths the one that is further along at the last step where they differ."""
    states = interleaved(tokens)
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}  # of each state its path of states
    for step in logs:
        before, best = best, {}
        for at, number in enumerate(states):
            origins = [before[o] for o in _origins(states, at) if o in before]
            if origins:
                score, path = max(origins, key=lambda one: one[0])
                best[at] = (score + step[number], [*path, at])
    ends = [best[at] for at in (len(states) - 1, len(states) - 2) if at in best]
    _, path = max(ends, key=lambda one: one[0])
    steps = [[step for step, at in enumerate(path) if at == 2 * n + 1] for n in range(len(tokens))]
    return tuple((each[0], each[-1]) for each in steps)


def interleaved(tokens: Tokens) -> list[int]:
    """The tokens with blanks before, between and after them."""
    found = [BLANK]
    for token in tokens:
        found += [token, BLANK]
    return found


def _origins(states: Sequence[int], at: int) -> list[int]:
    """The states from which state `at` is reached in a step, the furthest first."""
    found = [at] if at == 0 else [at, at - 1]
    if at >= 3 and at % 2 == 1 and states[at] != states[at - 2]:
        found.append(at - 2)
    return found
