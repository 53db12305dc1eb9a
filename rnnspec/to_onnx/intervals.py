"""Bounds of intervals and draws, which a file answers beside the parameters of distributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.plan.nodes.quantiles import ends, uniforms
from rnnspec.to_onnx.distributions import Units
from rnnspec.to_onnx.emitter import DOUBLE, Extent
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.numbers import UNITS
from rnnspec.to_onnx.quantiles import draw, quantile
from rnnspec.to_onnx.sampling_rng import keys, output_seeds, uniform

Told = Callable[[str, str, int, list[Extent], str], object]
"""`(value, title, kind, extents, doc)`: the value leaves the model."""
Distributed = NumericOutput | ForecastOutput


@dataclass(frozen=True, slots=True)
class Laws:
    """The laws of an output: parameters by name, `[…, n]` with the axes of `rows`, or `[…, M, D]`
    with `joint`; `extents` are those of the point answers. With `lone` these have a last axis of
    one number more than `rows`."""

    found: Mapping[str, str]
    units: Units
    rows: Sequence[Extent]
    extents: Sequence[Extent]
    joint: bool = False
    lone: bool = False


def tell_beside(
    low: Lowering, node: Distributed, laws: Laws, titles: Sequence[str], told: Told
) -> None:
    """Bounds `[…, levels]` and draws `[…, samples]` as the outputs called `titles`."""
    if not titles:
        return
    left = list(titles)
    of = {
        part: laws.units.emit.cast(value, laws.units.to, DOUBLE, f"{node.name}.{part}.exact")
        for part, value in laws.found.items()
    }
    if node.intervals:
        lower, upper = _bounds(low, node, laws, of)
        wide, levels = [*laws.extents, len(node.intervals)], _listed(node.intervals)
        for value, title, side in ((lower, left.pop(0), "lower"), (upper, left.pop(0), "upper")):
            doc = (
                f"{side} bound of the interval of each share of the true values, {levels}, {UNITS}"
            )
            told(_narrow(laws.units, value), title, laws.units.to, wide, doc)
    if node.samples:
        value = _draws(low, node, laws, of)
        wide = [*laws.extents, node.samples]
        told(_narrow(laws.units, value), left.pop(0), laws.units.to, wide, f"draws, {UNITS}")


def _narrow(units: Units, value: str) -> str:
    return units.emit.cast(value, DOUBLE, units.to, f"{value}.narrow")


def _listed(levels: Sequence[float]) -> str:
    return ", ".join(f"{level:g}" for level in levels)


def _bounds(low: Lowering, node: Distributed, laws: Laws, of: Mapping[str, str]) -> tuple[str, str]:
    emit, name, count, axes = low.emit, f"{node.name}.bounds", len(node.intervals), len(laws.rows)
    if laws.joint:  # of each number alone
        turn = [*range(axes), axes + 1, axes]
        alone = {
            each: emit.transpose(of[each], turn, f"{name}.{each}")
            for each in ("means", "deviations")
        }
        of = {"weights": emit.unsqueeze(of["weights"], -2, f"{name}.weights"), **alone}
        axes += 1
    p = emit.constant(np.array(ends(node.intervals)), f"{name}.shares")
    found = quantile(emit, node.law, of, p, name, axes)
    if laws.lone and not laws.joint:
        found = emit.unsqueeze(found, -2, f"{name}.of_one")
    return (
        emit.slice(found, 0, count, -1, f"{name}.lower"),
        emit.slice(found, count, 2 * count, -1, f"{name}.upper"),
    )


def _draws(low: Lowering, node: Distributed, laws: Laws, of: Mapping[str, str]) -> str:
    emit, name, axes = low.emit, f"{node.name}.draws", len(laws.rows)
    first = of[node.law.parameters[0].name]
    rows = emit.op("Shape", [first], f"{name}.laws", start=0, end=axes)
    each = emit.integers(node.samples, uniforms(node.law))
    drawn = _uniform(low, node, emit.concat([rows, each], 0, f"{name}.shape"), name)
    if laws.joint and node.law.width == 1:  # as of one number
        of = {"weights": of["weights"]} | {
            part: emit.squeeze(of[part], -1, f"{name}.{part}") for part in ("means", "deviations")
        }
    found = draw(emit, node.law, of, drawn, name, axes)
    return emit.unsqueeze(found, -2, f"{name}.of_one") if laws.lone else found


def _uniform(low: Lowering, node: Distributed, shape: str, name: str) -> str:
    """Uniform draws, float64 of a shape that begins with the rows of the batch."""
    emit, seeds = low.emit, output_seeds(low, node.name, name)
    of_seed = keys(emit, emit.unsqueeze(seeds, 1, f"{name}.seeds"), name)
    others = emit.slice(shape, 1, 2**31, 0, f"{name}.each")
    count = emit.reduce("ReduceProd", others, 0, f"{name}.count")
    steps = emit.unsqueeze(emit.range(count, f"{name}.steps"), 0, f"{name}.of_row")
    return emit.op("Reshape", [uniform(emit, of_seed, steps, name), shape], f"{name}.uniform")
