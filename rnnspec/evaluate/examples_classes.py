"""Rows, steps and sets of labels, right and wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.evaluate import Seen
from rnnspec.evaluate.examples import Drawn, Kept
from rnnspec.evaluate.examples_rows import Rows
from rnnspec.evaluate.metrics.classes import surprise_of, with_new
from rnnspec.plan.nodes import ClassOutput, LabelsOutput
from rnnspec.report.model import Example, Examples, Section, TagExample, TagExamples

Steps = NDArray[Any]
WRONG, RIGHT = 10, 5
"""Examples of each sort."""
NONE = "(none)"
LONG = 40
"""Steps of a row from which on shorter ones are rather shown."""


class ClassExamples:
    """Of one class a row: the mistakes that the model was surest of, and right answers drawn at
    random. `labels` are those of the classes, and after them those that no training row has."""

    def __init__(self, node: ClassOutput, labels: Sequence[str], rows: Rows) -> None:
        self.column, self.labels, self.rows = node.column, labels, rows
        self.classes = node.classes
        self.wrong: Kept[Example] = Kept(WRONG)
        self.right: Drawn[Example] = Drawn(RIGHT)

    def see(self, seen: Seen) -> None:
        shares, answers = _tensor(seen.answers[self.column]).max(-1)
        targets = _numbers(seen.batch.targets[self.column], self.classes)
        for row, (true, answer) in enumerate(zip(targets.tolist(), answers.tolist(), strict=True)):
            if true < 0:
                continue
            share = shares[row].item()
            make = self._maker(seen, row, true, answer, share)
            if answer == true:
                self.right.offer(make)
            else:
                self.wrong.offer(share, make)

    def sections(self) -> tuple[Section, ...]:
        found = (*self.wrong.values(), *self.right.values())
        if not found:
            return ()
        text = "The mistakes that the model was surest of, then right answers drawn at random."
        return (Examples("Examples", found, "nothing", "probability", text),)

    def _maker(
        self, seen: Seen, row: int, true: int, answer: int, share: float
    ) -> Callable[[], Example]:
        def make() -> Example:
            asked, place = self.rows.text(seen.batch, row), self.rows.place(seen.rows, row)
            return Example(asked, self.labels[true], self.labels[answer], share, place=place)

        return make


class StepExamples:
    """Of a class, or several labels, at each step: rows with mistakes and without any, drawn at
    random."""

    def __init__(self, node: ClassOutput | LabelsOutput, labels: Sequence[str], rows: Rows) -> None:
        self.node, self.column, self.labels, self.rows = node, node.column, labels, rows
        self.wrong: Drawn[TagExample] = Drawn(6)
        self.right: Drawn[TagExample] = Drawn(2)

    def see(self, seen: Seen) -> None:
        answers, targets, known, wrong = self._compared(seen)
        for row in np.flatnonzero(known.any(axis=1)).tolist():
            kept = self.wrong if wrong[row].any() else self.right
            short = int(known[row].sum()) <= LONG
            make = self._maker(seen, row, answers[row], targets[row], known[row])
            kept.offer(make, rank=int(short))

    def sections(self) -> tuple[Section, ...]:
        found = (*self.wrong.values(), *self.right.values())
        if not found:
            return ()
        ahead = " Below each step stands what is answered of the next one." * self.node.ahead
        text = "Rows with mistakes, then rows without any, drawn at random."
        return (TagExamples("Examples", found, text + ahead),)

    def _compared(self, seen: Seen) -> tuple[Steps, Steps, Steps, Steps]:
        """Answers and true values, `[B, T]` or of several labels `[B, T, L]`; at which steps there
        is a true value, and at which of these the answer is wrong, `[B, T]`."""
        shares, targets = _tensor(seen.answers[self.column]), seen.batch.targets[self.column]
        if isinstance(self.node, ClassOutput):
            numbers = _numbers(targets, self.node.classes)
            answers, known = shares.argmax(-1).numpy(), numbers >= 0
            return answers, numbers, known, known & (answers != numbers)
        on, true = (shares > self.node.threshold).numpy(), _on(seen, self.column, len(self.labels))
        told: Steps = ~np.isnan(targets.sum(axis=-1))
        on = np.pad(on, [(0, 0), (0, 0), (0, true.shape[-1] - on.shape[-1])])
        return on, true, told, told & (on != true).any(axis=-1)

    def _maker(
        self, seen: Seen, row: int, answers: Steps, targets: Steps, known: Steps
    ) -> Callable[[], TagExample]:
        def make() -> TagExample:
            names = self.rows.steps(seen.batch, row)
            steps = range(len(names))
            true = tuple(self._named(targets[step]) if known[step] else "" for step in steps)
            found = tuple(self._named(answers[step]) if known[step] else "" for step in steps)
            return TagExample(names, true, found, self.rows.place(seen.rows, row))

        return make

    def _named(self, value: Any) -> str:
        if isinstance(self.node, ClassOutput):
            return self.labels[int(value)]
        return " ".join(self.labels[n] for n in np.flatnonzero(value).tolist()) or NONE


class LabelsExamples:
    """Of several labels a row: the rows whose true labels the model least expected, and right ones
    drawn at random."""

    def __init__(self, node: LabelsOutput, labels: Sequence[str], rows: Rows) -> None:
        self.column, self.labels, self.rows = node.column, labels, rows
        self.threshold = node.threshold
        self.wrong: Kept[Example] = Kept(WRONG)
        self.right: Drawn[Example] = Drawn(RIGHT)

    def see(self, seen: Seen) -> None:
        shares = _tensor(seen.answers[self.column]).double()
        targets = torch.from_numpy(seen.batch.targets[self.column])
        on = shares > self.threshold
        true = targets > 0.5
        all_true = torch.from_numpy(_on(seen, self.column, len(self.labels)))
        surprise = surprise_of(seen.found.scores[self.column].cpu(), true).sum(-1)
        for row in range(len(targets)):
            if targets[row].isnan().any():
                continue
            make = self._maker(seen, row, all_true[row], on[row], surprise[row].item())
            new = bool(all_true[row, true.shape[-1] :].any())
            if not new and bool((true[row] == on[row]).all()):
                self.right.offer(make)
            else:
                self.wrong.offer(surprise[row].item(), make)

    def sections(self) -> tuple[Section, ...]:
        found = (*self.wrong.values(), *self.right.values())
        if not found:
            return ()
        text = "The rows whose labels the model least expected, then right answers drawn at random."
        return (Examples("Examples", found, "nothing", "surprise in nats", text),)

    def _maker(
        self, seen: Seen, row: int, true: Tensor, on: Tensor, surprise: float
    ) -> Callable[[], Example]:
        def make() -> Example:
            asked, place = self.rows.text(seen.batch, row), self.rows.place(seen.rows, row)
            return Example(asked, self._names(true), self._names(on), surprise, place=place)

        return make

    def _names(self, on: Tensor) -> str:
        return ", ".join(self.labels[n] for n in on.nonzero().flatten().tolist()) or NONE


def _numbers(targets: Steps, classes: int) -> Steps:
    """Class numbers, with labels that no training row has after the classes."""
    return with_new(torch.from_numpy(targets), classes).numpy()


def _on(seen: Seen, column: str, labels: int) -> Steps:
    """Which of `labels`, those that no training row has last, are to be answered."""
    targets = seen.batch.targets[column]
    on = np.zeros((*targets.shape[:-1], labels), np.bool_)
    on[..., : targets.shape[-1]] = targets > 0.5
    new = seen.batch.new.get(column)
    if new is not None:
        *places, numbers = new.T
        on[(*places, targets.shape[-1] + numbers)] = True
    return on


def _tensor(answers: object) -> Tensor:
    assert isinstance(answers, Tensor)
    return answers.cpu()
