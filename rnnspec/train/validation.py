"""Metrics on validation data: of whole rows, or of streams whose states are carried on."""

from __future__ import annotations

import torch

from rnnspec.spec import Train
from rnnspec.train.evaluate import Measures, evaluate
from rnnspec.train.feed import RowData, StreamData, StreamFeed, is_stream
from rnnspec.train.step import Stepper


def validate(stepper: Stepper, data: RowData | StreamData, settings: Train) -> dict[str, float]:
    """`loss` and the metrics of every output over all rows, with the weights as they are.

    Texts are written greedily, whatever the strategy.
    """
    if settings.window is not None and is_stream(data):
        return validate_stream(stepper, data, settings)
    goals, numbers = stepper.objective.goals, stepper.numbers
    found, _ = evaluate(stepper.model, data, settings, goals, numbers=numbers, greedy=True)  # type: ignore[arg-type]
    return found


@torch.inference_mode()
def validate_stream(stepper: Stepper, data: StreamData, settings: Train) -> dict[str, float]:
    """As `validate`, window by window; the states that training carries are left as they are."""
    model, objective = stepper.model, stepper.objective
    carried, stepper.carried = stepper.carried, None
    was_training = model.training
    model.eval()
    measures = Measures.of(objective)
    for piece in StreamFeed(data, settings).pieces(0, 0):
        before = stepper.states_before(piece)
        found = objective.answered(piece.batch, stepper.numbers, before)
        stepper.carried = found.after
        if any(objective.counts(piece.batch).values()):
            measures.add(piece.batch, found)
    model.train(was_training)
    stepper.carried = carried
    return measures.values()
