"""Metrics of labels step by step: as of classes, and F1 of the spans that BIO labels mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from rnnspec.train.metrics.classes import ClassMetrics

Span = tuple[int, int, str]
"""First step, step after the last, and kind."""
Pairs = list[tuple[str, str]]
"""The true label and the answered one of each step that has a true one."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lane of each row of a window, which goes on where the lane's last window ended unless it
    begins a sequence `anew`."""

    numbers: Sequence[int]
    anew: Sequence[bool]


class TagMetrics(ClassMetrics):
    """As `ClassMetrics`, over all steps of BIO labels, and F1 of the spans they mark, `span_f1`.

    A span is right if its first step, its last and its kind are (as conlleval counts them). `I-`
    after another kind, or at the start, begins a span.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(len(labels))
        self.labels = labels
        self.spans = {"hits": 0, "true": 0, "answered": 0}
        self.open: dict[int, Pairs] = {}
        """Of each lane the end of what was read, where a span may go on."""

    def add(self, answers: Tensor, targets: Tensor, lanes: Lanes | None = None) -> None:
        """`answers` `[B, T, classes]`, `targets` `[B, T]`; whole rows, or a window of `lanes`."""
        super().add(answers, targets)
        pairs = zip(answers.argmax(-1).tolist(), targets.tolist(), strict=True)
        for row, (found, true) in enumerate(pairs):
            names = self.labels
            steps = [(names[t], names[f]) for t, f in zip(true, found, strict=True) if t >= 0]
            if lanes is None:
                self._count(steps)
                continue
            lane = lanes.numbers[row]
            before = self.open.pop(lane, [])
            if lanes.anew[row]:
                self._count(before)
                before = []
            steps = before + steps
            cut = _last_start(steps)
            self._count(steps[:cut])
            self.open[lane] = steps[cut:]

    def _count(self, steps: Pairs) -> None:
        expected = set(spans([true for true, _ in steps]))
        found = set(spans([answer for _, answer in steps]))
        self.spans["hits"] += len(expected & found)
        self.spans["true"] += len(expected)
        self.spans["answered"] += len(found)

    def values(self) -> dict[str, float]:
        """`span_f1` is NaN where no span is true or answered."""
        for lane in list(self.open):
            self._count(self.open.pop(lane))
        seen = self.spans["true"] + self.spans["answered"]
        span_f1 = 2 * self.spans["hits"] / seen if seen else float("nan")
        return {**super().values(), "span_f1": span_f1}


def _last_start(steps: Pairs) -> int:
    """The last step at which no span goes on, neither of the true ones nor of the answered."""
    starts = (at for at in range(len(steps) - 1, 0, -1) if not _goes_on(steps[at]))
    return next(starts, 0)


def _goes_on(labels: tuple[str, str]) -> bool:
    return any(label.partition("-")[0] == "I" for label in labels)


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
