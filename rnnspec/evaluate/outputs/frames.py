"""Outputs of frames that a decoder writes: beside the true frames, and the scores of rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.examples import Drawn, Kept, Rows
from rnnspec.evaluate.metrics import FramesMetrics, NumericMetrics
from rnnspec.evaluate.metrics.ranking import ScoreCounts
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputKind, OutputScore
from rnnspec.evaluate.prediction_intervals import interval_of_frames
from rnnspec.plan import NumericFacts
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.nodes import FramesOutput
from rnnspec.report import binned
from rnnspec.report import model as report
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import Frames

Array = NDArray[np.float64]
DRAWN, WORST = 4, 2
AUROC = (
    "How likely an anomalous row has a larger score than another one: 1 is perfect, 0.5 is chance."
)
FEATURES = 2
"""Numbers of a frame that are drawn of each row."""


def frames_metrics(node: FramesOutput) -> FramesMetrics:
    return FramesMetrics(node.length in ("learned", "column"), bool(node.read))


def _add_frames(
    node: FramesOutput, sums: FramesMetrics, model: Model, measured: MeasuredBatch
) -> Frames:
    forward, column = measured.forward, node.column
    targets, seeds = forward.targets[column], None
    if node.paths and not measured.greedy:
        seeds = measured.seeds
    found = model.frames(column, forward.inputs, seeds, drawn=seeds is not None)
    lengths = model.true_lengths(node, forward.inputs, targets)
    sums.add(found.values, found.lengths, targets, lengths, found.scores)
    return found


class FramesExamples:
    """Rows with their answer and the truth: some drawn at random, and the worst; and the scores of
    all rows. `naive`: the metrics of the mean of the training rows."""

    def __init__(self, node: FramesOutput, known: ColumnFacts, rows: Rows, model: Model) -> None:
        assert isinstance(known, NumericFacts)
        self.node, self.rows, self.model = node, rows, model
        self.mean, self.naive = known.mean, NumericMetrics()
        self.drawn: Drawn[tuple[report.ForecastWindow, ...]] = Drawn(DRAWN)
        self.worst: Kept[tuple[report.ForecastWindow, ...]] = Kept(WORST)
        self.anomalous = rows.anomalous.get(node.column)
        self.scores: list[Array] = []
        self.labels: list[NDArray[np.bool_]] = []

    def see(self, measured: MeasuredBatch) -> None:
        found, column = measured.answers[self.node.column], self.node.column
        assert isinstance(found, Frames)
        targets = measured.forward.targets[column]
        lengths = self.model.true_lengths(self.node, measured.forward.inputs, targets)
        self.naive.add(targets.new_tensor(self.mean).expand_as(targets), targets)
        values, counts = found.values.double().cpu().numpy(), found.lengths.tolist()
        true = targets.double().cpu().numpy()
        parameters = found.parameters
        if parameters is not None:
            parameters = parameters.double().cpu()
        if found.scores is not None:
            self.scores.append(found.scores.double().cpu().numpy())
            if self.anomalous is not None and measured.rows is not None:
                self.labels.append(self.anomalous[measured.rows])
        for row, (count, length) in enumerate(zip(counts, lengths.tolist(), strict=True)):
            pair = values[row, :count], true[row, :length]
            told = None if parameters is None else parameters[row, :count]
            make = partial(self._windows, self.rows.place(measured.rows, row), *pair, told)
            self.drawn.offer(make)
            both = min(count, length)
            away = np.abs(pair[0][:both] - pair[1][:both])
            error = float(np.nanmean(away)) if (~np.isnan(away)).any() else 0.0
            size = error if found.scores is None else float(found.scores[row])
            self.worst.offer(size, make)

    def metrics(self) -> dict[str, float]:
        """How well scores tell anomalous rows apart, where it is known which are."""
        if not self.labels:
            return {}
        scores, on = np.concatenate(self.scores), np.concatenate(self.labels)
        if np.isnan(scores).any():
            return {"auroc": float("nan")}
        counts = ScoreCounts(1)
        counts.add(scores[:, None], on[:, None])
        return {"auroc": counts.auroc()}

    def sections(self) -> tuple[report.Section, ...]:
        found: list[report.Section] = []
        drawn, worst = self.drawn.values(), self.worst.values()
        if windows := tuple(each for of_row in (*drawn, *worst) for each in of_row):
            text = "Rows drawn at random, and the two that are furthest from the truth."
            if self.node.width > 1:
                text += f" Of each frame the first {min(FEATURES, self.node.width)} numbers."
            band = self._band()
            if band and self.node.paths:
                text += f" The {band} is between quantiles over the paths."
            elif band:
                text += f" The {band} is that of each step after the answers before it."
            title = "Written against true"
            found.append(report.ForecastPlot(title, windows, band=band or "band", text=text))
        if self.scores:
            found.append(self._histogram())
        return tuple(found)

    def _band(self) -> str:
        """The name of the interval of each step, "" for none."""
        nothing = np.zeros((0, self.node.width * self.node.answered.size))
        band = interval_of_frames(self.node, nothing)
        return "" if band is None else band[0]

    def _histogram(self) -> report.Section:
        """The scores of all rows, those of anomalous ones apart."""
        scores = np.concatenate(self.scores)
        edges, counts = binned(scores.tolist())
        text = "The mean of the squared differences between the input and the answer."
        series: tuple[report.Counts, ...] = (report.Counts("rows", counts),)
        if self.labels and len(edges) > 1:
            on = np.concatenate(self.labels)
            parts = (("normal rows", ~on), ("anomalous rows", on))
            series = tuple(
                report.Counts(name, tuple(np.histogram(scores[which], edges)[0].tolist()))
                for name, which in parts
            )
        return report.Histogram("Scores", edges, series, "score", "rows", text)

    def _windows(
        self, place: str, answer: Array, true: Array, parameters: Tensor | None
    ) -> tuple[report.ForecastWindow, ...]:
        """A window for each of the first numbers of a frame."""
        band = None if parameters is None else interval_of_frames(self.node, parameters.numpy())
        lower, upper = (None, None) if band is None else band[1:]
        steps, name = max(len(answer), len(true)), place or self.node.column
        named = [name] if self.node.width == 1 else [f"{name}, number {n + 1}" for n in range(2)]
        return tuple(
            report.ForecastWindow(
                title,
                (),
                _padded(answer[:, at], steps),
                _padded(true[:, at], steps),
                () if lower is None else _padded(lower[:, at], steps),
                () if upper is None else _padded(upper[:, at], steps),
            )
            for at, title in enumerate(named[: self.node.width])
        )


def _padded(values: Array, steps: int) -> tuple[float | None, ...]:
    """`steps` values, None past the end and where one is missing."""
    found: list[float | None] = [float(v) if np.isfinite(v) else None for v in values]
    return (*found, *[None] * (steps - len(found)))


def _score_frames(
    node: FramesOutput,
    known: ColumnFacts,
    sums: FramesMetrics,
    kept: FramesExamples,
    new: Mapping[str, int],
) -> OutputScore:
    metrics, naive = sums.values() | kept.metrics(), kept.naive.values()
    name, sections = "mean of the training rows", kept.sections()
    return OutputScore(node, metrics, naive, name, sections=sections)


FRAMES = OutputKind(
    lambda node, loss, new: frames_metrics(node),
    _add_frames,
    lambda node, known, rows, model, new, loss: FramesExamples(node, known, rows, model),
    _score_frames,
    lambda node: ("auroc", "mae", "rmse", "length_error", "score"),
    lambda node: {"auroc": AUROC},
)
