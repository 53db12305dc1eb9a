"""Facts of the training steps of series."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.columns.gather import facts_of, gatherers, outputs_of
from rnnspec.data.counting import NOISE, Moments, rounded_off
from rnnspec.data.naive import training_scales
from rnnspec.data.readers import BadRows, Chunk
from rnnspec.data.reading import Reading, SeriesReading
from rnnspec.data.series import ONE, SeriesColumn, Table, TableBuilder, training_end, windows
from rnnspec.data.series_steps import whole_series
from rnnspec.data.shards import Shards
from rnnspec.data.steps import take
from rnnspec.errors import DataError
from rnnspec.plan.facts import ColumnFacts, Facts, NumericFacts
from rnnspec.spec import SeriesInput, Spec

SHOWN = 5
"""Series that are named of those with filled steps."""
QUARTILES = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""


def survey_series(
    spec: Spec,
    reading: Reading,
    series: SeriesReading,
    train: Shards,
    share: float,
    told: Callable[[float], None] | None,
    note: Callable[[str], None] | None = None,
) -> Facts:
    """The facts of a table of series; its rows are training windows. See `survey`."""
    columns = [each for each in spec.data.inputs if isinstance(each, SeriesInput)]
    takers = {
        each.column: SeriesColumn(each.column, each.missing != "error", "<f8") for each in columns
    }
    builder, bad = TableBuilder(series), reading.bad_rows(train)
    names = [*builder.columns, *takers]
    for chunk in reading.read(train, names, bad, told):
        builder.add(chunk, bad)
        take(chunk, list(takers.items()), bad)
    if builder.times is not None:
        builder.times.check_numbers(bad)
    table = builder.table(bad)
    if note is not None and (filled := table.filled_steps()):
        note(_told(train, filled, table.fill))
    cut = whole_series if series.whole else windows
    found_rows = cut(table, series, "train", share, bad)
    longest = int((found_rows.ends - found_rows.starts).max()) if series.whole else series.history
    rows = len(found_rows.ends)
    if share:
        cut(table, series, "valid", share, bad)
    trained = _trained_places(table, series, share)
    found: dict[str, ColumnFacts] = {}
    for each in columns:
        values = takers[each.column].values(table).astype(np.float64, copy=False)
        try:
            found[each.column] = _series_facts(each, values, trained, table, longest)
        except DataError as error:
            raise DataError(f"{train}: column {each.column!r} has {error}") from error
    inputs, outputs = _facts_of_rows(spec, reading, train, _trained_rows(table, trained))
    found |= inputs
    scales = {
        column: training_scales(table, series, takers[column].values(table), season, share)
        for column, season in reading.seasons.items()
    }
    return Facts(rows, found, outputs_of(spec, found, outputs), scales)


def _told(train: Shards, filled: Mapping[str, int], fill: str | float) -> str:
    """`train.csv: 14 steps have no row and are filled with 0: 12 of series 'a', 2 of 'b'`."""
    words = {"previous": "the row before", "missing": "missing numbers"}
    what = words[fill] if isinstance(fill, str) else f"{fill:g}"
    several = sorted(filled.items(), key=lambda each: -each[1])
    listed = [f"{count:,} of {name!r}" for name, count in several[:SHOWN]]
    left = f", and of {len(several) - SHOWN:,} more" if len(several) > SHOWN else ""
    named = "" if set(filled) == {ONE} else f": {', '.join(listed)}{left}"
    total = sum(filled.values())
    verb = "steps have no row and are" if total != 1 else "step has no row and is"
    return f"{train}: {total:,} {verb} filled with {what}{named}"


def _trained_places(table: Table, series: SeriesReading, share: float) -> NDArray[np.bool_]:
    """Which steps are for training, by place."""
    kept = np.ones(len(table.order), np.bool_)
    for first, end in zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True):
        kept[first + training_end(end - first, series, share) : end] = False
    return kept


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
    """Mean and deviation, or median and interquartile range / 1.349, of what is not missing.

    A series of which half is one value has no such range: then the deviation stands for it.
    `values` are by place, `trained` says which places are for training.
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
    elif column.scale == "window" and lost:
        lost = (_lost_in_windows(np.where(trained, values, np.nan), table, longest),)
    return NumericFacts(1, mean, deviation, longest, lost)


def _lost_in_windows(values: NDArray[np.float64], table: Table, window: int) -> float:
    """What float32 would lose of a series, as `NumericFacts.lost` has it: its steps are cut into
    windows one after the other."""
    most = 0.0
    for first, end in zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True):
        steps = values[first:end]
        steps = steps[~np.isnan(steps)]
        rounding = float(np.sqrt((rounded_off(steps) ** 2).mean())) if len(steps) else 0.0
        if not rounding:
            continue
        size = min(window, len(steps))
        cut = steps[: len(steps) // size * size].reshape(-1, size)
        deviation = float(np.sqrt(cut.var(axis=1).mean()))
        if deviation > NOISE * float(np.abs(steps).max()):
            most = max(most, rounding / deviation)
    return most


def _facts_of_rows(
    spec: Spec, reading: Reading, train: Shards, trained: NDArray[np.bool_]
) -> tuple[dict[str, ColumnFacts], dict[str, ColumnFacts]]:
    """The facts of the inputs that are no series, and of the outputs that have columns of their
    own, of the training rows of the table."""

    def chunks() -> Iterator[tuple[Chunk, BadRows]]:
        bad = reading.bad_rows(train)
        for chunk in reading.read(train, columns, bad):
            yield chunk.only(trained[chunk.first : chunk.first + len(chunk)].tolist()), bad

    inputs, outputs = gatherers(spec, reading, chunks)
    columns = [*inputs, *outputs]
    if columns:
        for chunk, bad in chunks():
            take(chunk, [*inputs.items(), *outputs.items()], bad)
    return facts_of(train, inputs), facts_of(train, outputs)
