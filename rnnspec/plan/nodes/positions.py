"""Answers that are steps of the input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.cells.initializers import Constant
from rnnspec.plan.nodes.node import Shape, Shapes, Weight, named
from rnnspec.plan.nodes.outputs import OutputNode

NOWHERE = -1
"""The answer where there is no position."""


@dataclass(frozen=True, slots=True)
class PositionOutput(OutputNode):
    """Scores `[B, T, marks]` of each step to a position (`marks` 1), or to the first and the last
    step of a span (`marks` 2; Rajpurkar et al. 2016, SQuAD; scored as by Devlin et al. 2019, BERT,
    section 4.2).

    Of a row of n steps and a mark, z_1 to z_n are the scores of its steps, and z_0 is that of no
    position: with `none` the mark's own of the weights `none`, else -inf, but 0 in a row without
    steps. p = softmax(z) over the row's own steps and none. Choices are numbered likewise: 0 is
    none, j + 1 is step j. The loss is the sum over marks of -ln p of the true choice.

    A position is answered as the step of the largest p, of equal ones the first, `NOWHERE` for
    none. A span is the pair of a first step s and a last one e, s <= e, of at most `longest` steps
    (0: any number), or none at both, with the largest ln p_s + ln p_e; of equal ones none, then the
    one that ends first, then the one that begins first.

    `tokens` names the `TokensInput` whose tokens stand at the steps, "" where there is none: with
    it the text of what is answered is told too.
    """

    marks: int = 1
    longest: int = 0
    none: bool = False
    tokens: str = ""

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.tokens)

    def weights(self) -> Iterator[Weight]:
        if self.none:
            yield Weight(f"{self.name}.none", (self.marks,), Constant(0.0))

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", self.axis, self.marks))
        return ("B",) if self.marks == 1 else ("B", self.marks)
