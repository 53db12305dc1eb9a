"""The bounds and draws of an exported file against those of the trained module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.export.compare import ROUNDED, Answers, Figures, check, check_nothing_past
from rnnspec.export.laws import scaling_of
from rnnspec.plan import Facts, Plan
from rnnspec.plan.kinds import beside
from rnnspec.plan.names import answer_name
from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.to_torch import intervals

Array = NDArray[np.float64]
Distributed = NumericOutput | ForecastOutput
JUMPING = ("poisson", "negative_binomial", "mixture")
"""Distributions whose quantiles or draws jump: those of whole numbers, and of components."""
NEAR = 1e-5
"""How far a probability may be moved, as a share of what is on its side: a jump within is a tie."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An output of the file: `of` gives what the module answers, from parameters and a share that
    probabilities are moved by."""

    name: str
    of: Callable[[Tensor, float], Tensor]


def compare_intervals(
    plan: Plan, node: Distributed, facts: Facts, answers: Answers, seeds: NDArray[np.int64]
) -> Figures:
    """What a file answers beside the parameters, on one batch. Raises ExportError where it
    differs."""
    figures, name = Figures(), answer_name(plan, node)
    for part in _parts(plan, node, torch.from_numpy(seeds)):
        figures += _compared(node, facts, answers, part, answers.got[f"{name}.{part.name}"])
    return figures


def _parts(plan: Plan, node: Distributed, seeds: Tensor) -> list[_Part]:
    place, many = plan.outputs.index(node), len(node.intervals)

    def bounds(parameters: Tensor, moved: float, *, first: int) -> Tensor:
        return intervals.bounds(node, parameters, moved)[..., first : first + many]

    def samples(parameters: Tensor, moved: float) -> Tensor:
        uniform = intervals.uniform(node, parameters, seeds, place)
        return intervals.samples(node, parameters, intervals.moved(uniform, moved))

    known: dict[str, Callable[[Tensor, float], Tensor]] = {
        "lower": partial(bounds, first=0),
        "upper": partial(bounds, first=many),
        "samples": samples,
    }
    return [_Part(each, known[each]) for each in beside(node)]


def _compared(
    node: Distributed, facts: Facts, answers: Answers, part: _Part, got: NDArray[np.generic]
) -> Figures:
    given = np.asarray(got, np.float64)
    steps = isinstance(node, NumericOutput) and node.steps
    one, other = answers.expected, answers.precise
    if steps:  # of a batch of empty rows the module has one step, the file none
        one, other = one[:, : given.shape[1]], other[:, : given.shape[1]]
    shifts = (0.0, -NEAR, NEAR) if node.law.name in JUMPING else (0.0,)
    expected = _nearest(part, one, shifts, given)
    precise = _nearest(part, other, shifts, expected)
    given = given.reshape(expected.shape)
    own = np.ones(len(given), bool).reshape(-1, *[1] * (given.ndim - 1))
    if steps:
        within: NDArray[np.bool_] = np.arange(expected.shape[1]) < answers.lengths[:, np.newaxis]
        check_nothing_past(node, given[~within])
        own = within.reshape(*within.shape, 1, 1)
    unit = _units(node, facts, expected, answers.moments)
    differences, rounding = (
        np.where(own, _distances(one, expected) / unit, 0.0) for one in (given, precise)
    )
    axes = tuple(range(1, given.ndim))
    check(node, differences, rounding.max(axis=axes, keepdims=True, initial=0.0))
    return Figures(float(differences.max(initial=0.0)), float(rounding.max(initial=0.0)))


def _nearest(part: _Part, parameters: Array, shifts: tuple[float, ...], like: Array) -> Array:
    """What the module answers, at a jump on the side that is nearest to `like`."""
    given = torch.from_numpy(np.ascontiguousarray(parameters))
    found = np.stack([part.of(given, share).numpy() for share in shifts])
    closest = np.abs(found - like.reshape(found.shape[1:])).argmin(axis=0)
    return np.asarray(np.take_along_axis(found, closest[np.newaxis], axis=0)[0])


def _distances(one: Array, other: Array) -> Array:
    """|one - other|, 0 of what is infinite in both."""
    with np.errstate(invalid="ignore"):
        return np.where(one == other, 0.0, np.abs(one - other))


def _units(node: Distributed, facts: Facts, expected: Array, moments: Array | None) -> Array:
    """What differences of numbers `[…, D, n]` are measured in: the scale, or the distance from the
    centre, of a scaled number, else its own size, of shares 1. Float32 answers are rounded."""
    size = np.where(np.isfinite(expected), np.abs(expected), 1.0)
    rounded = 0.0 if node.double else ROUNDED * size
    if node.law.traits.values == "shares":
        return np.ones_like(size)
    if not node.law.is_scaled:
        return np.asarray(np.where(size > 0, size, 1.0) + rounded)
    centre, scale = (each[..., np.newaxis] for each in scaling_of(node, facts, moments))
    return np.asarray(np.maximum(scale, np.abs(expected - centre)) + rounded)
