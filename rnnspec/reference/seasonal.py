"""What a forecast is the distance from: see `rnnspec.plan.nodes.seasonal`."""

from __future__ import annotations

import numpy as np

from rnnspec.plan import Plan, nodes
from rnnspec.reference.functions import Array, Arrays


def season_ago(plan: Plan, node: nodes.SeasonAgo, weights: Arrays, values: Arrays) -> Array:
    """`[horizon, 1]` of a series `[T, 1]`, or `[horizon]`."""
    past = values[node.source][:, 0].tolist()
    found = []
    for step in range(node.horizon):
        if len(past) >= node.season:
            found.append(past[len(past) - node.season + step % node.season])
        else:
            found.append(past[-1] if past else 0.0)
    ahead = np.array(found, np.float64)
    return ahead if node.flat else ahead[:, None]


def add_base(plan: Plan, node: nodes.AddBase, weights: Arrays, values: Arrays) -> Array:
    """`[..., steps * parameters]`."""
    raw, base = values[node.source].copy(), values[node.base]
    for step in range(node.steps):
        for number in range(node.moved):
            raw[..., step * node.parameters + node.first + number] += base[..., step]
    return raw
