"""Metrics of a model on a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.data import Batch, Dataset, Naive, in_order_batches
from rnnspec.data.dataset import StreamData
from rnnspec.evaluate.metrics import (
    ClassMetrics,
    ForecastMetrics,
    LabelsMetrics,
    Lanes,
    Metrics,
    NumericMetrics,
    TagMetrics,
    TextMetrics,
    metrics_of,
)
from rnnspec.objective.objective import Answered, Objective, forecast, states_before
from rnnspec.objective.settings import LossSettings
from rnnspec.plan.nodes import ForecastOutput, Greedy, Output, Search, TextOutput
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.forecast import ForecastOutput as ForecastPart
from rnnspec.to_torch.outputs import TextOutput as TextPart
from rnnspec.to_torch.search import Texts
from rnnspec.to_torch.tensors import tensors as tensors


@dataclass(frozen=True, slots=True)
class Seen:
    """A batch that was measured. `rows` are the numbers of its rows, None of a window of streams;
    `answers` by column: probabilities, numbers, parameters of forecasts, or `Texts`; `naive` by
    column of what is answered ahead of its own past; `series` are the numbers of the series of its
    rows, where they are such."""

    batch: Batch
    found: Answered
    answers: Mapping[str, object]
    rows: NDArray[np.int64] | None = None
    naive: Mapping[str, Naive] = field(default_factory=dict)
    series: NDArray[np.int64] | None = None


See = Callable[[Seen], None]


@dataclass(frozen=True, slots=True)
class Beside:
    """What an output of a batch is measured with beside its answers and targets: see `Measures.add`
    and `Batch.new`."""

    naive: Naive | None = None
    lanes: Lanes | None = None
    new: NDArray[np.int64] | None = None


@dataclass(slots=True)
class Measures:
    """Sums over batches of losses and metrics, by output column.

    With `greedy`, texts are written greedily whatever the model's strategy.
    """

    objective: Objective
    sums: Mapping[str, Metrics]
    totals: dict[str, float]
    counts: dict[str, float]
    greedy: bool = False

    @classmethod
    def of(
        cls,
        objective: Objective,
        greedy: bool = False,
        new: Mapping[str, Mapping[str, int]] | None = None,
    ) -> Measures:
        """`new` are the labels that no training row has, as of `Dataset`."""
        loss_settings, outputs = objective.loss_settings, objective.outputs
        sums = {
            name: metrics_of(node, loss_settings.of(name), tuple((new or {}).get(name, ())))
            for name, node in outputs.items()
        }
        zeros = dict.fromkeys(sums, 0.0)
        return cls(objective, sums, zeros, dict(zeros), greedy)

    def add(
        self,
        batch: Batch,
        found: Answered,
        naive: Mapping[str, Naive] | None = None,
        lanes: Lanes | None = None,
    ) -> dict[str, object]:
        """Take in a batch; its answers by column. `naive` are the naive forecasts, `lanes` those of
        a window of streams."""
        answers: dict[str, object] = {}
        for column, count in self.objective.counts(batch).items():
            self.totals[column] += found.losses[column].item() * count
            self.counts[column] += count
            node = self.objective.outputs[column]
            beside = Beside((naive or {}).get(column), lanes, batch.new.get(column))
            answers[column] = self._measure(node, found, beside)
        return answers

    def values(self) -> dict[str, float]:
        """`loss` and all metrics; with several outputs their names start with the column. The loss
        is that of outputs with some true answer, NaN where none has one."""
        means = [self.totals[name] / count for name, count in self.counts.items() if count]
        values = {"loss": sum(means) if means else float("nan")}
        for column, metrics in self.sums.items():
            prefix = "" if len(self.sums) == 1 else f"{column}."
            values |= {prefix + name: value for name, value in metrics.values().items()}
        return values

    def _measure(self, node: Output, found: Answered, beside: Beside) -> object:
        """Add to the metrics of one output; its answers."""
        column, model = node.column, self.objective.model
        sums, scores, targets = self.sums[column], found.scores[column], found.targets[column]
        if isinstance(node, TextOutput):
            assert isinstance(sums, TextMetrics)
            sums.add_scores(scores, targets)
            return self._written(node, sums, found)
        if isinstance(node, ForecastOutput):
            assert isinstance(sums, ForecastMetrics)
            if node.source in model.bodies:
                scores = model(found.inputs)[column]  # fed with its own answers
            parameters = forecast(model, node, scores, found.inputs)
            part = model.output(column)
            assert isinstance(part, ForecastPart)
            point = part.expected(parameters)
            naive = beside.naive
            known = (naive.forecast, naive.scale) if naive else (None, None)
            sums.add(point, targets, parameters, *known)
            return parameters
        part = model.output(column)
        assert not isinstance(part, ForecastPart | TextPart)
        answers = part.answer(scores)
        assert not isinstance(sums, TextMetrics | ForecastMetrics)
        if isinstance(sums, ClassMetrics | LabelsMetrics):
            sums.add_scores(scores, targets)
        if isinstance(sums, TagMetrics):
            sums.add(answers, targets, beside.lanes)
        elif isinstance(sums, LabelsMetrics):
            sums.add(answers, targets, beside.new)
        elif isinstance(sums, NumericMetrics) and beside.naive is not None:
            sums.add(answers, targets, beside.naive.forecast, beside.naive.scale)
        else:
            sums.add(answers, targets)
        return answers

    def _written(self, node: TextOutput, sums: TextMetrics, found: Answered) -> object:
        search = as_greedy(node.search) if self.greedy else None
        texts = self.objective.model.answers(found.inputs, search=search)[node.column]
        assert isinstance(texts, Texts)
        sums.lost += int(texts.scores[:, 0].isnan().sum())
        best, lengths = texts.numbers[:, 0].tolist(), texts.lengths[:, 0].tolist()
        written = [row[:length] for row, length in zip(best, lengths, strict=True)]
        sums.add_texts(written, found.targets[node.column])
        return texts


def as_greedy(search: Search) -> Search:
    """The quick search that stands in for another while training."""
    return Greedy(search.limit, search.factor, search.min_steps)


@torch.inference_mode()
def evaluate(
    model: Model,
    data: Dataset,
    settings: Train,
    loss_settings: LossSettings | None = None,
    *,
    precision: Precision | None = None,
    greedy: bool = False,
    batch: int = 256,
    see: See | None = None,
) -> tuple[dict[str, float], Mapping[str, Metrics]]:
    """`loss` and the metrics of every output over all rows; and the sums behind them by column."""
    was_training = model.training
    model.eval()
    objective = Objective(model, settings, loss_settings)
    measures = Measures.of(objective, greedy, data.new)
    precision = precision or Precision()
    for rows in in_order_batches(data, batch):
        asked = data.collate(rows)
        found = objective.answered(asked, precision)
        naive = data.naive(asked)
        answers = measures.add(asked, found, naive)
        if see is not None:
            see(Seen(asked, found, answers, rows, naive, data.series_of(asked)))
    model.train(was_training)
    return measures.values(), measures.sums


@torch.inference_mode()
def evaluate_stream(
    model: Model,
    data: StreamData,
    settings: Train,
    loss_settings: LossSettings | None = None,
    *,
    precision: Precision | None = None,
    see: See | None = None,
) -> tuple[dict[str, float], Mapping[str, Metrics]]:
    """As `evaluate`, in windows whose states are carried on from the first step of each row to its
    last: the numbers are those of whole rows."""
    was_training = model.training
    model.eval()
    objective = Objective(model, settings, loss_settings)
    measures = Measures.of(objective, new=data.new)
    precision = precision or Precision()
    assert settings.window is not None and isinstance(settings.batch, int)
    carried: dict[str, Tensor] | None = None
    before = np.arange(settings.batch)
    for batch, lanes, reset in data.documents(settings.batch, settings.window):
        if carried is not None and len(lanes) < len(before):
            kept = torch.from_numpy(np.searchsorted(before, lanes)).to(precision.device)
            carried = {name: value[kept] for name, value in carried.items()}
        before = lanes
        begins = torch.from_numpy(reset).to(precision.device)
        found = objective.answered(batch, precision, states_before(model, begins, carried), begins)
        carried = found.after
        of_file = data if isinstance(data, Dataset) else None
        naive = of_file.naive(batch) if of_file else {}
        answers = measures.add(batch, found, naive, Lanes(lanes.tolist(), reset.tolist()))
        if see is not None:
            series = of_file.series_of(batch) if of_file else None
            see(Seen(batch, found, answers, None, naive, series))
    model.train(was_training)
    return measures.values(), measures.sums
