"""Texts along the steps of a sound or a picture: where each token was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.data.alignments import steps_at, strides
from rnnspec.evaluate.examples import Drawn, Rows
from rnnspec.evaluate.metrics.texts import true_numbers
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.evaluate.spectrogram import spectrogram
from rnnspec.plan import Plan
from rnnspec.plan.facts import END_ID
from rnnspec.plan.names import first_sequence, steps_in
from rnnspec.plan.nodes import AlignedOutput, AudioInput, CtcOutput, ImageInput
from rnnspec.report import model as report
from rnnspec.to_torch import Model
from rnnspec.to_torch.alignment import spans

WRONG, RIGHT = 4, 2
Spans = Sequence[tuple[int, int]]


# ---------------------------------------------------------------- from steps to seconds or pixels


@dataclass(frozen=True, slots=True)
class Axis:
    """What the steps of an output lie on: step j from `step` * j to `step` * (j + 1), in seconds of
    the sound or in columns of pixels of the picture that `node` reads."""

    node: AudioInput | ImageInput
    step: float

    @property
    def unit(self) -> str:
        return "s" if isinstance(self.node, AudioInput) else "pixels"

    def length(self, count: int) -> float:
        """That of a row of so many samples, or columns."""
        return count / self.node.rate if isinstance(self.node, AudioInput) else count

    def stretches(
        self, tokens: Sequence[str], steps: Spans, length: float
    ) -> tuple[report.Stretch, ...]:
        """From the first and the last step of each token, within the row's `length`."""
        pairs = zip(tokens, steps, strict=True)
        return tuple(
            report.Stretch(
                name, min(length, self.step * first), min(length, self.step * (last + 1))
            )
            for name, (first, last) in pairs
        )


def axis_of(plan: Plan, node: AlignedOutput) -> Axis | None:
    """The axis of an output; None where its steps are neither of sound nor columns of a picture."""
    first = first_sequence(plan)
    divided, times = strides(plan, node.source)
    if isinstance(first, AudioInput):
        return Axis(first, first.hop / first.rate * divided / times)
    if isinstance(first, ImageInput) and first.picture.steps == "columns":
        return Axis(first, divided / times)
    return None


# ---------------------------------------------------------------- the rows that are shown


@dataclass
class AlignedRows:
    """Rows read wrong and rows read right, drawn at random, with where each token was read: on the
    most probable alignment of the answer and, where that is wrong, of the true text."""

    node: AlignedOutput
    axis: Axis
    names: Sequence[str]
    rows: Rows
    model: Model

    def __post_init__(self) -> None:
        self.wrong: Drawn[report.AlignedExample] = Drawn(WRONG)
        self.right: Drawn[report.AlignedExample] = Drawn(RIGHT)

    def offer(
        self,
        measured: MeasuredBatch,
        row: int,
        answer: Sequence[int],
        true: Sequence[str],
        right: bool,
    ) -> None:
        """A row of a batch, with its answer and its true tokens."""
        make = partial(self._example, measured, row, answer, true, right)
        (self.right if right else self.wrong).offer(make, rank=int(bool(answer)))

    def sections(self) -> tuple[report.Section, ...]:
        examples = (*self.wrong.values(), *self.right.values())
        if not examples:
            return ()
        sound = self.axis.unit == "s"
        what = "the sound, as a spectrogram," if sound else "the picture"
        text = (
            f"Below {what} stands what was read, where it was read: on the most probable alignment"
            " of the answer. Wrong rows first, with that of the true text, then right ones, drawn"
            " at random."
        )
        joint = " " if self.node.kind in ("words", "tokens") else ""
        title = "Read along the sound" if sound else "Read along the picture"
        return (report.AlignedExamples(title, examples, self.axis.unit, joint, text),)

    def _example(
        self,
        measured: MeasuredBatch,
        row: int,
        answer: Sequence[int],
        true: Sequence[str],
        right: bool,
    ) -> report.AlignedExample:
        node, batch = self.axis.node, measured.batch
        values, count = (part[row] for part in batch.inputs[node.key])
        numbers = true_numbers(batch.targets[self.node.column][row].tolist())
        named = tuple(self.names[number] for number in numbers)
        expected = tuple(true) if len(true) == len(numbers) else named
        length = self.axis.length(int(count))
        read = self._stretches(measured, row, answer, [self.names[n] for n in answer], length)
        known = () if right else self._stretches(measured, row, numbers, expected, length)
        place = self.rows.place(measured.rows, row)
        if isinstance(node, AudioInput):
            drawn = spectrogram(node, values[: int(count)])
            edges = f"{drawn.low:,.0f} Hz", f"{drawn.high:,.0f} Hz"
            return report.AlignedExample(
                drawn.png, length, drawn.extent, read, expected, known, 0, *edges, place
            )
        shown, high = self.rows.picture(batch, row), node.picture.features
        return report.AlignedExample(
            shown, length, length, read, expected, known, high, place=place
        )

    def _stretches(
        self,
        measured: MeasuredBatch,
        row: int,
        numbers: Sequence[int],
        tokens: Sequence[str],
        length: float,
    ) -> tuple[report.Stretch, ...]:
        """Those of `numbers`, whose names are `tokens`; none where no path reads as them."""
        if not numbers or not length:
            return ()
        with torch.inference_mode():
            steps = self._steps(measured, row, numbers)
        return self.axis.stretches(tokens, steps, length) if steps else ()

    def _steps(self, measured: MeasuredBatch, row: int, numbers: Sequence[int]) -> Spans:
        column, plan = self.node.column, self.model.plan
        lengths = measured.batch.inputs[self.axis.node.key][1]
        own = steps_in(self.axis.node, lengths[row : row + 1])
        count = int(steps_at(plan, self.node.source, own)[0])
        if isinstance(self.node, CtcOutput):
            return ctc_steps(measured.forward.logits[column][row, :count].cpu(), numbers)
        inputs = {
            key: (values[row : row + 1], lengths[row : row + 1])
            for key, (values, lengths) in measured.forward.inputs.items()
        }
        targets = {key: of[row : row + 1] for key, of in measured.forward.targets.items()}
        device = targets[column].device
        targets[column] = torch.tensor([[*numbers, END_ID]], device=device)
        arcs = self.model(inputs, targets)[column][0, :count].double().cpu().numpy()
        return tuple((step, step) for step in transducer_steps(arcs))


def ctc_steps(logs: Tensor, numbers: Sequence[int]) -> Spans:
    """The first and the last step of each token on the most probable path that reads as `numbers`,
    from log-probabilities `[T, size]`; none where they have more tokens than there are steps."""
    repeats = sum(one == other for one, other in pairwise(numbers))
    if len(numbers) + repeats > len(logs):
        return ()
    tokens = torch.tensor([list(numbers)])
    found = spans(logs[None].double(), tokens, torch.tensor([len(numbers)]))
    return tuple((first, last) for first, last in found[0].tolist())


def transducer_steps(arcs: NDArray[Any]) -> tuple[int, ...]:
    """The step at which each token is written on the most probable path, from log-probabilities
    `[T, U + 1, 2]` of the blank and of the next token; of equal paths the one that writes earlier
    (Viterbi 1967)."""
    steps, count = arcs.shape[0], arcs.shape[1] - 1
    best = np.full((steps, count + 1), -np.inf)
    best[0, 0] = 0.0
    written = np.zeros((steps, count + 1), np.bool_)
    for step in range(steps):
        for at in range(count + 1):
            stayed = best[step - 1, at] + arcs[step - 1, at, 0] if step else -np.inf
            wrote = best[step, at - 1] + arcs[step, at - 1, 1] if at else -np.inf
            written[step, at] = at > 0 and wrote > stayed
            best[step, at] = max(best[step, at], stayed, wrote)
    step, at, found = steps - 1, count, list[int]()
    while at:
        if written[step, at] or step == 0:
            at -= 1
            found.append(step)
        else:
            step -= 1
    return tuple(reversed(found))
