"""The naive forecast, the baseline of models that answer numbers ahead, and the scale of MASE.

It is the value one season ago; with a season of 1 the last value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.collate import RowSlices
from rnnspec.data.reading import SeriesReading
from rnnspec.data.series import Places, Table, Windows, training_end

Numbers = NDArray[np.floating[Any]]
Scales = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Season:
    """What the naive forecast of a column needs.

    `values` `[steps, W]` repeat after `season` steps. The answer is the `horizon` values after the
    steps of a row, or with a horizon of 0 the next value of each step. `scales` `[series]` are the
    scales of MASE, `squares` those of RMSSE; None where rows are no series.
    """

    values: Numbers
    season: int
    horizon: int
    scales: Scales | None = None
    squares: Scales | None = None


@dataclass(frozen=True, slots=True)
class Naive:
    """The naive forecast of some rows, `[B, H]` or, for next steps, `[B, T, W]`, and the `scale` of
    their MASE and the `square` of that of their RMSSE `[B]`, None where rows are no series. NaN is
    unknown.

    MASE is the mean absolute error / scale (Hyndman and Koehler 2006), RMSSE the root of the mean
    squared error / square.
    """

    forecast: Numbers
    scale: Scales | None = None
    season: int = 1
    square: Scales | None = None

    @property
    def name(self) -> str:
        return "last value" if self.season == 1 else "seasonal-naive"


def naive(of: Season, slices: RowSlices, first: Places, series: Places | None) -> Naive:
    """The naive forecast of the rows of `slices`. Their sequences begin at the places `first` `[B]`
    and belong to the series with the numbers `series` `[B]`."""
    if of.horizon:
        forecast = seasonal_naive(of.values[:, 0], slices.ends, first, of.season, of.horizon)
    else:
        forecast = next_naive(of.values, slices, first, of.season)
    scale, square = (
        None if each is None or series is None else each[series] for each in (of.scales, of.squares)
    )
    return Naive(forecast, scale, of.season, square)


def seasonal_naive(
    values: Numbers, ends: Places, first: Places, season: int, horizon: int
) -> Numbers:
    """The forecasts `[B, horizon]` after `ends`: the values of the last season again, or the last
    value where the series, which begins at `first`, is shorter than a season."""
    ahead = np.arange(horizon)
    places = ends[:, None] - season + ahead % season
    found: Numbers = values[np.where(places < first[:, None], ends[:, None] - 1, places)]
    return found


def next_naive(values: Numbers, slices: RowSlices, first: Places, season: int) -> Numbers:
    """For each step the value one season before the next step, or its own value where the sequence
    is shorter than a season so far: `[B, T, W]`, NaN past the lengths."""
    steps = np.arange(slices.longest)
    there = steps < slices.lengths[:, None]
    now = slices.starts[:, None] + steps
    before = now + 1 - season
    places = np.where(before < first[:, None], now, before)
    found = np.full((*there.shape, values.shape[1]), np.nan, values.dtype)
    found[there] = values[places[there]]
    return found


def naive_scale(values: Numbers, first: Places, end: Places, season: int, power: int = 1) -> Scales:
    """Mean of |v[t] - v[t - season]|, or of a power of it, within each of the places `first` to
    `end` of `values`; NaN where there is no such t (Hyndman and Koehler 2006, the scale of
    MASE)."""
    scales = np.full(len(first), np.nan)
    for at, (start, stop) in enumerate(zip(first.tolist(), end.tolist(), strict=True)):
        of_series = values[start:stop].astype(np.float64)
        steps = np.abs(of_series[season:] - of_series[: max(0, len(of_series) - season)])
        known = steps[~np.isnan(steps)]
        if len(known):
            scales[at] = (known**power).mean()
    return scales


def training_scales(
    table: Table, reading: SeriesReading, values: Numbers, season: int, share: float
) -> dict[str, float | None]:
    """The scale of each series over its training steps; None where there is none."""
    first, end = table.offsets[:-1], table.offsets[1:]
    steps = np.array([training_end(int(n), reading, share) for n in end - first], np.int64)
    found = naive_scale(values, first, first + steps, season).tolist()
    pairs = zip(table.names, found, strict=True)
    return {name: None if np.isnan(scale) else scale for name, scale in pairs}


def scales_before(
    table: Table,
    reading: SeriesReading,
    found: Windows,
    values: Numbers,
    season: int,
    power: int = 1,
) -> Scales:
    """The scale of each series, or that of a power, over the steps before its first answer, NaN
    without such steps. Of series read whole every step but the first is answered."""
    there, row = np.unique(found.series, return_index=True)
    end = table.offsets[:-1].copy()
    end[there] = found.starts[row] + 1 if reading.whole else found.ends[row]
    return naive_scale(values, table.offsets[:-1], end, season, power)


def scales_of(names: Sequence[str], trained: Mapping[str, float | None], before: Scales) -> Scales:
    """The scale of each series: over its `trained` steps, or for a series that is not in the
    training rows over its steps `before` the first answer."""
    known = [trained.get(name) for name in names]
    of_training = np.array([np.nan if scale is None else scale for scale in known], np.float64)
    shown = np.array([name in trained for name in names], np.bool_)
    return np.where(shown, of_training, before)
