"""Nodes of forecasts that answer how far the values ahead are from those of the past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rnnspec.plan.nodes.node import Shape, Shapes, SourceNode


@dataclass(frozen=True, slots=True)
class SeasonAgo(SourceNode):
    """The values of the last season of a series `[B, T, 1]`, again for each of the steps ahead:
    `[B, horizon, 1]`, a sequence on the axis of the answer, or with `flat` a vector `[B, horizon]`.

    Step h from 0 has the value of step n - season + h mod season of a row of n steps; the last
    value if n < season, and 0 if n = 0. It is the naive forecast of the series as it is scaled
    (Hyndman and Athanasopoulos 2021, section 5.2).
    """

    season: int
    horizon: int
    flat: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "T", 1))
        return ("B", self.horizon) if self.flat else ("B", "U", 1)


@dataclass(frozen=True, slots=True)
class AddBase(SourceNode):
    """Raw numbers `[..., steps * parameters]`, the first step first, to `moved` of whose numbers of
    a step, from number `first` on, the number of the step in `base` `[..., steps]` is added."""

    base: str
    steps: int
    parameters: int
    moved: int
    first: int = 0

    pointwise: ClassVar[bool] = True

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.base)

    def shape(self, shapes: Shapes) -> Shape:
        shapes.each_vector(self, self.base, self.steps, self.steps)
        wide = self.steps * self.parameters
        return shapes.each_vector(self, self.source, wide, wide)


def spread(node: AddBase) -> tuple[tuple[float, ...], ...]:
    """The matrix `[steps * parameters, steps]` with which base becomes what is added."""
    numbers = ((step, at) for step in range(node.steps) for at in range(node.parameters))
    return tuple(
        tuple(
            float(0 <= at - node.first < node.moved and column == step)
            for column in range(node.steps)
        )
        for step, at in numbers
    )
