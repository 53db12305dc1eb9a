"""Numbers and forecasts beside the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.evaluate import Seen
from rnnspec.evaluate.examples import Drawn, Kept
from rnnspec.evaluate.examples_rows import Rows, numbers
from rnnspec.evaluate.metrics import NumericMetrics
from rnnspec.evaluate.metrics.forecasts import StepSums
from rnnspec.evaluate.prediction_intervals import band_of, within
from rnnspec.plan import NumericFacts
from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.report.model import (
    Counts,
    Example,
    Examples,
    ForecastPlot,
    ForecastWindow,
    Histogram,
    Scatter,
    Section,
)
from rnnspec.report.sections.numbers import binned

POINTS = 1500
"""Most numbers of a scatter plot."""
WORST = 8
HISTORY = 3
"""Steps of the past that are shown of a forecast, as a multiple of the horizon."""


class DrawnNumbers:
    """Rows of an array `[n, 2]`, drawn at random from all that are offered."""

    def __init__(self, most: int, seed: int = 0) -> None:
        self.most = most
        self.values: NDArray[np.float64] = np.zeros((0, 2))
        self._keys: NDArray[np.float64] = np.zeros(0)
        self._draw = np.random.default_rng(seed)

    def offer(self, values: NDArray[np.float64]) -> None:
        keys = np.concatenate([self._keys, self._draw.random(len(values))])
        kept = np.argsort(-keys, kind="stable")[: self.most]
        self._keys, self.values = keys[kept], np.concatenate([self.values, values])[kept]


class NumberExamples:
    """Answered against true numbers drawn at random, the worst rows, and the errors of the naive
    forecast, or of what is none of the mean of the training rows, in place of the model."""

    def __init__(self, node: NumericOutput, known: NumericFacts, rows: Rows) -> None:
        self.column, self.width, self.rows = node.column, node.width, rows
        self.steps = node.steps
        self.mean = torch.tensor(known.mean, dtype=torch.float64)
        self.naive, self.naive_name = NumericMetrics(), "mean of the training rows"
        self.each = [NumericMetrics() for _ in range(node.width if 1 < node.width <= 50 else 0)]
        self.points = DrawnNumbers(POINTS)
        self.worst: Kept[Example] = Kept(WORST)

    def see(self, seen: Seen) -> None:
        answers = seen.answers[self.column]
        assert isinstance(answers, Tensor)
        found = answers.double().cpu()
        targets = torch.from_numpy(seen.batch.targets[self.column]).double()
        self._add_naive(seen, targets)
        for entry, metrics in enumerate(self.each):
            metrics.add(found[..., entry], targets[..., entry])
        known = ~targets.isnan()
        self.points.offer(torch.stack([targets[known], found[known]], -1).numpy())
        if self.steps:
            return
        error = torch.where(known, (found - targets).abs(), 0.0).mean(-1)
        for row in range(len(targets)):
            if known[row].any():
                self.worst.offer(error[row].item(), self._maker(seen, row, found, error))

    def _add_naive(self, seen: Seen, targets: Tensor) -> None:
        """The other answers, over the values that they reach."""
        naive = seen.naive.get(self.column)
        if naive is None:
            self.naive.add(self.mean.expand_as(targets), targets)
            return
        self.naive_name = naive.name
        other = torch.from_numpy(np.asarray(naive.forecast, np.float64))
        self.naive.add(other, targets.masked_fill(other.isnan(), np.nan), None, naive.scale)

    def sections(self) -> tuple[Section, ...]:
        pairs = self.points.values
        if not len(pairs):
            return ()
        true, answered = tuple(pairs[:, 0].tolist()), tuple(pairs[:, 1].tolist())
        several = f" All {self.width} entries of the vectors together." if self.width > 1 else ""
        about = "Each point is a number drawn at random; on the line the answer is right."
        edges, counts = binned((pairs[:, 1] - pairs[:, 0]).tolist())
        series = (Counts("answer less true value", counts),)
        found: list[Section] = [
            Scatter("Answered against true", true, answered, "", about + several),
            Histogram("Errors", edges, series, "error", "numbers", "Of the same numbers."),
        ]
        if worst := self.worst.values():
            text = "The rows with the largest errors."
            found.append(Examples("The worst rows", worst, "nothing", "mean error", text))
        return tuple(found)

    def _maker(self, seen: Seen, row: int, found: Tensor, error: Tensor) -> Callable[[], Example]:
        def make() -> Example:
            expected = numbers(seen.batch.targets[self.column][row])
            asked, place = self.rows.text(seen.batch, row), self.rows.place(seen.rows, row)
            answer, size = numbers(found[row].numpy()), error[row].item()
            return Example(asked, expected, answer, size, False, place)

        return make


class ForecastExamples:
    """Windows with the forecast, its band and the truth: some drawn at random, and the worst. And
    how often the truth is within the band."""

    def __init__(self, node: ForecastOutput, rows: Rows) -> None:
        self.node, self.column, self.rows = node, node.column, rows
        self.drawn: Drawn[ForecastWindow] = Drawn(4)
        self.worst: Kept[tuple[int, ForecastWindow]] = Kept(WORST * node.horizon)
        self.inside = StepSums()
        self.band, self.naive_name = "", "seasonal-naive"

    def see(self, seen: Seen) -> None:
        parameters = seen.answers[self.column]
        assert isinstance(parameters, Tensor)
        found = parameters.double().cpu().numpy()
        true = seen.batch.targets[self.column].astype(np.float64)
        point = found[..., middle(self.node)]
        band = band_of(self.node, found)
        lower = upper = None
        if band is not None:
            self.band, lower, upper = band
            self.inside.add(within(lower, upper, true), ~np.isnan(true))
        if self.column in seen.naive:
            self.naive_name = seen.naive[self.column].name
        error = np.abs(point - true)
        size = np.where(np.isnan(true), 0.0, error).mean(axis=1)
        for row in range(len(true)):
            if not np.isnan(true[row]).all():
                ends = _row(lower, row), _row(upper, row)
                make = self._maker(seen, row, point[row], true[row], *ends)
                self.drawn.offer(make)
                place = -1 if seen.rows is None else int(seen.rows[row])
                self.worst.offer(float(size[row]), _placed(place, make))

    def sections(self) -> tuple[Section, ...]:
        drawn = self.drawn.values()
        if not drawn:
            return ()
        worst = [w for w in self._worst() if w not in drawn]
        windows = (*drawn, *(_named(w, f"{w.name}, one of the worst") for w in worst))
        text = (
            "Windows drawn at random, and two with the largest errors. Left of the line the"
            " past that the model read, right of it what it answered."
        )
        return (
            ForecastPlot(
                "Forecast against truth",
                windows,
                band=self.band or "band",
                baseline=self.naive_name,
                text=text,
            ),
        )

    def _worst(self) -> tuple[ForecastWindow, ...]:
        """Two windows with large errors at different times: windows side by side share theirs."""
        found = self.worst.values()
        for place, window in found[1:]:
            if abs(place - found[0][0]) >= self.node.horizon:
                return found[0][1], window
        return tuple(window for _, window in found[:1])

    def _maker(
        self,
        seen: Seen,
        row: int,
        point: NDArray[np.float64],
        true: NDArray[np.float64],
        lower: NDArray[np.float64] | None,
        upper: NDArray[np.float64] | None,
    ) -> Callable[[], ForecastWindow]:
        def make() -> ForecastWindow:
            values, lengths = seen.batch.inputs[self.column]
            past = values[row][: lengths[row], 0][-HISTORY * len(true) :]
            naive = seen.naive.get(self.column)
            return ForecastWindow(
                self.rows.place(seen.rows, row) or self.column,
                _values(past),
                _values(point),
                _values(true),
                () if lower is None else _values(lower),
                () if upper is None else _values(upper),
                () if naive is None else _values(naive.forecast[row]),
            )

        return make


def middle(node: ForecastOutput) -> int:
    """Which parameter is the point forecast: of quantiles the one nearest to 0.5, the lower of
    two."""
    distances = [abs(quantile - 0.5) for quantile in node.quantiles]
    return distances.index(min(distances)) if distances else 0


def _placed(
    place: int, make: Callable[[], ForecastWindow]
) -> Callable[[], tuple[int, ForecastWindow]]:
    return lambda: (place, make())


def _row(values: NDArray[np.float64] | None, row: int) -> NDArray[np.float64] | None:
    return None if values is None else values[row]


def _values(numbers: NDArray[np.floating]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(n) else float(n) for n in numbers)


def _named(window: ForecastWindow, name: str) -> ForecastWindow:
    return replace(window, name=name)
