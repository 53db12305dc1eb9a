"""Forecasts: raw numbers to the values ahead and their distribution, in the units of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.to_onnx.emitter import DOUBLE, FLOAT, Emitter, Extent
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Value, Vector
from rnnspec.to_onnx.numbers import UNITS, centre_and_scale, scaled_type

LEAST_SOFTPLUS = 1e-6
DOCS: Mapping[str, str] = {
    "quantiles": f"what the value stays below with each probability, rising, {UNITS}",
    "deviation": f"standard deviation of each value, {UNITS}",
    "scale": f"scale of the Student-t distribution of each value, {UNITS}",
    "degrees": "its degrees of freedom",
    "dispersion": "dispersion d of each value: its variance is mean + d * mean^2",
}


@dataclass(frozen=True, slots=True)
class Units:
    """How a row's numbers are scaled: `centre` and `scale` broadcast to `[B, H, 1]`, "" for none.

    They are of the element type `kind`; results are of type `to`.
    """

    emit: Emitter
    name: str
    centre: str = ""
    scale: str = ""
    kind: int = FLOAT
    to: int = FLOAT

    def values(self, raw: str, name: str) -> str:
        """`raw * scale + centre`."""
        if not self.scale:
            return raw
        wide = self._wide(raw, f"{name}.wide")
        return self.output(self.emit.op("Add", [wide, self.centre], name))

    def scaled(self, value: str, name: str) -> str:
        """`value * scale`."""
        return self.output(self._wide(value, name)) if self.scale else value

    def by_root(self, value: str, name: str) -> str:
        """`value / sqrt(scale)`."""
        if not self.scale:
            return value
        root = self.emit.op("Sqrt", [self.scale], f"{name}.root")
        value = self.emit.cast(value, FLOAT, self.kind, f"{name}.double")
        return self.output(self.emit.op("Div", [value, root], name))

    def output(self, value: str, of: int | None = None) -> str:
        """`value` in the element type of the output."""
        of = self.kind if of is None else of
        return self.emit.cast(value, of, self.to, f"{value}.told")

    def _wide(self, value: str, name: str) -> str:
        value = self.emit.cast(value, FLOAT, self.kind, f"{name}.double")
        return self.emit.op("Mul", [value, self.scale], name)


def lower_forecast(low: Lowering, node: ForecastOutput) -> Value:
    """The values `[B, H]` and the other parts of their distribution."""
    emit, name = low.emit, node.name
    mean, others = _distribution(low, node, _raw(low, node))
    if node.log:
        mean = _unlogged(low, node, mean)
        others = {part: _unlogged(low, node, each) for part, each in others.items()}
    extents: list[Extent] = [BATCH, node.horizon]
    answer, *names = output_names(low.plan, node, low.ids)
    kind = DOUBLE if node.double else FLOAT
    flat = emit.squeeze(mean, 2, f"{name}.value")
    emit.output(flat, answer, kind, extents, f"the values ahead, {UNITS}")
    for title in names:
        part = title.rpartition(".")[2]
        if part == "quantiles":
            extents = [BATCH, node.horizon, len(node.quantiles)]
            value = emit.op("Identity", [others[part]], f"{name}.told_{part}")
        else:
            value = emit.squeeze(others[part], 2, f"{name}.told_{part}")
        emit.output(value, title, kind, extents, DOCS[part])
    return Vector(flat)


def _unlogged(low: Lowering, node: ForecastOutput, value: str) -> str:
    """Of a model of logarithms the numbers, of the element type of the output."""
    return low.emit.op("Exp", [value], f"{node.name}.unlogged")


def _distribution(low: Lowering, node: ForecastOutput, raw: str) -> tuple[str, dict[str, str]]:
    """The point forecast `[B, H, 1]` and the other parts, `[B, H, …]`, of the raw numbers."""
    emit, name, units = low.emit, node.name, _units_of(low, node)
    if node.distribution == "quantiles":
        moved = units.values(raw, f"{name}.moved")
        rising, middle = median(emit, moved, node.quantiles, f"{name}.quantiles", name)
        return middle, {"quantiles": rising}
    parts = [raw]
    if node.parameters > 1:
        names = [f"{name}.raw_{number}" for number in range(node.parameters)]
        sizes = emit.integers(*([1] * node.parameters))
        parts = emit.ops("Split", [raw, sizes], names, axis=-1)
    match node.distribution:
        case "gaussian":
            spread = units.scaled(_softplus(emit, parts[1]), f"{name}.deviation")
            return units.values(parts[0], f"{name}.mean"), {"deviation": spread}
        case "student_t":
            scale = units.scaled(_softplus(emit, parts[1]), f"{name}.scale")
            two = emit.number(2.0)
            degrees = emit.op("Add", [_softplus(emit, parts[2]), two], f"{name}.degrees")
            degrees = units.output(degrees, FLOAT)
            location = units.values(parts[0], f"{name}.location")
            return location, {"scale": scale, "degrees": degrees}
        case "negative_binomial":
            mean = units.scaled(_softplus(emit, parts[0]), f"{name}.mean")
            dispersion = units.by_root(_softplus(emit, parts[1]), f"{name}.dispersion")
            return mean, {"dispersion": dispersion}
        case "point":
            return units.values(parts[0], f"{name}.point"), {}
        case _:
            assert_never(node.distribution)


def median(
    emit: Emitter, values: str, quantiles: Sequence[float], rising: str, name: str
) -> tuple[str, str]:
    """Quantiles `[…, Q]` in rising order, called `rising`; and the one nearest to 0.5, `[…, 1]`."""
    inputs, names = [values, emit.integers(len(quantiles))], [rising, f"{name}.order"]
    in_order, _ = emit.ops("TopK", inputs, names, axis=-1, largest=0, sorted=1)
    place = min(range(len(quantiles)), key=lambda place: abs(quantiles[place] - 0.5))
    indices = emit.integers(place)
    return in_order, emit.op("Gather", [in_order, indices], f"{name}.middle", axis=-1)


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
        return low.emit.transpose(source.name, [1, 0, 2], title)
    shape = low.emit.integers(0, node.horizon, node.parameters)
    return low.emit.op("Reshape", [source.name, shape], title)


def _softplus(emit: Emitter, value: str) -> str:
    soft = emit.op("Softplus", [value], f"{value}.softplus")
    return emit.op("Max", [soft, emit.number(LEAST_SOFTPLUS)], f"{value}.positive")
