"""What the outputs of a spec decide before any data is seen: metrics, classes, streams."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never

from rnnspec.spec.decoder import CountedLength
from rnnspec.spec.distributions import Distribution
from rnnspec.spec.inputs import FramesInput, KeysInput, SeriesInput
from rnnspec.spec.losses import Focal, Loss
from rnnspec.spec.outputs import (
    POINT,
    ClassOutput,
    Distributed,
    ForecastOutput,
    FramesOutput,
    KeysOutput,
    LabelsOutput,
    NextOutput,
    NumberOutput,
    OrdinalOutput,
    Output,
    PositionOutput,
    PositionsOutput,
    SpanOutput,
    TagsOutput,
    Target,
    TextOutput,
    VectorOutput,
)
from rnnspec.spec.schedules import Plateau
from rnnspec.spec.spec import Spec
from rnnspec.spec.train import Train

CLASSIFYING = ("class", "tags", "next", "words", "chars", "tokens")
"""Kinds of outputs that answer one class out of several, of a row or of each step."""
LOSS = "loss"
TRAIN_LOSS = "train.loss"
"""Mean loss of an epoch's batches in training, which needs no validation rows."""


def named_metric(train: Train) -> str | None:
    """The metric that the spec names for choosing the best epoch, if any."""
    stopping = train.early_stopping.metric if train.early_stopping else None
    return stopping or train.monitor


def monitored_metrics(train: Train, default: str) -> tuple[str, ...]:
    """The metric that chooses the best epoch, and with a plateau schedule the plateau's metric.

    The first is `default` where the spec names none.
    """
    named = named_metric(train)
    if isinstance(train.schedule, Plateau):
        return named or default, train.schedule.metric or named or LOSS
    return (named or default,)


def monitored(spec: Spec) -> str:
    """The metric that chooses the best epoch, whose weights are kept."""
    return monitored_metrics(spec.train, default_metric(spec))[0]


def deciding_metric(monitor: str, metrics: Mapping[str, float]) -> str:
    """The metric that chose the best epoch, given the `metrics` of that epoch.

    It is the loss where `monitor` is NaN there, which means that it was NaN in every epoch.
    """
    return LOSS if math.isnan(metrics.get(monitor, 0.0)) else monitor


def default_metric(spec: Spec) -> str:
    """The metric that chooses the best epoch where the spec names none.

    For one output the metric that its users care for. For several outputs the loss, in which each
    output has its `weight`.
    """
    outputs = spec.data.targets
    return _default(spec, outputs[0]) if len(outputs) == 1 else LOSS


def _default(spec: Spec, output: Target) -> str:
    match output:
        case TagsOutput() if output.scheme != "none":
            return "span_f1"
        case TagsOutput() if output.labels is not None:
            return "rank_error"
        case ClassOutput() | TagsOutput():  # weights of classes say that rare ones count
            return "accuracy" if output.class_weights == "none" else "macro_f1"
        case OrdinalOutput():
            return "rank_error"
        case LabelsOutput() | KeysOutput():  # one that is chosen is not known before the end
            return "micro_f1" if isinstance(output.threshold, float) else "average_precision"
        case PositionOutput():
            return "accuracy"
        case SpanOutput():
            return "token_f1"
        case PositionsOutput():
            return "place_accuracy"
        case NumberOutput():
            return "mae" if output.distribution.name == "point" else LOSS
        case TextOutput():
            return "error_rate"
        case NextOutput() if isinstance(spec.data.input_of(output), KeysInput):
            return "nll"
        case NextOutput():
            return LOSS if answers_numbers(spec, output) else "perplexity"
        case ForecastOutput():
            return "mase" if output.distribution.name == "point" else LOSS
        case FramesOutput() if output is spec.written_frames and spec.decoder is not None:
            # The loss is of steps after the true ones, and the file writes after its own.
            after_its_own = spec.decoder.feedback == "answers"
            return "mae" if after_its_own and output.distribution.name == "point" else LOSS
        case VectorOutput() | FramesOutput():  # numbers in units of their own
            return LOSS
        case _:
            assert_never(output)


def reported_metrics(spec: Spec) -> tuple[str, ...]:
    """The metrics of validation rows, by the names that `train.monitor` accepts.

    `rnnspec evaluate` reports the same. With several outputs, the metrics of an output start with
    its column.
    """
    names = [LOSS]
    for output in spec.data.targets:
        prefix = f"{output.column}." if len(spec.data.targets) > 1 else ""
        names += [prefix + name for name in _metrics(spec, output)]
    return tuple(names)


def _metrics(spec: Spec, output: Target) -> tuple[str, ...]:
    labels = ("nll", "micro_f1", "macro_f1", "exact_match")
    match output:
        case ClassOutput():
            return ("accuracy", "macro_f1")
        case PositionOutput():
            return ("accuracy",)
        case SpanOutput():
            return ("exact_match", "token_f1")
        case OrdinalOutput():
            return ("accuracy", "macro_f1", "rank_error", "kappa")
        case PositionsOutput():
            return ("exact_match", "place_accuracy")
        case TagsOutput():
            spans = ("span_f1",) if output.scheme != "none" else ()
            order = ("rank_error", "kappa") if output.labels is not None else ()
            return ("accuracy", "macro_f1", *spans, *order)
        case LabelsOutput() | KeysOutput():
            return labels
        case TextOutput():
            of_tokens = () if spec.aligner is not None else ("perplexity", "token_accuracy")
            return (*of_tokens, "exact_match", "error_rate", "bleu", "chrf")
        case ForecastOutput():
            quantiles = output.distribution.name == "quantiles" or output.paths is not None
            pinball = ("pinball",) if quantiles else ()
            coverage = ("coverage",) if output.distribution.name != "point" else ()
            return ("mae", "rmse", "smape", "mase", "skill", "scaled_skill", *pinball, *coverage)
        case NextOutput() if answers_numbers(spec, output):
            series = isinstance(spec.data.input_of(output), SeriesInput)
            return ("mae", "rmse", "skill", *(("mase", "scaled_skill") if series else ()))
        case NextOutput():
            keys = isinstance(spec.data.input_of(output), KeysInput)
            return labels if keys else ("perplexity", "bits", "accuracy")
        case FramesOutput() if output is spec.written_frames:
            length = None if spec.decoder is None else spec.decoder.length
            own = length == "learned" or isinstance(length, CountedLength)
            again = spec.data.input_of(output) is not None
            return ("mae", "rmse", *["length_error"] * own, *["score"] * again)
        case NumberOutput() | VectorOutput() | FramesOutput():
            return ("mae", "rmse")
        case _:
            assert_never(output)


def answers_numbers(spec: Spec, output: Output) -> bool:
    """Whether an output answers numbers: by its kind, or as the next step of a numeric input."""
    if isinstance(output, NextOutput):
        return isinstance(spec.data.input_of(output), FramesInput | SeriesInput)
    return isinstance(output, NumberOutput | VectorOutput | FramesOutput)


def distribution_of(output: Output) -> Distribution:
    """What is answered of each number of an output; of one that answers none, `point`."""
    return output.distribution if isinstance(output, Distributed) else POINT


def losses_of(spec: Spec, output: Target) -> tuple[str, ...]:
    """The losses that an output can be trained by, beside `auto`."""
    numbers, classes = ("mse", "mae", "huber"), ("cross_entropy", "focal")
    match output:
        case NumberOutput() | VectorOutput() | FramesOutput() | ForecastOutput():
            return numbers if output.distribution.name == "point" else ()
        case NextOutput() if answers_numbers(spec, output):
            return numbers if output.distribution.name == "point" else ()
        case TagsOutput(crf=True):
            return ()
        case TextOutput():
            copies = spec.decoder is not None and bool(spec.decoder.copied)
            return () if spec.aligner is not None or copies else classes
        case ClassOutput() | OrdinalOutput() | TagsOutput() | LabelsOutput() | KeysOutput():
            return classes
        case NextOutput():
            return classes
        case PositionOutput() | SpanOutput() | PositionsOutput():
            return classes
        case _:
            assert_never(output)


def loss_of(spec: Spec, output: Target) -> Loss:
    """The loss of an output: its own, else that of `train` where it fits."""
    fits = spec.train.loss.name in losses_of(spec, output)
    return spec.train.loss if output.loss.name == "auto" and fits else output.loss


def can_be_smoothed(spec: Spec, output: Target) -> bool:
    """Whether an output is trained by the cross-entropy of one class out of several."""
    several = isinstance(spec.data.input_of(output), KeysInput)
    classes = output.as_ in CLASSIFYING and "cross_entropy" in losses_of(spec, output)
    classes &= not isinstance(output, TagsOutput) or output.labels is None
    return classes and not several and not isinstance(loss_of(spec, output), Focal)


def smoothing_of(spec: Spec, output: Target) -> float:
    """The share of label smoothing of an output: its own, else that of `train`."""
    if not can_be_smoothed(spec, output):
        return 0.0
    own = getattr(output, "label_smoothing", None)
    return spec.train.label_smoothing if own is None else float(own)


def reads_streams(spec: Spec) -> bool:
    """Whether the training rows can be read as streams, window by window: every output answers
    step by step."""
    if spec.writes_frames:
        return False
    return all(output.as_ in ("next", "tags", "keys", "frames") for output in spec.data.targets)


def kinds_of(spec: Spec) -> str:
    """The kinds of the outputs, as a message names them."""
    return ", ".join(dict.fromkeys(output.as_ for output in spec.data.targets))
