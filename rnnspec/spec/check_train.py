"""Checks of meaning of the keys of `train:`."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.metrics import (
    LOSS,
    TRAIN_LOSS,
    kinds_of,
    monitored_metrics,
    named_metric,
    reads_streams,
    reported_metrics,
)
from rnnspec.spec.named_metrics import is_measurable, meant_metric
from rnnspec.spec.optimizers import SGD
from rnnspec.spec.outputs import KeysOutput, LabelsOutput, TagsOutput
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.schedules import Plateau
from rnnspec.spec.spec import Spec
from rnnspec.spec.train import TokenBudget

_ADD_ROWS = "add 'data.valid: 0.1' to keep a tenth of the rows for it, name a file, or"
ADD_ROWS_OR_LOSS = f"{_ADD_ROWS} set its metric to {TRAIN_LOSS}"
ADD_ROWS_OR_REMOVE = f"{_ADD_ROWS} remove it: without validation rows the last weights are kept"


def early_stopping_can_measure(spec: Spec) -> Iterator[Finding]:
    stopping = spec.train.early_stopping
    if stopping is None or named_metric(spec.train) == TRAIN_LOSS:
        return
    if spec.data.valid is None:
        message = "early stopping needs validation rows, and data.valid is null"
        yield Finding(("train", "early_stopping"), message, ADD_ROWS_OR_LOSS, key=True)
    if stopping.metric is not None:
        yield from _is_measured(spec, stopping.metric, ("train", "early_stopping", "metric"))


def monitor_can_measure(spec: Spec) -> Iterator[Finding]:
    metric, stopping, path = spec.train.monitor, spec.train.early_stopping, ("train", "monitor")
    if metric is None:
        return
    if stopping is not None and stopping.metric not in (None, metric):
        message = f"train.early_stopping names {stopping.metric!r}, which also chooses the weights"
        yield Finding(path, message, "name the metric in one of the two places", key=True)
    if spec.data.valid is None and metric != TRAIN_LOSS:
        message = f"{metric!r} needs validation rows, and data.valid is null"
        yield Finding(path, message, ADD_ROWS_OR_REMOVE, key=True)
    yield from _is_measured(spec, metric, path)


def metrics_can_be_measured(spec: Spec) -> Iterator[Finding]:
    """Each is measured of this output, and not already."""
    path: Loc = ("train", "metrics")
    if spec.train.metrics and spec.data.valid is None:
        message = "metrics are of validation rows, and data.valid is null"
        yield Finding(path, message, f"{_ADD_ROWS} remove it", key=True)
    for place, name in enumerate(spec.train.metrics):
        at = (*path, place)
        if name in reported_metrics(spec):
            yield Finding(at, f"{name} is always measured", "leave it out")
        elif name in spec.train.metrics[:place]:
            yield Finding(at, f"{name} stands here twice", "remove it")
        else:
            yield from _is_measured(spec, name, at)


def thresholds_can_be_chosen(spec: Spec) -> Iterator[Finding]:
    """A threshold is chosen on validation rows."""
    for path, output in spec.data.located_targets:
        if not isinstance(output, LabelsOutput | KeysOutput) or spec.data.valid is not None:
            continue
        if not isinstance(output.threshold, float):
            message = "a threshold is chosen on validation rows, and data.valid is null"
            hint = f"{_ADD_ROWS} write a probability, as in 0.5"
            yield Finding((*path, "threshold"), message, hint, key=True)


def plateau_can_measure(spec: Spec) -> Iterator[Finding]:
    schedule = spec.train.schedule
    if not isinstance(schedule, Plateau) or monitored_metrics(spec.train, LOSS)[-1] == TRAIN_LOSS:
        return
    if spec.data.valid is None:
        message = "a plateau is seen on validation rows, and data.valid is null"
        yield Finding(("train", "schedule", "plateau"), message, ADD_ROWS_OR_LOSS, key=True)
    if schedule.metric is not None:
        yield from _is_measured(spec, schedule.metric, ("train", "schedule", "plateau", "metric"))


def _is_measured(spec: Spec, metric: str, path: Loc) -> Iterator[Finding]:
    if metric != TRAIN_LOSS and not is_measurable(spec, metric):
        message = f"{metric!r} is not measured for 'as: {kinds_of(spec)}'"
        yield Finding(path, message, meant_metric(spec, metric, TRAIN_LOSS))


def nesterov_has_momentum(spec: Spec) -> Iterator[Finding]:
    optimizer = spec.train.optimizer
    if isinstance(optimizer, SGD) and optimizer.nesterov and not optimizer.momentum:
        path = ("train", "optimizer", "sgd", "nesterov")
        yield no_effect(path, "without momentum", "add 'momentum: 0.9', or remove nesterov")


def decay_is_more_than_zero(spec: Spec) -> Iterator[Finding]:
    optimizer = spec.train.optimizer
    if optimizer.weight_decay_on != "all" and not optimizer.weight_decay:
        path = ("train", "optimizer", optimizer.name, "weight_decay_on")
        yield no_effect(path, "without weight decay", "add 'weight_decay: 0.01', or remove it")


def one_average(spec: Spec) -> Iterator[Finding]:
    names = ("ema", "average_last", "average_when_stale")
    first, *others = [name for name in names if getattr(spec.train, name) is not None] or [""]
    for name in others:
        message = f"train.{first} averages the weights already"
        yield Finding(("train", name), message, "keep one of the two", key=True)


def stale_averages_come(spec: Spec) -> Iterator[Finding]:
    stale, epochs, path = spec.train.average_when_stale, spec.train.epochs, "average_when_stale"
    if stale is None:
        return
    if spec.data.valid is None and named_metric(spec.train) != TRAIN_LOSS:
        message = "it goes by validation rows, and data.valid is null"
        yield Finding(("train", path), message, ADD_ROWS_OR_REMOVE, key=True)
    if epochs < stale + 3:
        message = f"no average begins in {epochs} epochs, the first one after {stale + 2} of them"
        hint = f"raise train.epochs to {stale + 3} or more, or lower it"
        yield Finding(("train", path), message, hint)


def averaged_epochs_come(spec: Spec) -> Iterator[Finding]:
    many, epochs = spec.train.average_last, spec.train.epochs
    if many is not None and many > epochs:
        message = f"a mean over {many} epochs, of {epochs} in all"
        hint = f"set it to {epochs} at most" if epochs > 1 else "remove it, or raise train.epochs"
        yield Finding(("train", "average_last"), message, hint)


def chains_are_of_whole_rows(spec: Spec) -> Iterator[Finding]:
    """The labels of a row are answered and trained together."""
    for path, output in spec.data.located_targets:
        if not isinstance(output, TagsOutput) or not output.crf:
            continue
        if output.class_weights != "none":
            message = "weights are of single steps, and with 'crf' a loss is of a whole row"
            yield Finding((*path, "class_weights"), message, "remove it, or remove crf", key=True)
        if spec.train.window is not None:
            message = "a window is a part of a row, and with 'crf' a loss is of a whole row"
            yield Finding(("train", "window"), message, "remove it, or remove crf", key=True)
        if spec.data.series is not None:
            message = "a path is known at its last step, and each step of a series is answered"
            hint = "remove crf, or read frames of rows that hold lists"
            yield Finding((*path, "crf"), f"{message} before the next", hint, key=True)


def windows_carry_states(spec: Spec) -> Iterator[Finding]:
    if spec.train.window is None:
        return
    if not reads_streams(spec):
        message = f"cuts streams into windows, and 'as: {kinds_of(spec)}' answers whole rows"
        yield Finding(("train", "window"), message, "remove it", key=True)
    if isinstance(spec.train.batch, TokenBudget):
        message = "streams are read in a fixed number of lanes, and this counts steps"
        yield Finding(("train", "batch"), message, "write the number of lanes, as in 'batch: 20'")
    if any(output.as_ == "next" for output in spec.data.targets):
        return  # `next_looks_ahead` refuses such layers already
    for index, layer in enumerate(spec.encoder.layers):
        if isinstance(layer, RecurrentLayer) and layer.direction != "forward":
            path: Loc = ("encoder", "layers", index, "direction")
            message = f"a {layer.direction} layer starts at the end, and train.window reads from"
            message += " the start, a window at a time"
            yield Finding(path, message, "make every layer forward, or remove train.window")


def determinism_has_a_gpu(spec: Spec) -> Iterator[Finding]:
    if spec.train.deterministic and spec.train.device == "cpu":
        why = "with 'device: cpu', where numbers always repeat"
        yield no_effect(("train", "deterministic"), why)
