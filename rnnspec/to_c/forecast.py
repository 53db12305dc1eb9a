"""Forecasts whose steps come side by side, from one vector."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.to_c.lowering import CType, Lowering, Value
from rnnspec.to_c.outputs import no_c_for, result
from rnnspec.to_c.text import loop, number, wide_number

FLOOR = "1e-6f"
"""The least softplus of a forecast."""


def lower_forecast(low: Lowering, node: ForecastOutput) -> Value:
    """The values ahead, and what their distribution has besides, in the units of the data."""
    if node.intervals or node.samples:
        raise no_c_for(node.column, "intervals" if node.intervals else "samples")
    source = low.value(node.source)
    kind: CType = "double" if node.double else "float"
    first, *others = output_names(low.plan, node, True)
    answer = result(low, node, "", kind, node.horizon, "the values ahead").name
    parts = []
    for other in others:
        part = other.removeprefix(f"{first}.")
        width = node.horizon * (len(node.quantiles) if part == "quantiles" else 1)
        parts.append(result(low, node, f".{part}", kind, width, f"the {part} of each").name)
    low.counts.functions += node.horizon * (node.parameters - 1)
    low.step += loop(node.horizon, _of_step(low, node, source.name, answer, parts))
    return source


def _of_step(
    low: Lowering, node: ForecastOutput, raw: str, answer: str, parts: list[str]
) -> list[str]:
    """The statements for step j ahead."""
    centre, scale = _units(low, node)
    written = wide_number if node.double else number
    wide = "(double)" if node.double else ""
    many, (shift, factor) = node.parameters, (written(centre), written(scale))

    def value(place: str) -> str:
        return f"{wide}{raw}[j * {many} + {place}] * {factor} + {shift}"

    def positive(place: int) -> str:
        return f"{wide}rs_max(rs_softplus({raw}[j * {many} + {place}]), {FLOOR})"

    match node.distribution:
        case "point":
            return [f"{answer}[j] = {value('0')};"]
        case "quantiles":
            return _rising(node, value("k"), answer, parts[0])
        case "gaussian" | "laplace":
            return [f"{answer}[j] = {value('0')};", f"{parts[0]}[j] = {positive(1)} * {factor};"]
        case "student_t":
            return [
                f"{answer}[j] = {value('0')};",
                f"{parts[0]}[j] = {positive(1)} * {factor};",
                f"{parts[1]}[j] = 2.0f + {positive(2)};",
            ]
        case "poisson":
            return [f"{answer}[j] = {positive(0)} * {factor};"]
        case "negative_binomial":
            return [
                f"{answer}[j] = {positive(0)} * {factor};",
                f"{parts[0]}[j] = {positive(1)} / {written(float(np.sqrt(scale)))};",
            ]
        case "beta" | "mixture" | "weibull":
            raise no_c_for(node.column, node.distribution)
        case _:
            assert_never(node.distribution)


def _units(low: Lowering, node: ForecastOutput) -> tuple[float, float]:
    if not node.scaled:
        return 0.0, 1.0
    mean = float(low.weight(node, "mean")[0])
    if node.double:
        mean += float(low.weight(node, "rest")[0])
    return mean, float(low.weight(node, "deviation")[0])


def _rising(node: ForecastOutput, value: str, answer: str, quantiles: str) -> list[str]:
    """The quantiles, each put in its place among those before, and the one nearest to 0.5."""
    many, kind = len(node.quantiles), "double" if node.double else "float"
    nearest = min(range(many), key=lambda place: abs(node.quantiles[place] - 0.5))
    body = [
        f"const {kind} v = {value};",
        "int at = k;",
        f"for (; at > 0 && {quantiles}[j * {many} + at - 1] > v; at--)",
        f"    {quantiles}[j * {many} + at] = {quantiles}[j * {many} + at - 1];",
        f"{quantiles}[j * {many} + at] = v;",
    ]
    return [*loop(many, body, "k"), f"{answer}[j] = {quantiles}[j * {many} + {nearest}];"]
