"""The answers of one row, except texts: see `rnnspec.plan.nodes.outputs`."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from rnnspec.plan import Plan, nodes
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.distributions import answer, parameters_of
from rnnspec.reference.functions import Array, Arrays, sigmoid, softmax
from rnnspec.reference.inputs import scaling


def answer_of(
    node: nodes.ClassOutput | nodes.LabelsOutput | nodes.NumericOutput, weights: Arrays, raw: Array
) -> Array:
    """Probabilities of logits `[width]` or `[T, width]`; or numbers in the units of the data, or
    the parameters of one law after the other, `[raw]` or `[T, raw]`."""
    match node:
        case nodes.ClassOutput():
            return softmax(raw)
        case nodes.LabelsOutput():
            return sigmoid(raw)
        case nodes.NumericOutput():
            units = scaling(node, weights, {}, node.width)
            of_number = (each.reshape(node.laws, -1) for each in units)
            laws = raw.reshape(*raw.shape[:-1], node.laws, node.law.size)
            return parameters_of(node.law, laws, *of_number).reshape(raw.shape)
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
    """Parameters `[H, parameters]` in the units of the data, of raw numbers."""
    return _unlogged(node, parameters_of(node.law, raw, *scaling(node, weights, values)))


def _unlogged(node: nodes.ForecastOutput, values: Array) -> Array:
    return np.exp(values) if node.log else values


def point_of(node: nodes.ForecastOutput, parameters: Array) -> Array:
    """The answer `[H]` of each step ahead."""
    return answer(node.law, parameters)[..., 0]
