"""The step, or the span, that an exported file answers against the trained module's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.export.compare import (
    ALLOWED,
    DEFECT,
    ROUNDING_FACTOR,
    Array,
    Figures,
    Got,
    check,
    check_finite,
    check_nothing_past,
)
from rnnspec.plan.nodes import NOWHERE, PositionOutput
from rnnspec.to_torch.positions import Positions


def compare_positions(
    node: PositionOutput,
    lengths: NDArray[np.int64],
    expected: Positions,
    precise: Positions,
    got: Got,
) -> Figures:
    """One output on one batch. Raises ExportError where it differs, and where the module's answer
    is no finite number.

    Another step may be answered than the module's where both are about as probable.
    """
    told, shares = got[0].reshape(len(lengths), node.marks), got[1]
    found = shares.reshape(*shares.shape[:2], node.marks).astype(np.float64)
    one, other = (_shares(each, found.shape[1]) for each in (expected, precise))
    check_finite(node, one)
    own = (np.arange(found.shape[1]) < lengths[:, np.newaxis])[..., np.newaxis]
    check_nothing_past(node, np.where(own, 0, found))
    check_nothing_past(node, told >= np.maximum(0, lengths)[:, np.newaxis])
    differences = np.abs(found - one[:, 1:])
    rounding = np.abs(one - other).max(axis=(1, 2), keepdims=True, initial=0.0)
    check(node, differences, rounding)
    ties = _ties(node, told - NOWHERE, other, expected.choices.numpy(), rounding[:, 0, 0])
    return Figures(float(differences.max(initial=0.0)), float(rounding.max(initial=0.0)), ties)


def _shares(answers: Positions, steps: int) -> Array:
    """The probabilities `[B, 1 + steps, marks]` of none and of the steps."""
    return np.asarray(answers.logs[:, : 1 + steps].double().exp().numpy())


def _ties(
    node: PositionOutput,
    choices: NDArray[np.int64],
    shares: Array,
    best: NDArray[np.int64],
    rounding: Array,
) -> int:
    """Checks that choices `[B, marks]` are legal and about as probable as the best, and counts
    those that are others."""
    first, last = choices[:, 0], choices[:, -1]
    long = (last - first >= node.longest) if node.longest else np.zeros(len(first), bool)
    illegal = (first > last) | long | ((first == 0) != (last == 0))
    lost = _joint(shares, best) - _joint(shares, choices)
    if (illegal | (lost > 2 * node.marks * (ALLOWED + ROUNDING_FACTOR * rounding))).any():
        raise ExportError(
            f"{node.column}: the exported file answers other steps than the trained module;"
            f" {DEFECT}"
        )
    return int((choices != best).any(axis=1).sum())


def _joint(shares: Array, choices: NDArray[np.int64]) -> Array:
    """The probability `[B]` of choices `[B, marks]` together."""
    each = np.take_along_axis(shares, choices[:, np.newaxis], axis=1)[:, 0]
    return np.asarray(each.prod(axis=1))
