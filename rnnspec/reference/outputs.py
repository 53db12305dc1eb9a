"""The answers of one row, except texts: see `rnnspec.plan.nodes.outputs`."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from rnnspec.plan import Plan, nodes
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.functions import FUNCTIONS, Array, Arrays, sigmoid, softmax
from rnnspec.reference.inputs import scaling

SOFTPLUS_FLOOR = 1e-6


def answer_of(
    node: nodes.ClassOutput | nodes.LabelsOutput | nodes.NumericOutput, weights: Arrays, raw: Array
) -> Array:
    """Probabilities of logits, or numbers in the units of the data of scaled ones, `[width]` or
    `[T, width]`."""
    match node:
        case nodes.ClassOutput():
            return softmax(raw)
        case nodes.LabelsOutput():
            return sigmoid(raw)
        case nodes.NumericOutput():
            centre, scale = scaling(node, weights, {}, node.width)
            return raw * scale + centre
        case _:
            assert_never(node)


def raw_forecast(
    plan: Plan,
    node: nodes.ForecastOutput,
    weights: Arrays,
    values: Arrays,
    truth: Array | None = None,
) -> Array:
    """Raw numbers `[horizon, parameters]`. A recursive forecast is fed with `truth` `[horizon]`, in
    the units of the data, where it is given and not missing, else with its own answers."""
    decoder = plan.node(node.source)
    if not isinstance(decoder, nodes.Decoder):
        return values[node.source].reshape(node.horizon, node.parameters)
    body, state, found = Body(plan, decoder, weights, values), DecoderState(), []
    first, previous = decoder.body[0], 0.0
    centre, scale = (each[0] for each in scaling(node, weights, values))
    if isinstance(first, nodes.PreviousNumber):
        past = values[first.source]
        previous = float(past[-1, 0]) if len(past) else 0.0
    for number in range(decoder.steps):
        raw, state = body.advance(previous, state)
        found.append(raw)
        answer = point_of(node, forecast_of(node, weights, values, raw[None]))[0]
        if truth is not None and not np.isnan(truth[number]):
            answer = truth[number]
        answer = np.log(answer) if node.log else answer
        previous = float((answer - centre) / scale)
    return np.stack(found)


def forecast_of(node: nodes.ForecastOutput, weights: Arrays, values: Arrays, raw: Array) -> Array:
    """Parameters `[H, parameters]` in the units of the data, of raw numbers: the value; the
    quantiles, rising; mean and deviation; location, scale and degrees; mean and dispersion."""
    centre, scale = scaling(node, weights, values)
    match node.distribution:
        case "point":
            return _unlogged(node, raw * scale + centre)
        case "quantiles":
            return _unlogged(node, np.sort(raw * scale + centre, axis=1))
        case "gaussian":
            return np.stack([raw[:, 0] * scale + centre, scale * _positive(raw[:, 1])], axis=1)
        case "student_t":
            location, spread = raw[:, 0] * scale + centre, scale * _positive(raw[:, 1])
            return np.stack([location, spread, 2 + _positive(raw[:, 2])], axis=1)
        case "negative_binomial":
            mean = _positive(raw[:, 0]) * scale
            return np.stack([mean, _positive(raw[:, 1]) / np.sqrt(scale)], axis=1)


def _unlogged(node: nodes.ForecastOutput, values: Array) -> Array:
    return np.exp(values) if node.log else values


def point_of(node: nodes.ForecastOutput, parameters: Array) -> Array:
    """The answer `[H]` of each step ahead: of quantiles the one nearest to 0.5, of two the lower;
    else the mean."""
    if node.distribution != "quantiles":
        return parameters[:, 0]
    nearest = min(range(len(node.quantiles)), key=lambda q: abs(node.quantiles[q] - 0.5))
    return parameters[:, nearest]


def _positive(raw: Array) -> Array:
    return np.maximum(FUNCTIONS["softplus"](raw), SOFTPLUS_FLOOR)
