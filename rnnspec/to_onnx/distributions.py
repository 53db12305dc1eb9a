"""Raw numbers to the parameters of distributions, by the formulas of `rnnspec.plan.nodes.Law`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import assert_never

from rnnspec.plan.nodes import MOST_CORRELATED, SOFTPLUS_FLOOR, ForecastOutput, Law
from rnnspec.spec.distributions import Parameter
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.functions import precise_sigmoid
from rnnspec.to_onnx.numbers import UNITS

DOCS: Mapping[str, str] = {
    "quantiles": f"what the value stays below with each probability, rising, {UNITS}",
    "deviation": f"standard deviation of each value, {UNITS}",
    "student_t.scale": f"scale of the Student-t distribution of each value, {UNITS}",
    "degrees": "its degrees of freedom",
    "dispersion": "dispersion d of each value: its variance is mean + d * mean^2",
    "laplace.scale": f"scale of the Laplace distribution of each value, {UNITS}",
    "precision": "precision p of each value: its variance is mean * (1 - mean) / (1 + p)",
    "weights": "share of each normal distribution of the mixture",
    "means": f"mean of each normal distribution of the mixture, {UNITS}",
    "deviations": f"standard deviation of each normal distribution of the mixture, {UNITS}",
    "correlations": "correlation of both numbers, of each normal distribution of the mixture",
    "weibull.scale": f"scale of the Weibull distribution of each value, {UNITS}",
    "shape": "its shape",
}


def doc_of(law: Law, part: Parameter) -> str:
    """What an output of a file says of itself."""
    return DOCS.get(f"{law.name}.{part.name}") or DOCS[part.name]


@dataclass(frozen=True, slots=True)
class Units:
    """How a row's numbers are scaled: `centre` and `scale` broadcast to the numbers, "" for none.

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


def parameters_of(law: Law, raw: str, units: Units, axes: int, joint: bool) -> dict[str, str]:
    """The parameters by name, `[…, n]` of raw numbers `[…, K]` with `axes` axes before the last;
    with `joint`, those of each number of a vector are `[…, M, D]`."""
    emit, name, found = units.emit, units.name, dict[str, str]()
    parts = _split(law, emit, raw, name)
    for parameter in sorted(law.parameters, key=lambda each: each.link == "value"):
        part = parts[parameter.name]
        if joint and parameter.axes == "values":
            shape = emit.integers(*[0] * axes, law.components, law.width)
            part = emit.op("Reshape", [part, shape], f"{name}.raw_{parameter.name}.of_each")
        found[parameter.name] = _linked(law, parameter, part, units)
    return found


def split_raw(emit: Emitter, ends: Sequence[ForecastOutput], raw: str) -> list[str]:
    """The raw numbers of each forecast, of those `[…, W]` of all at each step of a decoder."""
    if len(ends) == 1:
        return [raw]
    sizes = emit.integers(*(end.parameters for end in ends))
    return emit.ops("Split", [raw, sizes], [f"{end.name}.step" for end in ends], axis=-1)


def _split(law: Law, emit: Emitter, raw: str, name: str) -> dict[str, str]:
    if len(law.parameters) == 1:
        return {law.parameters[0].name: raw}
    names = [f"{name}.raw_{number}" for number in range(len(law.parameters))]
    sizes = emit.integers(*map(law.count, law.parameters))
    found = emit.ops("Split", [raw, sizes], names, axis=-1)
    return {each.name: part for each, part in zip(law.parameters, found, strict=True)}


def _linked(law: Law, parameter: Parameter, raw: str, units: Units) -> str:
    emit, name = units.emit, f"{units.name}.{parameter.name}"
    match parameter.link:
        case "value":
            return units.values(raw, f"{units.name}.point" if law.name == "point" else name)
        case "rising":
            moved = units.values(raw, f"{units.name}.moved")
            return in_order(emit, moved, law.quantiles, name, units.name)
        case "size":
            return units.scaled(softplus(emit, raw), name)
        case "per_root":
            return units.by_root(softplus(emit, raw), name)
        case "positive":
            return units.output(softplus(emit, raw), FLOAT)
        case "above_two":
            two = emit.number(2.0)
            return units.output(emit.op("Add", [softplus(emit, raw), two], name), FLOAT)
        case "share":
            return units.output(precise_sigmoid(emit, raw, name), FLOAT)
        case "weights":
            return units.output(emit.op("Softmax", [raw], name, axis=-1), FLOAT)
        case "correlation":
            turned = emit.op("Tanh", [raw], f"{name}.tanh")
            most = emit.number(MOST_CORRELATED)
            return units.output(emit.op("Mul", [turned, most], name), FLOAT)
        case _:
            assert_never(parameter.link)


def answer_of(law: Law, found: Mapping[str, str], units: Units, axes: int, joint: bool) -> str:
    """The point answer `[…, 1]`, with `joint` `[…, D]`, `axes` axes before the last."""
    emit, name = units.emit, units.name
    match law.traits.answer:
        case "first":
            return found[law.parameters[0].name]
        case "middle":
            return middle(emit, found["quantiles"], law.quantiles, name)
        case "mean":
            shares = found["weights"]
            if joint:
                shares = emit.unsqueeze(shares, -1, f"{name}.weights.of_each")
            product = emit.op("Mul", [shares, found["means"]], f"{name}.weighted")
            # Counted from the end, the axis of a batch without any step would be kept.
            return emit.reduce("ReduceSum", product, axes, f"{name}.mean", keep=not joint)
        case "median":
            base = emit.number(log(log(2)), units.to)
            power = emit.op("Div", [base, found["shape"]], f"{name}.power")
            power = emit.op("Exp", [power], f"{name}.share")
            return emit.op("Mul", [power, found["scale"]], f"{name}.median")


def median(
    emit: Emitter, values: str, quantiles: Sequence[float], rising: str, name: str
) -> tuple[str, str]:
    """Quantiles `[…, Q]` in rising order, called `rising`; and the one nearest to 0.5, `[…, 1]`."""
    found = in_order(emit, values, quantiles, rising, name)
    return found, middle(emit, found, quantiles, name)


def in_order(emit: Emitter, values: str, quantiles: Sequence[float], rising: str, name: str) -> str:
    """Quantiles `[…, Q]` in rising order, called `rising`."""
    inputs, names = [values, emit.integers(len(quantiles))], [rising, f"{name}.order"]
    return emit.ops("TopK", inputs, names, axis=-1, largest=0, sorted=1)[0]


def middle(emit: Emitter, rising: str, quantiles: Sequence[float], name: str) -> str:
    """The quantile nearest to 0.5, `[…, 1]`."""
    place = min(range(len(quantiles)), key=lambda place: abs(quantiles[place] - 0.5))
    return emit.op("Gather", [rising, emit.integers(place)], f"{name}.middle", axis=-1)


def softplus(emit: Emitter, value: str) -> str:
    soft = emit.op("Softplus", [value], f"{value}.softplus")
    return emit.op("Max", [soft, emit.number(SOFTPLUS_FLOOR)], f"{value}.positive")
