"""Nodes of what a series was some steps before, and of the steps that are run through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.plan.nodes.node import Shape, Shapes, SourceNode, State, named


@dataclass(frozen=True, slots=True)
class Lags(SourceNode):
    """The values of a series `[B, T, 1]` some steps before each of its steps, `[B, T, L]`.

    At step t from 0 number i is the value at step t - lags[i], and 0, the mean of what is scaled,
    where that is before the first step (lagged values as inputs: Salinas et al. 2020, DeepAR, as
    gluonts has it).
    """

    lags: tuple[int, ...]

    def shape(self, shapes: Shapes) -> Shape:
        rows, steps, width = shapes[self.source]
        assert width == 1, f"{self.source} is no series"
        return (rows, steps, len(self.lags))

    def carried(self) -> tuple[State, ...] | None:
        return None


@dataclass(frozen=True, slots=True)
class LagsAhead(SourceNode):
    """The lagged values of a series `[B, T, 1]` at the steps ahead, `[B, horizon, L]`: a sequence
    on the axis of the answer.

    At step h from 0 of a row of n steps number i is the value at step n + h - lags[i], and 0 where
    that is before the first step. Where it is ahead itself, it is the value in `ahead`, what is
    known beforehand, `[B, horizon, 1]`; without one it is the value of as many lags before as lead
    into the past, so that lag 7 of days is the last one of the same weekday.

    With `flat`, the value is a vector: of each lag in turn the values at the steps ahead h < lag,
    which are all that there are of it in the past.
    """

    lags: tuple[int, ...]
    horizon: int
    ahead: str = ""
    flat: bool = False

    @property
    def width(self) -> int:
        """Width of the value, of all steps together if it is flat."""
        return len(places_of(self)) if self.flat else len(self.lags)

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.ahead)

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "T", 1))
        if self.ahead:
            shapes.expect(self, self.ahead, ("B", "U", 1))
        return ("B", self.width) if self.flat else ("B", "U", self.width)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lagged value ahead stands: `back` steps before the end of the past (1: at its last
    step) or, where that is known, at the step `later` ahead, from 0."""

    back: int
    later: int | None = None


def places_of(node: LagsAhead) -> tuple[Place, ...]:
    """The places of all numbers of the value of a row, in order."""
    if node.flat:
        return tuple(Place(lag - h) for lag in node.lags for h in range(min(lag, node.horizon)))
    numbers = ((h, lag) for h in range(node.horizon) for lag in node.lags)
    known = bool(node.ahead)
    return tuple(
        Place(1, h - lag) if known and h >= lag else Place(lag - h % lag) for h, lag in numbers
    )


@dataclass(frozen=True, slots=True)
class Latest(SourceNode):
    """The last `steps` steps of each row of a sequence `[B, T, W]`, or all of a row that has no
    more: what layers run through, where lags are read before it."""

    steps: int

    def shape(self, shapes: Shapes) -> Shape:
        rows, steps, *widths = shapes[self.source]
        assert steps == "T", f"{self.name} reads steps of {steps}"
        return (rows, "T.latest", *widths)

    def carried(self) -> tuple[State, ...] | None:
        return None
