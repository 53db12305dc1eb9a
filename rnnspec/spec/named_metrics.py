"""Metrics that are measured where they are named: in `train.metrics`, `train.monitor`, or for a
command."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import assert_never

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.distributions import QuantilesDistribution, censored_by
from rnnspec.spec.inputs import KeysInput
from rnnspec.spec.metrics import (
    LOSS,
    answers_numbers,
    default_metric,
    monitored_metrics,
    reported_metrics,
)
from rnnspec.spec.outputs import (
    ClassOutput,
    Distributed,
    ForecastOutput,
    FramesOutput,
    KeysOutput,
    LabelsOutput,
    NextOutput,
    NumberOutput,
    OrdinalOutput,
    PositionOutput,
    PositionsOutput,
    SpanOutput,
    TagsOutput,
    Target,
    TextOutput,
    TokensOutput,
    VectorOutput,
    WordsOutput,
)
from rnnspec.spec.spec import Spec

SLOT_ERROR = "slot_error"
"""Measured of every text that has slots."""
CONCORDANCE = "concordance"
"""Measured of every time of which some had not ended."""
ALWAYS = (SLOT_ERROR, CONCORDANCE)
PLACES = re.compile(r"([a-z_]+@)([1-9][0-9]{0,5})")
"""A metric of the first places: `recall@20`."""
LEVEL = re.compile(r"coverage@([0-9]{1,2}(?:\.[0-9]{1,4})?)")
"""The share of true values within an interval, by its percentage: `coverage@95`."""
OF_CLASSES = ("auroc", "average_precision", "accuracy@k", "brier", "ece")
OF_LABELS = ("auroc", "average_precision", "precision@k", "recall@k", "ndcg@k", "brier", "ece")
OF_ITEMS = ("recall@k", "mrr", "mrr@k", "ndcg@k", "ece")


def further_metrics(spec: Spec, output: Target) -> tuple[str, ...]:
    """The further metrics of an output by name; `k` in a name stands for a number of places."""
    match output:
        case TagsOutput(crf=True):  # answers whole paths, not classes by their probabilities
            return ()
        case ClassOutput() | OrdinalOutput() | TagsOutput():
            return OF_CLASSES
        case LabelsOutput() | KeysOutput():
            return OF_LABELS
        case PositionOutput():
            return ("accuracy@k",)
        case SpanOutput() | PositionsOutput():
            return ()
        case NextOutput() if answers_numbers(spec, output):
            return ("r2", *_of_distribution(output))
        case NextOutput():
            keys = isinstance(spec.data.input_of(output), KeysInput)
            return OF_LABELS if keys else OF_ITEMS
        case NumberOutput() if censored_by(output.distribution):
            return ("r2", CONCORDANCE)
        case NumberOutput() | VectorOutput() | FramesOutput():
            return ("r2", *_of_distribution(output))
        case ForecastOutput():
            quantiles = isinstance(output.distribution, QuantilesDistribution)
            quantiles |= output.paths is not None
            own = ("wql",) if quantiles else ()
            return ("r2", "rmsse", *own, *_of_distribution(output))
        case WordsOutput() | TokensOutput():
            return (SLOT_ERROR,) if output.slots is not None else ()
        case TextOutput():
            return ()
        case _:
            assert_never(output)


def _of_distribution(output: Distributed) -> tuple[str, ...]:
    return () if output.distribution.name in ("point", "quantiles") else ("crps", "coverage@k")


def level_of(name: str) -> float | None:
    """The share that an interval should hold: 0.95 for `coverage@95`; None of other metrics."""
    found = LEVEL.fullmatch(name)
    share = float(found[1]) / 100 if found else 0.0
    return share if share > 0 else None


def coverage_of(level: float) -> str:
    """The metric of the interval of a share: `coverage@95` of 0.95."""
    return f"coverage@{100 * level:.8g}"


def column_and_metric(name: str) -> tuple[str, str]:
    """The column that the name of a metric starts with, "" for none, and the metric alone."""
    before, at, number = name.rpartition("@")
    if at and re.fullmatch(r"[0-9.]+", number):
        column, _, metric = before.rpartition(".")
        return column, f"{metric}@{number}"
    column, _, metric = name.rpartition(".")
    return column, metric


def places_of(name: str) -> int | None:
    """How many places a metric is about: 20 for `recall@20`; None for any other."""
    found = PLACES.fullmatch(name)
    return int(found[2]) if found else None


def general(name: str) -> str:
    """The metric with `k` for its number of places: `recall@k` for `recall@20`."""
    if name.startswith("coverage@"):
        return name if level_of(name) is None else "coverage@k"
    return PLACES.sub(r"\1k", name)


def measurable(spec: Spec) -> tuple[str, ...]:
    """All metrics that can be measured on validation rows, as `train.monitor` names them."""
    further = (
        _prefix(spec, output) + name
        for output in spec.data.targets
        for name in further_metrics(spec, output)
    )
    return (*reported_metrics(spec), *further)


def is_measurable(spec: Spec, name: str) -> bool:
    """Whether a metric can be measured, with a number in place of `k`."""
    column, metric = column_and_metric(name)
    known = measurable(spec)
    if name in reported_metrics(spec):
        return True
    return not metric.endswith("@k") and f"{column}{'.' * bool(column)}{general(metric)}" in known


def meant_metric(spec: Spec, name: str, *more: str) -> str:
    """What to write instead of a metric that cannot be measured: the name that is meant, or all
    names and `more`."""
    known = (*measurable(spec), *more)
    before, at, _ = name.partition("@")
    if at and f"{before}@k" in known:
        if before.endswith("coverage"):
            return f"after the @ stands a percentage, as in {before}@90"
        return f"after the @ stands a number of places, as in {before}@5"
    listed = f"use one of {', '.join(known)}" + "; k is a number, as in 5" * any(
        each.endswith("@k") for each in known
    )
    meant = did_you_mean(name.removeprefix("valid."), known)
    return meant.replace("@k'", f"@{'90' if 'coverage@k' in meant else '5'}'") or listed


def named_further(spec: Spec, more: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    """The further metrics of each output, by column: those that the spec names or monitors, and
    `more`; slots and intervals that it states are always measured."""
    monitored = monitored_metrics(spec.train, default_metric(spec))
    own = (_prefix(spec, output) + name for output in spec.data.targets for name in ALWAYS)
    levels = (
        _prefix(spec, output) + coverage_of(level)
        for output in spec.data.targets
        if isinstance(output, Distributed)
        for level in output.intervals
    )
    names = dict.fromkeys((*spec.train.metrics, *monitored, *more, *own, *levels))
    always, found = reported_metrics(spec), {}
    for output in spec.data.targets:
        prefix = _prefix(spec, output)
        known = further_metrics(spec, output)
        found[output.column] = tuple(
            name.removeprefix(prefix)
            for name in names
            if name not in (*always, LOSS)
            and name.startswith(prefix)
            and general(name.removeprefix(prefix)) in known
        )
    return found


def _prefix(spec: Spec, output: Target) -> str:
    return f"{output.column}." if len(spec.data.targets) > 1 else ""
