"""Metrics of a model on a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.data import Batch, Dataset, Naive, in_order_batches
from rnnspec.data.dataset import StreamData
from rnnspec.evaluate.metrics import Lanes, Metrics
from rnnspec.evaluate.outputs import KINDS, metrics_of
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputBatch
from rnnspec.objective.objective import Forward, Objective, states_before
from rnnspec.objective.settings import LossSettings
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.devices import tensors as tensors


@dataclass(frozen=True, slots=True)
class _Pass:
    """A batch after the forward pass: whole `rows`, or a window of `lanes`."""

    batch: Batch
    forward: Forward
    rows: NDArray[np.int64] | None = None
    lanes: Lanes | None = None


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
    for each in passes:
        naive = of_file.naive(each.batch) if of_file else {}
        for column, count in objective.counts(each.batch).items():
            totals[column] += each.forward.losses[column].item() * count
            counts[column] += count
        answers = {
            column: _add(objective, column, metrics, each, naive.get(column), greedy)
            for column, metrics in sums.items()
        }
        if see is not None:
            series = of_file.series_of(each.batch) if of_file else None
            see(MeasuredBatch(each.batch, each.forward, answers, each.rows, naive, series))
    model.train(was_training)
    return _values(sums, totals, counts), sums


def _batches(objective: Objective, data: Dataset, precision: Precision) -> Iterator[_Pass]:
    for rows in in_order_batches(data, 256):
        batch = data.collate(rows)
        yield _Pass(batch, objective(batch, precision), rows)


def _windows(
    objective: Objective, data: StreamData, settings: Train, precision: Precision
) -> Iterator[_Pass]:
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
        yield _Pass(batch, forward, lanes=Lanes(lanes.tolist(), reset.tolist()))


def _add(
    objective: Objective, column: str, sums: Metrics, each: _Pass, naive: Naive | None, greedy: bool
) -> object:
    """Add a batch to the metrics of one output; its answers."""
    node, forward = objective.outputs[column], each.forward
    batch = OutputBatch(
        forward.logits[column],
        forward.targets[column],
        forward.inputs,
        naive,
        each.lanes,
        each.batch.new.get(column),
        greedy,
    )
    return KINDS[type(node)].add(node, sums, objective.model, batch)


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
