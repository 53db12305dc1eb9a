"""How well one output does: its metrics, those of a simple baseline, tables, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from rnnspec.evaluate.examples_numbers import ForecastExamples, NumberExamples
from rnnspec.evaluate.examples_texts import TextExamples
from rnnspec.evaluate.metrics import (
    ClassMetrics,
    ForecastMetrics,
    LabelsMetrics,
    Metrics,
    NumericMetrics,
    TagMetrics,
)
from rnnspec.evaluate.metrics.tags import SpanCounts
from rnnspec.plan.facts import ClassFacts, ColumnFacts
from rnnspec.plan.names import names_of
from rnnspec.plan.nodes import ClassOutput, Output
from rnnspec.report.model import HorizonRow, Section, SeriesRow

MISTAKES = 10
"""Most pairs of classes that are listed as mistaken for each other."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: its `rows`, the rows `answered` as it, and the `hits`, which are both."""

    label: str
    rows: int
    answered: int
    hits: int

    @property
    def precision(self) -> float | None:
        """hits / answered; None where no row is answered so."""
        return self.hits / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """hits / rows; None where no row is of the class."""
        return self.hits / self.rows if self.rows else None

    @property
    def f1(self) -> float | None:
        """2 hits / (rows + answered); None where there is neither."""
        seen = self.rows + self.answered
        return 2 * self.hits / seen if seen else None


@dataclass(frozen=True, slots=True)
class Mistake:
    """`rows` of class `label` that were answered as `answer`."""

    label: str
    answer: str
    rows: int


@dataclass(frozen=True, slots=True)
class OutputScore:
    """One output. What its kind does not have is empty.

    `metrics` as `evaluate` has them, and more that needs whole texts; `baseline` the same of what
    `baseline_name` says. `classes` in order of number and `mistakes`, most frequent first;
    `confusion[t][a]` counts class t answered as class a; `of` says what is counted. `spans`: of
    each kind, where labels mark such, with spans in place of rows. `new`: labels that no training
    row has, which count as wrong, and how often each occurs. `horizon`: mean
    absolute errors by step ahead; `series`: of each series, in the order of the file. `greedy`:
    metrics of texts written greedily, where the model searches otherwise. `sections`: examples, as
    a report shows them.
    """

    node: Output
    metrics: Mapping[str, float]
    baseline: Mapping[str, float] = field(default_factory=dict)
    baseline_name: str = ""
    classes: tuple[ClassScore, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    of: str = "rows"
    spans: tuple[ClassScore, ...] = ()
    new: Mapping[str, int] = field(default_factory=dict)
    horizon: tuple[HorizonRow, ...] = ()
    series: tuple[SeriesRow, ...] = ()
    greedy: Mapping[str, float] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()


class _Examples(Protocol):
    def sections(self) -> tuple[Section, ...]: ...


def output_score(
    node: Output, known: ColumnFacts, sums: Metrics, kept: _Examples, new: Mapping[str, int]
) -> OutputScore:
    """The score of an output from what was summed up and kept over all rows.

    `new` are the labels that no training row has, by number, and how often each occurs.
    """
    of = "steps" if getattr(node, "steps", False) else "rows"
    metrics = sums.values()
    sections = kept.sections()
    match sums, kept:
        case ClassMetrics(), _:
            ahead = isinstance(node, ClassOutput) and node.ahead
            return _of_classes(node, known, sums, of, sections, ahead, new)
        case LabelsMetrics(), _:
            classes = _scores((*names_of(known), *new), sums)
            return OutputScore(node, metrics, classes=classes, of=of, new=new, sections=sections)
        case NumericMetrics(), NumberExamples():
            naive = kept.naive.values()
            return OutputScore(node, metrics, naive, kept.naive_name, of=of, sections=sections)
        case ForecastMetrics(), ForecastExamples():
            return _of_forecast(node, sums, kept, sections)
        case _, TextExamples():
            metrics, greedy = metrics | kept.metrics(), kept.greedy_metrics()
            if sums.lost:
                nothing = float("nan")
                metrics, greedy = (dict.fromkeys(found, nothing) for found in (metrics, greedy))
            return OutputScore(node, metrics, greedy=greedy, sections=sections)
    raise AssertionError(f"{type(sums).__name__} does not go with {type(kept).__name__}")


def class_scores(confusion: Tensor, labels: Sequence[str]) -> tuple[ClassScore, ...]:
    """A score for each label; `confusion` is rows by true and answered class."""
    numbers = zip(
        labels,
        confusion.sum(1).tolist(),
        confusion.sum(0).tolist(),
        confusion.diagonal().tolist(),
        strict=True,
    )
    return tuple(ClassScore(*of_label) for of_label in numbers)


def most_mistaken(
    confusion: Tensor, labels: Sequence[str], most: int = MISTAKES
) -> tuple[Mistake, ...]:
    """The pairs of classes with the most rows beside the diagonal, most first."""
    beside = confusion.clone().fill_diagonal_(0).flatten()
    counts, places = beside.sort(descending=True, stable=True)
    return tuple(
        Mistake(labels[place // len(labels)], labels[place % len(labels)], count)
        for count, place in zip(counts[:most].tolist(), places[:most].tolist(), strict=True)
        if count
    )


def _scores(labels: Sequence[str], sums: ClassMetrics | LabelsMetrics) -> tuple[ClassScore, ...]:
    numbers = zip(
        labels, sums.true.tolist(), sums.answered.tolist(), sums.hits.tolist(), strict=True
    )
    return tuple(ClassScore(*of_label) for of_label in numbers)


def _of_classes(
    node: Output,
    known: ColumnFacts,
    sums: ClassMetrics,
    of: str,
    sections: tuple[Section, ...],
    ahead: bool,
    new: Mapping[str, int],
) -> OutputScore:
    labels = (*names_of(known), *new)
    classes = _scores(labels, sums)
    if ahead:  # of a vocabulary, what is neither in the data nor answered says nothing
        classes = tuple(each for each in classes if each.rows or each.answered)
    baseline: dict[str, float] = {}
    if isinstance(known, ClassFacts) and known.counts and not ahead:
        baseline = most_frequent(sums, known.counts)
    return OutputScore(
        node,
        sums.values(),
        baseline,
        "the most frequent label" if baseline else "",
        classes,
        most_mistaken(sums.confusion, labels) if len(sums.confusion) else (),
        () if ahead else tuple(map(tuple, sums.confusion.tolist())),
        of,
        spans_of(sums.spans) if isinstance(sums, TagMetrics) else (),
        new=new,
        sections=sections,
    )


def spans_of(sums: SpanCounts) -> tuple[ClassScore, ...]:
    """By kind; of marks alone the kind is called `_`, as in seqeval."""
    return tuple(
        ClassScore(kind or "_", sums.true[kind], sums.answered[kind], sums.hits[kind])
        for kind in sums.kinds
    )


def most_frequent(sums: ClassMetrics, counts: Sequence[int]) -> dict[str, float]:
    """Accuracy and macro F1 of the answer that is always the most frequent label of the training
    rows."""
    answer = max(range(len(counts)), key=counts.__getitem__)
    rows, hits = int(sums.true.sum()), int(sums.true[answer])
    if not rows:
        return {}
    seen = int((sums.true > 0).sum()) + (hits == 0)
    return {"accuracy": hits / rows, "macro_f1": 2 * hits / (hits + rows) / seen}


def _of_forecast(
    node: Output, sums: ForecastMetrics, kept: ForecastExamples, sections: tuple[Section, ...]
) -> OutputScore:
    metrics = sums.values()
    if "coverage" not in metrics and len(kept.inside.sums):
        metrics["coverage"] = kept.inside.mean
    naive = sums.naive.values() if len(sums.naive.absolute.sums) else {}
    of_naive = sums.naive.absolute.by_step or (None,) * len(sums.errors.absolute.sums)
    pairs = zip(sums.errors.absolute.by_step, of_naive, strict=True)
    horizon = tuple(HorizonRow(step, *pair) for step, pair in enumerate(pairs, start=1))
    name = kept.naive_name if naive else ""
    return OutputScore(node, metrics, naive, name, of="windows", horizon=horizon, sections=sections)
