"""Outputs that answer numbers and forecasts; errors of each series of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.examples import Drawn, Kept, Rows, numbers
from rnnspec.evaluate.metrics import METRICS, ForecastMetrics, NumericMetrics
from rnnspec.evaluate.metrics.forecasts import StepSums
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputKind, OutputScore
from rnnspec.evaluate.prediction_intervals import interval_of, nominal_coverage, within
from rnnspec.plan import NumericFacts
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.reference.distributions import answer
from rnnspec.report import binned
from rnnspec.report import model as report
from rnnspec.to_torch import Model
from rnnspec.to_torch.outputs import ForecastOutput as ForecastModule
from rnnspec.to_torch.outputs import NumericOutput as NumericModule
from rnnspec.to_torch.quantiles import quantile
from rnnspec.to_torch.sample_paths import quantiles_over

Array = NDArray[np.float64]
POINTS = 1500
"""Most numbers of a scatter plot."""
WORST = 8
HISTORY = 3
"""Steps of the past that are shown before a forecast, as a multiple of the horizon."""


# ---------------------------------------------------------------- numbers


def _add_numbers(
    node: NumericOutput, sums: NumericMetrics, model: Model, measured: MeasuredBatch
) -> Tensor:
    forward, naive = measured.forward, measured.naive.get(node.column)
    module = model.output(node.column)
    assert isinstance(module, NumericModule)
    answers = module.expected(module.answer(forward.logits[node.column]))
    of_naive = (naive.forecast, naive.scale) if naive else (None, None)
    sums.add(answers, forward.targets[node.column], *of_naive)
    return answers


class DrawnNumbers:
    """Rows of an array `[n, 2]`, drawn at random from all that are offered."""

    def __init__(self, most: int, seed: int = 0) -> None:
        self.most = most
        self.values: Array = np.zeros((0, 2))
        self._keys: Array = np.zeros(0)
        self._draw = np.random.default_rng(seed)

    def offer(self, values: Array) -> None:
        keys = np.concatenate([self._keys, self._draw.random(len(values))])
        kept = np.argsort(-keys, kind="stable")[: self.most]
        self._keys, self.values = keys[kept], np.concatenate([self.values, values])[kept]


class NumberExamples:
    """Answered against true numbers drawn at random, and the worst rows.

    `naive`: the metrics of the naive forecast; for numbers that are no forecast, of the mean of the
    training rows.
    """

    def __init__(self, node: NumericOutput, known: ColumnFacts, rows: Rows) -> None:
        assert isinstance(known, NumericFacts)
        self.column, self.width, self.rows = node.column, node.width, rows
        self.steps = node.steps
        self.mean = torch.tensor(known.mean, dtype=torch.float64)
        self.naive, self.naive_name = NumericMetrics(), "mean of the training rows"
        self.points = DrawnNumbers(POINTS)
        self.worst: Kept[report.Example] = Kept(WORST)

    def see(self, measured: MeasuredBatch) -> None:
        found = measured.tensor(self.column).double()
        targets = torch.from_numpy(measured.batch.targets[self.column]).double()
        self._add_naive(measured, targets)
        known = ~targets.isnan()
        self.points.offer(torch.stack([targets[known], found[known]], -1).numpy())
        if self.steps:
            return
        error = torch.where(known, (found - targets).abs(), 0.0).mean(-1)
        for row in range(len(targets)):
            if known[row].any():
                size = error[row].item()
                self.worst.offer(size, partial(self._example, measured, row, found, size))

    def _add_naive(self, measured: MeasuredBatch, targets: Tensor) -> None:
        """Measure the baseline over the values that it reaches."""
        naive = measured.naive.get(self.column)
        if naive is None:
            self.naive.add(self.mean.expand_as(targets), targets)
            return
        self.naive_name = naive.name
        other = torch.from_numpy(np.asarray(naive.forecast, np.float64))
        self.naive.add(other, targets.masked_fill(other.isnan(), np.nan), None, naive.scale)

    def sections(self) -> tuple[report.Section, ...]:
        pairs = self.points.values
        if not len(pairs):
            return ()
        true, answered = tuple(pairs[:, 0].tolist()), tuple(pairs[:, 1].tolist())
        several = f" All {self.width} entries of the vectors together." if self.width > 1 else ""
        about = "Each point is a number drawn at random; on the line the answer is right."
        edges, counts = binned((pairs[:, 1] - pairs[:, 0]).tolist())
        series = (report.Counts("answer less true value", counts),)
        found: list[report.Section] = [
            report.Scatter("Answered against true", true, answered, "", about + several),
            report.Histogram("Errors", edges, series, "error", "numbers", "Of the same numbers."),
        ]
        if worst := self.worst.values():
            text = "The rows with the largest errors."
            found.append(report.Examples("The worst rows", worst, "nothing", "mean error", text))
        return tuple(found)

    def _example(
        self, measured: MeasuredBatch, row: int, found: Tensor, error: float
    ) -> report.Example:
        expected = numbers(measured.batch.targets[self.column][row])
        text = self.rows.text(measured.batch, row)
        place = self.rows.place(measured.rows, row)
        picture, answer = self.rows.picture(measured.batch, row), numbers(found[row].numpy())
        return report.Example(text, expected, answer, error, False, place, picture)


def _score_numbers(
    node: NumericOutput,
    known: ColumnFacts,
    sums: NumericMetrics,
    kept: NumberExamples,
    new: Mapping[str, int],
) -> OutputScore:
    of = "steps" if node.steps else "rows"
    sections, naive = kept.sections(), kept.naive.values()
    return OutputScore(node, sums.values(), naive, kept.naive_name, of=of, sections=sections)


NUMBERS = OutputKind(
    lambda node, loss, new: NumericMetrics(),
    _add_numbers,
    lambda node, known, rows, model, new, loss: NumberExamples(node, known, rows),
    _score_numbers,
    lambda node: ("mae", "skill", "rmse"),
)


# ---------------------------------------------------------------- forecasts


def _add_forecasts(
    node: ForecastOutput, sums: ForecastMetrics, model: Model, measured: MeasuredBatch
) -> Tensor:
    forward, naive = measured.forward, measured.naive.get(node.column)
    module = model.output(node.column)
    assert isinstance(module, ForecastModule)
    parameters = _answered(node, module, model, measured)
    of_naive = (naive.forecast, naive.scale) if naive else (None, None)
    sums.add(module.expected(parameters), forward.targets[node.column], parameters, *of_naive)
    return parameters


def _answered(
    node: ForecastOutput, module: ForecastModule, model: Model, measured: MeasuredBatch
) -> Tensor:
    """The parameters `[B, H, k]`, or the quantiles over paths. While training, whose epochs are
    many, those are the quantiles of each step after the point answers before it."""
    forward, own = measured.forward, measured.own
    if node.paths and not measured.greedy:
        if not own:
            own.update(model.paths(forward.inputs, measured.seeds))
        return quantiles_over(own[node.column], node.quantiles)
    logits = forward.logits[node.column]
    if node.source in model.bodies:
        if not own:
            own.update(model(forward.inputs))
        logits = own[node.column]
    column, inputs = node.column, forward.inputs
    found = module.answer(logits, model.moments(column, inputs), model.base(column, inputs))
    if not node.paths:
        return found
    levels = torch.tensor(node.quantiles, dtype=torch.float64, device=found.device)
    return quantile(node.law, found, levels)[..., 0, :].to(found.dtype)


@dataclass(slots=True)
class Coverage:
    """The share of true values within the prediction interval of a forecast."""

    node: ForecastOutput
    inside: StepSums = field(default_factory=StepSums)

    def see(self, measured: MeasuredBatch) -> None:
        true = measured.batch.targets[self.node.column].astype(np.float64)
        interval = interval_of(self.node, measured.tensor(self.node.column).double().numpy())
        assert interval is not None
        _, lower, upper = interval
        self.inside.add(within(lower, upper, true), ~np.isnan(true))

    def values(self) -> dict[str, float]:
        return {"coverage": self.inside.mean}


class ForecastExamples:
    """Windows with the forecast, its interval and the truth: some drawn at random, and the worst.
    And how often the truth is within the interval."""

    def __init__(self, node: ForecastOutput, rows: Rows) -> None:
        self.node, self.column, self.rows = node, node.column, rows
        self.drawn: Drawn[report.ForecastWindow] = Drawn(4)
        self.worst: Kept[tuple[int, report.ForecastWindow]] = Kept(WORST * node.horizon)
        self.inside = StepSums()
        self.interval_name, self.naive_name = "", "seasonal-naive"

    def see(self, measured: MeasuredBatch) -> None:
        found = measured.tensor(self.column).double().numpy()
        true = measured.batch.targets[self.column].astype(np.float64)
        point = answer(self.node.answered, found)[..., 0]
        interval = interval_of(self.node, found)
        lower = upper = None
        if interval is not None:
            self.interval_name, lower, upper = interval
            self.inside.add(within(lower, upper, true), ~np.isnan(true))
        if self.column in measured.naive:
            self.naive_name = measured.naive[self.column].name
        size = np.where(np.isnan(true), 0.0, np.abs(point - true)).mean(axis=1)
        for row in np.flatnonzero(~np.isnan(true).all(axis=1)).tolist():
            lines = (None if each is None else each[row] for each in (point, true, lower, upper))
            window = partial(self._window, measured, row, *lines)
            self.drawn.offer(window)
            place = -1 if measured.rows is None else int(measured.rows[row])
            self.worst.offer(float(size[row]), partial(_placed, place, window))

    def sections(self) -> tuple[report.Section, ...]:
        drawn = self.drawn.values()
        if not drawn:
            return ()
        worst = [w for w in self._worst() if w not in drawn]
        windows = (*drawn, *(replace(w, name=f"{w.name}, one of the worst") for w in worst))
        text = (
            "Windows drawn at random, and two with the largest errors. Left of the line the"
            " past that the model read, right of it what it answered."
        )
        return (
            report.ForecastPlot(
                "Forecast against truth",
                windows,
                band=self.interval_name or "band",
                baseline=self.naive_name,
                text=text,
            ),
        )

    def _worst(self) -> tuple[report.ForecastWindow, ...]:
        """Two windows with large errors at different times: windows side by side share theirs."""
        found = self.worst.values()
        for place, window in found[1:]:
            if abs(place - found[0][0]) >= self.node.horizon:
                return found[0][1], window
        return tuple(window for _, window in found[:1])

    def _window(
        self,
        measured: MeasuredBatch,
        row: int,
        point: Array | None,
        true: Array | None,
        lower: Array | None,
        upper: Array | None,
    ) -> report.ForecastWindow:
        values, lengths = measured.batch.inputs[self.column]
        past = values[row][: lengths[row], 0][-HISTORY * self.node.horizon :]
        naive = measured.naive.get(self.column)
        return report.ForecastWindow(
            self.rows.place(measured.rows, row) or self.column,
            _values(past),
            _values(point),
            _values(true),
            _values(lower),
            _values(upper),
            () if naive is None else _values(naive.forecast[row]),
        )


def _score_forecasts(
    node: ForecastOutput,
    known: ColumnFacts,
    sums: ForecastMetrics,
    kept: ForecastExamples,
    new: Mapping[str, int],
) -> OutputScore:
    metrics = sums.values()
    if "coverage" not in metrics and len(kept.inside.sums):
        metrics["coverage"] = kept.inside.mean
    naive = sums.naive.values() if len(sums.naive.absolute.sums) else {}
    of_naive = sums.naive.absolute.by_step or (None,) * len(sums.errors.absolute.sums)
    pairs = zip(sums.errors.absolute.by_step, of_naive, strict=True)
    horizon = tuple(report.HorizonRow(step, *pair) for step, pair in enumerate(pairs, start=1))
    name, sections = kept.naive_name if naive else "", kept.sections()
    return OutputScore(node, metrics, naive, name, of="windows", horizon=horizon, sections=sections)


def _placed(
    place: int, window: partial[report.ForecastWindow]
) -> tuple[int, report.ForecastWindow]:
    return place, window()


def _values(numbers: NDArray[np.floating] | None) -> tuple[float | None, ...]:
    return () if numbers is None else tuple(None if np.isnan(n) else float(n) for n in numbers)


def _explained(node: ForecastOutput) -> Mapping[str, str]:
    share = f"A band of {100 * nominal_coverage(node):.3g} % should hold as many."
    return {"coverage": f"{METRICS['coverage'].explanation} {share}"}


FORECASTS = OutputKind(
    lambda node, loss, new: ForecastMetrics(node.quantiles),
    _add_forecasts,
    lambda node, known, rows, model, new, loss: ForecastExamples(node, rows),
    _score_forecasts,
    lambda node: ("mae", "skill", "mase", "coverage"),
    _explained,
    lambda node, plan, loss: Coverage(node) if loss.coverage else None,
)


# ---------------------------------------------------------------- errors by series


class SeriesErrors:
    """Sums of absolute errors by series, so that one of large numbers does not speak for all: those
    of the model, and of the naive forecast or, of numbers that are no forecast, of the mean of the
    training rows."""

    def __init__(
        self, node: ForecastOutput | NumericOutput, known: NumericFacts, names: Sequence[str]
    ) -> None:
        self.node, self.column, self.names = node, node.column, names
        self.mean = np.asarray(known.mean)
        self.count, self.error = np.zeros(len(names), np.int64), np.zeros(len(names))
        self.reached = np.zeros(len(names), np.int64)
        """Values that the naive forecast reaches; `beside` and `other`: errors over them."""
        self.beside, self.other = np.zeros(len(names)), np.zeros(len(names))
        self.scale: Array = np.full(len(names), np.nan)

    @np.errstate(invalid="ignore", over="ignore")  # of answers that are NaN or infinite
    def see(self, measured: MeasuredBatch) -> None:
        assert measured.series is not None
        found = measured.tensor(self.column).double().numpy()
        if isinstance(self.node, ForecastOutput):
            found = answer(self.node.answered, found)[..., 0]
        true = measured.batch.targets[self.column].astype(np.float64)
        naive = measured.naive.get(self.column)
        other = np.broadcast_to(self.mean, true.shape) if naive is None else naive.forecast
        known, error = ~np.isnan(true), np.abs(found - true)
        other = np.abs(np.asarray(other, np.float64) - true)
        reached = known & ~np.isnan(other)
        for sums, values, kept in (
            (self.count, known, known),
            (self.error, error, known),
            (self.reached, known, reached),
            (self.beside, error, reached),
            (self.other, other, reached),
        ):
            of_rows = np.where(kept, values, 0).reshape(len(values), -1).sum(axis=1)
            np.add.at(sums, measured.series, of_rows)
        if naive is not None and naive.scale is not None:
            self.scale[measured.series] = naive.scale

    def rows(self) -> tuple[report.SeriesRow, ...]:
        """A row for each series with true values, in the order of the file.

        `scaled`: the error divided by the scale of MASE, None without a scale above 0. `skill` and
        the error of the naive forecast are None where it reaches nothing.
        """
        found = []
        for at in np.flatnonzero(self.count).tolist():
            error, scale = float(self.error[at] / self.count[at]), float(self.scale[at])
            naive = float(self.other[at] / self.reached[at]) if self.reached[at] else None
            skill = float(1 - self.beside[at] / self.other[at]) if self.other[at] > 0 else None
            scaled = error / scale if scale > 0 else None
            values = int(self.count[at])
            found.append(report.SeriesRow(self.names[at], values, error, naive, skill, scaled))
        return tuple(found)
