"""Prediction intervals: the range in which a forecast expects most of the true values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import ForecastOutput, FramesOutput
from rnnspec.plan.nodes.quantiles import ends
from rnnspec.reference.quantiles import quantile

Array = NDArray[np.float64]

LEVEL = 0.8
"""The share of true values that the interval should hold, where the spec names none."""


def interval_of_frames(node: FramesOutput, parameters: Array) -> tuple[str, Array, Array] | None:
    """The same of frames `[U, width]` that a decoder wrote, with parameters `[U, laws K]`: of each
    step after the answers before it; of paths the lowest and the highest quantile over them."""
    law = node.answered
    if law.name == "point" or (law.name == "quantiles" and len(law.quantiles) < 2):
        return None
    many = node.width if law.name == "quantiles" else node.laws
    laws = parameters.reshape(len(parameters), many, law.size)
    if law.name == "quantiles":
        level, bounds = law.quantiles[-1] - law.quantiles[0], (laws[..., 0], laws[..., -1])
    else:
        level = LEVEL
        low, high = (quantile(law, laws, share) for share in ends([level]))
        bounds = (low.reshape(len(laws), node.width), high.reshape(len(laws), node.width))
    return f"{100 * level:.6g} % band", *bounds


def interval_of(node: ForecastOutput, parameters: Array) -> tuple[str, Array, Array] | None:
    """The name of the interval, and its lower and upper end `[B, H]`; None for a point forecast.

    `parameters` `[B, H, k]` in the units of the data. For quantiles, the lowest and the highest.
    For distributions, the widest of `intervals`, or from 0.1 to 0.9. NaN where a parameter is.
    """
    if node.answered.name == "point":
        return None
    name = f"{100 * nominal_coverage(node):.6g} % band"
    if node.answered.name == "quantiles":
        if len(node.quantiles) < 2:
            return None
        return name, parameters[..., 0], parameters[..., -1]
    shares = ends([nominal_coverage(node)])
    low, high = (quantile(node.law, parameters, share)[..., 0] for share in shares)
    return name, low, high


def within(lower: Array, upper: Array, true: Array) -> Array:
    """1 where a true value is in the interval, else 0, NaN where one of them is; all `[B, H]`."""
    inside = ((true >= lower) & (true <= upper)).astype(np.float64)
    found: Array = np.where(np.isnan(lower) | np.isnan(upper) | np.isnan(true), np.nan, inside)
    return found


def nominal_coverage(node: ForecastOutput) -> float:
    """The share of true values that the interval should hold."""
    if node.quantiles:
        return node.quantiles[-1] - node.quantiles[0]
    return node.intervals[-1] if node.intervals else LEVEL
