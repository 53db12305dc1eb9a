"""The oracle: a plan computed row by row, step by step, in NumPy and float64.

No padding, no batch, no fused kernel: what each node's definition in `rnnspec.plan.nodes` says,
and nothing to make it fast. Every other back end is held against this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnspec.plan.facts import END_ID
from rnnspec.plan.names import first_sequence
from rnnspec.plan.nodes import (
    Attend,
    CharactersInput,
    Decoder,
    ForecastOutput,
    Output,
    PerStep,
    Plan,
    TextOutput,
    shapes,
)
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.functions import Array
from rnnspec.reference.inputs import Reading, Row, read
from rnnspec.reference.layers import Arrays, value_of
from rnnspec.reference.outputs import answer_of, forecast_of, raw_forecast
from rnnspec.reference.search import Hypothesis, Task, find, most_steps

Weights = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Text:
    """The answer to one row by a decoder over tokens, of each of the `n_best`: the numbers without
    the end mark, the log-probability (with the end mark, if it was reached), and the weights of
    attention at every step `[steps, T]`, with that of the end mark, or None without attention."""

    tokens: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    attention: tuple[Array | None, ...]


def answers(
    plan: Plan,
    weights: Weights,
    rows: Sequence[Row],
    seeds: Sequence[int] | None = None,
) -> dict[str, Any]:
    """The answer to each row, by output column; a row is what `rnnspec.reference.inputs.Row` says.

    A class is answered by its probabilities `[B, classes]`, labels by theirs, numbers by
    `[B, width]` in the units of the data, a forecast by its parameters `[B, H, k]`, also in those
    units. Of outputs with steps a list of `[T, ...]`, one a row; of texts a list of `Text`, drawn
    with `seeds` (0 if None).
    """
    exact = _exact(weights)
    drawn = seeds or [0] * len(rows)
    found = [_answer(plan, exact, row, seed) for row, seed in zip(rows, drawn, strict=True)]
    return _together(plan, found)


def scores(
    plan: Plan,
    weights: Weights,
    rows: Sequence[Row],
    targets: Sequence[Mapping[str, ArrayLike]] = (),
) -> dict[str, Any]:
    """What the outputs are made of, by output column and shaped as the answers: scores before a
    softmax or sigmoid, numbers before they are scaled back.

    Of texts, a list of `[U, size]`, one step for each of the true numbers `[U]` in `targets` (with
    the end mark, if it is to be scored), each fed with the true one before it. A recursive forecast
    is fed with the values `[H]` of `targets`, if there are any.
    """
    exact = _exact(weights)
    known = targets or [{}] * len(rows)
    found = []
    for row, target in zip(rows, known, strict=True):
        values = values_of(plan, exact, row)
        truth = {column: np.asarray(v, np.float64) for column, v in target.items()}
        found.append({o.column: _scores(plan, exact, o, values, truth) for o in plan.outputs})
    return _together(plan, found)


def _exact(weights: Weights) -> dict[str, Array]:
    return {name: np.asarray(value, np.float64) for name, value in weights.items()}


def _together(plan: Plan, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By column; stacked where all rows are of one shape by definition."""
    columns: dict[str, Any] = {}
    for out in plan.outputs:
        each = [one[out.column] for one in found]
        alike = not isinstance(out, TextOutput) and not getattr(out, "steps", False)
        columns[out.column] = np.stack(each) if alike else each
    return columns


def values_of(plan: Plan, weights: Arrays, row: Row) -> dict[str, Array]:
    """The value of every node of a row, but for outputs and decoders.

    What stands on the characters of tokens is computed token by token until a `PerStep`.
    """
    values: dict[str, Array] = {}
    spelled: dict[str, list[Array]] = {}
    axes = shapes(plan)
    for node in plan.nodes:
        source = getattr(node, "source", "")
        if isinstance(node, CharactersInput):
            spelled[node.name] = [np.asarray(c, np.float64).reshape(-1) for c in row[node.key]]
        elif isinstance(node, Reading):
            values[node.name] = read(node, weights, row, values)
        elif isinstance(node, PerStep):
            width = int(axes[node.name][-1])
            values[node.name] = np.array(spelled[source]).reshape(-1, width)
        elif source in spelled:
            tokens = spelled[source]
            spelled[node.name] = [value_of(plan, node, weights, {source: t}) for t in tokens]
        elif not isinstance(node, Decoder | Output):
            values[node.name] = value_of(plan, node, weights, values)
    return values


def _answer(plan: Plan, weights: Arrays, row: Row, seed: int) -> dict[str, Any]:
    values, found = values_of(plan, weights, row), dict[str, Any]()
    for out in plan.outputs:
        match out:
            case TextOutput():
                best = find(text_task(plan, out, weights, values, seed))
                found[out.column] = _text(best)
            case ForecastOutput():
                raw = raw_forecast(plan, out, weights, values)
                found[out.column] = forecast_of(out, weights, values, raw)
            case _:
                found[out.column] = answer_of(out, weights, values[out.source])
    return found


def _text(best: Sequence[Hypothesis]) -> Text:
    return Text(
        tuple(one.tokens for one in best),
        tuple(one.score for one in best),
        tuple(np.stack(one.weights) if one.weights else None for one in best),
    )


def text_task(plan: Plan, out: TextOutput, weights: Arrays, values: Arrays, seed: int = 0) -> Task:
    """The search for one row's text, after its prompt."""
    decoder = plan.node(out.source)
    assert isinstance(decoder, Decoder)
    body, left = Body(plan, decoder, weights, values), DecoderState()
    looks = [node.name for node in decoder.body if isinstance(node, Attend)]

    def following(left: DecoderState, number: int) -> tuple[Array, Array | None, DecoderState]:
        raw, after = body.advance(number, left)
        return raw, after.looked[looks[0]].last if looks else None, after

    prompt = tuple(int(number) for number in values[out.prompt]) if out.prompt else ()
    begun = prompt if prompt and decoder.whole_prompt else (END_ID, *prompt)
    for number in begun[:-1]:
        _, left = body.advance(number, left)
    first = first_sequence(plan)
    limit = most_steps(out.search, len(values[first.name]) if first else 0)
    numbers = values[out.copies].astype(int).tolist() if out.copies else []
    shut = frozenset(~number for number in numbers if number < 0)
    return Task(out.search, following, left, begun[-1], limit, prompt, seed, shut)


def _scores(plan: Plan, weights: Arrays, out: Output, values: Arrays, truth: Arrays) -> Array:
    if isinstance(out, ForecastOutput):
        return raw_forecast(plan, out, weights, values, truth.get(out.column))
    if not isinstance(out, TextOutput):
        return values[out.source]
    task = text_task(plan, out, weights, values)
    found, left, number = [], task.left, task.first
    for following in truth[out.column]:
        raw, _, left = task.read(left, number)
        found.append(raw)
        number = int(following)
    size = out.size + (len(values[out.copies]) if out.copies else 0)
    return np.array(found).reshape(-1, size)
