"""Outputs that answer a step of the row, or the ends of a span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from rnnspec.evaluate.examples import Drawn, Kept, Rows, joined
from rnnspec.evaluate.metrics import PositionMetrics
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputKind, OutputScore
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.nodes import PositionOutput, TokensInput
from rnnspec.report import model as report
from rnnspec.spec.named_metrics import places_of
from rnnspec.to_torch import Model
from rnnspec.to_torch.positions import PositionOutput as PositionModule
from rnnspec.to_torch.positions import Positions

WRONG, RIGHT = 10, 5
NONE = "(none)"


def _add_positions(
    node: PositionOutput, sums: PositionMetrics, model: Model, measured: MeasuredBatch
) -> Positions:
    module, forward = model.output(node.column), measured.forward
    assert isinstance(module, PositionModule)
    found = module.answer(forward.logits[node.column])
    broken = found.logs.isnan().flatten(1).any(1)
    sums.add(found.choices.reshape(-1, node.marks), forward.targets[node.column], broken)
    return found


class PositionExamples:
    """The mistakes that the model was surest of, and right answers drawn at random."""

    def __init__(self, node: PositionOutput, rows: Rows) -> None:
        self.node, self.rows = node, rows
        self.wrong: Kept[report.Example] = Kept(WRONG)
        self.right: Drawn[report.Example] = Drawn(RIGHT)

    def see(self, measured: MeasuredBatch) -> None:
        found = measured.answers[self.node.column]
        assert isinstance(found, Positions)
        choices = found.choices.cpu().reshape(-1, self.node.marks)
        shares = found.logs.double().exp().cpu().gather(1, choices[:, None])[:, 0].prod(1)
        targets = measured.batch.targets[self.node.column].tolist()
        for row, (true, answer) in enumerate(zip(targets, choices.tolist(), strict=True)):
            if min(true) >= 0:
                self._offer(measured, row, true, answer, float(shares[row]))

    def _offer(
        self,
        measured: MeasuredBatch,
        row: int,
        true: Sequence[int],
        answer: Sequence[int],
        share: float,
    ) -> None:
        def example() -> report.Example:
            text, place = self.rows.text(measured.batch, row), self.rows.place(measured.rows, row)
            wanted, told = (self._told(measured, row, each) for each in (true, answer))
            picture = self.rows.picture(measured.batch, row)
            marked = self._marked(measured, row, true, answer) if self.node.tokens else None
            return report.Example(
                text, wanted, told, share, place=place, picture=picture, marked=marked
            )

        if true == answer:
            self.right.offer(example)
        else:
            self.wrong.offer(share, example)

    def _told(self, measured: MeasuredBatch, row: int, choices: Sequence[int]) -> str:
        """`3 to 4: New York`."""
        if choices[0] == 0:
            return NONE
        first, last = choices[0] - 1, choices[-1] - 1
        steps = str(first) if first == last else f"{first} to {last}"
        if not self.node.tokens:
            return steps
        source, tokens = self._tokens(measured, row)
        return f"{steps}: {joined(source.kind, tokens[first : last + 1])}"

    def _tokens(self, measured: MeasuredBatch, row: int) -> tuple[TokensInput, tuple[str, ...]]:
        """The text whose tokens stand at the steps, and these."""
        source = self.rows.plan.node(self.node.tokens)
        assert isinstance(source, TokensInput)
        return source, self.rows.tokens(source, measured.batch, row)

    def _marked(
        self, measured: MeasuredBatch, row: int, true: Sequence[int], answer: Sequence[int]
    ) -> report.Marked:
        """The text with both places in it; what other encoders read stands beside it."""
        source, tokens = self._tokens(measured, row)
        expected, answered = (
            report.Span(each[0] - 1, each[-1], "") if each[0] else None for each in (true, answer)
        )
        joint = "" if source.kind == "chars" else " "
        beside = self.rows.text(measured.batch, row, without=source.name)
        return report.Marked(tokens, expected, answered, joint, beside)

    def sections(self) -> tuple[report.Section, ...]:
        found = (*self.wrong.values(), *self.right.values())
        if not found:
            return ()
        text = "The mistakes that the model was surest of, then right answers drawn at random."
        return (report.Examples("Examples", found, "nothing", "probability", text),)


@dataclass(slots=True)
class FirstPlaces:
    """`accuracy@k` of positions: how often the true choice is among the likeliest k; of equal ones
    the first is likelier."""

    node: PositionOutput
    names: Sequence[str]
    rows: int = 0
    right: dict[str, int] = field(default_factory=dict)

    def see(self, measured: MeasuredBatch) -> None:
        found, targets = measured.answers[self.node.column], measured.forward.targets
        assert isinstance(found, Positions)
        true = targets[self.node.column][:, 0]
        known = true >= 0
        logs, true = found.logs[known][..., 0], true[known, None]
        own = logs.gather(1, true)
        before = torch.arange(logs.shape[1], device=logs.device) < true
        place = ((logs > own) | ((logs == own) & before)).sum(1)
        self.rows += len(true)
        for name in self.names:
            count = int((place < (places_of(name) or 0)).sum())
            self.right[name] = self.right.get(name, 0) + count

    def values(self) -> dict[str, float]:
        nothing = float("nan")
        return {n: self.right.get(n, 0) / self.rows if self.rows else nothing for n in self.names}


def _score_positions(
    node: PositionOutput,
    known: ColumnFacts,
    sums: PositionMetrics,
    kept: PositionExamples,
    new: Mapping[str, int],
) -> OutputScore:
    naive = {"accuracy": sums.first / sums.rows} if node.marks == 1 and sums.rows else {}
    name = "the first step" if naive else ""
    return OutputScore(node, sums.values(), naive, name, sections=kept.sections())


POSITIONS = OutputKind(
    lambda node, loss, new: PositionMetrics(node.marks),
    _add_positions,
    lambda node, known, rows, model, new, loss: PositionExamples(node, rows),
    _score_positions,
    lambda node: ("accuracy",) if node.marks == 1 else ("token_f1", "exact_match"),
)
