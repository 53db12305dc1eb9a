"""Metrics of labels step by step: as of classes, and F1 of the spans that BIO labels mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from rnnspec.train.metrics.classes import ClassMetrics

Span = tuple[int, int, str]
"""First step, step after the last, and kind."""


class TagMetrics(ClassMetrics):
    """As `ClassMetrics`, over all steps of BIO labels, and F1 of the spans they mark, `span_f1`.

    A span is right if its first step, its last and its kind are (as conlleval counts them). `I-`
    after another kind, or at the start, begins a span.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(len(labels))
        self.labels = labels
        self.spans = {"hits": 0, "true": 0, "answered": 0}

    def add(self, answers: Tensor, targets: Tensor) -> None:
        super().add(answers, targets)
        for row, true in zip(answers.argmax(-1).tolist(), targets.tolist(), strict=True):
            steps = [at for at, number in enumerate(true) if number >= 0]
            expected = set(spans([self.labels[true[at]] for at in steps]))
            found = set(spans([self.labels[row[at]] for at in steps]))
            self.spans["hits"] += len(expected & found)
            self.spans["true"] += len(expected)
            self.spans["answered"] += len(found)

    def values(self) -> dict[str, float]:
        """`span_f1` is NaN where no span is true or answered."""
        seen = self.spans["true"] + self.spans["answered"]
        span_f1 = 2 * self.spans["hits"] / seen if seen else float("nan")
        return {**super().values(), "span_f1": span_f1}


def spans(labels: Sequence[str]) -> Iterator[Span]:
    """The spans that labels like `B-PER`, `I-PER` and `O` mark; those of `B` and `I` alone have no
    kind, ""."""
    start = 0
    kind: str | None = None
    for at, label in enumerate([*labels, "O"]):
        mark, _, of = label.partition("-")
        goes_on = mark == "I" and of == kind
        if kind is not None and not goes_on:
            yield start, at, kind
            kind = None
        if mark in ("B", "I") and not goes_on:
            start, kind = at, of
