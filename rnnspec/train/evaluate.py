"""Metrics of a model on a data set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from rnnspec.data import Batch, Dataset, in_order_batches
from rnnspec.to_torch import Model
from rnnspec.train.losses import LossName, loss_of
from rnnspec.train.metrics import Metrics, metrics_of

Inputs = dict[str, tuple[Tensor, Tensor]]


def tensors(batch: Batch) -> tuple[Inputs, dict[str, Tensor]]:
    """Inputs and targets of a batch as tensors that share the arrays' memory."""
    inputs = {
        column: (torch.from_numpy(values), torch.from_numpy(lengths))
        for column, (values, lengths) in batch.inputs.items()
    }
    return inputs, {column: torch.from_numpy(values) for column, values in batch.targets.items()}


@torch.inference_mode()
def evaluate(
    model: Model, data: Dataset, loss: LossName, batch: int = 256
) -> tuple[dict[str, float], Mapping[str, Metrics]]:
    """`loss` and the metrics of every output over all rows; and the sums behind them by column.

    With several outputs the metrics' names start with the column.
    """
    was_training = model.training
    model.eval()
    sums = {out.column: metrics_of(out) for out in model.plan.outputs}
    losses = {o.column: loss_of(o, model.output(o.column), loss) for o in model.plan.outputs}
    total = 0.0
    for rows in in_order_batches(data.lengths, batch):
        inputs, targets = tensors(data.collate(rows))
        for column, scores in model(inputs).items():
            total += losses[column](scores, targets[column]).item() * len(rows)
            sums[column].add(model.output(column).answer(scores), targets[column])
    model.train(was_training)
    found = {"loss": total / data.rows}
    for column, metrics in sums.items():
        prefix = "" if len(sums) == 1 else f"{column}."
        found |= {prefix + name: value for name, value in metrics.values().items()}
    return found, sums
