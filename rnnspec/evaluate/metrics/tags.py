"""Metrics of tags: those of classes, and F1 of the spans that tags mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from rnnspec.data.schemes import goes_on, spans
from rnnspec.evaluate.metrics.classes import ClassMetrics, with_new
from rnnspec.spec.outputs import Scheme

Pairs = list[tuple[str, str]]
"""The true label and the answered one of each step that has a true one."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lane of each row of a window, which goes on where the lane's last window ended unless it
    begins a sequence: `reset`."""

    numbers: Sequence[int]
    reset: Sequence[bool]


@dataclass(slots=True)
class SpanCounts:
    """How many spans of each kind are true, are answered, and are both."""

    hits: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)

    def add(self, steps: Pairs, scheme: Scheme) -> None:
        """The spans of some steps, in which all of them begin and end."""
        expected = set(spans([true for true, _ in steps], scheme))
        found = set(spans([answer for _, answer in steps], scheme))
        for counts, those in (
            (self.hits, expected & found),
            (self.true, expected),
            (self.answered, found),
        ):
            counts.update(kind for _, _, kind in those)

    @property
    def f1(self) -> float:
        """F1 of all kinds together (micro); NaN where no span is true or answered."""
        spans = self.true.total() + self.answered.total()
        return 2 * self.hits.total() / spans if spans else float("nan")

    @property
    def kinds(self) -> list[str]:
        """The kinds that are true or answered, sorted."""
        return sorted(self.true.keys() | self.answered.keys())


class TagMetrics(ClassMetrics):
    """As `ClassMetrics`, over all steps, and F1 of the spans that their labels mark, `span_f1`.

    A span is right if its first step, its last and its kind are; which there are says the scheme
    (`rnnspec.data.schemes`). Steps without a true label are left out, of the answers too: what
    stands before and after them follows each other.
    """

    def __init__(self, labels: Sequence[str], scheme: Scheme, new: Sequence[str] = ()) -> None:
        super().__init__(len(labels), new=len(new))
        self.labels, self.scheme = (*labels, *new), scheme
        self.spans = SpanCounts()
        self.open: dict[int, Pairs] = {}
        """By lane, the last steps, where a span may go on."""

    def add(self, answers: Tensor, targets: Tensor, lanes: Lanes | None = None) -> None:
        """`answers` `[B, T, classes]`, `targets` `[B, T]`; whole rows, or a window of `lanes`."""
        super().add(answers, targets)
        true_numbers = with_new(targets, self.known).tolist()
        pairs = zip(answers.argmax(-1).tolist(), true_numbers, strict=True)
        for row, (found, true) in enumerate(pairs):
            names = self.labels
            steps = [(names[t], names[f]) for t, f in zip(true, found, strict=True) if t >= 0]
            if lanes is None:
                self.spans.add(steps, self.scheme)
                continue
            lane = lanes.numbers[row]
            before = self.open.pop(lane, [])
            if lanes.reset[row]:
                self.spans.add(before, self.scheme)
                before = []
            steps = before + steps
            cut = self._last_start(steps)
            self.spans.add(steps[:cut], self.scheme)
            self.open[lane] = steps[cut:]

    def values(self) -> dict[str, float]:
        """`span_f1` is NaN where no span is true or answered, or where an answer is NaN."""
        for lane in list(self.open):
            self.spans.add(self.open.pop(lane), self.scheme)
        span_f1 = float("nan") if self.not_finite else self.spans.f1
        return {**super().values(), "span_f1": span_f1}

    def _last_start(self, steps: Pairs) -> int:
        """The last step at which no span goes on, neither of the true ones nor of the answered."""
        for at in range(len(steps) - 1, 0, -1):
            labels = zip(steps[at - 1], steps[at], strict=True)
            if not any(goes_on(self.scheme, before, label) for before, label in labels):
                return at
        return 0
