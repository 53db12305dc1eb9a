"""Metrics over a whole data set, added up batch by batch: one file a kind of answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rnnspec.evaluate.metrics.classes import ClassMetrics, LabelsMetrics
from rnnspec.evaluate.metrics.forecasts import ForecastMetrics
from rnnspec.evaluate.metrics.numbers import NumericMetrics
from rnnspec.evaluate.metrics.tags import Lanes, TagMetrics
from rnnspec.evaluate.metrics.texts import TextMetrics
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    TextOutput,
)

__all__ = [
    "LARGER_IS_BETTER",
    "ClassMetrics",
    "ForecastMetrics",
    "LabelsMetrics",
    "Lanes",
    "Metrics",
    "NumericMetrics",
    "TagMetrics",
    "TextMetrics",
    "metrics_of",
]

LARGER_IS_BETTER = frozenset(
    {
        "accuracy",
        "macro_f1",
        "micro_f1",
        "span_f1",
        "exact_match",
        "token_accuracy",
        "bleu",
        "chrf",
        "skill",
        "scaled_skill",
    }
)
"""Metrics that improve upwards; all others improve downwards."""

Metrics: TypeAlias = (
    ClassMetrics | LabelsMetrics | NumericMetrics | TagMetrics | TextMetrics | ForecastMetrics
)
"""Sums of one output."""


def metrics_of(node: Output, loss: OutputLoss | None = None, new: Sequence[str] = ()) -> Metrics:
    """Fresh sums for an output; with its `loss`, of spans too where its tags mark such.

    `new` are the labels of what is measured that no training row has.
    """
    match node:
        case ClassOutput() if loss is not None and loss.span_labels:
            return TagMetrics(loss.span_labels, loss.scheme, new)
        case ClassOutput():
            return ClassMetrics(node.classes, perplexity=node.ahead, new=len(new))
        case LabelsOutput():
            return LabelsMetrics(node.labels, node.threshold, len(new))
        case NumericOutput():
            return NumericMetrics()
        case TextOutput():
            return TextMetrics()
        case ForecastOutput():
            return ForecastMetrics(node.quantiles)
