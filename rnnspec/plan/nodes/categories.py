"""Nodes of labels that change with the steps of series."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.plan.nodes.node import ColumnNode, Shape, Shapes, SourceNode, State


@dataclass(frozen=True, slots=True)
class CategoriesInput(ColumnNode):
    """The label of each step of the past in `column`, as numbers `[B, T]` below `size`, with their
    lengths `[B]`; a label that no training row has, or a missing one, is the unknown. While
    training, each is with the probability `unknown`, so that its vector learns."""

    size: int
    unknown: float = 0.0

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis)


@dataclass(frozen=True, slots=True)
class CategoriesFuture(ColumnNode):
    """The labels of the steps ahead, known beforehand, as numbers `[B, horizon]` like those of a
    `CategoriesInput`: a sequence on the axis of the answer, equally long in all rows."""

    size: int
    horizon: int
    unknown: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.column}.future"

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", "U")

    def carried(self) -> tuple[State, ...] | None:
        return None


@dataclass(frozen=True, slots=True)
class AheadFlat(SourceNode):
    """A sequence on the axis of the answer `[B, steps, width]` as one vector
    `[B, steps * width]`, the first step first: what a head reads that answers all steps at once."""

    steps: int
    width: int

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "U", self.width))
        return ("B", self.steps * self.width)
