"""Measured numbers, and how they went while a model was trained."""

from __future__ import annotations

from dataclasses import dataclass

Value = float | None
"""A measured number, or None where there is none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the few numbers that matter most: `name`, `value` as text, and what it counts."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One value an epoch. Lines of the names `train` and `each trial` are drawn behind the
    others."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric over the epochs: the series that are compared, in one unit."""

    metric: str
    series: tuple[Series, ...]
    unit: str = ""
    larger_is_better: bool | None = None
    """None: neither end is better, as with a learning rate."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Charts side by side over the same epochs, counted from `first`; `best` is the epoch kept.
    `step` is what is counted, where that is no epoch."""

    title: str
    charts: tuple[Chart, ...]
    best: int | None = None
    first: int = 1
    text: str = ""
    step: str = "epoch"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's value, in plain words what it means, and the same of the baseline."""

    name: str
    value: Value
    explanation: str = ""
    baseline: Value = None
    larger_is_better: bool | None = None


@dataclass(frozen=True, slots=True)
class MetricTable:
    """Metrics, one a row; `baseline` names what they are compared with, empty for nothing."""

    title: str
    metrics: tuple[Metric, ...]
    baseline: str = ""
    text: str = ""
