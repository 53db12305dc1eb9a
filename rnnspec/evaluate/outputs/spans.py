"""Rows whose tags mark spans, for a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.data.schemes import spans
from rnnspec.evaluate.examples import Drawn, Rows
from rnnspec.evaluate.metrics.classes import with_new
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.plan.names import first_sequences
from rnnspec.plan.nodes import ChainOutput, ClassOutput, TokensInput
from rnnspec.report import model as report
from rnnspec.spec.outputs import Scheme

LONG = 60
"""Rows of at most so many steps are shown before longer ones."""
Spans = tuple[report.Span, ...]
Steps = NDArray[Any]


class SpanRows:
    """Rows with spans that are missed or wrong and rows without any, drawn at random. `labels`:
    those of the training rows, then those that no training row has."""

    def __init__(
        self, node: ClassOutput | ChainOutput, labels: Sequence[str], scheme: Scheme, rows: Rows
    ) -> None:
        self.column, self.axis = node.column, node.axis
        self.labels, self.scheme, self.rows = labels, scheme, rows
        self.wrong: Drawn[report.SpanExample] = Drawn(8)
        self.right: Drawn[report.SpanExample] = Drawn(4)
        first = first_sequences(rows.plan)[node.axis]
        parts = isinstance(first, TokensInput) and first.kind in ("chars", "bytes", "subwords")
        self.joint = "" if parts else " "

    def see(self, measured: MeasuredBatch) -> None:
        shares = measured.tensor(self.column)
        targets = torch.from_numpy(measured.batch.targets[self.column])
        true, answers = with_new(targets, shares.shape[-1]).numpy(), shares.argmax(-1).numpy()
        for row in np.flatnonzero((true >= 0).any(axis=1)).tolist():
            known = np.flatnonzero(true[row] >= 0)
            expected, found = (self._spans(of[row], known) for of in (true, answers))
            kept = self.wrong if expected != found else self.right
            rank = int(len(known) <= LONG) + int(bool(expected or found))
            of_row = partial(self._tags, measured, row, true[row], answers[row], known)
            kept.offer(partial(self._example, expected, found, of_row), rank)

    def sections(self) -> tuple[report.Section, ...]:
        examples = (*self.wrong.values(), *self.right.values())
        if not examples:
            return ()
        text = "Rows with spans that are missed or wrong, then rows without any, drawn at random."
        return (report.SpanExamples("Examples", examples, text),)

    def _spans(self, numbers: Steps, known: Steps) -> Spans:
        """The spans of a row, as the metric has them: over the steps with a true label alone."""
        labels = [self.labels[int(number)] for number in numbers[known]]
        steps = known.tolist()
        return tuple(
            report.Span(steps[first], steps[end - 1] + 1, kind)
            for first, end, kind in spans(labels, self.scheme)
        )

    def _example(
        self, true: Spans, answered: Spans, tags_of_row: Callable[[], report.TagExample]
    ) -> report.SpanExample:
        tags = tags_of_row()
        return report.SpanExample(tags.tokens, true, answered, tags.place, self.joint, tags)

    def _tags(
        self, measured: MeasuredBatch, row: int, true: Steps, answers: Steps, known: Steps
    ) -> report.TagExample:
        """The labels of each step, "" where no true one is known."""
        tokens, labelled = self.rows.steps(measured.batch, row, self.axis), set(known.tolist())

        def named(numbers: Steps) -> tuple[str, ...]:
            steps = range(len(tokens))
            return tuple(self.labels[int(numbers[t])] if t in labelled else "" for t in steps)

        place = self.rows.place(measured.rows, row)
        return report.TagExample(tokens, named(true), named(answers), place)
