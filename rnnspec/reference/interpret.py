"""The oracle: a plan computed row by row, step by step, in NumPy and float64.

It follows the definitions in `rnnspec.plan.nodes`, without padding, batches or fused kernels. Every
other back end is tested against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnspec.plan import Plan, nodes
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.names import first_sequences
from rnnspec.reference import alignment, transducer
from rnnspec.reference.chain import chain_of, path_of
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.frames import Writer, raw_frames, written
from rnnspec.reference.functions import Array, Arrays
from rnnspec.reference.inputs import Reading, Row, read
from rnnspec.reference.layers import LAYERS
from rnnspec.reference.outputs import (
    answer_of,
    forecast_of,
    quantiles_over,
    raw_forecast,
    sampled_paths,
)
from rnnspec.reference.positions import choice_scores, position_of
from rnnspec.reference.search import Hypothesis, Task, find, most_steps

Weights = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Text:
    """The `n_best` texts of one row: of each the numbers without the end mark, the log-probability
    (with the end mark, if reached), and the weights of attention `[steps, T]` (with those of the
    end mark), None without attention. Along steps the first and the last one of each token of the
    best text."""

    tokens: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    attention: tuple[Array | None, ...]
    alignment: tuple[alignment.Span, ...] | None = None


def answers(
    plan: Plan, weights: Weights, rows: Sequence[Row], seeds: Sequence[int] | None = None
) -> dict[str, Any]:
    """The answers to rows (`rnnspec.reference.inputs.Row`), by output column.

    Probabilities `[B, classes]` or `[B, labels]`; numbers `[B, width]` and the parameters
    `[B, H, k]` of a forecast in the units of the data, or the quantiles over its paths; with steps
    a list of `[T, ...]`, one per row; for chains of labels a list of `Path`, for positions of
    `Position`, for frames that a decoder writes of `Frames`, and for texts of `Text`. What is drawn
    is drawn with `seeds` (None: 0).
    """
    exact = exact_weights(plan, weights)
    row_seeds = seeds or [0] * len(rows)
    found = [_answer(plan, exact, row, seed) for row, seed in zip(rows, row_seeds, strict=True)]
    return _together(plan, found)


def raw_outputs(
    plan: Plan,
    weights: Weights,
    rows: Sequence[Row],
    targets: Sequence[Mapping[str, ArrayLike]] = (),
) -> dict[str, Any]:
    """The logits or scaled numbers behind the answers, by output column, shaped as `answers`.

    For texts by CTC a list of log-probabilities `[T, size]`, by a transducer those of the blank and
    the next true token, `[T, U + 1, 2]`. For other texts a list of
    `[U, size]`, one step for each true number `[U]` in `targets` (which include the end mark if it
    counts), fed with the true number before it. A recursive forecast is fed with the values `[H]`
    of `targets`, if there are any, a decoder of frames with those `[U, width]` (`raw_frames`).
    """
    exact = exact_weights(plan, weights)
    known = targets or [{}] * len(rows)
    found = []
    for row, target in zip(rows, known, strict=True):
        values = values_of(plan, exact, row)
        truth = {column: np.asarray(v, np.float64) for column, v in target.items()}
        found.append({o.column: _raw(plan, exact, o, values, truth, row) for o in plan.targets})
    return _together(plan, found)


def exact_weights(plan: Plan, weights: Weights) -> dict[str, Array]:
    """All weights, shared ones by the names that they have in each node."""
    found = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    return found | {name: found[own] for name, own in nodes.shared_weights(plan).items()}


def _together(plan: Plan, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By column; stacked if all rows have the same shape by definition."""
    columns: dict[str, Any] = {}
    for out in plan.outputs:
        if out.column not in found[0]:  # states, of which there is nothing raw
            continue
        each = [one[out.column] for one in found]
        written = isinstance(out, nodes.NumberedOutput | nodes.FramesOutput | nodes.PositionOutput)
        alike = not written and not getattr(out, "steps", False)
        columns[out.column] = np.stack(each) if alike else each
    return columns


def values_of(plan: Plan, weights: Arrays, row: Row) -> dict[str, Array]:
    """The values of all nodes for one row, except outputs and decoders.

    Nodes over the characters of tokens, and over what is nested in steps, are computed token by
    token, or step by step, up to a `PerStep`: their values are lists, as deep as they are nested.
    """
    values: dict[str, Array] = {}
    inner: dict[str, list[Any]] = {}
    axes = nodes.shapes(plan)
    for node in plan.nodes:
        if isinstance(node, nodes.CharactersInput):
            inner[node.name] = [np.asarray(c, np.float64).reshape(-1) for c in row[node.key]]
        elif isinstance(node, nodes.Unnest):
            above = inner if node.source in inner else values
            inner[node.name] = _unnested(above[node.source], axes[node.name])
        elif isinstance(node, Reading):
            values[node.name] = read(node, weights, row, values)
        elif isinstance(node, nodes.PerStep):
            width, deep = int(axes[node.name][-1]), depth_of(axes[node.name])
            put = _each(deep, partial(_side_by_side, width, node.reverse), inner[node.source])
            (inner if deep else values)[node.name] = put
        elif any(source in inner for source in node.sources()):
            deep = depth_of(axes[node.name])
            inner[node.name] = _of_each(plan, node, weights, inner, deep)
        elif not isinstance(node, nodes.Decoder | nodes.Output):
            values[node.name] = LAYERS[type(node)](plan, node, weights, values)
    return values


def _of_each(
    plan: Plan, node: nodes.Node, weights: Arrays, inner: Mapping[str, list[Any]], deep: int
) -> Any:
    """The value of a node in each token or step, of those that its sources have there."""
    sources = list(node.sources())
    function = LAYERS[type(node)]

    def of_one(*of: Array) -> Array:
        return function(plan, node, weights, dict(zip(sources, of, strict=True)))

    return _each(deep, of_one, *(inner[source] for source in sources))


def _side_by_side(width: int, reverse: bool, vectors: Sequence[Array]) -> Array:
    found = np.array(vectors).reshape(-1, width)
    return found[::-1] if reverse else found


def depth_of(shape: nodes.Shape) -> int:
    """In how many sequences the rows of a value are nested."""
    return str(shape[0]).count("W")


def _each(deep: int, function: Callable[..., Any], *values: Any) -> Any:
    """A function of what is `deep` down in lists."""
    if deep == 0:
        return function(*values)
    return [_each(deep - 1, function, *of) for of in zip(*values, strict=True)]


def _unnested(above: Any, shape: nodes.Shape) -> Any:
    """Of sequences of sequences those inside; at the last level the numbers of tokens."""
    if len(shape) > 2:
        return _each(depth_of(shape), list, above)
    return _each(depth_of(shape), lambda step: np.asarray(step, np.float64).reshape(-1), above)


def _answer(plan: Plan, weights: Arrays, row: Row, seed: int) -> dict[str, Any]:
    values, found = values_of(plan, weights, row), dict[str, Any]()
    for out in plan.outputs:
        match out:
            case nodes.TextOutput() | nodes.PointerOutput():
                best = find(text_task(plan, out, weights, values, seed))
                found[out.column] = _text(best, getattr(out, "reverse", False))
            case nodes.CtcOutput():
                found[out.column] = _aligned(out, values[out.source])
            case nodes.TransducerOutput():
                found[out.column] = _written(transducer.Joint(plan, out, weights, values))
            case nodes.ForecastOutput() if out.paths:
                decoder = plan.node(out.source)
                assert isinstance(decoder, nodes.Decoder)
                paths = sampled_paths(plan, decoder, weights, values, seed)[out.column]
                found[out.column] = quantiles_over(paths, out.quantiles)
            case nodes.ForecastOutput():
                raw = raw_forecast(plan, out, weights, values)
                found[out.column] = forecast_of(out, weights, values, raw)
            case nodes.FramesOutput():
                found[out.column] = written(Writer(plan, out, weights, values, row), seed)
            case nodes.ChainOutput():
                found[out.column] = path_of(chain_of(out, weights, values[out.source]))
            case nodes.ClassOutput() | nodes.LabelsOutput() | nodes.NumericOutput():
                answer = answer_of(out, weights, values[out.source])
                found[out.column] = answer[::-1] if getattr(out, "reverse", False) else answer
            case nodes.PositionOutput():
                scores = choice_scores(out, weights, values[out.source])
                found[out.column] = position_of(out, scores)
            case nodes.StatesOutput():
                found[out.column] = values[out.source][:: -1 if out.reverse else 1]
            case _:
                assert_never(out)
    return found


def _text(best: Sequence[Hypothesis], reverse: bool = False) -> Text:
    return Text(
        tuple(one.tokens[::-1] if reverse else one.tokens for one in best),
        tuple(one.score for one in best),
        tuple(np.stack(one.weights) if one.weights else None for one in best),
    )


def _written(joint: transducer.Joint) -> Text:
    """What is written along the steps of a row."""
    search = joint.out.search
    if isinstance(search, nodes.TransducerBeam):
        best = transducer.beam(joint, search)
        tokens, scores, steps = zip(*best, strict=True)
        return Text(tokens, scores, (None,) * len(best), steps[0])
    one, score, spans = transducer.greedy(joint)
    return Text((one,), (score,), (None,), spans)


def _aligned(out: nodes.CtcOutput, scores: Array) -> Text:
    """What the steps of a row read as, and which of them each token has."""
    logs = alignment.log_probabilities(scores)
    found = alignment.find(logs, out.search)
    if isinstance(out.search, nodes.BestPath):
        spans = alignment.spans_of(alignment.best_path(logs))
    else:
        spans = alignment.align(logs, found[0][0])
    tokens, probabilities = zip(*found, strict=True)
    return Text(tokens, probabilities, (None,) * len(found), spans)


def text_task(
    plan: Plan, out: nodes.SearchedOutput, weights: Arrays, values: Arrays, seed: int = 0
) -> Task:
    """The search for one row's text, after its prompt."""
    decoder = plan.node(out.source)
    assert isinstance(decoder, nodes.Decoder)
    body, state = Body(plan, decoder, weights, values), DecoderState()
    attends = [node.name for node in decoder.body if isinstance(node, nodes.Attend)]

    def read(state: DecoderState, number: int) -> tuple[Array, Array | None, DecoderState]:
        logits, after = body.advance(number, state)
        return logits, after.attention[attends[0]].last if attends else None, after

    prompt = tuple(int(number) for number in values[out.prompt]) if out.prompt else ()
    *begun, previous = prompt if prompt and decoder.whole_prompt else (END_ID, *prompt)
    for number in begun:
        _, state = body.advance(number, state)
    steps = sum(len(values[first.name]) for first in first_sequences(plan).values())
    limit = most_steps(out.search, steps)
    copies = out.all_copies if isinstance(out, nodes.TextOutput) else ()
    numbers = [number for name in copies for number in values[name].astype(int).tolist()]
    banned = frozenset(~number for number in numbers if number < 0)
    history = tuple(number if number < out.size else UNKNOWN_ID for number in prompt)
    return Task(out.search, read, state, previous, limit, history, seed, banned)


def _raw(
    plan: Plan, weights: Arrays, out: nodes.Output, values: Arrays, truth: Arrays, row: Row
) -> Array:
    if isinstance(out, nodes.FramesOutput):
        return raw_frames(Writer(plan, out, weights, values, row), truth[out.column])
    if isinstance(out, nodes.ForecastOutput):
        return raw_forecast(plan, out, weights, values, truth)
    if isinstance(out, nodes.TransducerOutput):
        joint = transducer.Joint(plan, out, weights, values)
        return transducer.arc_logs(joint, [int(n) for n in truth[out.column] if n > 0])
    if isinstance(out, nodes.CtcOutput):
        return alignment.log_probabilities(values[out.source])
    if isinstance(out, nodes.PositionOutput):
        return choice_scores(out, weights, values[out.source])
    if not isinstance(out, nodes.SearchedOutput):
        return values[out.source]
    task = text_task(plan, out, weights, values)
    found, state, previous = [], task.state, task.previous
    for number in truth[out.column]:
        logits, _, state = task.read(state, previous)
        found.append(logits)
        previous = int(number)
    more = (out.memory,) if isinstance(out, nodes.PointerOutput) else out.all_copies
    size = out.size + sum(len(values[name]) for name in more)
    return np.array(found).reshape(-1, size)
