"""Differences of a series, and values from them: see `rnnspec.plan.nodes.differences`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.plan.nodes import ForecastOutput
from rnnspec.plan.nodes.differences import summed_up
from rnnspec.to_onnx.emitter import DOUBLE, FLOAT
from rnnspec.to_onnx.lengths import counted
from rnnspec.to_onnx.lowering import Lowering


def differences_of(low: Lowering, steps: str, lags: Sequence[int], kind: int, name: str) -> str:
    """Of `[T, B, 1]`, of an element type, one lag after the other; steps before the first are 0."""
    emit = low.emit
    for place, lag in enumerate(lags):
        title = f"{name}.difference.{place}"
        pads = [steps, emit.integers(lag, 0, 0, 0, 0, 0), emit.number(0.0, kind)]
        later = emit.op("Pad", pads, f"{title}.later")
        steps = emit.op("Sub", [steps, emit.slice(later, 0, -lag, 0, f"{title}.before")], title)
    return steps


def where_known(low: Lowering, scaled: str, reach: int, name: str) -> str:
    """The scaled differences `[T, B, 1]`, 0 at the first `reach` steps, which have none."""
    emit, title = low.emit, f"{name}.differences"
    steps = counted(emit, emit.extent(scaled, 0, f"{title}.time"), title)
    late = emit.op("GreaterOrEqual", [steps, emit.integer(reach)], f"{title}.late")
    known = emit.op("Unsqueeze", [late, emit.integers(1, 2)], f"{title}.known")
    return emit.op("Where", [known, scaled, emit.number(0.0)], f"{title}.where_known")


def values_of(low: Lowering, node: ForecastOutput, differences: str) -> str:
    """The values `[B, H, 1]` of their differences, of the element type of the output."""
    emit, name, kind = low.emit, node.name, DOUBLE if node.double else FLOAT
    of_differences, of_base = summed_up(node.differences, node.horizon)
    flat = emit.squeeze(differences, 2, f"{name}.differences")
    parts = []
    for value, matrix, title in (
        (flat, of_differences, f"{name}.sums"),
        (low.vector(node.base), of_base, f"{name}.of_base"),
    ):
        wide = emit.cast(value, kind, DOUBLE, f"{title}.wide")
        weight = emit.weight(f"{title}.matrix", np.array(matrix, np.float64).T)
        parts.append(emit.op("MatMul", [wide, weight], title))
    summed = emit.op("Add", parts, f"{name}.summed_up")
    return emit.unsqueeze(emit.cast(summed, DOUBLE, kind, f"{name}.values"), 2, f"{name}.by_step")
