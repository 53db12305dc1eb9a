"""Tables of metrics."""

from __future__ import annotations

from math import isfinite

from rnnspec.report.html import Html, scroll, span, table, tag, words
from rnnspec.report.model import Metric, MetricTable
from rnnspec.report.words import number, share

_SAME = 0.0005
"""Relative differences below are none."""


def metric_table(section: MetricTable) -> Html:
    if not section.metrics:
        return words("No metric was measured.")
    compared = bool(section.baseline)
    head = ["metric", "value", *([section.baseline, "difference"] if compared else []), "meaning"]
    rows = [_row(metric, compared) for metric in section.metrics]
    numeric = (1, 2, 3) if compared else (1,)
    return scroll(section.title, table(section.title, head, rows, numeric, "metrics"))


def _row(metric: Metric, compared: bool) -> list[Html]:
    baseline = [words(number(metric.baseline)), _difference(metric)] if compared else []
    value = tag("strong", {}, words(number(metric.value)))
    return [words(metric.name), value, *baseline, words(metric.explanation)]


def _difference(metric: Metric) -> Html:
    return difference(metric.value, metric.baseline, metric.larger_is_better)


def difference(value: float | None, baseline: float | None, larger: bool | None) -> Html:
    """How much better or worse a value is, as a share of the baseline's."""
    known = value is not None and baseline is not None and isfinite(value) and isfinite(baseline)
    if larger is None or value is None or baseline is None or not known or not baseline:
        return words("–")
    gained = (value - baseline) / abs(baseline) * (1 if larger else -1)
    if not isfinite(gained):
        return words("–")
    if abs(gained) < _SAME:
        return words("the same")
    verdict = "better" if gained > 0 else "worse"
    return span(verdict, f"{'▲' if gained > 0 else '▼'} {share(abs(gained))} {verdict}")
