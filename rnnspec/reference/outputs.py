"""The answers of one row, except texts: see `rnnspec.plan.nodes.outputs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from rnnspec.plan import Plan, nodes
from rnnspec.plan.nodes.differences import polynomial
from rnnspec.plan.nodes.quantiles import SEED_STRIDE, uniforms
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.distributions import answer as point
from rnnspec.reference.distributions import parameters_of
from rnnspec.reference.functions import Array, Arrays, sigmoid, softmax
from rnnspec.reference.inputs import scaling
from rnnspec.reference.quantiles import draws, uniform_draws


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
    truths: Mapping[str, Array] | None = None,
) -> Array:
    """Raw numbers `[horizon, parameters]`. A recursive forecast is fed with the `truths`
    `[horizon]`, by column, in the units of the data, where they are given and not missing, else
    with its own answers."""
    decoder = plan.node(node.source)
    if not isinstance(decoder, nodes.Decoder):
        return values[node.source].reshape(node.horizon, node.parameters)
    ends = forecasts_of(plan, decoder)
    body, state, found = Body(plan, decoder, weights, values), DecoderState(), []
    previous = last_values(decoder, values)
    for number in range(decoder.steps):
        raw, state = body.advance(previous, state)
        found.append(raw)
        for place, end in enumerate(ends if _is_fed(decoder) else ()):
            own = forecast_of(end, weights, values, own_raw(end, raw)[None])
            answer = point(end.law, own)[0, 0]
            true = (truths or {}).get(end.column)
            if true is not None and not np.isnan(true[number]):
                answer = true[number]
            previous[place] = to_scale(end, weights, values, answer)
    return own_raw(node, np.stack(found))


def _is_fed(decoder: nodes.Decoder) -> bool:
    first = decoder.body[0]
    return isinstance(first, nodes.PreviousNumber) and first.fed


def sampled_paths(
    plan: Plan, decoder: nodes.Decoder, weights: Arrays, values: Arrays, seed: int
) -> dict[str, Array]:
    """The paths `[S, H]` of each forecast of a decoder, in the units of the data."""
    ends, places = forecasts_of(plan, decoder), [each.name for each in plan.outputs]
    body, many = Body(plan, decoder, weights, values), ends[0].paths
    found = {end.column: np.zeros((many, decoder.steps)) for end in ends}
    for path in range(many):
        state, previous = DecoderState(), last_values(decoder, values)
        for step in range(decoder.steps):
            raw, state = body.advance(previous, state)
            for place, end in enumerate(ends):
                own = seed + (places.index(end.name) + 1) * SEED_STRIDE
                own = (own + 2**63) % 2**64 - 2**63  # as int64
                count = uniforms(end.law)
                uniform = uniform_draws(own, (step * many + path) * count, (1, count))
                (parameters,) = forecast_of(end, weights, values, own_raw(end, raw)[None])
                drawn = float(draws(end.law, parameters, uniform)[0, 0])
                found[end.column][path, step] = drawn
                previous[place] = to_scale(end, weights, values, drawn)
    return found


def quantiles_over(paths: Array, probabilities: Sequence[float]) -> Array:
    """The quantiles `[H, Q]` over paths `[S, H]`."""
    return np.moveaxis(np.quantile(paths, probabilities, axis=0), 0, -1)


def forecasts_of(plan: Plan, decoder: nodes.Decoder) -> list[nodes.ForecastOutput]:
    """The forecasts that a decoder makes, in the order in which they are fed back."""
    ends = (each for each in plan.outputs if isinstance(each, nodes.ForecastOutput))
    return [each for each in ends if each.source == decoder.name]


def last_values(decoder: nodes.Decoder, values: Arrays) -> Array:
    """The last value of each series `[K]`, 0 of no steps."""
    first = decoder.body[0]
    assert isinstance(first, nodes.PreviousNumber)
    past = (values[name] for name in first.series)
    return np.array([each[-1, 0] if len(each) else 0.0 for each in past])


def own_raw(node: nodes.ForecastOutput, raw: Array) -> Array:
    """The raw numbers of one forecast among those of all that a decoder makes."""
    return raw[..., node.first : node.first + node.parameters]


def to_scale(node: nodes.ForecastOutput, weights: Arrays, values: Arrays, answer: float) -> float:
    """A value in the units of the data as the series is scaled."""
    centre, scale = (each[0] for each in scaling(node, weights, values))
    return float(((np.log(answer) if node.log else answer) - centre) / scale)


def forecast_of(node: nodes.ForecastOutput, weights: Arrays, values: Arrays, raw: Array) -> Array:
    """Parameters `[H, parameters]` in the units of the data, of raw numbers."""
    found = parameters_of(node.law, raw, *scaling(node, weights, values))
    return _unlogged(node, _summed_up(node, found, values[node.base]) if node.base else found)


def _summed_up(node: nodes.ForecastOutput, differences: Array, base: Array) -> Array:
    """The values `[H, 1]` whose differences these are: each is what its difference leaves of those
    before it."""
    back, known = np.array(polynomial(node.differences)[1:]), base.tolist()
    for difference in differences[:, 0].tolist():
        known.append(difference - float(back @ np.array(known[-len(back) :])[::-1]))
    return np.array(known[len(base) :]).reshape(-1, 1)


def _unlogged(node: nodes.ForecastOutput, values: Array) -> Array:
    return np.exp(values) if node.log else values


def point_of(node: nodes.ForecastOutput, parameters: Array) -> Array:
    """The answer `[H]` of each step ahead."""
    return point(node.answered, parameters)[..., 0]
