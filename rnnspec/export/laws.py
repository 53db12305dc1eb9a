"""Numbers and their distributions, as an exported file tells them and in which units they differ.

What a file tells is the answer and then the parts of its distribution (`plan.kinds`). Here all of
it stands side by side: `[B, n]`, with steps `[B, T, n]`, of forecasts `[B, H, n]`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan import Facts, NumericFacts
from rnnspec.plan.nodes import ForecastOutput, FramesOutput, Law, NumericOutput
from rnnspec.plan.nodes.differences import summed_up
from rnnspec.reference.distributions import answer
from rnnspec.spec.distributions import Link

Array = NDArray[np.float64]
Distributed = NumericOutput | ForecastOutput | FramesOutput


def told_by_file(node: Distributed, got: Sequence[NDArray[Any]]) -> Array:
    """The answer and the parts of its distribution, of the outputs of a file for a node, side by
    side."""
    got = got[: 1 + len(node.law.parts)]
    axes = 2 if isinstance(node, ForecastOutput | FramesOutput) or node.steps else 1
    return np.concatenate([_joined(np.asarray(each, np.float64), axes) for each in got], axis=-1)


def _joined(values: Array, axes: int) -> Array:
    """The values with all axes after the first ones in one. Their number is written out, for there
    may be no row or no step that it would follow from."""
    return values.reshape(*values.shape[:axes], math.prod(values.shape[axes:]))


@np.errstate(divide="ignore")  # past the length of a row everything is 0
def told_by_module(node: Distributed, answers: Array) -> Array:
    """The same of what the module answers."""
    found = [values for _, values in _told(node.law, laws_of(node, answers))]
    return np.concatenate([_joined(each, answers.ndim - 1) for each in found], axis=-1)


def laws_of(node: Distributed, answers: Array) -> Array:
    """The parameters `[…, laws, K]` of what the module answers, `[…, laws * K]`; of forecasts
    `[B, H, K]` as they are."""
    if isinstance(node, ForecastOutput):
        return answers[..., None, :]
    return answers.reshape(*answers.shape[:-1], node.laws, node.law.size)


def _told(law: Law, parameters: Array) -> Iterator[tuple[Link, Array]]:
    """The answer and the parts of laws, `[…, laws, n]`, and how each is made."""
    yield (
        law.parameters[0].link if law.traits.answer == "first" else "value",
        answer(law, parameters),
    )
    for part, start, end in law.placed():
        if part in law.parts:
            yield part.link, parameters[..., start:end]


@np.errstate(divide="ignore")
def units_of(node: Distributed, facts: Facts, expected: Array, moments: Array | None) -> Array:
    """What differences of numbers are measured in, `[…, n]` as they are told; `expected` are those
    of the module.

    Of a number that is scaled: the scale, or the distance from the centre if that is larger, so
    that no unit of the data matters; numbers of a row of forecasts come from the same window and
    are as precise as the largest. Of a count, and of other numbers above 0, its own size. Of what
    has no unit 1, or its size if it has no limit.
    """
    if isinstance(node, ForecastOutput) and node.log:
        return _units_of_logs(node, facts, expected, moments)
    if isinstance(node, ForecastOutput) and node.differences:
        return _units_of_sums(node, facts, expected)
    law = node.law
    parameters = laws_of(node, expected)
    centre, scale = (
        each.reshape(*each.shape[:-1], each.shape[-1] // law.width, law.width)
        for each in scaling_of(node, facts, moments)
    )
    far = np.abs(answer(law, parameters) - centre)
    if isinstance(node, ForecastOutput):
        if law.name == "quantiles":
            far = np.maximum(far, np.abs(parameters - centre).max(-1, keepdims=True))
        far = far.max(axis=1, keepdims=True, initial=0.0)
    found = []
    for link, values in _told(law, parameters):
        unit = _unit(law, link, values, far, np.maximum(scale, far))
        found.append(_joined(unit, expected.ndim - 1))
    units = np.concatenate(found, axis=-1)
    return np.where(units > 0, units, 1.0)


def _units_of_sums(node: ForecastOutput, facts: Facts, expected: Array) -> Array:
    """Of a sum of scaled differences: as many scales as it has of them, or what the values ahead
    are apart, if that is more."""
    _, scale = scaling_of(node, facts, None)
    many = np.abs(np.array(summed_up(node.differences, node.horizon)[0])).sum(1)[:, None]
    apart = np.ptp(expected, axis=1, keepdims=True)
    return np.asarray(np.maximum(many * scale, apart))


def _units_of_logs(
    node: ForecastOutput, facts: Facts, expected: Array, moments: Array | None
) -> Array:
    """A difference of logarithms is a share of the number."""
    if node.differences:
        return told_by_module(node, expected) * _units_of_sums(node, facts, np.log(expected))
    centre, scale = scaling_of(node, facts, moments)
    far = np.abs(np.log(expected) - centre).max(axis=(1, 2), keepdims=True, initial=0.0)
    return np.asarray(told_by_module(node, expected) * np.maximum(scale, far))


def units_of_draws(
    node: ForecastOutput | FramesOutput, facts: Facts, drawn: Array, moments: Array | None
) -> Array:
    """What differences of draws `[B, S, H]`, of frames `[B, S, U, width]`, are measured in: as of
    numbers that are answered."""
    values = node.law.traits.values
    if values == "shares":
        return np.ones_like(drawn)
    centre, scale = scaling_of(node, facts, moments)
    far = np.abs(drawn - centre)
    if values == "numbers":
        return np.asarray(np.maximum(scale, far))
    return np.maximum(1.0 if values == "counts" else np.finfo(np.float32).tiny, np.abs(drawn))


def units_of_frames(node: FramesOutput, facts: Facts, expected: Array) -> Array:
    """As of numbers without a distribution."""
    centre, scale = scaling_of(node, facts, None)
    return np.maximum(scale, np.abs(expected - centre))


def _unit(law: Law, link: Link, values: Array, far: Array, base: Array) -> Array:
    """The unit of values `[…, laws, n]`; `far` and `base` are `[…, laws, D]`."""
    match link:
        case "value" | "rising" | "size":
            many = values.shape[-1] // base.shape[-1]
            of_each = np.tile(base if law.is_scaled else far, many)
            own = 0.0 if law.is_scaled else np.abs(values)
            return np.broadcast_to(of_each + own, values.shape)
        case "per_root":
            return np.abs(values)
        case "positive" | "above_two":
            return np.maximum(1, np.abs(values))
        case "share" | "weights" | "correlation":
            return np.ones_like(values)


def scaling_of(node: Distributed, facts: Facts, moments: Array | None) -> tuple[Array, Array]:
    """Centre and scale of the numbers, `[D]`, or `[B, 1, 1]` of windows."""
    known = facts.outputs.get(node.column, facts.inputs.get(node.column))
    assert isinstance(known, NumericFacts)
    centre, scale = np.zeros(len(known.deviation)), np.asarray(known.deviation)
    if moments is not None:
        return moments[:, :1, None], moments[:, 1:, None]
    return np.asarray(known.mean) if node.scaled else centre, scale
