"""The search for a text, one row and one hypothesis at a time: see `rnnspec.plan.nodes.search`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

import numpy as np

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Beam, Greedy, Sample, Search
from rnnspec.plan.sampling_rng import uniform
from rnnspec.reference.functions import Array, log_softmax

Read = Callable[[Any, int], tuple[Array, Array | None, Any]]
"""From the decoder's state and the number that is read to the logits `[size]` of the next one, the
weights of attention `[T]` or None, and the state after the step."""
NEVER = -np.inf
COVERAGE_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An answer or its beginning: the decoder's state, the number `previous` to be read next, the
    `tokens` without the end mark, the sum of log-probabilities with it, and attention's weights
    `[T]` of each step."""

    state: Any
    previous: int
    tokens: tuple[int, ...] = ()
    score: float = 0.0
    ended: bool = False
    weights: tuple[Array, ...] = field(default=(), repr=False)

    @property
    def steps(self) -> int:
        return len(self.tokens) + self.ended

    def after(self, number: int, score: float, weights: Array | None, state: Any) -> Hypothesis:
        """One step on: with one more token, or ended."""
        every = self.weights if weights is None else (*self.weights, weights)
        ended = number == END_ID
        tokens = self.tokens if ended else (*self.tokens, number)
        return Hypothesis(state, number, tokens, self.score + score, ended, every)


@dataclass(frozen=True, slots=True)
class Task:
    """A search of one row: at most `limit` steps from the decoder's `state`, of which the first
    reads the number `previous`; `prompt` was read before. `seed` and the numbers `banned` from the
    answer are the row's own."""

    search: Search
    read: Read
    state: Any
    previous: int
    limit: int
    prompt: tuple[int, ...] = ()
    seed: int = 0
    banned: frozenset[int] = frozenset()

    def start(self) -> Hypothesis:
        return Hypothesis(self.state, self.previous)


def most_steps(search: Search, length: int) -> int:
    """The most steps of the answer to a row of `length` steps."""
    return search.limit + int(np.floor(search.factor * length))


def find(task: Task) -> list[Hypothesis]:
    """The `n_best` answers, the best first."""
    search = task.search
    match search:
        case Beam():
            found = beam(task, search)
        case Greedy():
            found = [_follow(task, lambda _, allowed: int(np.argmax(allowed)))]
        case Sample():
            found = [_follow(task, lambda number, allowed: _draw(task, search, number, allowed))]
        case _:
            assert_never(search)
    lacking = replace(task.start(), score=NEVER)
    return found + [lacking] * (task.search.n_best - len(found))


def step(task: Task, so_far: Hypothesis) -> tuple[Array, Array, Array | None, Any]:
    """The log-probabilities `[size]` after a beginning, the same with -inf at numbers that are not
    allowed, attention's weights, and the decoder's state after the step."""
    logits, weights, state = task.read(so_far.state, so_far.previous)
    log_probabilities = log_softmax(_penalised(task, so_far, logits))
    return log_probabilities, _allowed(task, so_far, log_probabilities), weights, state


def _follow(task: Task, choose: Callable[[int, Array], int]) -> Hypothesis:
    """One hypothesis to its end, by a choice at each step."""
    so_far = task.start()
    while so_far.steps < task.limit and not so_far.ended:
        log_probabilities, allowed, weights, state = step(task, so_far)
        number = choose(so_far.steps, allowed)
        so_far = so_far.after(number, float(log_probabilities[number]), weights, state)
    return so_far


def _draw(task: Task, search: Sample, number: int, allowed: Array) -> int:
    """The token of step `number`, drawn with the row's seed."""
    sharp = np.exp((allowed - allowed.max()) / search.temperature)
    order = np.argsort(-sharp, kind="stable")[: search.top_k or None]
    mass = np.cumsum(sharp[order])
    kept = int(np.searchsorted(mass, search.top_p * mass[-1])) + 1
    order, mass = order[:kept], mass[:kept]
    if number < len(search.prefix):
        return int(order[0])
    above = np.flatnonzero(mass > uniform(task.seed, number) * mass[-1])
    return int(order[above[0]])


def _penalised(task: Task, so_far: Hypothesis, logits: Array) -> Array:
    penalty, found = task.search.repetition_penalty, logits.copy()
    for number in {*task.prompt, *so_far.tokens}:
        found[number] = logits[number] / penalty if logits[number] > 0 else logits[number] * penalty
    return found


def _allowed(task: Task, so_far: Hypothesis, log_probabilities: Array) -> Array:
    """The log-probabilities, -inf where a number may not be answered."""
    search, number = task.search, len(so_far.tokens)
    found = np.full_like(log_probabilities, NEVER)
    if number < len(search.prefix):
        found[search.prefix[number]] = log_probabilities[search.prefix[number]]
        return found
    for token in range(len(log_probabilities)):
        banned = token == UNKNOWN_ID or token in search.banned or token in task.banned
        early = token == END_ID and number < search.min_steps
        if not banned and not early and not _repeats(task, so_far, token):
            found[token] = log_probabilities[token]
    if np.all(found == NEVER):
        found[END_ID] = log_probabilities[END_ID]
    return found


def _repeats(task: Task, so_far: Hypothesis, token: int) -> bool:
    """Whether `token` would repeat a run of `no_repeat` tokens."""
    length, before = task.search.no_repeat, (*task.prompt, *so_far.tokens)
    if not length or token == END_ID or len(before) < length:
        return False
    runs = {before[i : i + length] for i in range(len(before) - length + 1)}
    return (*before[len(before) - length + 1 :], token) in runs


def beam(task: Task, search: Beam) -> list[Hypothesis]:
    """The `n_best` best answers, fewer if there are no more; step by step as in `Beam`."""
    width, n_best = search.width, search.n_best
    live, finished = [task.start()], list[Hypothesis]()
    for _ in range(task.limit):
        candidates = [each for one in live for each in continued(task, one)]
        live = sorted((e for e in candidates if not e.ended), key=lambda e: -e.score)[:width]
        threshold = live[-1].score if len(live) == width else NEVER
        ending = [each for each in candidates if each.ended and each.score >= threshold]
        finished = sorted([*finished, *ending], key=lambda e: -value(task, e))[:width]
        if not live or _settled(task, search, live, finished, ending):
            break
    unfinished = sorted(live, key=lambda e: -value(task, e))
    return [*finished, *unfinished][:n_best]


def continued(task: Task, so_far: Hypothesis) -> Iterator[Hypothesis]:
    """All continuations of a hypothesis by one token, in the order of their numbers."""
    log_probabilities, allowed, weights, state = step(task, so_far)
    for number in np.flatnonzero(allowed > NEVER):
        yield so_far.after(int(number), float(log_probabilities[number]), weights, state)


def _settled(
    task: Task,
    search: Beam,
    live: list[Hypothesis],
    finished: list[Hypothesis],
    ending: list[Hypothesis],
) -> bool:
    """Whether the search ends with live hypotheses before its limit."""
    full = len(finished) >= search.width
    if search.width == 1 and full:
        return True
    match search.stop:
        case "full":
            return full
        case "first":
            return full or any(one.score >= live[0].score for one in ending)
        case "best" | "bound":
            steps = task.limit if search.stop == "bound" else live[0].steps
            best = max(one.score for one in live) / _norm(search, steps)
            enough = len(finished) >= search.n_best
            return enough and best <= value(task, finished[search.n_best - 1])
        case _:
            assert_never(search.stop)


def value(task: Task, one: Hypothesis) -> float:
    """What hypotheses are compared by."""
    search = task.search
    if not isinstance(search, Beam):
        return one.score
    found = one.score / _norm(search, one.steps)
    if search.coverage_penalty and one.weights:
        covered = np.clip(np.sum(one.weights, axis=0), COVERAGE_FLOOR, 1.0)
        found += search.coverage_penalty * float(np.log(covered).sum())
    return found


def _norm(search: Beam, steps: int) -> float:
    """What a log-probability is divided by after this number of steps."""
    match search.length_norm:
        case "none":
            return 1.0
        case "average":
            return float(max(steps, 1))
        case "gnmt":
            return float(((5 + steps) / 6) ** search.alpha)
