"""The sample paths of an exported file against the trained module's, draw by draw.

The module draws each step after the file's own steps before it: two paths that differ in one step
have nothing in common behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.export.compare import ALLOWED, DEFECT, ROUNDED, Figures, check
from rnnspec.export.draws import Array, compare_draws
from rnnspec.export.laws import units_of_draws
from rnnspec.plan import Facts
from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.to_torch import Model

Inputs = Mapping[str, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One batch: the module in float32 and in float64, each with its inputs, and the seeds."""

    model: Model
    exact: Model
    inputs: Inputs
    precise: Inputs
    seeds: torch.Tensor


@torch.inference_mode()
def compare_sampled(
    asked: Asked, node: ForecastOutput, facts: Facts, got: Mapping[str, NDArray[Any]]
) -> Figures:
    """The paths of a forecast and what is answered of them. Raises ExportError where they
    differ."""
    plan, column = asked.model.plan, node.column
    given = {
        each.column: torch.from_numpy(np.asarray(got[_names(asked, each)[2]], np.float64))
        for each in plan.outputs
        if isinstance(each, ForecastOutput) and each.paths
    }
    told = given[column].numpy()
    moments = asked.exact.moments(column, asked.precise)
    unit = units_of_draws(node, facts, told, None if moments is None else moments.numpy())
    if not node.double:
        unit = unit + ROUNDED * np.abs(told)

    def one(shift: float) -> Array:
        found = asked.model.paths(asked.inputs, asked.seeds, given, shift)[column]
        return np.asarray(found.double().numpy())

    def precise(shift: float) -> Array:
        found = asked.exact.paths(asked.precise, asked.seeds, given, shift)[column]
        return np.asarray(found.double().numpy())

    differences, rounding, ties = compare_draws(node, told, unit, one, precise)
    check(node, differences, rounding.max(axis=(1, 2), keepdims=True, initial=0.0))
    _check_quantiles(asked, node, told, unit, got)
    return Figures(float(differences.max(initial=0.0)), float(rounding.max(initial=0.0)), ties)


def _names(asked: Asked, node: ForecastOutput) -> tuple[str, ...]:
    return output_names(asked.model.plan, node, False)


def _check_quantiles(
    asked: Asked, node: ForecastOutput, paths: Array, unit: Array, got: Mapping[str, NDArray[Any]]
) -> None:
    """What is answered are quantiles over the paths."""
    answer, quantiles, _ = (np.asarray(got[each]) for each in _names(asked, node))
    expected = np.moveaxis(np.quantile(paths, node.quantiles, axis=1), 0, -1)
    far = np.abs(quantiles - expected) / unit.max(axis=1, initial=0.0)[..., None]
    same = np.array_equal(answer, quantiles[..., node.answered.middle])
    if not (far <= ALLOWED).all() or not same:
        raise ExportError(
            f"{node.column}: the exported file answers other quantiles than those of its paths;"
            f" {DEFECT}"
        )
