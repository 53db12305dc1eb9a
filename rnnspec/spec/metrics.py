"""What is known of the outputs of a spec before any data is seen: metrics, classes, streams."""

from __future__ import annotations

from rnnspec.spec.outputs import ClassOutput
from rnnspec.spec.spec import Spec


def reported_metrics(spec: Spec) -> tuple[str, ...]:
    """Names of the metrics of validation rows, as `train.early_stopping` may name them.

    They are those of `rnnspec.train.evaluate.evaluate`.
    """
    if isinstance(spec.data.output, ClassOutput):
        return ("loss", "accuracy", "macro_f1")
    return ("loss", "mae", "rmse")


CLASSIFYING = ("class", "tags", "next", "words", "chars", "tokens")
"""Kinds of outputs that answer one class out of several, of a row or of each step."""


def answers_classes(spec: Spec) -> bool:
    """Whether some output is trained by cross-entropy over classes."""
    return spec.data.output.as_ in CLASSIFYING


def reads_streams(spec: Spec) -> bool:
    """Whether the training rows can be read as streams, window by window."""
    return spec.data.output.as_ == "next"
