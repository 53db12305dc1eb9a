"""How a text is chosen, one row at a time and one hypothesis at a time, as `Search` says.

What gives the scores is a function: `Read` takes what the tokens so far have left and the number
of the next token read, and gives the scores of the token after it.
"""

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
"""From what is left and a number to the scores `[size]`, the weights of attention `[T]` or None,
and what is left after it."""
NEVER = -np.inf
LEAST_COVERED = 1e-6


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An answer or its beginning: `tokens` without the end mark, the sum of log-probabilities with
    it, the weights `[T]` of each step, what the steps have left, and the number to be read next."""

    left: Any
    following: int
    tokens: tuple[int, ...] = ()
    score: float = 0.0
    ended: bool = False
    weights: tuple[Array, ...] = field(default=(), repr=False)

    @property
    def steps(self) -> int:
        return len(self.tokens) + self.ended

    def after(self, number: int, score: float, weights: Array | None, left: Any) -> Hypothesis:
        """One step on: with one more token, or ended."""
        seen = self.weights if weights is None else (*self.weights, weights)
        ended = number == END_ID
        tokens = self.tokens if ended else (*self.tokens, number)
        return Hypothesis(left, number, tokens, self.score + score, ended, seen)


@dataclass(frozen=True, slots=True)
class Task:
    """A search of one row: at most `limit` steps from `left` and the number `first` to be read;
    `prompt` was read before, `seed` is the row's own, and so are the numbers `shut` that may not be
    answered."""

    search: Search
    read: Read
    left: Any
    first: int
    limit: int
    prompt: tuple[int, ...] = ()
    seed: int = 0
    shut: frozenset[int] = frozenset()

    def start(self) -> Hypothesis:
        return Hypothesis(self.left, self.first)


def most_steps(search: Search, length: int) -> int:
    """Steps that a row of `length` steps may take."""
    return search.limit + int(np.floor(search.factor * length))


def find(task: Task) -> list[Hypothesis]:
    """The `n_best` answers, the best first."""
    search = task.search
    match search:
        case Beam():
            found = beam(task, search)
        case Greedy():
            found = [_follow(task, lambda _, chances: int(np.argmax(chances)))]
        case Sample():
            found = [_follow(task, lambda number, chances: _draw(task, search, number, chances))]
        case _:
            assert_never(search)
    lacking = replace(task.start(), score=NEVER)
    return found + [lacking] * (task.search.n_best - len(found))


def step(task: Task, so_far: Hypothesis) -> tuple[Array, Array, Array | None, Any]:
    """The true log-probabilities `[size]` after a beginning, those to choose by (-inf where
    excluded), the weights of attention, and what the step leaves."""
    scores, weights, left = task.read(so_far.left, so_far.following)
    truth = log_softmax(_penalised(task, so_far, scores))
    return truth, _choices(task, so_far, truth), weights, left


def _follow(task: Task, choose: Callable[[int, Array], int]) -> Hypothesis:
    """One hypothesis to its end, by the choice of a number at each step."""
    so_far = task.start()
    while so_far.steps < task.limit and not so_far.ended:
        truth, chances, weights, left = step(task, so_far)
        number = choose(so_far.steps, chances)
        so_far = so_far.after(number, float(truth[number]), weights, left)
    return so_far


def _draw(task: Task, search: Sample, number: int, chances: Array) -> int:
    """The token of step `number` drawn with the row's seed."""
    sharp = np.exp((chances - chances.max()) / search.temperature)
    order = np.argsort(-sharp, kind="stable")[: search.top_k or None]
    mass = np.cumsum(sharp[order])
    kept = int(np.searchsorted(mass, search.top_p * mass[-1])) + 1
    order, mass = order[:kept], mass[:kept]
    if number < len(search.prefix):
        return int(order[0])
    above = np.flatnonzero(mass > uniform(task.seed, number) * mass[-1])
    return int(order[above[0]])


def _penalised(task: Task, so_far: Hypothesis, scores: Array) -> Array:
    penalty, found = task.search.repetition_penalty, scores.copy()
    for number in {*task.prompt, *so_far.tokens}:
        found[number] = scores[number] / penalty if scores[number] > 0 else scores[number] * penalty
    return found


def _choices(task: Task, so_far: Hypothesis, truth: Array) -> Array:
    """Log-probabilities with -inf for what is excluded."""
    search, number = task.search, len(so_far.tokens)
    found = np.full_like(truth, NEVER)
    if number < len(search.prefix):
        found[search.prefix[number]] = truth[search.prefix[number]]
        return found
    for token in range(len(truth)):
        banned = token == UNKNOWN_ID or token in search.banned or token in task.shut
        early = token == END_ID and number < search.min_steps
        if not banned and not early and not _repeats(task, so_far, token):
            found[token] = truth[token]
    if np.all(found == NEVER):
        found[END_ID] = truth[END_ID]
    return found


def _repeats(task: Task, so_far: Hypothesis, token: int) -> bool:
    """Whether `token` would make a run of `no_repeat` tokens come twice."""
    length, before = task.search.no_repeat, (*task.prompt, *so_far.tokens)
    if not length or token == END_ID or len(before) < length:
        return False
    runs = {before[i : i + length] for i in range(len(before) - length + 1)}
    return (*before[len(before) - length + 1 :], token) in runs


def beam(task: Task, search: Beam) -> list[Hypothesis]:
    """The `n_best` best answers, fewer where there are no more."""
    width, n_best = search.width, search.n_best
    live, finished = [task.start()], list[Hypothesis]()
    for _ in range(task.limit):
        following = [each for one in live for each in _continued(task, one)]
        going = sorted((e for e in following if not e.ended), key=lambda e: -e.score)[:width]
        bar = going[-1].score if len(going) == width else NEVER
        ending = [each for each in following if each.ended and each.score >= bar]
        finished = sorted([*finished, *ending], key=lambda e: -value(task, e))[:width]
        live = going
        if not live or _settled(task, search, live, finished, ending):
            break
    unfinished = sorted(live, key=lambda e: -value(task, e))
    return [*finished, *unfinished][:n_best]


def _continued(task: Task, so_far: Hypothesis) -> Iterator[Hypothesis]:
    """All continuations of a live hypothesis by one token, in the order of their numbers."""
    truth, chances, weights, left = step(task, so_far)
    for number in np.flatnonzero(chances > NEVER):
        yield so_far.after(int(number), float(truth[number]), weights, left)


def _settled(
    task: Task,
    search: Beam,
    live: list[Hypothesis],
    finished: list[Hypothesis],
    ending: list[Hypothesis],
) -> bool:
    """Whether the rule of `stop` ends the search."""
    n_best, stop, width = search.n_best, search.stop, search.width
    if len(finished) >= width and (width == 1 or stop in ("full", "first")):
        return True
    if stop == "first":
        return any(one.score >= live[0].score for one in ending)
    if stop in ("best", "bound") and len(finished) >= n_best:
        steps = task.limit if stop == "bound" else live[0].steps
        best = max(one.score for one in live) / _norm(search, steps)
        return best <= value(task, finished[n_best - 1])
    return False


def value(task: Task, one: Hypothesis) -> float:
    """What hypotheses are compared by."""
    search = task.search
    if not isinstance(search, Beam):
        return one.score
    found = one.score / _norm(search, one.steps)
    if search.coverage_penalty and one.weights:
        covered = np.clip(np.sum(one.weights, axis=0), LEAST_COVERED, 1.0)
        found += search.coverage_penalty * float(np.log(covered).sum())
    return found


def _norm(search: Beam, steps: int) -> float:
    match search.length_norm:
        case "none":
            return 1.0
        case "average":
            return float(max(steps, 1))
        case "gnmt":
            return float(((5 + steps) / 6) ** search.alpha)


def every_answer(task: Task) -> list[Hypothesis]:
    """Every answer there is, the best first: those with an end mark before those cut at the limit.

    Their number grows with the power of the limit: for tiny vocabularies in tests.
    """
    found: list[Hypothesis] = []
    live = [task.start()]
    for _ in range(task.limit):
        following = [each for one in live for each in _continued(task, one)]
        found += [each for each in following if each.ended]
        live = [each for each in following if not each.ended]
    return sorted([*found, *live], key=lambda e: (not e.ended, -value(task, e)))
