"""Metrics of a model on a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.data import Batch, Dataset, in_order_batches
from rnnspec.data.dataset import StreamData
from rnnspec.evaluate.metrics import Lanes, Metrics
from rnnspec.evaluate.metrics.times import ended
from rnnspec.evaluate.outputs import KINDS, metrics_of
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.objective.objective import Forward, Objective, states_before
from rnnspec.objective.settings import LossSettings
from rnnspec.plan.nodes import NumericOutput
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision

Pass = tuple[Batch, Forward, NDArray[np.int64] | None, Lanes | None]
"""A batch after the forward pass: with the numbers of its rows, or with the lanes of its window."""

ROWS = 128
"""Of a batch. With 256 the peak of a tagger's memory is 100 MB higher and little is faster."""


@torch.inference_mode()
def evaluate(
    model: Model,
    data: Dataset | StreamData,
    settings: Train,
    loss_settings: LossSettings | None = None,
    *,
    precision: Precision | None = None,
    greedy: bool = False,
    see: Callable[[MeasuredBatch], None] | None = None,
) -> tuple[dict[str, float], Mapping[str, Metrics]]:
    """`loss` and the metrics of every output over all rows, and the sums behind them by column.

    With `train.window` rows are read in windows, whose states are carried on from the first step of
    each row to its last: the metrics are those of whole rows. With several outputs the names of
    metrics start with the column. `greedy`: texts are written greedily whatever the model's
    strategy. `see` is called with each batch.
    """
    objective = Objective(model, settings, loss_settings)
    precision = precision or Precision()
    if settings.window is not None:
        passes = _windows(objective, data, settings, precision)
    else:
        assert isinstance(data, Dataset), "a stream is read by train.window"
        passes = _batches(objective, data, precision)
    of_file = data if isinstance(data, Dataset) else None
    was_training = model.training
    model.eval()
    sums = {
        name: metrics_of(node, objective.loss_settings.of(name), tuple(data.new.get(name, ())))
        for name, node in objective.outputs.items()
    }
    totals, counts = dict.fromkeys(sums, 0.0), dict.fromkeys(sums, 0.0)
    numbers = (n for n in objective.outputs.values() if isinstance(n, NumericOutput))
    censored = [node.column for node in numbers if node.censored]
    for batch, forward, rows, lanes in passes:
        naive = of_file.naive(batch) if of_file else {}
        series = of_file.series_of(batch) if of_file else None
        measured = MeasuredBatch(batch, forward, {}, rows, lanes, naive, series, greedy)
        measured = _ended(measured, censored) if censored else measured
        for column, count in forward.counts.items():
            totals[column] += forward.losses[column].item() * count
            counts[column] += count
        for column, node in objective.outputs.items():
            answers = KINDS[type(node)].add(node, sums[column], model, measured)
            measured.answers[column] = answers
        if see is not None:
            see(measured)
    model.train(was_training)
    return _values(sums, totals, counts), sums


def _ended(measured: MeasuredBatch, columns: Sequence[str]) -> MeasuredBatch:
    """The batch with true values of what had ended alone in these columns."""
    times = {column: measured.forward.targets[column] for column in columns}
    true = {column: ended(values) for column, values in times.items()}
    of_batch = {column: values.cpu().numpy() for column, values in true.items()}
    batch = replace(measured.batch, targets={**measured.batch.targets, **of_batch})
    forward = replace(measured.forward, targets={**measured.forward.targets, **true})
    return replace(measured, batch=batch, forward=forward, times=times)


def _batches(objective: Objective, data: Dataset, precision: Precision) -> Iterator[Pass]:
    for rows in in_order_batches(data, ROWS):
        batch = data.collate(rows)
        yield batch, objective(batch, precision), rows, None


def _windows(
    objective: Objective, data: StreamData, settings: Train, precision: Precision
) -> Iterator[Pass]:
    assert settings.window is not None and isinstance(settings.batch, int)
    carried: dict[str, Tensor] | None = None
    before = np.arange(settings.batch)
    for batch, lanes, reset in data.documents(settings.batch, settings.window):
        if carried is not None and len(lanes) < len(before):
            kept = torch.from_numpy(np.searchsorted(before, lanes)).to(precision.device)
            carried = {name: value[kept] for name, value in carried.items()}
        before = lanes
        begins = torch.from_numpy(reset).to(precision.device)
        states = states_before(objective.model, begins, carried)
        forward = objective(batch, precision, states, begins)
        carried = forward.states
        yield batch, forward, None, Lanes(lanes.tolist(), reset.tolist())


def _values(
    sums: Mapping[str, Metrics], totals: Mapping[str, float], counts: Mapping[str, float]
) -> dict[str, float]:
    """`loss` and all metrics. The loss is the sum over outputs with a true answer, NaN where none
    has one."""
    means = [totals[name] / count for name, count in counts.items() if count]
    values = {"loss": sum(means) if means else float("nan")}
    for column, metrics in sums.items():
        prefix = "" if len(sums) == 1 else f"{column}."
        values |= {prefix + name: value for name, value in metrics.values().items()}
    return values
