"""How many steps a sequence of a plan has, from the steps of the input."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import Plan, shapes

_AXIS = re.compile(r"T(?:([/*])([0-9]+))?")


def steps_at(plan: Plan, name: str, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The steps of the node `name` in rows of `steps` steps: of the axis `T/4` a quarter, rounded
    up, of `T*3` three times as many."""
    axis = _AXIS.fullmatch(str(shapes(plan)[name][1]))
    assert axis is not None, f"{name} has no steps of the input"
    if axis[1] == "/":
        return -(-steps // int(axis[2]))
    return steps * int(axis[2] or 1)
