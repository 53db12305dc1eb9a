"""Tables: metrics, classes and series, the worst classes and series first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import TypeVar

from rnnspec.report.html import Html, data, fold, join, scroll, span, table, tag, words
from rnnspec.report.model import (
    ClassRow,
    ClassTable,
    Metric,
    MetricTable,
    SeriesRow,
    SeriesTable,
    Table,
    Value,
)
from rnnspec.report.scale import drawable
from rnnspec.report.words import number, plural, share

_FIRST, _MOST = 25, 1000
"""Rows shown at once, and with the others unfolded."""
_LOW = 0.5
_SAME = 0.0005
"""Smaller differences are none."""
Cells = tuple[Sequence[str], Sequence[Sequence[Html]]]
"""The head of a table, and its rows."""
Row = TypeVar("Row")


# ---------------------------------------------------------------- metrics


def metric_table(section: MetricTable) -> Html:
    if not section.metrics:
        return words("No metric was measured.")
    compared = bool(section.baseline)
    head = ["metric", "value", *([section.baseline, "difference"] if compared else []), "meaning"]
    rows = [_row(metric, compared) for metric in section.metrics]
    numeric = (1, 2, 3) if compared else (1,)
    return scroll(section.title, table(section.title, head, rows, numeric, "metrics", shown=False))


def _row(metric: Metric, compared: bool) -> list[Html]:
    cells = [words(metric.name), tag("strong", {}, words(number(metric.value)))]
    if compared:
        cells.append(words(number(metric.baseline)))
        cells.append(difference(metric.value, metric.baseline, metric.larger_is_better))
    return [*cells, words(metric.explanation)]


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


# ---------------------------------------------------------------- classes and series


def class_table(section: ClassTable) -> Html:
    if not section.classes:
        return words("There are no classes.")
    ordered = sorted(section.classes, key=_worst_class_first)
    parts = _folded(section.title, ordered, partial(_class_cells, section.of), "classes by F1")
    return join([tag("p", {}, words(_class_summary(section))), *parts])


def _class_cells(of: str, rows: Sequence[ClassRow]) -> Cells:
    return ("class", "F1", "precision", "recall", of), [
        [
            data(row.label, 60),
            _bar(row.f1),
            words(share(row.precision)),
            words(share(row.recall)),
            words(f"{row.rows:,}"),
        ]
        for row in rows
    ]


def _worst_class_first(row: ClassRow) -> tuple[float, int, str]:
    """By F1; classes without one come last. Of equals, the most frequent first."""
    return row.f1 if drawable(row.f1) else 2.0, -row.rows, row.label


def _class_summary(section: ClassTable) -> str:
    known = [row.f1 for row in section.classes if drawable(row.f1)]
    said = [plural(len(section.classes), "classes")]
    if known:
        low = sum(f1 < _LOW for f1 in known)
        said.append(f"half of them have an F1 of at least {share(median(known))}")
        said.append(f"{low or 'none'} {'are' if low > 1 else 'is'} below {share(_LOW)}")
    if len(known) < len(section.classes):
        said.append(f"{len(section.classes) - len(known):,} without a row or an answer")
    return "; ".join(said) + ". The lowest F1 comes first."


def _bar(value: Value) -> Html:
    """A share as a number before a bar of that length."""
    if not drawable(value):
        return words(share(value))
    long = f"width:{100 * min(1.0, max(0.0, value)):.1f}%"
    low = " low" if value < _LOW else ""
    bar = tag("span", {"class": f"bar{low}"}, tag("span", {"style": long}))
    return join([span("figure", share(value)), bar])


def series_table(section: SeriesTable) -> Html:
    if not section.rows:
        return words("There are no series.")
    ordered = sorted(section.rows, key=worst_first)
    cells = partial(_series_cells, section.baseline)
    parts = _folded(section.title, ordered, cells, "series by skill")
    return join([tag("p", {}, words(_series_summary(section))), *parts])


def _series_cells(baseline: str, rows: Sequence[SeriesRow]) -> Cells:
    scaled = any(row.scaled is not None for row in rows)
    return ("series", "skill", "MAE", baseline, *(("MASE",) if scaled else ()), "values"), [
        [
            data(row.name, 60),
            words(share(row.skill)),
            words(number(row.error)),
            words(number(row.baseline)),
            *([words(number(row.scaled))] if scaled else []),
            words(f"{row.values:,}"),
        ]
        for row in rows
    ]


def worst_first(row: SeriesRow) -> tuple[float, str]:
    """By skill; what is no number comes first, series without one last."""
    if row.skill is None:
        return float("inf"), row.name
    return row.skill if row.skill == row.skill else -float("inf"), row.name


def _series_summary(section: SeriesTable) -> str:
    known = [row.skill for row in section.rows if drawable(row.skill)]
    better = sum(skill > 0 for skill in known)
    said = f"{len(section.rows):,} series; better than {section.baseline} at {better:,}"
    return f"{said} of {len(known):,}. The lowest skill comes first."


def plain_table(section: Table) -> Html:
    if not section.rows:
        return words("" if section.text else "There is nothing to list.")
    cells = partial(_text_cells, section)
    return join(_folded(section.title, section.rows, cells, "rows", section.left, "texts"))


def _text_cells(section: Table, rows: Sequence[Sequence[str]]) -> Cells:
    return section.head, [[data(cell) if cell else words("–") for cell in row] for row in rows]


def _folded(
    title: str,
    ordered: Sequence[Row],
    cells: Callable[[Sequence[Row]], Cells],
    by: str,
    left: int = 1,
    style: str = "classes",
) -> Iterator[Html]:
    """A table of the first rows, and one of the next, folded; `left` columns are texts."""
    first = ordered if len(ordered) <= _FIRST + 5 else ordered[:_FIRST]
    yield _table(title, *cells(first), shown=False, left=left, style=style)
    if rest := ordered[len(first) : _MOST]:
        unseen = len(ordered) - len(first) - len(rest)
        others = f" (and {unseen:,} with still better ones)" if unseen else ""
        said = f"The next {len(rest):,} {by}{others}"
        yield fold(said, _table(said, *cells(rest), shown=True, left=left, style=style))


def _table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Html]],
    shown: bool,
    left: int = 1,
    style: str = "classes",
) -> Html:
    return scroll(caption, table(caption, head, rows, range(left, len(head)), style, shown))
