"""Texts answered by torch and onnxruntime beside those of the reference, token for token.

The rule for what differs: float32 and float64 may order two candidates differently that tie within
rounding. A different token is accepted only where both candidates agree within `TIE`:

- `greedy`: the log-probabilities of the two tokens at the first step that differs;
- `beam`: the values of the two answers, each scored by the reference;
- `sample`: the draw and the bound between the two tokens, in cumulative probability.

What follows such a token is another answer, and is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.plan import Plan
from rnnspec.plan.facts import END_ID
from rnnspec.plan.names import answer_name, attention_suffixes
from rnnspec.plan.nodes import (
    FIRST_STEP,
    Beam,
    Greedy,
    NumberedOutput,
    PointerOutput,
    Sample,
    SearchedOutput,
)
from rnnspec.plan.sampling_rng import uniform
from rnnspec.reference import Text
from rnnspec.reference.functions import Array
from rnnspec.reference.interpret import exact_weights, text_task, values_of
from rnnspec.reference.search import Hypothesis, Task, continued, step, value
from rnnspec.to_torch import Model
from rnnspec.to_torch.search import Texts
from tests.kinds import Batch, Row

TIE = 1e-5


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers to one row: tokens and score of each, and the weights `[U, T]` of the best."""

    tokens: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    attention: NDArray[Any] | None = None


def written(plan: Plan) -> NumberedOutput:
    """The output that writes a text; others may stand beside it."""
    (out,) = (node for node in plan.outputs if isinstance(node, NumberedOutput))
    return out


def tasks(
    plan: Plan, weights: Mapping[str, NDArray[Any]], rows: Sequence[Row], seeds: Sequence[int]
) -> list[Task]:
    """The search for each row's text, in the reference."""
    exact = exact_weights(plan, weights)
    out = written(plan)
    assert isinstance(out, SearchedOutput)
    return [
        text_task(plan, out, exact, values_of(plan, exact, row), seed)
        for row, seed in zip(rows, seeds, strict=True)
    ]


@torch.no_grad()
def of_torch(model: Model, inputs: Batch, seeds: Sequence[int]) -> list[Answered]:
    """What the model answers to each row."""
    found = model.answers(inputs, torch.tensor(seeds))[written(model.plan).column]
    assert isinstance(found, Texts)
    attention = None if found.attention is None else found.attention.numpy()
    return answered_rows(
        found.numbers.numpy(), found.lengths.numpy(), found.scores.numpy(), attention
    )


def of_onnx(plan: Plan, got: Mapping[str, NDArray[Any]]) -> list[Answered]:
    """What a file that gives token numbers answers to each row."""
    out = written(plan)
    name = answer_name(plan, out)
    points = isinstance(out, PointerOutput)
    told = name if points else f"{name}.ids"
    numbers, lengths, scores = (got[each] for each in (told, f"{name}.lengths", f"{name}.scores"))
    if points:  # step j has the number j + 2
        numbers = np.where(numbers < 0, END_ID, numbers + FIRST_STEP)
    if lengths.ndim == 1:
        numbers, lengths, scores = numbers[:, None], lengths[:, None], scores[:, None]
    first = (f"{name}{suffix}" for suffix in attention_suffixes(plan, out))
    return answered_rows(numbers, lengths, scores, got.get(next(first, "")))


def answered_rows(
    numbers: NDArray[Any],
    lengths: NDArray[Any],
    scores: NDArray[Any],
    attention: NDArray[Any] | None,
) -> list[Answered]:
    found = []
    for row, tokens in enumerate(tokens_of(numbers, lengths)):
        weights = None if attention is None else attention[row]
        found.append(Answered(tokens, tuple(map(float, scores[row])), weights))
    return found


def tokens_of(
    numbers: NDArray[Any], lengths: NDArray[Any]
) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The answers to each row, of numbers `[B, answers, U]` that are 0 past their lengths."""
    for row, ends in zip(numbers, lengths, strict=True):
        for one, length in zip(row, ends, strict=True):
            assert not one[length:].any(), "a number stands past the end"
        yield tuple(tuple(map(int, one[:n])) for one, n in zip(row, ends, strict=True))


def agree(
    task: Task,
    expected: Text,
    got: Answered,
    where: str,
    tolerance: float = 1e-4,
    attention: bool = True,
    tie: float = TIE,
) -> bool:
    """Asserts that the answers to one row agree; False where they part at a tie.

    Scores agree within `tolerance`, or within as much of their size where that is above 1.
    Candidates are equal within `tie`.
    """
    assert len(got.tokens) == len(expected.tokens), where
    for rank, (ours, theirs) in enumerate(zip(expected.tokens, got.tokens, strict=True)):
        score = expected.scores[rank]
        if ours != theirs:
            ended = _ended(task, ours, score)
            assert tied(task, ours, ended, theirs, tie), f"{where}: {theirs} instead of {ours}"
            return False
        if score == -np.inf:
            assert got.scores[rank] == score, where
            continue
        allowed = tolerance * max(1.0, abs(score))
        assert abs(got.scores[rank] - score) <= allowed, f"{where}: {got.scores[rank]} {score}"
    found = expected.attention[0]
    if attention and found is not None and expected.tokens[0]:
        assert got.attention is not None, where
        count, steps = len(expected.tokens[0]), found.shape[1]
        np.testing.assert_allclose(
            got.attention[:count, :steps], found[:count], atol=tolerance, err_msg=where
        )
        assert not got.attention[:, steps:].any(), f"{where}: weights past a row's length"
    return True


def distance(exact: Answered, answer: Answered) -> float:
    """The largest difference between two answers of the same tokens, in scores (against their size
    where that is above 1) and weights; 0 where the tokens differ."""
    if exact.tokens != answer.tokens:
        return 0.0
    found = [0.0]
    for one, other in zip(exact.scores, answer.scores, strict=True):
        if one != other:
            found.append(abs(one - other) / max(1.0, abs(one)))
    if exact.attention is not None and answer.attention is not None and exact.tokens[0]:
        count = len(exact.tokens[0])
        apart = np.abs(exact.attention[:count] - answer.attention[:count])
        found.append(float(apart.max(initial=0.0)))
    return max(found)


def tied(
    task: Task, ours: Sequence[int], ended: bool, theirs: Sequence[int], tie: float = TIE
) -> bool:
    """Whether two answers part at candidates that are equal within `tie`, by the rule above."""
    if isinstance(task.search, Beam):
        mine = value(task, forced(task, ours, ended))
        others = [forced(task, theirs, end) for end in (True, False)]
        return any(abs(value(task, each) - mine) <= tie for each in others)
    pairs = zip([*ours, END_ID], [*theirs, END_ID], strict=False)
    at = next(number for number, (one, other) in enumerate(pairs) if one != other)
    one, other = ([*tokens, END_ID][at] for tokens in (ours, theirs))
    _, chances, _, _ = step(task, forced(task, ours[:at], False))
    if isinstance(task.search, Greedy):
        return bool(abs(chances[one] - chances[other]) <= tie)
    return _drawn_at_bound(task, chances, at, one, other, tie)


def _drawn_at_bound(task: Task, chances: Array, at: int, one: int, other: int, tie: float) -> bool:
    assert isinstance(task.search, Sample)
    sharp = np.exp((chances - chances.max()) / task.search.temperature)
    order = np.argsort(-sharp, kind="stable")[: task.search.top_k or None]
    places = [int(np.flatnonzero(order == each)[0]) for each in (one, other) if each in order]
    mass = np.cumsum(sharp[order])
    kept = mass[np.searchsorted(mass, task.search.top_p * mass[-1])]
    if len(places) < 2 or abs(kept - task.search.top_p * mass[-1]) <= tie * mass[-1]:
        return True  # the last token kept is itself a tie
    lower, upper = sorted(places)
    equal = abs(sharp[order[lower]] - sharp[order[upper]]) <= tie
    bound = abs(mass[lower] - uniform(task.seed, at) * kept) <= tie * mass[-1]
    return bool(equal or (bound and upper == lower + 1))


def forced(task: Task, tokens: Sequence[int], ended: bool) -> Hypothesis:
    """The hypothesis of these tokens, by the reference."""
    so_far = task.start()
    for number in (*tokens, *([END_ID] if ended else [])):
        truth, _, weights, left = step(task, so_far)
        so_far = so_far.after(number, float(truth[number]), weights, left)
    return so_far


def _ended(task: Task, tokens: Sequence[int], score: float) -> bool:
    """Whether an answer of the reference has its end mark in its score."""
    return len(tokens) < task.limit and abs(forced(task, tokens, True).score - score) < 1e-9


def every_answer(task: Task) -> list[Hypothesis]:
    """Every answer there is, the best first: those with an end mark before those cut at the limit.

    Their number grows with the power of the limit: for tiny vocabularies in tests.
    """
    found: list[Hypothesis] = []
    live = [task.start()]
    for _ in range(task.limit):
        following = [each for one in live for each in continued(task, one)]
        found += [each for each in following if each.ended]
        live = [each for each in following if not each.ended]
    return sorted([*found, *live], key=lambda e: (not e.ended, -value(task, e)))
