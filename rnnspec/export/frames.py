"""The frames that an exported file writes against those of the trained module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

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
    numeric_units,
)
from rnnspec.export.laws import told_by_file, told_by_module
from rnnspec.plan import Facts
from rnnspec.plan.nodes import FramesOutput
from rnnspec.to_torch.frames import Frames


@dataclass(frozen=True, slots=True)
class FramesAnswers:
    """The answers to one batch: of the module, of the module in float64, and of the file: frames,
    lengths, of a reconstruction errors and scores, and the parts of a distribution."""

    expected: Frames
    precise: Frames
    got: Got


def compare_frames(node: FramesOutput, facts: Facts, answers: FramesAnswers) -> Figures:
    """One output on one batch. Raises ExportError where it differs, and where the module's answer
    is no finite number.

    A row may have another length than the module's where the number that says stop is 0 but for
    rounding, at the step where the shorter one ends.
    """
    expected, precise, got = answers.expected, answers.precise, answers.got
    lengths = [np.asarray(each) for each in (expected.lengths, precise.lengths, got[1])]
    own = np.arange(got[0].shape[1]) < lengths[2][:, np.newaxis]
    check_nothing_past(node, got[0][~own])
    ties = ties_of_ends(node, answers, lengths)
    both = np.minimum.reduce(lengths)
    parts = [(expected.values, precise.values, got[0], True)]
    if expected.parameters is not None and precise.parameters is not None:
        file = told_by_file(node, [got[0], *got[len(got) - len(node.law.parts) :]])
        parts[0] = (expected.parameters, precise.parameters, file, True)
    if expected.errors is not None and precise.errors is not None:
        pair = expected.errors[..., None], precise.errors[..., None]
        parts.append((*pair, got[2][..., None], False))
    found = [_compared(node, facts, *part, both) for part in parts]
    if expected.scores is not None and precise.scores is not None:
        one = np.minimum(1, np.ones_like(both))
        each = (expected.scores[:, None, None], precise.scores[:, None, None])
        found.append(_compared(node, facts, *each, got[3][:, None, None], False, one))
    largest = [max(figures) for figures in zip(*found, strict=True)]
    return Figures(largest[0], largest[1], ties)


def _compared(
    node: FramesOutput,
    facts: Facts,
    expected: Tensor,
    precise: Tensor,
    got: Array,
    in_units: bool,
    lengths: Array,
) -> tuple[float, float]:
    """The largest difference and rounding of steps `[B, U, W]` below `lengths`, `in_units` of the
    data or as they are. Of a distribution the steps of the module are parameters, those of the file
    what it tells of them."""
    steps = int(lengths.max(initial=0))
    own = (np.arange(steps) < lengths[:, np.newaxis])[..., np.newaxis]
    one, other, file = (
        np.where(own, np.asarray(each, np.float64)[:, :steps], 0.0)
        for each in (expected, precise, got)
    )
    check_finite(node, one)
    unit = numeric_units(node, facts, one, None) if in_units else np.maximum(1, np.abs(one))
    if in_units and node.distribution != "point":
        one, other = told_by_module(node, one), told_by_module(node, other)
    differences, rounding = np.abs(file - one) / unit, np.abs(one - other) / unit
    check(node, differences, rounding.max(axis=(1, 2), keepdims=True, initial=0.0))
    return float(differences.max(initial=0.0)), float(rounding.max(initial=0.0))


def ties_of_ends(node: FramesOutput, answers: FramesAnswers, lengths: Sequence[Array]) -> int:
    """How many rows end elsewhere than the module's. Raises ExportError where that is no tie."""
    expected, precise, got = lengths
    differing = np.flatnonzero((expected != got) | (precise != got))
    for row in differing.tolist():
        if expected[row] != got[row] and not _is_tie(answers, row, lengths):
            raise ExportError(
                f"{node.column}: the exported file writes {got[row]} frames where the trained"
                f" module writes {expected[row]}; {DEFECT}"
            )
    return int((expected != got).sum())


def _is_tie(answers: FramesAnswers, row: int, lengths: Sequence[Array]) -> bool:
    """Whether the number that says stop is 0, but for rounding, where the shorter answer ends."""
    end = int(min(each[row] for each in lengths))
    one, other = answers.expected.stops, answers.precise.stops
    if one is None or other is None or end >= min(one.shape[1], other.shape[1]):
        return False
    z, exact = float(one[row, end]), float(other[row, end])
    return abs(exact) <= ALLOWED * 10 + ROUNDING_FACTOR * abs(z - exact)
