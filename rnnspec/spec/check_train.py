"""Checks of meaning of the keys of `train:`."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.explain import Finding, Loc
from rnnspec.spec.metrics import (
    LOSS,
    TRAIN_LOSS,
    answers_classes,
    answers_numbers,
    kinds_of,
    named_metric,
    reads_streams,
    reported_metrics,
    watched_metrics,
)
from rnnspec.spec.optimizers import SGD
from rnnspec.spec.outputs import ForecastOutput, Output
from rnnspec.spec.schedules import Plateau
from rnnspec.spec.spec import Spec
from rnnspec.spec.train import TokenBudget

KEEP_ROWS = (
    "add 'data.valid: 0.1' to keep a tenth of the rows for it, name a file, or set its metric to"
    f" {TRAIN_LOSS}"
)
KEEP_ROWS_OR_NO_METRIC = (
    "add 'data.valid: 0.1' to keep a tenth of the rows for it, name a file, or remove it: without"
    " validation rows the last weights are kept"
)


def early_stopping_can_measure(spec: Spec) -> Iterator[Finding]:
    stopping = spec.train.early_stopping
    if stopping is None or named_metric(spec.train) == TRAIN_LOSS:
        return
    if spec.data.valid is None:
        message = "early stopping needs validation rows, and data.valid is null"
        yield Finding(("train", "early_stopping"), message, KEEP_ROWS, key=True)
    if stopping.metric is not None:
        yield from _is_measured(spec, stopping.metric, ("train", "early_stopping", "metric"))


def monitor_can_measure(spec: Spec) -> Iterator[Finding]:
    metric, stopping, path = spec.train.monitor, spec.train.early_stopping, ("train", "monitor")
    if metric is None:
        return
    if stopping is not None and stopping.metric not in (None, metric):
        message = f"train.early_stopping names {stopping.metric!r}, by which weights are kept too"
        yield Finding(path, message, "name the metric in one of the two places", key=True)
    if spec.data.valid is None and metric != TRAIN_LOSS:
        message = f"{metric!r} needs validation rows, and data.valid is null"
        yield Finding(path, message, KEEP_ROWS_OR_NO_METRIC, key=True)
    yield from _is_measured(spec, metric, path)


def plateau_can_measure(spec: Spec) -> Iterator[Finding]:
    schedule = spec.train.schedule
    if not isinstance(schedule, Plateau) or watched_metrics(spec.train, LOSS)[-1] == TRAIN_LOSS:
        return
    if spec.data.valid is None:
        message = "a plateau is seen on validation rows, and data.valid is null"
        yield Finding(("train", "schedule", "plateau"), message, KEEP_ROWS, key=True)
    if schedule.metric is not None:
        yield from _is_measured(spec, schedule.metric, ("train", "schedule", "plateau", "metric"))


def _is_measured(spec: Spec, metric: str, path: Loc) -> Iterator[Finding]:
    fits = (*reported_metrics(spec), TRAIN_LOSS)
    if metric not in fits:
        near = did_you_mean(metric.removeprefix("valid."), fits) or f"use one of {', '.join(fits)}"
        message = f"{metric!r} is not measured for 'as: {kinds_of(spec)}'"
        yield Finding(path, message, near)


def nesterov_has_momentum(spec: Spec) -> Iterator[Finding]:
    optimizer = spec.train.optimizer
    if isinstance(optimizer, SGD) and optimizer.nesterov and not optimizer.momentum:
        path = ("train", "optimizer", "sgd", "nesterov")
        hint = "add 'momentum: 0.9', or remove nesterov"
        yield Finding(path, "has no effect without momentum", hint, key=True)


def decay_is_more_than_zero(spec: Spec) -> Iterator[Finding]:
    optimizer = spec.train.optimizer
    if optimizer.weight_decay_on != "all" and not optimizer.weight_decay:
        path = ("train", "optimizer", optimizer.name, "weight_decay_on")
        hint = "add 'weight_decay: 0.01', or remove it"
        yield Finding(path, "has no effect without weight decay", hint, key=True)


def one_average(spec: Spec) -> Iterator[Finding]:
    if spec.train.ema is not None and spec.train.average_last is not None:
        message = "train.ema averages the weights already"
        yield Finding(("train", "average_last"), message, "keep one of the two", key=True)


def averaged_epochs_come(spec: Spec) -> Iterator[Finding]:
    many, epochs = spec.train.average_last, spec.train.epochs
    if many is not None and many > epochs:
        message = f"a mean over {many} epochs, of {epochs} in all"
        yield Finding(("train", "average_last"), message, f"set it to {epochs} at most")


def smoothing_has_classes(spec: Spec) -> Iterator[Finding]:
    if spec.train.label_smoothing and not answers_classes(spec):
        message = "has no effect where no class is answered"
        yield Finding(("train", "label_smoothing"), message, "remove it", key=True)
    elif spec.train.label_smoothing and spec.decoder and spec.decoder.copy_from is not None:
        message = "has no effect with decoder.copy, where not every token can be answered to a row"
        yield Finding(("train", "label_smoothing"), message, "remove it", key=True)


def windows_carry_states(spec: Spec) -> Iterator[Finding]:
    if spec.train.window is None:
        return
    if not reads_streams(spec):
        message = f"cuts streams into windows, and 'as: {kinds_of(spec)}' answers whole rows"
        yield Finding(("train", "window"), message, "remove it", key=True)
    if isinstance(spec.train.batch, TokenBudget):
        message = "streams are read in a fixed number of lanes, and this counts steps"
        yield Finding(("train", "batch"), message, "write the number of lanes, as in 'batch: 20'")
    if any(output.as_ == "next" for output in spec.data.outputs):
        return  # which no layer may have read already: `next_looks_ahead`
    for index, layer in enumerate(spec.encoder.layers):
        if layer.direction != "forward":
            path: Loc = ("encoder", "layers", index, "direction")
            message = f"a {layer.direction} layer starts at the end, and train.window reads from"
            message += " the start, a window at a time"
            yield Finding(path, message, "make every layer forward, or remove train.window")


def determinism_has_a_gpu(spec: Spec) -> Iterator[Finding]:
    if spec.train.deterministic and spec.train.device == "cpu":
        message = "has no effect with 'device: cpu', where numbers always repeat"
        yield Finding(("train", "deterministic"), message, "remove it", key=True)


def loss_fits_output(spec: Spec) -> Iterator[Finding]:
    """A named loss is that of some output."""
    kinds = {output.as_: _losses(spec, output) for output in spec.data.outputs}
    fits = dict.fromkeys(loss for losses in kinds.values() for loss in losses)
    if spec.train.loss not in ("auto", *fits):
        message = f"{spec.train.loss} does not fit 'as: {', '.join(kinds)}'"
        hint = f"use auto or {', '.join(fits)}" if fits else "use auto"
        yield Finding(("train", "loss"), message, hint)


def _losses(spec: Spec, output: Output) -> tuple[str, ...]:
    """What `train.loss` may name for an output, beside auto."""
    if answers_numbers(spec, output):
        return ("mse", "mae", "huber")
    if isinstance(output, ForecastOutput):
        return ("mse", "mae", "huber") if output.distribution.name == "point" else ()
    return () if output.as_ in ("labels", "keys") else ("cross_entropy",)
