"""Numbers and forecasts."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.report.model.figures import Value


@dataclass(frozen=True, slots=True)
class ForecastWindow:
    """One window of a series, in the units of the data.

    `history` has H steps, `forecast` K; `truth`, `lower`, `upper` and `baseline` have K or none.
    `times` labels the H + K steps, or is empty: then steps count from the first forecast one, 1.
    """

    name: str
    history: tuple[Value, ...]
    forecast: tuple[Value, ...]
    truth: tuple[Value, ...] = ()
    lower: tuple[Value, ...] = ()
    upper: tuple[Value, ...] = ()
    baseline: tuple[Value, ...] = ()
    times: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForecastPlot:
    """Windows side by side. `unit` is that of the values, `step` what a step is (`hour`).

    `band` names the range from `lower` to `upper` (`80 % band`), `baseline` the other forecast.
    """

    title: str
    windows: tuple[ForecastWindow, ...]
    unit: str = ""
    step: str = "step"
    band: str = "band"
    baseline: str = "baseline"
    text: str = ""


@dataclass(frozen=True, slots=True)
class HorizonRow:
    """The error `step` steps ahead (counted from 1), of the model and of the baseline."""

    step: int
    error: Value
    baseline: Value = None


@dataclass(frozen=True, slots=True)
class ForecastTable:
    """An error metric by how far ahead, smaller is better; as a chart and as a table."""

    title: str
    rows: tuple[HorizonRow, ...]
    metric: str = "MAE"
    unit: str = ""
    step: str = "step"
    baseline: str = "baseline"
    text: str = ""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series with so many true `values`: the mean absolute error of the model and of the
    baseline, the `skill` of the one beside the other, and the error `scaled` by how much the series
    changes (MASE)."""

    name: str
    values: int
    error: Value
    baseline: Value = None
    skill: Value = None
    scaled: Value = None


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """How each series of a table fares, drawn from the lowest skill up."""

    title: str
    rows: tuple[SeriesRow, ...]
    baseline: str = "baseline"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Answered against true numbers, one point a row; on the diagonal the two are equal."""

    title: str
    truth: tuple[Value, ...]
    answered: tuple[Value, ...]
    unit: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Answers of about one probability: their mean probability, the share of them that is `right`,
    and how many there are."""

    probability: Value
    right: Value
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether probabilities are the shares that are right (a reliability diagram): on the diagonal
    the two are equal. `error` is the mean distance from it; `of` is what is counted."""

    title: str
    bins: tuple[CalibrationBin, ...]
    error: Value = None
    of: str = "rows"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many fall into each bin."""

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bin i holds `edges[i] <= value < edges[i + 1]`, the last one its upper edge too.

    `binned` makes edges and counts of values. `axis` says what the values are.
    """

    title: str
    edges: tuple[float, ...]
    series: tuple[Counts, ...]
    axis: str = ""
    of: str = "rows"
    text: str = ""
