"""Metrics of parts of the rows: of those with each value of a column, or of each series."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import Dataset, Reading
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.evaluate.monitor import monitor_of
from rnnspec.plan import Plan
from rnnspec.spec.metrics import LOSS, TRAIN_LOSS

MOST = 10_000
"""Most groups that are measured."""
NONE = "(none)"
"""The group of rows whose cell is empty."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The metrics of the rows of one group, by names as for all rows."""

    name: str
    rows: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups by the values of the `column`, the worst first by a `metric`."""

    column: str
    metric: str
    scores: tuple[GroupScore, ...]

    def csv(self) -> str:
        """The metrics as CSV: a line for each group, with its name and its number of rows."""
        text = io.StringIO()
        names = dict.fromkeys(name for score in self.scores for name in score.metrics)
        table = csv.writer(text, lineterminator="\n")
        table.writerow([self.column, "rows", *names])
        for score in self.scores:
            values = (score.metrics.get(name, math.nan) for name in names)
            table.writerow([score.name, score.rows, *("" if v != v else repr(v) for v in values)])
        return text.getvalue()


def measured_groups(
    column: str,
    data: Dataset,
    read: tuple[Reading, Shards],
    measure: Callable[[Dataset], Mapping[str, float]],
    plan: Plan,
    monitor: str,
) -> Groups:
    """The metrics of each group of the rows of `data`, which were `read` so from these files.

    They are ordered by `monitor`, the metric that chooses the best epoch. Raises DataError for a
    column that is missing, holds lists, or has too many values.
    """
    names, numbers = _grouped(column, data, *read)
    if len(names) > MOST:
        raise DataError(
            f"{read[1]}: column {column!r} has {len(names):,} different values; at most {MOST:,}"
            " groups can be measured, so name a column of fewer"
        )
    order = np.argsort(numbers, kind="stable")
    parts = np.split(order, np.searchsorted(numbers[order], np.arange(1, len(names))))
    scores = [
        GroupScore(name, len(rows), measure(data.part(rows)))
        for name, rows in zip(names, parts, strict=True)
        if len(rows)
    ]
    metric = monitor if all(monitor in score.metrics for score in scores) else LOSS
    cost = monitor_of(metric, plan).cost if metric != TRAIN_LOSS else math.fabs
    scores.sort(key=lambda score: (-cost(score.metrics[metric]), score.name))
    return Groups(column, metric, tuple(scores))


def _grouped(
    column: str, data: Dataset, reading: Reading, files: Shards
) -> tuple[Sequence[str], Rows]:
    """The names of the groups, and the number of the group of each row."""
    series = reading.series
    if series is not None and series.id == column and data.series is not None:
        return data.series.names, data.series.of_rows
    names: dict[str, int] = {}
    lines, numbers = [], []
    for line, name in _cells(column, reading, files):
        lines.append(line)
        numbers.append(names.setdefault(name, len(names)))
    places = np.array(lines, np.int64)
    order = np.argsort(places, kind="stable")
    found = order[np.searchsorted(places[order], data.lines)]
    return list(names), np.array(numbers, np.int64)[found]


def _cells(column: str, reading: Reading, files: Shards) -> Iterator[tuple[int, str]]:
    """Where each row is, and the cell of its column as text."""
    bad = reading.bad_rows(files)
    for chunk in reading.read(files, [column], bad):
        for line, cell in zip(chunk.lines, chunk.cells[column], strict=True):
            if isinstance(cell, list | dict):
                bad.fail(line, f"column {column!r} holds lists, and groups are by single values")
            yield line, NONE if cell is None or cell == "" else str(cell)
