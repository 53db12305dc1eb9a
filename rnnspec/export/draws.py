"""Draws of paths in an exported file against the trained module's, where their values may jump."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnnspec.export.compare import check_finite
from rnnspec.plan.nodes import ForecastOutput, FramesOutput

Array = NDArray[np.float64]
NEAR_COUNT = 1e-4
"""A count whose uniform draw is so near to that of the one beside it is a tie."""
NEAR_COMPONENT = 1e-5
"""A component of a mixture whose uniform draw is so near to that of the one beside it is a tie."""
Drawn = Callable[[float], Array]
"""The module's draws, the uniform ones behind them moved by so much."""


def compare_draws(
    node: ForecastOutput | FramesOutput, told: Array, unit: Array, one: Drawn, precise: Drawn
) -> tuple[Array, Array, int]:
    """The differences of the draws `told` by a file from those of the module in float32 (`one`), in
    units, how far these are from those in float64, and how many are ties. Raises ExportError where
    the module draws what is no finite number."""
    drawn, exact = one(0.0), precise(0.0)
    check_finite(node, drawn)
    differences, rounding = np.abs(told - drawn) / unit, np.abs(drawn - exact) / unit
    if node.law.traits.values == "counts":
        low, high = precise(-NEAR_COUNT), precise(NEAR_COUNT)
        near = (told >= low) & (told <= high)
        ties = int((near & (told != drawn)).sum())
        return np.where(near, 0.0, differences), np.where(near, 0.0, rounding), ties
    if node.law.name == "mixture":
        shifts = (-NEAR_COMPONENT, NEAR_COMPONENT)
        drawn, exact = (
            _nearest(told, [found, *map(of, shifts)])
            for found, of in ((drawn, one), (exact, precise))
        )
        nearest = np.abs(told - drawn) / unit
        ties = int((nearest < differences).sum())
        return nearest, np.abs(drawn - exact) / unit, ties
    return differences, rounding, 0


def _nearest(told: Array, found: list[Array]) -> Array:
    """Of several arrays, at each place what is nearest to `told`."""
    every = np.stack(found)
    closest = np.abs(every - told).argmin(axis=0)
    return np.asarray(np.take_along_axis(every, closest[np.newaxis], axis=0)[0])
