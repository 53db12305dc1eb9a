"""What is known of the outputs of a spec before any data is seen: metrics, classes, streams."""

from __future__ import annotations

from rnnspec.spec.inputs import KeysInput
from rnnspec.spec.outputs import ForecastOutput, Output, TagsOutput
from rnnspec.spec.spec import Spec

CLASSIFYING = ("class", "tags", "next", "words", "chars", "tokens")
"""Kinds of outputs that answer one class out of several, of a row or of each step."""


def reported_metrics(spec: Spec) -> tuple[str, ...]:
    """Names of the metrics of validation rows, as `train.early_stopping` may name them.

    They are those of `rnnspec.train.evaluate.evaluate`: with several outputs, those of an output
    start with its column.
    """
    names = ["loss"]
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
            spans = ("span_f1",) if output.scheme == "bio" else ()
            return ("accuracy", "macro_f1", *spans)
        case "labels" | "keys":
            return labels
        case "next":
            keys = any(
                isinstance(each, KeysInput) and each.column == output.column
                for each in spec.data.inputs
            )
            return labels if keys else ("perplexity", "bits", "accuracy")
        case "words" | "chars" | "tokens":
            return ("perplexity", "token_accuracy", "exact_match", "error_rate")
        case "forecast":
            assert isinstance(output, ForecastOutput)
            bands = ("pinball", "coverage") if output.distribution.name == "quantiles" else ()
            return ("mae", "rmse", "smape", "mase", "skill", *bands)
    return ("mae", "rmse")


def answers_classes(spec: Spec) -> bool:
    """Whether some output is trained by cross-entropy over classes."""
    return any(output.as_ in CLASSIFYING for output in spec.data.outputs)


def reads_streams(spec: Spec) -> bool:
    """Whether the training rows can be read as streams, window by window: every output answers
    step by step."""
    return all(output.as_ in ("next", "tags", "keys", "frames") for output in spec.data.outputs)


def kinds_of(spec: Spec) -> str:
    """The kinds of the outputs, as a message names them."""
    return ", ".join(dict.fromkeys(output.as_ for output in spec.data.outputs))
