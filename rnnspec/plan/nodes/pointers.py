"""A decoder whose answers are steps of the input: pointer networks (Vinyals et al. 2015)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, Literal

from rnnspec.cells.initializers import Uniform
from rnnspec.plan.nodes.node import Shape, Shapes, SourceNode, Weight, affine, named
from rnnspec.plan.nodes.search import GREEDY, Search

FIRST_STEP = 2
"""The number of step 0; step j has the number j + 2. Number 0 is the end of an answer and the mark
before its first step, and number 1, the unknown of a vocabulary, is never answered."""


@dataclass(frozen=True, slots=True)
class Pointed(SourceNode):
    """The vector of the step that was answered before each step, `[B, U, width]`: m_j of `memory`
    for the number j + 2 of `source` `[B, U]`, before the first step the weight `first` (Vinyals et
    al. 2015, section 2.3)."""

    memory: str
    width: int

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.memory)

    def weights(self) -> Iterator[Weight]:
        yield Weight(f"{self.name}.first", (self.width,), Uniform(1 / sqrt(self.width)))

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "U"))
        _check_memory(self.name, shapes[self.memory], self.width)
        return ("B", "U", self.width)


@dataclass(frozen=True, slots=True)
class Pointer(SourceNode):
    """Scores of the numbers of all steps, `[B, U, 2 + T]`, for the queries q of `source`: of step j
    of `memory` v · tanh(W_q q + W_m m_j + b) (Vinyals et al. 2015, equation 3), of the end
    v · tanh(W_q q + `end`), a step that is learned; -inf of number 1 and past a row's length."""

    memory: str
    query_width: int
    memory_width: int
    units: int

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.memory)

    def weights(self) -> Iterator[Weight]:
        yield from affine(self, self.units, self.query_width, "W_q", None)
        yield from affine(self, self.units, self.memory_width, "W_m")
        uniform = Uniform(1 / sqrt(self.units))
        yield from (Weight(f"{self.name}.{name}", (self.units,), uniform) for name in ("v", "end"))

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "U", self.query_width))
        _check_memory(self.name, shapes[self.memory], self.memory_width)
        return ("B", "U", f"{FIRST_STEP} + T")


def _check_memory(name: str, found: Shape, width: int) -> None:
    assert found == ("B", "T", width), f"{name} points at steps of {width} numbers, found {found}"


@dataclass(frozen=True, slots=True)
class PointerOutput(SourceNode):
    """The steps of `memory` that a decoder points at one after the other, found by `search`.

    Scores `[B, U, 2 + T]` of the numbers of `Pointer`. An answer ends where the end is pointed at;
    a row without steps answers nothing. A search with `no_repeat` 1 never points at a step twice.
    """

    column: str
    memory: str
    search: Search = GREEDY

    kind: ClassVar[Literal["tokens"]] = "tokens"
    size: ClassVar[int] = FIRST_STEP
    prompt: ClassVar[str] = ""

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.memory)

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "U", f"{FIRST_STEP} + T"))
        return ("B", "U")
