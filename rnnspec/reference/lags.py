"""What a series was some steps before: see `rnnspec.plan.nodes.lags`."""

from __future__ import annotations

import numpy as np

from rnnspec.plan import Plan, nodes
from rnnspec.reference.functions import Array, Arrays


def lags(plan: Plan, node: nodes.Lags, weights: Arrays, values: Arrays) -> Array:
    """`[T, L]` of a series `[T, 1]`."""
    past = values[node.source][:, 0].tolist()
    found = [[past[t - lag] if t >= lag else 0.0 for lag in node.lags] for t in range(len(past))]
    return np.array(found, np.float64).reshape(-1, len(node.lags))


def lags_ahead(plan: Plan, node: nodes.LagsAhead, weights: Arrays, values: Arrays) -> Array:
    """`[horizon, L]`, or of each lag the steps ahead before it, side by side."""
    past = values[node.source][:, 0].tolist()
    known = past + values[node.ahead][:, 0].tolist() if node.ahead else past

    def value(step: int, lag: int) -> float:
        place = len(past) + step - lag
        while place >= len(known):
            place -= lag
        return known[place] if place >= 0 else 0.0

    steps = range(node.horizon)
    if node.flat:
        return np.array([value(h, lag) for lag in node.lags for h in steps if h < lag], np.float64)
    return np.array([[value(h, lag) for lag in node.lags] for h in steps], np.float64)


def latest(plan: Plan, node: nodes.Latest, weights: Arrays, values: Arrays) -> Array:
    """The last steps of `[T, W]`."""
    return values[node.source][-node.steps :]
