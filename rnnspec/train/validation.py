"""Metrics on validation data: of whole rows, or of streams whose states are carried on."""

from __future__ import annotations

from rnnspec.spec import Train
from rnnspec.train.evaluate import evaluate, evaluate_stream
from rnnspec.train.feed import RowData, StreamData, is_stream
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


def validate_stream(stepper: Stepper, data: StreamData, settings: Train) -> dict[str, float]:
    """As `validate`, window by window; the states that training carries are left as they are."""
    goals, numbers = stepper.objective.goals, stepper.numbers
    return evaluate_stream(stepper.model, data, settings, goals, numbers=numbers)[0]
