"""Outputs that point at steps of the row, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from rnnspec.evaluate.examples import Drawn, Kept, Rows
from rnnspec.evaluate.metrics import PointerMetrics
from rnnspec.evaluate.metrics.texts import true_numbers
from rnnspec.evaluate.outputs.classes import CROSS_ENTROPY
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputKind, OutputScore
from rnnspec.evaluate.outputs.next_tokens import best
from rnnspec.evaluate.outputs.texts import as_greedy
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.nodes import FIRST_STEP, PointerOutput
from rnnspec.report import model as report
from rnnspec.to_torch import Model
from rnnspec.to_torch.search import Texts

WRONG, RIGHT = 10, 5


def _add_pointers(
    node: PointerOutput, sums: PointerMetrics, model: Model, measured: MeasuredBatch
) -> Texts:
    search = as_greedy(node.search) if measured.greedy else None
    inputs, seeds = measured.forward.inputs, measured.seeds
    found = model.answers(inputs, seeds, search=search)[node.column]
    assert isinstance(found, Texts)
    broken = found.scores[:, 0].isnan().tolist()
    sums.add(best(found), measured.forward.targets[node.column], broken)
    return found


class PointerExamples:
    """The mistakes that the model was surest of, and right answers drawn at random."""

    def __init__(self, node: PointerOutput, rows: Rows) -> None:
        self.node, self.rows = node, rows
        self.wrong: Kept[report.Example] = Kept(WRONG)
        self.right: Drawn[report.Example] = Drawn(RIGHT)

    def see(self, measured: MeasuredBatch) -> None:
        found = measured.answers[self.node.column]
        assert isinstance(found, Texts)
        targets = measured.batch.targets[self.node.column].tolist()
        for row, (answer, target) in enumerate(zip(best(found), targets, strict=True)):
            true, score = true_numbers(target), float(found.scores[row, 0])
            example = partial(self._example, measured, row, true, answer, score)
            if list(answer) == list(true):
                self.right.offer(example)
            else:
                self.wrong.offer(score / (len(answer) + 1), example)

    def _example(
        self,
        measured: MeasuredBatch,
        row: int,
        true: Sequence[int],
        answer: Sequence[int],
        score: float,
    ) -> report.Example:
        text, place = self.rows.text(measured.batch, row), self.rows.place(measured.rows, row)
        wanted, told = (
            " ".join(str(number - FIRST_STEP) for number in each) for each in (true, answer)
        )
        picture = self.rows.picture(measured.batch, row)
        return report.Example(text, wanted, told, score, place=place, picture=picture)

    def sections(self) -> tuple[report.Section, ...]:
        found = (*self.wrong.values(), *self.right.values())
        if not found:
            return ()
        text = "The mistakes that the model was surest of, then right answers drawn at random."
        return (report.Examples("Examples", found, "words", "ln p", text),)


def _score_pointers(
    node: PointerOutput,
    known: ColumnFacts,
    sums: PointerMetrics,
    kept: PointerExamples,
    new: Mapping[str, int],
) -> OutputScore:
    return OutputScore(node, sums.values(), sections=kept.sections())


POINTERS = OutputKind(
    lambda node, loss, new: PointerMetrics(),
    _add_pointers,
    lambda node, known, rows, model, new, loss: PointerExamples(node, rows),
    _score_pointers,
    lambda node: ("exact_match", "place_accuracy"),
    lambda node: {"loss": CROSS_ENTROPY},
)
