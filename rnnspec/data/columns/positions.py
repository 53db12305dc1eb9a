"""Columns of steps of the input: a position, or the first and the last step of a span.

A choice is 0 for none and j + 1 for step j; SKIPPED is a missing answer that is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import SKIPPED, PerRow, Texts
from rnnspec.data.columns.base import ColumnKind, Encoding, Lengths, RaggedWriter, lengths_of
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import Moments
from rnnspec.errors import DataError
from rnnspec.plan.facts import PositionFacts
from rnnspec.plan.nodes import FIRST_STEP, PointerOutput, PositionOutput

T = TypeVar("T")
NONE = 0
"""The choice of no step."""
MOST = 2**53
"""A number from which on there is no step: those of any row are below."""
NO_STEP = "with 'none: true' in the output, null in the whole cell says that there is none"
NO_STEPS = "an empty list says that there are none"
"""How a cell says so, of outputs that answer one step or span, and of lists."""


def position(cell: object, textual: bool = False) -> int:
    """The number of a step, from 0. Raises DataError."""
    found: object = decode.real(cell, textual) if textual else cell
    return _step(found, "the number of a step, from 0", NO_STEP)


def positions(cell: object, textual: bool = False, no_step: str = NO_STEPS) -> list[int]:
    """The numbers of several steps, from 0. Raises DataError, of a number below 0 with how a cell
    says that there is `no_step`."""
    expected = "a list of the numbers of steps, from 0"
    found = decode.json_list(cell, textual, expected)
    if textual:  # columns of numbers that data.table joins
        found = [decode.real(each, True) if isinstance(each, str) else each for each in found]
    each = enumerate(found, start=1)
    return [_step(value, expected, no_step, f"entry {at} ") for at, value in each]


def span(cell: object, textual: bool = False) -> list[int]:
    """The numbers of the first and the last step. Raises DataError."""
    found = positions(cell, textual, NO_STEP)
    if len(found) != 2:
        raise DataError(f"is a list of {len(found)}, expected the first and the last step")
    if found[0] > found[1]:
        raise DataError(f"begins at step {found[0]} and ends before it, at step {found[1]}")
    return found


def _step(value: object, expected: str, no_step: str, place: str = "") -> int:
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (whole or isinstance(value, int)):
        raise decode.refused(value, expected, place)
    assert isinstance(value, int | float)
    if value < 0:
        raise DataError(f"{place}is {value:.12g}, and steps are counted from 0; {no_step}")
    if value >= MOST:
        raise DataError(f"{place}is {value:.12g}, counted from 0, and no row has so many steps")
    return int(value)


@dataclass(frozen=True, slots=True)
class PositionCells:
    """How the cells of a column are read: the choices of `marks` (2 of a span). A missing one is
    none, or with `skips` left out."""

    column: str
    marks: int
    none: bool
    skips: bool

    def read(self, chunk: Chunk, bad: BadRows) -> NDArray[np.int64]:
        """`[rows, marks]`."""

        def decoded(cell: object) -> list[int]:
            if (self.none or self.skips) and self._is_missing(cell, chunk.textual):
                return [NONE if self.none else SKIPPED] * self.marks
            if self.marks == 1:
                return [1 + position(cell, chunk.textual)]
            return [1 + step for step in span(cell, chunk.textual)]

        found = bad.decoded(chunk, self.column, decoded)
        return np.array(found, np.int64).reshape(-1, self.marks)

    def _is_missing(self, cell: object, textual: bool) -> bool:
        """Whether there is no answer: in columns that data.table joins, none in each of them."""
        if isinstance(cell, list) and len(cell) == self.marks > 1:
            return all(decode.is_missing(each, textual) for each in cell)
        return decode.is_missing(cell, textual)

    def counts(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The steps of each answer that there is."""
        known = choices[choices[:, 0] > NONE]
        return np.asarray(known[:, -1] - known[:, 0] + 1)

    def check(
        self, choices: NDArray[np.int64], chunk: Chunk, lengths: Lengths, bad: BadRows
    ) -> None:
        """Notes rows that point past their end."""
        last = choices[:, -1]
        for at in np.flatnonzero(last > lengths).tolist():
            count = "1 step" if lengths[at] == 1 else f"{lengths[at]} steps"
            bad.add(
                chunk.lines[at],
                f"column {self.column!r} is step {last[at] - 1}, counted from 0, and the row has"
                f" {count}",
            )


class StepCells(Protocol[T]):
    """How a column of steps is read, what its cells count, and whether rows have these steps."""

    def read(self, chunk: Chunk, bad: BadRows) -> T: ...

    def counts(self, found: T) -> NDArray[np.int64]: ...

    def check(self, found: T, chunk: Chunk, lengths: Lengths, bad: BadRows) -> None: ...


@dataclass(slots=True)
class StepsCollector(Generic[T]):
    """Collects the facts of a column of steps: how many its answers have."""

    cells: StepCells[T]
    added: T | None = None
    lengths: Moments = field(default_factory=Moments)
    longest: int = 0

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.added = self.cells.read(chunk, bad)
        counts = self.cells.counts(self.added)
        self.longest = max(self.longest, int(counts.max(initial=0)))
        self.lengths.add(counts[:, None].astype(np.float64))

    def check_steps(self, chunk: Chunk, lengths: Lengths, bad: BadRows) -> None:
        assert self.added is not None, "cells are added first"
        self.cells.check(self.added, chunk, lengths, bad)

    def facts(self) -> PositionFacts:
        if not self.longest:
            raise DataError("no step in any training row; an answer needs some")
        return PositionFacts(self.longest, self.lengths.mean()[0], self.lengths.deviation()[0])


@dataclass(slots=True)
class PositionWriter:
    """Writes the choices of each row."""

    cells: PositionCells
    values: Column
    added: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 1), np.int64))

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.added = self.cells.read(chunk, bad)
        self.values.append(self.added)

    def check_steps(self, chunk: Chunk, lengths: Lengths, bad: BadRows) -> None:
        self.cells.check(self.added, chunk, lengths, bad)


@dataclass(frozen=True, slots=True)
class ListCells:
    """How lists of steps are read: as numbers j + 2 of step j; `once`: no step twice."""

    column: str
    once: bool

    def read(self, chunk: Chunk, bad: BadRows) -> list[list[int]]:
        """The numbers of each row."""

        def decoded(cell: object) -> list[int]:
            found = positions(cell, chunk.textual)
            if self.once and len(set(found)) < len(found):
                twice = next(step for step in found if found.count(step) > 1)
                raise DataError(f"has step {twice} twice, and the spec says 'once: true'")
            return [FIRST_STEP + step for step in found]

        return bad.decoded(chunk, self.column, decoded)

    def counts(self, rows: list[list[int]]) -> NDArray[np.int64]:
        """The steps of each list."""
        return lengths_of(rows)

    def check(self, rows: list[list[int]], chunk: Chunk, lengths: Lengths, bad: BadRows) -> None:
        """Notes rows that point past their end."""
        last = np.array([max(row, default=0) for row in rows], np.int64)[:, np.newaxis]
        PositionCells(self.column, 1, False, False).check(last - 1, chunk, lengths, bad)


@dataclass(slots=True)
class ListWriter:
    """Writes the numbers of each row."""

    cells: ListCells
    rows: RaggedWriter
    added: list[list[int]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.added = self.cells.read(chunk, bad)
        flat = [number for row in self.added for number in row]
        self.rows.append(np.array(flat, np.int32), lengths_of(self.added))

    def check_steps(self, chunk: Chunk, lengths: Lengths, bad: BadRows) -> None:
        self.cells.check(self.added, chunk, lengths, bad)


def _list_encoder(encoding: Encoding, node: PointerOutput, name: str, writer: Writer) -> ListWriter:
    # Whether a step may stand twice is asked of the training rows alone.
    return ListWriter(ListCells(node.column, False), RaggedWriter.new(writer, name, "<i4"))


POINTERS = ColumnKind(
    settings=lambda encoding, node: [node.column, "positions"],
    encoder=_list_encoder,
    batch=lambda encoding, node, name, arrays: Texts(arrays[name], arrays[f"{name}.offsets"]),
)


def _encoder(encoding: Encoding, node: PositionOutput, name: str, writer: Writer) -> PositionWriter:
    cells = PositionCells(node.column, node.marks, node.none, encoding.skips(node))
    return PositionWriter(cells, writer.column(name, "<i8", node.marks))


POSITION = ColumnKind(
    settings=lambda encoding, node: [node.column, "position", node.marks, node.none],
    encoder=_encoder,
    batch=lambda encoding, node, name, arrays: PerRow(arrays[name]),
)
