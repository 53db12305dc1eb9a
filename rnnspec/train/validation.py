"""Metrics on validation data: of whole rows, or of streams whose states are carried on."""

from __future__ import annotations

import torch

from rnnspec.spec import Train
from rnnspec.train.evaluate import evaluate
from rnnspec.train.feed import RowData, StreamData, StreamFeed, is_stream
from rnnspec.train.metrics import metrics_of
from rnnspec.train.step import Stepper


def validate(stepper: Stepper, data: RowData | StreamData, settings: Train) -> dict[str, float]:
    """`loss` and the metrics of every output over all rows, with the weights as they are."""
    if settings.window is not None and is_stream(data):
        return validate_stream(stepper, data, settings)
    found, _ = evaluate(stepper.model, data, settings.loss)  # type: ignore[arg-type]
    return found


@torch.inference_mode()
def validate_stream(stepper: Stepper, data: StreamData, settings: Train) -> dict[str, float]:
    """As `validate`, window by window; the states that training carries are left as they are."""
    model, objective = stepper.model, stepper.objective
    carried, stepper.carried = stepper.carried, None
    was_training = model.training
    model.eval()
    sums = {out.column: metrics_of(out) for out in model.plan.outputs}
    totals = dict.fromkeys(sums, 0.0)
    counts = dict.fromkeys(sums, 0.0)
    for piece in StreamFeed(data, settings).pieces(0, 0):
        before = stepper.states_before(piece)
        found = objective.answered(piece.batch, stepper.numbers, before)
        stepper.carried = found.after
        for column, count in objective.counts(piece.batch).items():
            if count:
                totals[column] += found.losses[column].item() * count
                counts[column] += count
                answers = model.output(column).answer(found.scores[column])
                sums[column].add(answers, found.targets[column])
    model.train(was_training)
    stepper.carried = carried
    values = {"loss": sum(totals[column] / max(1.0, counts[column]) for column in totals)}
    for column, metrics in sums.items():
        prefix = "" if len(sums) == 1 else f"{column}."
        values |= {prefix + name: value for name, value in metrics.values().items()}
    return values
