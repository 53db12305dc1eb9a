"""Forecasts: raw numbers to the values ahead and their distribution, in the units of the data."""

from __future__ import annotations

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.to_onnx.differences import values_of
from rnnspec.to_onnx.distributions import Units, answer_of, doc_of, parameters_of
from rnnspec.to_onnx.emitter import DOUBLE, FLOAT, Extent
from rnnspec.to_onnx.intervals import Laws, tell_beside
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Value, Vector
from rnnspec.to_onnx.numbers import UNITS, centre_and_scale, scaled_type
from rnnspec.to_onnx.sample_paths import lower_sampled


def lower_forecast(low: Lowering, node: ForecastOutput) -> Value:
    """The values `[B, H]` and the other parts of their distribution."""
    if node.paths:
        return lower_sampled(low, node)
    emit, name, law, units = low.emit, node.name, node.law, _units_of(low, node)
    found = parameters_of(law, _raw(low, node), units, 2, joint=False)
    mean = answer_of(law, found, units, 2, joint=False)
    if node.base:
        mean = values_of(low, node, mean)  # of a point, which has no other parts
    if node.log:
        mean = _unlogged(low, node, mean)
        found = {part: _unlogged(low, node, each) for part, each in found.items()}
    extents: list[Extent] = [BATCH, node.horizon]
    answer, *names = output_names(low.plan, node, low.ids)
    kind = DOUBLE if node.double else FLOAT
    flat = emit.squeeze(mean, 2, f"{name}.value")
    emit.output(flat, answer, kind, extents, f"the values ahead, {UNITS}")
    for part, title in zip(law.parts, names, strict=False):
        told, several = f"{name}.told_{part.name}", part.axes != "one"
        if several:
            value = emit.op("Identity", [found[part.name]], told)
        else:
            value = emit.squeeze(found[part.name], 2, told)
        wide = [*extents, law.count(part)] if several else extents
        emit.output(value, title, kind, wide, doc_of(law, part))

    laws = Laws(found, units, extents, extents)
    tell_beside(low, node, laws, names[len(law.parts) :], emit.output)
    return Vector(flat)


def _unlogged(low: Lowering, node: ForecastOutput, value: str) -> str:
    """Of a model of logarithms the numbers, of the element type of the output."""
    return low.emit.op("Exp", [value], f"{node.name}.unlogged")


def _units_of(low: Lowering, node: ForecastOutput) -> Units:
    """How the past was scaled."""
    found, kind = centre_and_scale(low, node), scaled_type(node)
    if found is None:
        return Units(low.emit, node.name)
    to = DOUBLE if node.double else FLOAT
    if node.moments:
        axis = low.emit.integers(2)
        centre, scale = (
            low.emit.op("Unsqueeze", [value, axis], f"{value}.of_row") for value in found
        )
        return Units(low.emit, node.name, centre, scale, kind, to)
    return Units(low.emit, node.name, *found, kind, to)


def _raw(low: Lowering, node: ForecastOutput) -> str:
    """The raw numbers `[B, H, parameters]`, of a decoder or side by side."""
    source, title = low.values[node.source], f"{node.name}.raw"
    if isinstance(source, PaddedSequence):
        several = sum(isinstance(each, ForecastOutput) for each in low.plan.outputs) > 1
        name = source.name
        if several:
            end = node.first + node.parameters
            name = low.emit.slice(name, node.first, end, 2, f"{title}.by_step")
        return low.emit.transpose(name, [1, 0, 2], title)
    shape = low.emit.integers(0, node.horizon, node.parameters)
    return low.emit.op("Reshape", [source.name, shape], title)
