"""Metrics on validation data: of whole rows, or of streams whose states are carried on."""

from __future__ import annotations

from rnnspec.data.dataset import RowData, StreamData
from rnnspec.evaluate.evaluate import Seen, evaluate, evaluate_stream
from rnnspec.evaluate.lost import lost_answers
from rnnspec.evaluate.monitor import extras
from rnnspec.spec import Train
from rnnspec.train.feed import is_stream
from rnnspec.train.step import TrainStep


def validate(
    stepper: TrainStep, data: RowData | StreamData, settings: Train
) -> tuple[dict[str, float], tuple[str, ...]]:
    """`loss` and the metrics of every output over all rows, with the weights as they are; and what
    is to be said of answers that are no numbers.

    Texts are written greedily, whatever the strategy. What is costly to measure (BLEU, chrF, the
    coverage of a distribution) is measured where it is watched.
    """
    if settings.window is not None and is_stream(data):
        return validate_stream(stepper, data, settings)
    loss_settings, precision = stepper.objective.loss_settings, stepper.precision
    beside = extras(stepper.model.plan, loss_settings)

    def see(seen: Seen) -> None:
        for extra in beside.values():
            extra.see(seen)

    found, sums = evaluate(
        stepper.model,
        data,  # type: ignore[arg-type]
        settings,
        loss_settings,
        precision=precision,
        greedy=True,
        see=see,
    )
    for column, extra in beside.items():
        prefix = "" if len(stepper.model.plan.outputs) == 1 else f"{column}."
        more = extra.values()
        more = dict.fromkeys(more, float("nan")) if sums[column].lost else more
        found |= {prefix + name: value for name, value in more.items()}
    return found, tuple(lost_answers(sums))


def validate_stream(
    stepper: TrainStep, data: StreamData, settings: Train
) -> tuple[dict[str, float], tuple[str, ...]]:
    """As `validate`, window by window; the states that training carries are left as they are."""
    loss_settings, precision = stepper.objective.loss_settings, stepper.precision
    found, sums = evaluate_stream(stepper.model, data, settings, loss_settings, precision=precision)
    return found, tuple(lost_answers(sums))
