"""Tables of metrics."""

from __future__ import annotations

from rnnspec.report.html import Html, scroll, span, table, tag, words
from rnnspec.report.model import Metric, MetricTable, Value
from rnnspec.report.scale import drawable
from rnnspec.report.words import number, share

_SAME = 0.0005
"""Differences below are none."""


def metric_table(section: MetricTable) -> Html:
    if not section.metrics:
        return words("No metric was measured.")
    compared = bool(section.baseline)
    head = ["metric", "value", *([section.baseline, "difference"] if compared else []), "meaning"]
    rows = [_row(metric, compared) for metric in section.metrics]
    numeric = (1, 2, 3) if compared else (1,)
    return scroll(section.title, table(section.title, head, rows, numeric, "metrics", shown=False))


def _row(metric: Metric, compared: bool) -> list[Html]:
    baseline = [words(number(metric.baseline)), _difference(metric)] if compared else []
    value = tag("strong", {}, words(number(metric.value)))
    return [words(metric.name), value, *baseline, words(metric.explanation)]


def _difference(metric: Metric) -> Html:
    return difference(metric.value, metric.baseline, metric.larger_is_better)


def difference(value: Value, baseline: Value, larger: bool | None) -> Html:
    """How much better or worse a value is: of a metric that should be large, by how much; of an
    error, as a share of the baseline's."""
    if larger is None or not drawable(value) or not drawable(baseline):
        return words("–")
    gained = value - baseline
    if larger:
        size = number(abs(gained))
    elif baseline > 0:
        gained /= baseline
        size = share(abs(gained))
    else:
        return words("–")
    if abs(gained) < _SAME:
        return words("the same")
    better = (gained > 0) == larger
    said = f"{'✓' if better else '✗'} {size} {'higher' if gained > 0 else 'lower'}"
    return span("better" if better else "worse", said)
