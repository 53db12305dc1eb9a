"""Forecasts: raw numbers to the values ahead and what is known of their spread, in the units of the
data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.to_onnx.emitter import FLOAT, Emitter, Extent
from rnnspec.to_onnx.numbers import UNITS, centre_and_scale
from rnnspec.to_onnx.values import BATCH, Lowering, Steps, Value, Vector

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
    """How a row's numbers are scaled: values that broadcast to `[B, H, 1]`, or none."""

    emit: Emitter
    name: str
    centre: str = ""
    scale: str = ""

    def values(self, raw: str, name: str) -> str:
        """`raw * scale + centre`."""
        if not self.scale:
            return raw
        wide = self.scaled(raw, f"{name}.wide")
        return self.emit.op("Add", [wide, self.centre], name)

    def scaled(self, value: str, name: str) -> str:
        return self.emit.op("Mul", [value, self.scale], name) if self.scale else value


def lower_forecast(low: Lowering, node: ForecastOutput) -> Value:
    """The values `[B, H]` and, by the distribution, what else there is of them."""
    emit, name = low.emit, node.name
    mean, others = told(low, node, _raw(low, node))
    extents: list[Extent] = [BATCH, node.horizon]
    answer, *names = output_names(low.plan, node, low.ids)
    flat = emit.op("Squeeze", [mean, emit.integers(2)], f"{name}.value")
    emit.output(flat, answer, FLOAT, extents, f"the values ahead, {UNITS}")
    for title in names:
        part = title.rpartition(".")[2]
        if part == "quantiles":
            extents = [BATCH, node.horizon, len(node.quantiles)]
            value = emit.op("Identity", [others[part]], f"{name}.told_{part}")
        else:
            value = emit.op("Squeeze", [others[part], emit.integers(2)], f"{name}.told_{part}")
        emit.output(value, title, FLOAT, extents, DOCS[part])
    return Vector(flat)


def told(low: Lowering, node: ForecastOutput, raw: str) -> tuple[str, dict[str, str]]:
    """The mean `[B, H, 1]` and the other parts, each `[B, H, …]`, of raw `[B, H, parameters]`."""
    emit, name, units = low.emit, node.name, units_of(low, node)
    if node.distribution == "quantiles":
        moved = units.values(raw, f"{name}.moved")
        count = len(node.quantiles)
        attributes = {"axis": -1, "largest": 0, "sorted": 1}
        outputs = [f"{name}.quantiles", f"{name}.order"]
        quantiles, _ = emit.ops("TopK", [moved, emit.integers(count)], outputs, attributes)
        middle = min(range(count), key=lambda place: abs(node.quantiles[place] - 0.5))
        indices = emit.integers(middle)
        value = emit.op("Gather", [quantiles, indices], f"{name}.middle", {"axis": -1})
        return value, {"quantiles": quantiles}
    parts = [raw]
    if node.parameters > 1:
        names = [f"{name}.raw_{number}" for number in range(node.parameters)]
        sizes = emit.integers(*([1] * node.parameters))
        parts = emit.ops("Split", [raw, sizes], names, {"axis": -1})
    match node.distribution:
        case "gaussian":
            spread = units.scaled(_softplus(emit, parts[1]), f"{name}.deviation")
            return units.values(parts[0], f"{name}.mean"), {"deviation": spread}
        case "student_t":
            scale = units.scaled(_softplus(emit, parts[1]), f"{name}.scale")
            two = emit.number(2.0)
            degrees = emit.op("Add", [_softplus(emit, parts[2]), two], f"{name}.degrees")
            location = units.values(parts[0], f"{name}.location")
            return location, {"scale": scale, "degrees": degrees}
        case "negative_binomial":
            mean = units.scaled(_softplus(emit, parts[0]), f"{name}.mean")
            dispersion = _softplus(emit, parts[1])
            if units.scale:
                root = emit.op("Sqrt", [units.scale], f"{name}.root")
                dispersion = emit.op("Div", [dispersion, root], f"{name}.dispersion")
            return mean, {"dispersion": dispersion}
    return units.values(parts[0], f"{name}.point"), {}


def units_of(low: Lowering, node: ForecastOutput) -> Units:
    """How the past was scaled, to be undone."""
    found = centre_and_scale(low, node.name, node.scaled, node.moments)
    if found is None:
        return Units(low.emit, node.name)
    if node.moments:
        axis = low.emit.integers(2)
        centre, scale = (
            low.emit.op("Unsqueeze", [value, axis], f"{value}.of_row") for value in found
        )
        return Units(low.emit, node.name, centre, scale)
    return Units(low.emit, node.name, *found)


def _raw(low: Lowering, node: ForecastOutput) -> str:
    """The raw numbers `[B, H, parameters]`, of a decoder or side by side."""
    source, title = low.values[node.source], f"{node.name}.raw"
    if isinstance(source, Steps):
        return low.emit.op("Transpose", [source.name], title, {"perm": [1, 0, 2]})
    shape = low.emit.integers(0, node.horizon, node.parameters)
    return low.emit.op("Reshape", [source.name, shape], title)


def _softplus(emit: Emitter, value: str) -> str:
    soft = emit.op("Softplus", [value], f"{value}.softplus")
    return emit.op("Max", [soft, emit.number(LEAST_SOFTPLUS)], f"{value}.positive")
