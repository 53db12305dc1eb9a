"""Which numbers a distribution is of: whole ones, shares, those above 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.decode import Floats
from rnnspec.errors import DataError
from rnnspec.spec.distributions import DISTRIBUTIONS, DistributionName, Values

Mask = NDArray[np.bool_]
POSSIBLE: Mapping[Values, tuple[Callable[[Floats], Mask], str, str]] = {
    "counts": (
        lambda v: (v >= 0) & (v == np.floor(v)),
        "whole numbers from 0",
        "gaussian or student_t",
    ),
    "shares": (
        lambda v: (v > 0) & (v < 1),
        "numbers above 0 and below 1",
        "gaussian, or move 0 and 1 into the range in the data",
    ),
    "positive": (lambda v: v > 0, "numbers above 0", "gaussian or student_t"),
}
"""Of what a distribution is: the test, words for it, and what else a column may be answered with;
numbers of any kind have no entry."""


def check_possible(found: Floats, name: DistributionName) -> Floats:
    """`found`, NaN where a number is missing. Raises DataError for a number that a distribution
    gives no density to."""
    rule = POSSIBLE.get(DISTRIBUTIONS[name].values)
    if rule is None:
        return found
    holds, words, other = rule
    wrong = np.flatnonzero(~(holds(found) | np.isnan(found)))
    if len(wrong):
        raise DataError(
            f"is {found.flat[wrong[0]]:g}, and a {name} distribution is of {words}; answer it with"
            f" {other}"
        )
    return found
