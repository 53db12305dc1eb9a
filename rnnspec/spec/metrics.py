"""What is known of the outputs of a spec before any data is seen: metrics, classes, streams."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rnnspec.spec.inputs import FramesInput, Input, KeysInput, SeriesInput
from rnnspec.spec.outputs import (
    CharsOutput,
    ClassOutput,
    ForecastOutput,
    KeysOutput,
    LabelsOutput,
    NextOutput,
    NumberOutput,
    Output,
    TagsOutput,
    TokensOutput,
    WordsOutput,
)
from rnnspec.spec.schedules import Plateau
from rnnspec.spec.spec import Spec
from rnnspec.spec.train import Train

CLASSIFYING = ("class", "tags", "next", "words", "chars", "tokens")
"""Kinds of outputs that answer one class out of several, of a row or of each step."""


LOSS = "loss"
TRAIN_LOSS = "train.loss"
"""Mean loss of an epoch's batches while it was trained on, which needs no validation rows."""


def named_metric(train: Train) -> str | None:
    """The metric that the spec names to tell the best epoch by, if it names one."""
    of_stopping = train.early_stopping.metric if train.early_stopping else None
    return of_stopping or train.monitor


def watched_metrics(train: Train, default: str) -> tuple[str, ...]:
    """What training goes by: the metric that tells the best epoch, which is `default` where the
    spec names none, and that of a plateau."""
    named = named_metric(train)
    if isinstance(train.schedule, Plateau):
        return named or default, train.schedule.metric or named or LOSS
    return (named or default,)


def monitored(spec: Spec) -> str:
    """The metric that tells the best epoch, whose weights are kept."""
    return watched_metrics(spec.train, default_metric(spec))[0]


def told_by(monitor: str, metrics: Mapping[str, float]) -> str:
    """The metric that told the best epoch, whose `metrics` these are: where `monitor` is NaN in the
    best epoch, it was in all, and the lowest loss told it."""
    return LOSS if math.isnan(metrics.get(monitor, 0.0)) else monitor


def default_metric(spec: Spec) -> str:
    """The metric that tells the best epoch where the spec names none: that which users of such an
    output care for. Of several outputs the loss, in which each has the weight that they gave it."""
    outputs = spec.data.outputs
    return _default(spec, outputs[0]) if len(outputs) == 1 else LOSS


def _default(spec: Spec, output: Output) -> str:
    match output:
        case TagsOutput() if output.scheme != "none":
            return "span_f1"
        case ClassOutput() | TagsOutput():  # weights of classes say that rare ones count
            return "accuracy" if output.class_weights == "none" else "macro_f1"
        case LabelsOutput() | KeysOutput():
            return "micro_f1"
        case NumberOutput():
            return "mae"
        case WordsOutput() | CharsOutput() | TokensOutput():
            return "error_rate"
        case NextOutput() if isinstance(_read_in(spec, output), KeysInput):
            return "nll"
        case NextOutput() if not answers_numbers(spec, output):
            return "perplexity"
        case ForecastOutput() if output.distribution.name == "point":
            return "mase"
    return LOSS  # numbers in units of their own, and distributions: in the units of training


def reported_metrics(spec: Spec) -> tuple[str, ...]:
    """Names of the metrics of validation rows, as `train.monitor` may name them.

    They are those that `rnnspec evaluate` reports: with several outputs, those of an output start
    with its column.
    """
    names = [LOSS]
    for output in spec.data.outputs:
        prefix = f"{output.column}." if len(spec.data.outputs) > 1 else ""
        names += [prefix + name for name in _metrics(spec, output)]
    return tuple(names)


def _metrics(spec: Spec, output: Output) -> tuple[str, ...]:
    labels = ("nll", "micro_f1", "macro_f1", "exact_match")
    match output.as_:
        case "class":
            return ("accuracy", "macro_f1")
        case "tags":
            assert isinstance(output, TagsOutput)
            spans = ("span_f1",) if output.scheme != "none" else ()
            return ("accuracy", "macro_f1", *spans)
        case "labels" | "keys":
            return labels
        case "next" if not answers_numbers(spec, output):
            keys = isinstance(_read_in(spec, output), KeysInput)
            return labels if keys else ("perplexity", "bits", "accuracy")
        case "words" | "chars" | "tokens":
            return ("perplexity", "token_accuracy", "exact_match", "error_rate", "bleu", "chrf")
        case "forecast":
            assert isinstance(output, ForecastOutput)
            pinball = ("pinball",) if output.distribution.name == "quantiles" else ()
            coverage = ("coverage",) if output.distribution.name != "point" else ()
            return ("mae", "rmse", "smape", "mase", "skill", "scaled_skill", *pinball, *coverage)
        case "next":
            series = isinstance(_read_in(spec, output), SeriesInput)
            return ("mae", "rmse", "skill", *(("mase", "scaled_skill") if series else ()))
    return ("mae", "rmse")


def answers_classes(spec: Spec) -> bool:
    """Whether some output is trained by cross-entropy over classes."""
    return any(
        output.as_ in CLASSIFYING and not answers_numbers(spec, output)
        for output in spec.data.outputs
    )


def answers_numbers(spec: Spec, output: Output) -> bool:
    """Whether an output answers numbers: by its kind, or as the next step of such an input."""
    if output.as_ == "next":
        return isinstance(_read_in(spec, output), FramesInput | SeriesInput)
    return output.as_ in ("number", "vector", "frames")


def _read_in(spec: Spec, output: Output) -> Input | None:
    """The input in the column of an output."""
    return next((each for each in spec.data.inputs if each.column == output.column), None)


def reads_streams(spec: Spec) -> bool:
    """Whether the training rows can be read as streams, window by window: every output answers
    step by step."""
    return all(output.as_ in ("next", "tags", "keys", "frames") for output in spec.data.outputs)


def kinds_of(spec: Spec) -> str:
    """The kinds of the outputs, as a message names them."""
    return ", ".join(dict.fromkeys(output.as_ for output in spec.data.outputs))
