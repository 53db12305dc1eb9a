"""Facts of the training rows, or of the training steps of series: what a plan needs to know."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.columns.base import add_chunk
from rnnspec.data.columns.gather import collectors, facts_of, outputs_of
from rnnspec.data.columns.labels import ClassCollector
from rnnspec.data.columns.numbers import SeriesColumn
from rnnspec.data.constants import constants_of
from rnnspec.data.naive import training_scales
from rnnspec.data.readers import Progress, progress_of
from rnnspec.data.reading import Reading, SeriesReading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import (
    ONLY_SERIES,
    Table,
    TableBuilder,
    training_end,
    whole_series,
    windows,
)
from rnnspec.data.shards import Shards
from rnnspec.data.statistics import NOISE, Moments, rounded_off
from rnnspec.errors import DataError
from rnnspec.plan.facts import ColumnFacts, Facts, NumericFacts
from rnnspec.spec import SeriesInput, Spec
from rnnspec.spec.views import encoder_answered, encoder_of


def survey(
    spec: Spec,
    train: Path | Shards,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
    folder: Path = Path(),
) -> Facts:
    """The facts of the rows of `train`, a file or several, without those of a validation share.
    Files of word vectors, and of the constants of cells, are in the `folder` of the spec.

    `progress` is called with the share that is done, 0 to 1, and what is being done; `note` with
    remarks on the rows, such as which steps of series are filled.
    Raises DataError: see `read` and `rnnspec.data.decode`; for vectors of different widths, for
    fewer than two labels, for no steps at all, for columns of steps of unequal length, for a
    split that leaves one side empty, for a vocabulary beyond bounds (`WordCounts`), and for series
    as in `rnnspec.data.series`.
    """
    share = spec.data.valid_share
    train = Shards.of(train)
    report = progress_of(progress, f"looking through {train.name}")
    reading = replace(Reading.of(spec), folder=folder)
    constants = constants_of(spec, folder)
    if reading.series is not None:
        found = survey_series(spec, reading, reading.series, train, share, report, note)
        return replace(found, constants=constants)
    kept = _Rows(reading, train, share)
    inputs, outputs = collectors(spec, reading, lambda: kept.read(columns, None))
    columns = [*inputs, *outputs, *reading.censored.values(), *_weights(outputs)]
    encoders = [*inputs.items(), *outputs.items()]
    axes = encoder_of(spec) | encoder_answered(spec)
    for chunk, bad in kept.read(columns, report):
        add_chunk(chunk, encoders, bad, axes)
    kept.check()
    of_inputs = facts_of(train, inputs)
    of_outputs = outputs_of(spec, of_inputs, facts_of(train, outputs))
    return Facts(kept.rows, of_inputs, of_outputs, constants=constants)


def _weights(outputs: Mapping[str, object]) -> list[str]:
    """The columns of weights by which labels are balanced, each once."""
    found = (each.weight for each in outputs.values() if isinstance(each, ClassCollector))
    return list(dict.fromkeys(filter(None, found)))


class _Rows:
    """The training rows, and how many there are."""

    def __init__(self, reading: Reading, train: Shards, share: float) -> None:
        self.reading, self.train, self.share = reading, train, share
        self.rows = self.kept_out = 0
        self.split = reading.split(share)

    def read(
        self, columns: list[str], report: Callable[[float], None] | None
    ) -> Iterator[tuple[Chunk, BadRows]]:
        """Reads the rows again, chunk by chunk, each with where bad ones are noted."""
        bad, reading = self.reading.bad_rows(self.train), self.reading
        self.rows = self.kept_out = 0
        self.split = split = reading.split(self.share)
        for chunk in reading.read(self.train, columns, bad, report, self.share):
            used = split.part(chunk) if self.share else chunk
            self.rows += used.begun
            self.kept_out += chunk.begun - used.begun
            yield used, bad

    def check(self) -> None:
        """Raises DataError for a split that leaves a side empty."""
        if self.share and not self.kept_out and len(self.split.labels) == self.rows > 1:
            raise DataError(
                f"{self.train}: a validation share of {self.share:g} takes none of the "
                f"{self.rows} rows, for the first row of each label is trained on; "
                "set data.valid to a file"
            )
        if self.share and not self.kept_out:
            count = f"the {self.rows} rows" if self.rows > 1 else "the only row"
            cure = "set data.valid to a larger share or to a file"
            if self.train.format(self.reading.format) == "text" and self.rows > 1:
                cure = "set data.documents to paragraph or line, or data.valid to a larger share"
                cure += " or to a file"
            elif self.rows == 1:
                cure = "set data.valid to a file"
            raise DataError(
                f"{self.train}: a validation share of {self.share:g} takes none of {count}; {cure}"
            )
        if not self.rows:
            raise DataError(
                f"{self.train}: a validation share of {self.share:g} takes all of the "
                f"{self.kept_out} rows; set data.valid to a smaller share or to a file"
            )


SHOWN = 5
"""Most series with filled steps that a note names."""
QUARTILES = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""


def survey_series(
    spec: Spec,
    reading: Reading,
    series: SeriesReading,
    train: Shards,
    share: float,
    report: Callable[[float], None] | None,
    note: Callable[[str], None] | None = None,
) -> Facts:
    """The facts of a table of series; its rows are training windows. See `survey`."""
    columns = [each for each in spec.data.inputs if isinstance(each, SeriesInput)]
    encoders = {
        each.column: SeriesColumn(
            each.column,
            each.missing != "error",
            "<f8",
            each.transform == "log",
            reading.distributions.get(each.column, "point"),
        )
        for each in columns
    }
    builder, bad = TableBuilder(series), reading.bad_rows(train)
    names = [*builder.columns, *encoders]
    for chunk in reading.read(train, names, bad, report):
        builder.add(chunk, bad)
        add_chunk(chunk, list(encoders.items()), bad)
    if builder.times is not None:
        builder.times.check_numbers(bad)
    table = builder.table(bad)
    if note is not None and (filled := table.filled_steps()):
        note(_filled_note(train, filled, table.fill))
    windows_of = whole_series if series.whole else windows
    found_rows = windows_of(table, series, "train", share, bad)
    longest = int((found_rows.ends - found_rows.starts).max()) if series.whole else series.history
    rows = len(found_rows.ends)
    if share:
        windows_of(table, series, "valid", share, bad)
    trained = _trained_places(table, series, share)
    _check_lags(columns, trained, table, train)
    found: dict[str, ColumnFacts] = {}
    for each in columns:
        values = encoders[each.column].values(table).astype(np.float64, copy=False)
        values = np.log(values) if each.transform == "log" else values
        try:
            known = _series_facts(each, values, trained, table, longest)
            if lags := spec.data.differences(each):
                own = _differences(values, trained, table, lags)
                known = _of_differences(known, _series_facts(each, own, trained, table, longest))
            elif each.transform == "log":
                known = replace(known, lost=())  # their size is no loss of a share of a number
            found[each.column] = replace(known, longest=longest + series.reach)
        except DataError as error:
            raise DataError(f"{train}: column {each.column!r} has {error}") from error
    inputs, outputs = _facts_of_rows(spec, reading, train, _trained_rows(table, trained))
    found |= inputs
    scales = {
        column: training_scales(table, series, encoders[column].values(table), season, share)
        for column, season in reading.seasons.items()
    }
    return Facts(rows, found, outputs_of(spec, found, outputs), scales)


def _filled_note(train: Shards, filled: Mapping[str, int], fill: str | float) -> str:
    """`train.csv: 14 steps have no row and are filled with 0: 12 of series 'a', 2 of 'b'`."""
    words = {"previous": "the row before", "missing": "missing numbers"}
    what = words[fill] if isinstance(fill, str) else f"{fill:g}"
    several = sorted(filled.items(), key=lambda each: -each[1])
    listed = [f"{count:,} of {name!r}" for name, count in several[:SHOWN]]
    left = f", and of {len(several) - SHOWN:,} more" if len(several) > SHOWN else ""
    named = "" if set(filled) == {ONLY_SERIES} else f": {', '.join(listed)}{left}"
    total = sum(filled.values())
    verb = "steps have no row and are" if total != 1 else "step has no row and is"
    return f"{train}: {total:,} {verb} filled with {what}{named}"


def _trained_places(table: Table, series: SeriesReading, share: float) -> NDArray[np.bool_]:
    """Which steps are for training, by place."""
    kept = np.ones(len(table.order), np.bool_)
    for first, end in zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True):
        kept[first + training_end(end - first, series, share) : end] = False
    return kept


def _check_lags(
    columns: Sequence[SeriesInput], trained: NDArray[np.bool_], table: Table, train: Shards
) -> None:
    """Raises DataError for a lag that is before the first step of every training series: it would
    be missing at each step."""
    bounds = zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True)
    longest = max(int(trained[first:end].sum()) for first, end in bounds)
    for each in columns:
        far = max(each.lags, default=0)
        if far >= longest:
            raise DataError(
                f"{train}: the lag {far} of {each.column!r} is never known: no series has more than"
                f" {longest} steps to train on; remove it from lags of the input, or name one below"
                f" {longest}"
            )


def _trained_rows(table: Table, trained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows of the table are for training."""
    kept = np.zeros(len(table.lines), np.bool_)
    kept[table.order[trained if table.filled is None else trained & ~table.filled]] = True
    return kept


def _series_facts(
    column: SeriesInput,
    values: NDArray[np.float64],
    trained: NDArray[np.bool_],
    table: Table,
    longest: int,
) -> NumericFacts:
    """Mean and deviation, or median and interquartile range / 1.349, without missing values; with
    `level` the deviation is that of windows from their means.

    If half of a series is one value, the range is 0: then the deviation is taken. `values` are by
    place, `trained` says which places are for training.
    """
    moments = Moments()
    moments.add(values[trained][:, None])
    moments.check()
    if column.scale in ("standard", "robust"):  # the others are scaled by each window in float64
        moments.check_size()
    mean, deviation, lost = moments.mean(), moments.deviation(), moments.lost()
    if column.scale == "robust":
        low, middle, high = np.nanpercentile(values[trained], [25, 50, 75]).tolist()
        mean = (middle,)
        if high - low > NOISE * abs(middle):
            spread = (high - low) / QUARTILES
            lost = tuple(share * deviation[0] / spread for share in lost)
            deviation = (spread,)
    elif column.scale in ("window", "level") and lost:
        lost = (_lost_in_windows(np.where(trained, values, np.nan), table, longest),)
    if column.scale == "level":
        within = _deviation_in_windows(np.where(trained, values, np.nan), table, longest)
        deviation = (within,) if within > NOISE * abs(mean[0]) else deviation
    return NumericFacts(1, mean, deviation, longest, lost)


def _differences(
    values: NDArray[np.float64], trained: NDArray[np.bool_], table: Table, lags: Sequence[int]
) -> NDArray[np.float64]:
    """By place, of the lags one after the other within each series; NaN at its first steps, which
    have none, and where that is not for training."""
    found = np.where(trained, values, np.nan)
    for lag in lags:
        before = np.full_like(found, np.nan)
        for first, end in zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True):
            before[first + lag : end] = found[first : max(first, end - lag)]
        found = found - before
    return found


def _of_differences(numbers: NumericFacts, found: NumericFacts) -> NumericFacts:
    """The facts of differences. What float32 loses is the rounding of the numbers themselves, in
    units of the deviation that they are scaled by."""
    (whole,), (scale,) = numbers.deviation, found.deviation
    return replace(found, lost=tuple(share * whole / scale for share in numbers.lost))


def _lost_in_windows(values: NDArray[np.float64], table: Table, window: int) -> float:
    """What float32 would lose of a series (`NumericFacts.lost`), cut into consecutive windows."""
    most = 0.0
    for steps in _known_of_series(values, table):
        rounding = float(np.sqrt((rounded_off(steps) ** 2).mean())) if len(steps) else 0.0
        if not rounding:
            continue
        deviation = float(np.sqrt(_windows_of(steps, window).var(axis=1).mean()))
        if deviation > NOISE * float(np.abs(steps).max()):
            most = max(most, rounding / deviation)
    return most


def _deviation_in_windows(values: NDArray[np.float64], table: Table, window: int) -> float:
    """The deviation of all numbers from the means of the consecutive windows that they are in."""
    squares, count = 0.0, 0
    for steps in _known_of_series(values, table):
        if len(steps):
            cut = _windows_of(steps, window)
            squares, count = squares + float(cut.var(axis=1).sum()), count + len(cut)
    return math.sqrt(squares / count) if count else 0.0


def _known_of_series(values: NDArray[np.float64], table: Table) -> Iterator[NDArray[np.float64]]:
    """The numbers of each series that are not missing."""
    for first, end in zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True):
        steps = values[first:end]
        yield steps[~np.isnan(steps)]


def _windows_of(steps: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """`[windows, steps]`: consecutive windows, without the steps that are left over."""
    size = min(window, len(steps))
    return steps[: len(steps) // size * size].reshape(-1, size)


def _facts_of_rows(
    spec: Spec, reading: Reading, train: Shards, trained: NDArray[np.bool_]
) -> tuple[dict[str, ColumnFacts], dict[str, ColumnFacts]]:
    """The facts, over the training rows of the table, of the inputs that are no series and of the
    outputs that have columns of their own."""

    def chunks() -> Iterator[tuple[Chunk, BadRows]]:
        bad = reading.bad_rows(train)
        for chunk in reading.read(train, columns, bad):
            yield chunk.only(trained[chunk.first : chunk.first + len(chunk)].tolist()), bad

    inputs, outputs = collectors(spec, reading, chunks)
    columns = [*inputs, *outputs, *reading.censored.values(), *_weights(outputs)]
    if columns:
        for chunk, bad in chunks():
            add_chunk(chunk, [*inputs.items(), *outputs.items()], bad)
    return facts_of(train, inputs), facts_of(train, outputs)
