"""The path of labels that an exported file answers against the trained module's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rnnspec.errors import ExportError
from rnnspec.export.compare import (
    ALLOWED,
    DEFECT,
    ROUNDED,
    ROUNDING_FACTOR,
    Array,
    Figures,
    Got,
    check_finite,
    check_nothing_past,
)
from rnnspec.plan import Facts
from rnnspec.plan.names import labels_of
from rnnspec.plan.nodes import ChainOutput
from rnnspec.to_torch.chain import ChainOutput as ChainModule
from rnnspec.to_torch.chain import Paths


@dataclass(frozen=True, slots=True)
class PathAnswers:
    """The answers to one batch: of the module, of the module in float64 together with its scores
    `[B, T, K]`, and of the file: labels, probabilities, log-probabilities. `lengths` of the rows.
    """

    expected: Paths
    precise: Paths
    scores: torch.Tensor
    got: Got
    lengths: torch.Tensor


def compare_paths(
    node: ChainOutput, module: ChainModule, facts: Facts, answers: PathAnswers
) -> Figures:
    """One output on one batch. Raises ExportError where it differs, and where the module's answer
    is no finite number.

    The path may be another than the module's where both are about as probable: as probable as the
    rounding of each step allows.
    """
    labels, probabilities, scores = answers.got
    steps, lengths = probabilities.shape[1], answers.lengths.numpy()
    own = np.arange(steps) < lengths[:, np.newaxis]
    check_nothing_past(node, probabilities[~own])
    check_nothing_past(node, labels[~own].astype(bool))
    expected, precise = (_exact(each, steps) for each in (answers.expected, answers.precise))
    found = np.concatenate([probabilities.reshape(len(own), -1), scores[:, np.newaxis]], axis=1)
    check_finite(node, expected)
    unit = np.ones_like(expected)
    unit[:, -1] = np.maximum(1, lengths) + ROUNDED * np.abs(expected[:, -1])
    differences = np.abs(found.astype(np.float64) - expected) / unit
    rounding = (np.abs(expected - precise) / unit).max(axis=1, initial=0.0)
    allowed = ALLOWED + ROUNDING_FACTOR * rounding
    if not (differences <= allowed[:, np.newaxis]).all():  # a NaN is no parity either
        raise ExportError(
            f"{node.column}: the exported file differs from the trained module by"
            f" {differences.max():.1e} (allowed {ALLOWED:.0e}); {DEFECT}"
        )
    ties = _ties(node, module, facts, answers, allowed * np.maximum(1, lengths))
    return Figures(float(differences.max(initial=0.0)), float(rounding.max(initial=0.0)), ties)


def _exact(paths: Paths, steps: int) -> Array:
    """All numbers of each row: probabilities, then the log-probability of the path."""
    shares = paths.probabilities[:, :steps].double().flatten(1)
    return np.asarray(torch.cat([shares, paths.scores.double()[:, None]], 1).numpy())


def _ties(
    node: ChainOutput, module: ChainModule, facts: Facts, answers: PathAnswers, allowed: Array
) -> int:
    """Checks that each path is as probable as the module's, and counts those that are others."""
    labels, lengths = answers.got[0], answers.lengths
    names = {label: number for number, label in enumerate(labels_of(facts, node.column))}
    numbers = np.array([[names.get(label, 0) for label in row] for row in labels.tolist()])
    path = torch.zeros_like(answers.precise.labels)
    path[:, : labels.shape[1]] = torch.from_numpy(numbers.reshape(labels.shape).astype(np.int64))
    best, found = (
        module.path_scores(answers.scores, each, lengths) for each in (answers.precise.labels, path)
    )
    lost = (best - found).numpy()
    if (lost > 2 * allowed).any():
        raise ExportError(
            f"{node.column}: the exported file answers a path that is exp({lost.max():.2g}) times"
            f" less probable than the trained module's; {DEFECT}"
        )
    return int((path != answers.precise.labels).any(1).sum())
