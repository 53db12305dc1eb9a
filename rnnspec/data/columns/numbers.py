"""Columns of numbers: one a row, a vector a row, a vector a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rnnspec.data import decode
from rnnspec.data.cache import Column
from rnnspec.data.columns.base import Lengths, lengths_of
from rnnspec.data.decode import Floats
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import Moments
from rnnspec.errors import DataError
from rnnspec.plan.facts import NumericFacts

Shape = Literal["number", "vector", "frames"]


@dataclass(frozen=True, slots=True)
class NumberCells:
    """Reads the cells of a column of numbers, each as steps `[T, width]`, T 1 but for frames.

    With `missing`, NaN stands for a missing number, and a cell or all of whose steps are missing
    has width 0. Frames of a `stream` may be any number.
    """

    column: str
    shape: Shape
    missing: bool = False
    elapsed: int | None = None
    stream: bool = False

    def steps(
        self, chunk: Chunk, bad: BadRows, checked: Callable[[Floats], Floats]
    ) -> list[Floats]:
        """The steps of each row, as `checked` gives them back."""

        def decoded(cell: object) -> Floats:
            return checked(self._decoded(cell, chunk.textual))

        return bad.decoded(chunk, self.column, decoded)

    def _decoded(self, cell: object, textual: bool) -> Floats:
        match self.shape:
            case "number":
                return decode.number(cell, textual, self.missing)[None]
            case "vector":
                return decode.vector(cell, textual, self.missing)[None]
            case "frames":
                steps = decode.frames(cell, textual, self.missing)
                if not self.stream:
                    decode.check_length(len(steps))
                return steps

    @property
    def are_steps(self) -> bool:
        return self.shape == "frames"


@dataclass(slots=True)
class NumberCollector:
    """Facts of numbers; the first row that has some sets the width."""

    cells: NumberCells
    width: int = 0
    longest: int = 0
    moments: Moments = field(default_factory=Moments)

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        rows = self.cells.steps(chunk, bad, self._checked)
        lengths = lengths_of(rows)
        self.longest = max(self.longest, int(lengths.max(initial=0)))
        some = [row for row in rows if row.size]
        if some:
            self.moments.add(np.concatenate(some))
        return lengths if self.cells.are_steps else None

    def _checked(self, steps: Floats) -> Floats:
        if steps.size:
            self.width = self.width or steps.shape[1]
            if steps.shape[1] != self.width:
                raise DataError(
                    f"has width {steps.shape[1]}, the rows before have width {self.width}"
                )
        return steps

    def facts(self) -> NumericFacts:
        if not self.width:
            what = "step" if self.cells.are_steps else "number"
            raise DataError(f"no {what} in any training row")
        self.moments.check()
        self.moments.check_size()
        moments = self.moments
        return NumericFacts(
            self.width, moments.mean(), moments.deviation(), self.longest, moments.lost()
        )


@dataclass(frozen=True, slots=True)
class NumberWriter:
    """Writes the steps, or the vector of each row."""

    cells: NumberCells
    width: int
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        rows = self.cells.steps(chunk, bad, self._checked)
        self.values.append(np.concatenate([np.zeros((0, self.width)), *rows]))
        return lengths_of(rows) if self.cells.are_steps else None

    def _checked(self, steps: Floats) -> Floats:
        if not steps.size:
            steps = np.full((len(steps), self.width), np.nan)
        if steps.shape[1] != self.width:
            width = steps.shape[1]
            raise DataError(f"has width {width}, the training rows have width {self.width}")
        if self.cells.elapsed is not None:
            decode.check_elapsed(steps, self.cells.elapsed)
        return steps
