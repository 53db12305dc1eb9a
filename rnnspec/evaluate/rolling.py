"""Forecasts from a rolling origin: which windows are measured, and a table of what they answer.

Each window reads what lies before its origin and answers what follows it, with the same weights
(Tashman 2000, rolling-origin evaluation without recalibration).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.data.dataset import Dataset
from rnnspec.data.reading import Reading, SeriesReading
from rnnspec.data.series import Table, TableBuilder, times_at
from rnnspec.data.shards import Shards
from rnnspec.data.times import Times
from rnnspec.errors import RnnspecError
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.evaluate.prediction_intervals import interval_of
from rnnspec.plan import Plan
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.to_torch import Model
from rnnspec.to_torch.outputs import ForecastOutput as ForecastModule

if TYPE_CHECKING:
    from rnnspec.run.fields import Field
    from rnnspec.run.tables import Add

STEP, ORIGIN = "step", "origin"
"""Columns of the table: the number of a step ahead, from 1, and the time of the last step read."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of each series that are measured: every `every` steps, counted back from the last
    one, `most` of them (None: all)."""

    every: int
    most: int | None = None


def windows_of(written: str, plan: Plan) -> Windows:
    """What `last`, `every K` or a number N of windows, a horizon apart, means. Raises RnnspecError
    for another text, and for a model that forecasts nothing."""
    horizons = [node.horizon for node in plan.outputs if isinstance(node, ForecastOutput)]
    if not horizons:
        raise RnnspecError("--windows is for forecasts, and this build answers none; leave it out")
    word, _, count = written.strip().partition(" ")
    number = count if word == "every" else word
    if word == "last" and not count:
        return Windows(1, 1)
    if not number.isdecimal() or not int(number):
        raise RnnspecError(
            f"--windows is {written!r}; write last, 'every 24' for windows that many steps apart,"
            " or a number of windows, a horizon apart"
        )
    return Windows(int(number)) if word == "every" else Windows(max(horizons), int(number))


def only(data: Dataset, windows: Windows) -> Dataset:
    """The chosen windows of a data set of windows over series."""
    assert data.series is not None and data.of_rows is not None, "windows over series"
    last = np.full(len(data.series.names), -1, np.int64)
    np.maximum.at(last, data.series.of_rows, data.ends)
    back = last[data.series.of_rows] - data.ends
    kept = back % windows.every == 0
    if windows.most is not None:
        kept &= back // windows.every < windows.most
    return data.part(np.flatnonzero(kept))


@dataclass(frozen=True, slots=True)
class TimedTable:
    """The table that the windows are of, with the times of its rows, if it has any."""

    table: Table
    times: Times | None
    cells: Sequence[object]

    @staticmethod
    def read(files: Shards, reading: Reading) -> TimedTable:
        """Raises DataError."""
        assert reading.series is not None, "a table of series"
        builder, bad, cells = TableBuilder(reading.series), reading.bad_rows(files), list[object]()
        for chunk in reading.read(files, builder.columns, bad):
            builder.add(chunk, bad)
            if builder.times is not None:
                cells.extend(chunk.cells[builder.times.column])
        return TimedTable(builder.table(bad), builder.times, cells)

    def at(self, number: int, wanted: range) -> list[object]:
        """The times of places of a series; numbers from 1 in a table without times."""
        first, end = (int(self.table.offsets[at]) for at in (number, number + 1))
        if self.times is None:
            return [place - first + 1 for place in wanted]
        found = times_at(self.times, self.table, self.cells, range(first, end), wanted)
        assert found is not None, "a window has two steps at least"
        return found


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Writes a row for each step ahead of each window: the series, the time of the last step read,
    the number and the time of the step, and of each output the truth, the forecast, and quantiles
    or the ends of its interval."""

    plan: Plan
    model: Model
    data: Dataset
    timed: TimedTable
    reading: SeriesReading
    add: Add

    def see(self, measured: MeasuredBatch) -> None:
        """Takes in a batch of windows."""
        assert measured.batch.slices is not None and measured.series is not None
        found = {
            node.column: self._columns(node, measured)
            for node in self.plan.outputs
            if isinstance(node, ForecastOutput)
        }
        for row, end in enumerate(measured.batch.slices.ends.tolist()):
            self._window(row, end, int(measured.series[row]), found)

    def _columns(
        self, node: ForecastOutput, measured: MeasuredBatch
    ) -> dict[str, NDArray[np.floating]]:
        """The columns of an output, `[B, H]` each."""
        parameters, module = measured.answers[node.column], self.model.output(node.column)
        assert isinstance(parameters, Tensor) and isinstance(module, ForecastModule)
        all_of, point = parameters.cpu().numpy(), module.expected(parameters).cpu().numpy()
        parts = (each.astype(all_of.dtype) for each in _parts(node, all_of.astype(np.float64)))
        truth: NDArray[np.floating] = measured.batch.targets[node.column].astype(all_of.dtype)
        return dict(zip(_names(node), (truth, point, *parts), strict=True))

    def _window(
        self, row: int, end: int, number: int, found: dict[str, dict[str, NDArray[np.floating]]]
    ) -> None:
        horizon = max(values.shape[1] for each in found.values() for values in each.values())
        origin, *ahead = self.timed.at(number, range(end - 1, end + horizon))
        of_series = {self.reading.id: self.timed.table.names[number]} if self.reading.id else {}
        for step, time in enumerate(ahead):
            cells: dict[str, object] = {**of_series, ORIGIN: str(origin), STEP: step + 1}
            cells[self.reading.time or "time"] = str(time)
            for columns in found.values():
                for name, values in columns.items():
                    cells[name] = _shortest(values[row, step]) if step < values.shape[1] else None
            self.add({}, cells)


@contextmanager
def forecasts_file(
    path: Path, plan: Plan, model: Model, data: Dataset, files: Shards, reading: Reading
) -> Iterator[Forecasts]:
    """The table, which appears at `path` when the block ends without an exception. Raises
    OutputError, MissingPackage and DataError."""
    assert reading.series is not None, "a table of series"
    from rnnspec.run.tables import answers_file, columns_of  # onnxruntime is loaded with it

    names: dict[str, Field] = {reading.series.id: "text"} if reading.series.id else {}
    names |= {ORIGIN: "text", STEP: "whole", reading.series.time or "time": "text"}
    for node in plan.outputs:
        if isinstance(node, ForecastOutput):
            names |= dict.fromkeys(_names(node), "double")
    timed = TimedTable.read(files, reading)
    with answers_file(path, columns_of((), names)) as add:
        yield Forecasts(plan, model, data, timed, reading.series, add)


def _shortest(value: np.floating) -> float | None:
    """The number of fewest digits that is read back as the same float32 or float64; None of NaN."""
    return None if np.isnan(value) else float(str(value))


def _names(node: ForecastOutput) -> list[str]:
    """The names of the columns of an output."""
    column = node.column
    parts = [f"{column}.q{quantile:g}" for quantile in node.quantiles]
    if not parts and node.answered.name != "point":
        parts = [f"{column}.lower", f"{column}.upper"]
    return [column, f"{column}.forecast", *parts]


def _parts(node: ForecastOutput, parameters: NDArray[np.float64]) -> Iterator[NDArray[np.floating]]:
    """Quantiles, or the ends of the interval, `[B, H]` each."""
    if node.quantiles:
        yield from np.moveaxis(parameters, -1, 0)
    elif node.distribution != "point":
        interval = interval_of(node, parameters)
        assert interval is not None, f"{node.distribution} has an interval"
        yield from interval[1:]
