"""Outputs that answer one label of several, or several at once, of a row or of each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rnnspec.evaluate.examples import Drawn, Kept, Rows
from rnnspec.evaluate.metrics import ClassMetrics, LabelsMetrics, TagMetrics
from rnnspec.evaluate.metrics.classes import surprise_of, with_new
from rnnspec.evaluate.metrics.tags import SpanCounts
from rnnspec.evaluate.outputs.kind import (
    ClassScore,
    Examples,
    MeasuredBatch,
    Mistake,
    OutputKind,
    OutputScore,
)
from rnnspec.evaluate.outputs.next_tokens import NextExamples
from rnnspec.evaluate.outputs.spans import SpanRows
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.facts import ClassFacts, ColumnFacts
from rnnspec.plan.names import first_sequences, names_of, steps_in
from rnnspec.plan.nodes import ChainOutput, ClassOutput, LabelsOutput
from rnnspec.report import model as report
from rnnspec.to_torch import Model
from rnnspec.to_torch.chain import ChainOutput as ChainModule
from rnnspec.to_torch.outputs import ClassOutput as ClassModule
from rnnspec.to_torch.outputs import LabelsOutput as LabelsModule

Steps = NDArray[Any]
MISTAKES = 10
"""Most pairs of classes that are listed as mistaken for each other."""
NONE = "(none)"
LONG = 40
"""Rows of at most so many steps are shown before longer ones."""


# ---------------------------------------------------------------- metrics


def _class_metrics(
    node: ClassOutput | ChainOutput, loss: OutputLoss, new: Sequence[str]
) -> ClassMetrics:
    if loss.span_labels:
        return TagMetrics(loss.span_labels, loss.scheme, new)
    ordered = isinstance(node, ClassOutput) and node.ordered
    return ClassMetrics(node.classes, perplexity=node.ahead, new=len(new), ordered=ordered)


def _add_answers(
    node: ClassOutput | LabelsOutput,
    sums: ClassMetrics | LabelsMetrics,
    model: Model,
    measured: MeasuredBatch,
) -> Tensor:
    forward, module = measured.forward, model.output(node.column)
    assert isinstance(module, ClassModule | LabelsModule)
    logits, targets = forward.logits[node.column], forward.targets[node.column]
    answers = module.answer(logits)
    sums.add_logits(logits, targets)
    if isinstance(sums, TagMetrics):
        sums.add(answers, targets, measured.lanes)
    elif isinstance(sums, LabelsMetrics):
        sums.add(answers, targets, measured.batch.new.get(node.column))
    else:
        sums.add(answers, targets)
    return answers


def _add_paths(
    node: ChainOutput, sums: ClassMetrics, model: Model, measured: MeasuredBatch
) -> Tensor:
    """The answers are those of the likeliest path, as probabilities 1 and 0."""
    forward, first = measured.forward, first_sequences(model.plan)[node.axis]
    module = model.output(node.column)
    assert isinstance(module, ChainModule)
    logits, targets = forward.logits[node.column], forward.targets[node.column]
    found = module.answer(logits, steps_in(first, forward.inputs[first.key][1]))
    answers = F.one_hot(found.labels, node.classes).to(logits.dtype)
    answers = answers.masked_fill(found.probabilities.isnan(), torch.nan)
    if isinstance(sums, TagMetrics):
        sums.add(answers, targets, measured.lanes)
    else:
        sums.add(answers, targets)
    return answers


# ---------------------------------------------------------------- examples


class RowExamples:
    """Of rows with one answer each, the mistakes of the highest `score` and right answers drawn at
    random. `labels`: those of the training rows, then those that no training row has."""

    score: ClassVar[str]
    text: ClassVar[str]

    def __init__(self, node: ClassOutput | LabelsOutput, labels: Sequence[str], rows: Rows) -> None:
        self.node, self.column, self.labels, self.rows = node, node.column, labels, rows
        self.above = _above(node)
        self.wrong: Kept[report.Example] = Kept(10)
        self.right: Drawn[report.Example] = Drawn(5)

    def offer(
        self, measured: MeasuredBatch, row: int, right: bool, true: str, answer: str, score: float
    ) -> None:
        def example() -> report.Example:
            text, place = self.rows.text(measured.batch, row), self.rows.place(measured.rows, row)
            picture = self.rows.picture(measured.batch, row)
            return report.Example(text, true, answer, score, place=place, picture=picture)

        if right:
            self.right.offer(example)
        else:
            self.wrong.offer(score, example)

    def sections(self) -> tuple[report.Section, ...]:
        found = (*self.wrong.values(), *self.right.values())
        if not found:
            return ()
        return (report.Examples("Examples", found, "nothing", self.score, self.text),)


class ClassExamples(RowExamples):
    """One class a row: the mistakes that the model was surest of."""

    node: ClassOutput
    score = "probability"
    text = "The mistakes that the model was surest of, then right answers drawn at random."

    def see(self, measured: MeasuredBatch) -> None:
        shares, answers = measured.tensor(self.column).max(-1)
        targets = _numbers(measured.batch.targets[self.column], self.node.classes)
        for row, (true, answer) in enumerate(zip(targets.tolist(), answers.tolist(), strict=True)):
            if true >= 0:
                names = self.labels[true], self.labels[answer]
                self.offer(measured, row, answer == true, *names, shares[row].item())


class LabelsExamples(RowExamples):
    """Several labels a row: the rows whose true labels the model least expected."""

    node: LabelsOutput
    score = "surprise in nats"
    text = "The rows whose labels the model least expected, then right answers drawn at random."

    def see(self, measured: MeasuredBatch) -> None:
        targets = torch.from_numpy(measured.batch.targets[self.column])
        on = measured.tensor(self.column) > self.above
        true = targets > 0.5
        all_true = torch.from_numpy(_true_labels(measured, self.column, len(self.labels)))
        surprise = surprise_of(measured.forward.logits[self.column].cpu(), true).sum(-1)
        for row in range(len(targets)):
            if targets[row].isnan().any():
                continue
            names = self._names(all_true[row]), self._names(on[row])
            new = bool(all_true[row, true.shape[-1] :].any())
            right = not new and bool((true[row] == on[row]).all())
            self.offer(measured, row, right, *names, surprise[row].item())

    def _names(self, on: Tensor) -> str:
        return ", ".join(self.labels[n] for n in on.nonzero().flatten().tolist()) or NONE


class StepExamples:
    """A class, or several labels, at each step: rows with mistakes and without any, drawn at
    random."""

    def __init__(
        self, node: ClassOutput | ChainOutput | LabelsOutput, labels: Sequence[str], rows: Rows
    ) -> None:
        self.node, self.column, self.labels, self.rows = node, node.column, labels, rows
        self.above = _above(node)
        self.wrong: Drawn[report.TagExample] = Drawn(6)
        self.right: Drawn[report.TagExample] = Drawn(2)

    def see(self, measured: MeasuredBatch) -> None:
        answers, targets, known, wrong = self._compared(measured)
        for row in np.flatnonzero(known.any(axis=1)).tolist():
            kept = self.wrong if wrong[row].any() else self.right
            short = int(known[row].sum()) <= LONG
            of_row = answers[row], targets[row], known[row]
            kept.offer(partial(self._example, measured, row, *of_row), rank=int(short))

    def sections(self) -> tuple[report.Section, ...]:
        found = (*self.wrong.values(), *self.right.values())
        if not found:
            return ()
        ahead = " Below each step stands what is answered of the next one." * self.node.ahead
        text = "Rows with mistakes, then rows without any, drawn at random."
        return (report.TagExamples("Examples", found, text + ahead),)

    def _compared(self, measured: MeasuredBatch) -> tuple[Steps, Steps, Steps, Steps]:
        """Answers and true values, `[B, T]` or with several labels `[B, T, L]`; at which steps
        there is a true value, and at which of these the answer is wrong, `[B, T]`."""
        shares = measured.tensor(self.column)
        targets = measured.batch.targets[self.column]
        if not isinstance(self.node, LabelsOutput):
            numbers = _numbers(targets, self.node.classes)
            answers, known = shares.argmax(-1).numpy(), numbers >= 0
            return answers, numbers, known, known & (answers != numbers)
        on = (shares > self.above).numpy()
        true = _true_labels(measured, self.column, len(self.labels))
        labelled: Steps = ~np.isnan(targets.sum(axis=-1))
        on = np.pad(on, [(0, 0), (0, 0), (0, true.shape[-1] - on.shape[-1])])
        return on, true, labelled, labelled & (on != true).any(axis=-1)

    def _example(
        self, measured: MeasuredBatch, row: int, answers: Steps, targets: Steps, known: Steps
    ) -> report.TagExample:
        names = self.rows.steps(measured.batch, row, self.node.axis)
        steps = range(len(names))
        true = tuple(self._named(targets[step]) if known[step] else "" for step in steps)
        found = tuple(self._named(answers[step]) if known[step] else "" for step in steps)
        return report.TagExample(names, true, found, self.rows.place(measured.rows, row))

    def _named(self, value: Any) -> str:
        if not isinstance(self.node, LabelsOutput):
            return self.labels[int(value)]
        return " ".join(self.labels[n] for n in np.flatnonzero(value).tolist()) or NONE


def _class_examples(
    node: ClassOutput | ChainOutput,
    known: ColumnFacts,
    rows: Rows,
    model: Model,
    new: Sequence[str],
    loss: OutputLoss,
) -> Examples:
    if loss.span_labels:
        return SpanRows(node, (*names_of(known), *new), loss.scheme, rows)
    if isinstance(node, ChainOutput) or (node.steps and not node.ahead):
        return StepExamples(node, (*names_of(known), *new), rows)
    if node.ahead:
        read = names_of(rows.facts.inputs[node.column])
        return NextExamples(node, names_of(known), read, model)
    return ClassExamples(node, (*names_of(known), *new), rows)


def _labels_examples(
    node: LabelsOutput,
    known: ColumnFacts,
    rows: Rows,
    model: Model,
    new: Sequence[str],
    loss: OutputLoss,
) -> Examples:
    kind = StepExamples if node.steps else LabelsExamples
    return kind(node, (*names_of(known), *new), rows)


def _above(node: ClassOutput | ChainOutput | LabelsOutput) -> Tensor:
    """The thresholds of labels; of classes there are none."""
    above = node.above if isinstance(node, LabelsOutput) else ()
    return torch.tensor(above, dtype=torch.float64)


def _numbers(targets: Steps, classes: int) -> Steps:
    """Class numbers, with labels that no training row has after the classes."""
    return with_new(torch.from_numpy(targets), classes).numpy()


def _true_labels(measured: MeasuredBatch, column: str, labels: int) -> Steps:
    """Which of `labels` are true; those that no training row has come last."""
    targets = measured.batch.targets[column]
    on = np.zeros((*targets.shape[:-1], labels), np.bool_)
    on[..., : targets.shape[-1]] = targets > 0.5
    new = measured.batch.new.get(column)
    if new is not None:
        *places, numbers = new.T
        on[(*places, targets.shape[-1] + numbers)] = True
    return on


# ---------------------------------------------------------------- scores


def _score_classes(
    node: ClassOutput | ChainOutput,
    known: ColumnFacts,
    sums: ClassMetrics,
    kept: Examples,
    new: Mapping[str, int],
) -> OutputScore:
    labels = (*names_of(known), *new)
    classes = class_scores(labels, sums)
    if node.ahead:  # of a vocabulary, tokens neither in the data nor answered say nothing
        classes = tuple(each for each in classes if each.rows or each.answered)
    baseline: dict[str, float] = {}
    if isinstance(known, ClassFacts) and known.counts and not node.ahead:
        baseline = most_frequent(sums, known.counts)
        if known.ordered and baseline:
            baseline |= off_by_most_frequent(sums, known.counts)
    return OutputScore(
        node,
        sums.values(),
        baseline,
        "the most frequent label" if baseline else "",
        classes,
        "Tokens" if node.ahead else "Tags" if node.steps else "Classes",
        most_mistaken(sums.confusion, labels) if len(sums.confusion) else (),
        () if node.ahead else tuple(map(tuple, sums.confusion.tolist())),
        "steps" if node.steps else "rows",
        spans_of(sums.spans) if isinstance(sums, TagMetrics) else (),
        new=new,
        sections=kept.sections(),
    )


def _score_labels(
    node: LabelsOutput,
    known: ColumnFacts,
    sums: LabelsMetrics,
    kept: Examples,
    new: Mapping[str, int],
) -> OutputScore:
    return OutputScore(
        node,
        sums.values(),
        classes=class_scores((*names_of(known), *new), sums),
        classes_title="Labels",
        of="steps" if node.steps else "rows",
        new=new,
        sections=kept.sections(),
    )


def class_scores(
    labels: Sequence[str], sums: ClassMetrics | LabelsMetrics
) -> tuple[ClassScore, ...]:
    """A score for each label."""
    numbers = zip(
        labels, sums.true.tolist(), sums.answered.tolist(), sums.hits.tolist(), strict=True
    )
    return tuple(ClassScore(*of_label) for of_label in numbers)


def most_mistaken(
    confusion: Tensor, labels: Sequence[str], most: int = MISTAKES
) -> tuple[Mistake, ...]:
    """The pairs of classes with the most rows off the diagonal, the most first."""
    beside = confusion.clone().fill_diagonal_(0).flatten()
    counts, places = beside.sort(descending=True, stable=True)
    return tuple(
        Mistake(labels[place // len(labels)], labels[place % len(labels)], count)
        for count, place in zip(counts[:most].tolist(), places[:most].tolist(), strict=True)
        if count
    )


def spans_of(sums: SpanCounts) -> tuple[ClassScore, ...]:
    """Scores by kind of span; a kind without a name is called `_`, as in seqeval."""
    return tuple(
        ClassScore(kind or "_", sums.true[kind], sums.answered[kind], sums.hits[kind])
        for kind in sums.kinds
    )


def most_frequent(sums: ClassMetrics, counts: Sequence[int]) -> dict[str, float]:
    """Accuracy and macro F1 of always answering the most frequent label of the training rows."""
    answer = max(range(len(counts)), key=counts.__getitem__)
    rows, hits = int(sums.true.sum()), int(sums.true[answer])
    if not rows:
        return {}
    classes = int((sums.true > 0).sum()) + (hits == 0)
    return {"accuracy": hits / rows, "macro_f1": 2 * hits / (hits + rows) / classes}


def off_by_most_frequent(sums: ClassMetrics, counts: Sequence[int]) -> dict[str, float]:
    """The rank error of that answer."""
    answer = max(range(len(counts)), key=counts.__getitem__)
    places = (torch.arange(len(sums.true)) - answer).abs()
    return {"rank_error": float((places * sums.true).sum() / sums.true.sum())}


# ---------------------------------------------------------------- the two kinds

CROSS_ENTROPY = "What training makes small: the mean surprise of a true answer, in nats."


def _main_of_classes(node: ClassOutput | ChainOutput) -> tuple[str, ...]:
    if node.ahead:
        return ("perplexity", "bits", "accuracy")
    if isinstance(node, ClassOutput) and node.ordered:
        return ("rank_error", "kappa", "accuracy", "macro_f1")
    return ("span_f1", "accuracy", "macro_f1")


def _main_of_labels(node: LabelsOutput) -> tuple[str, ...]:
    return ("nll", "micro_f1", "exact_match") if node.ahead else ("micro_f1", "nll", "exact_match")


CLASSES = OutputKind(
    _class_metrics,
    _add_answers,
    _class_examples,
    _score_classes,
    _main_of_classes,
    explained=lambda node: {"loss": CROSS_ENTROPY},
)
CHAIN_SURPRISE = (
    "What training makes small: -ln of the probability of the true path of a row, by its steps."
)
CHAINS = replace(CLASSES, add=_add_paths, explained=lambda node: {"loss": CHAIN_SURPRISE})
LABELS = OutputKind(
    lambda node, loss, new: LabelsMetrics(node.labels, node.above, len(new)),
    _add_answers,
    _labels_examples,
    _score_labels,
    _main_of_labels,
)
