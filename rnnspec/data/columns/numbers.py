"""Columns of numbers: one a row, a vector a row, a vector a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import BatchColumn, NextFrames, PerRow, Ragged, Steps
from rnnspec.data.columns.base import (
    Arrays,
    ColumnKind,
    Encoding,
    Lengths,
    RaggedWriter,
    lengths_of,
)
from rnnspec.data.columns.possible import check_possible
from rnnspec.data.decode import Floats
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import Table
from rnnspec.data.statistics import Moments
from rnnspec.errors import DataError
from rnnspec.plan.facts import NumericFacts
from rnnspec.plan.nodes import (
    ForecastOutput,
    FramesInput,
    FramesOutput,
    NumericOutput,
    SeriesInput,
    VectorInput,
)
from rnnspec.spec.distributions import DistributionName

Shape = Literal["number", "vector", "frames"]


@dataclass(frozen=True, slots=True)
class NumberCells:
    """Reads the cells of a column of numbers, each as steps `[T, width]`; T is 1 except of frames.

    With `missing`, a missing number is NaN, and a cell that is missing, or whose steps all are, has
    width 0. In a `stream` rows may have any number of frames; steps that stand `apart` are not on
    the time axis that all sequences of a row share. Numbers are those that a `distribution` is of.
    """

    column: str
    shape: Shape
    missing: bool = False
    elapsed: int | None = None
    stream: bool = False
    apart: bool = False
    distribution: DistributionName = "point"

    def steps(
        self, chunk: Chunk, bad: BadRows, checked: Callable[[Floats], Floats]
    ) -> list[Floats]:
        """The steps of each row, passed through `checked`."""

        def decoded(cell: object) -> Floats:
            found = self._decoded(cell, chunk.textual)
            return checked(check_possible(found, self.distribution))

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
        return self.shape == "frames" and not self.apart


@dataclass(slots=True)
class NumberCollector:
    """Collects the facts of numbers; the first row that has any sets the width."""

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
        rows = self.cells.steps(chunk, bad, self.checked)
        self.values.append(np.concatenate([np.zeros((0, self.width)), *rows]))
        return lengths_of(rows) if self.cells.are_steps else None

    def checked(self, steps: Floats) -> Floats:
        """The steps, of the width wanted. Raises DataError."""
        if not steps.size:
            steps = np.full((len(steps), self.width), np.nan)
        if steps.shape[1] != self.width:
            width = steps.shape[1]
            raise DataError(f"has width {width}, the training rows have width {self.width}")
        if self.cells.elapsed is not None:
            decode.check_elapsed(steps, self.cells.elapsed)
        return steps


@dataclass(frozen=True, slots=True)
class CensoredWriter:
    """Writes the time of each row, of one that had not ended its negative; `censored` is the column
    that says so."""

    times: NumberWriter
    censored: str

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        cells = self.times.cells
        times = cells.steps(chunk, bad, self.times.checked)
        flags = flags_of(self.censored, cells.missing, chunk, bad)
        if bad.found:
            return
        for line, time, flag in zip(chunk.lines, times, flags, strict=True):
            if flag is None and not np.isnan(time).all():
                message = f"column {self.censored!r} is missing, expected 1 or 0: {cells.column!r}"
                bad.add(line, f"{message} has a time, which had ended or not")
        signs = np.where(np.array(flags, np.float64) == 1, -1.0, 1.0)[:, None]
        self.times.values.append(signs * np.concatenate([np.zeros((0, 1)), *times]))


@dataclass(slots=True)
class CensoredCollector:
    """Collects the facts of times, of which some must have ended."""

    times: NumberCollector
    censored: str
    ended: bool = False

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.times.add(chunk, bad)
        self.ended |= False in flags_of(self.censored, self.times.cells.missing, chunk, bad)

    def facts(self) -> NumericFacts:
        found = self.times.facts()
        if not self.ended:
            raise DataError(
                f"no time that had ended in any training row: column {self.censored!r} is 1 in all,"
                " and nothing says how long a time is"
            )
        return found


def flags_of(column: str, missing: bool, chunk: Chunk, bad: BadRows) -> list[bool | None]:
    """Whether the time of each row had not ended; with `missing` None where nothing is said."""
    return bad.decoded(chunk, column, partial(_flag, textual=chunk.textual, missing=missing))


def _flag(cell: object, textual: bool, missing: bool) -> bool | None:
    if missing and decode.is_missing(cell, textual):
        return None
    number = float(cell) if isinstance(cell, bool) else decode.real(cell, textual)
    if number not in (0.0, 1.0):
        raise DataError(f"has {number:g} where 1 or 0 says whether a time had not ended")
    return bool(number)


@dataclass(slots=True)
class SeriesColumn:
    """Holds one number a row in `dtype`, 4 or 8 bytes each; NaN for a missing one, if allowed."""

    column: str
    missing: bool
    dtype: str = "<f4"
    positive: bool = False
    """Whether all are above 0."""
    distribution: DistributionName = "point"
    found: list[NDArray[np.floating]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        left_out = ", or leave the number out" if self.missing else ""
        cure = f"write 'transform: none' for the input{left_out}"

        def decoded(cell: object) -> float:
            found = decode.real(cell, chunk.textual, self.missing)
            if self.distribution != "point":
                check_possible(np.array([found]), self.distribution)
            return decode.above_0(found, cure) if self.positive else found

        self.found.append(np.array(bad.decoded(chunk, self.column, decoded), self.dtype))

    def values(self, table: Table) -> NDArray[np.floating]:
        """The numbers of all steps, series by series: `[places]`."""
        return table.numbers(np.concatenate(self.found))


@dataclass(slots=True)
class SeriesFrames(SeriesColumn):
    """Holds one number a row as frames of width 1; NaN for no number."""

    def values(self, table: Table) -> NDArray[np.floating]:
        return table.values(np.concatenate(self.found), np.nan)[:, None]


def dtype_of(node: FramesInput | VectorInput | SeriesInput | NumericOutput | FramesOutput) -> str:
    """The type in which numbers are stored."""
    return "<f8" if node.double else "<f4"


def _frames_encoder(
    encoding: Encoding, node: FramesInput, name: str, writer: Writer
) -> NumberWriter:
    missing, stream = node.missing != "error", encoding.reading.stream
    rule = encoding.distribution_of(node.column)
    cells = NumberCells(node.column, "frames", missing, node.elapsed, stream, distribution=rule)
    return NumberWriter(cells, node.width, writer.column(name, dtype_of(node), node.width))


def _frames_settings(encoding: Encoding, node: FramesInput) -> list[object]:
    missing = node.missing != "error"
    rule = encoding.rule_of(node.column)
    return [node.column, "frames", node.width, node.elapsed, missing, node.double, *rule]


FRAMES = ColumnKind(
    settings=_frames_settings,
    encoder=_frames_encoder,
    batch=lambda encoding, node, name, arrays: Steps(arrays[name], 0),
)


def _row_shape(node: VectorInput | NumericOutput) -> Literal["number", "vector"]:
    return "number" if node.single else "vector"


def _vector_encoder(
    encoding: Encoding, node: VectorInput, name: str, writer: Writer
) -> NumberWriter:
    cells = NumberCells(node.column, _row_shape(node), node.missing != "error")
    return NumberWriter(cells, node.width, writer.column(name, dtype_of(node), node.width))


def _vector_settings(encoding: Encoding, node: VectorInput) -> list[object]:
    missing = node.missing != "error"
    return [node.column, "vector", node.width, node.single, missing, node.double]


VECTOR = ColumnKind(
    settings=_vector_settings,
    encoder=_vector_encoder,
    batch=lambda encoding, node, name, arrays: PerRow(arrays[name]),
    static=_row_shape,
)


def _numeric_settings(encoding: Encoding, node: NumericOutput) -> list[object]:
    if node.ahead:
        return [node.column, "next numbers"]
    rule = encoding.rule_of(node.column)
    if node.censored:
        rule.append(encoding.reading.censored[node.column])
    return [node.column, "numeric", node.width, node.single, node.steps, node.double, *rule]


def _numeric_encoder(
    encoding: Encoding, node: NumericOutput, name: str, writer: Writer
) -> NumberWriter | CensoredWriter | None:
    if node.ahead:
        return None
    rule = encoding.distribution_of(node.column)
    cells = NumberCells(node.column, _row_shape(node), encoding.skips(node), distribution=rule)
    if node.steps:
        cells = replace(cells, shape="frames", stream=encoding.reading.stream)
    found = NumberWriter(cells, node.width, writer.column(name, dtype_of(node), node.width))
    return CensoredWriter(found, encoding.reading.censored[node.column]) if node.censored else found


def _numeric_table(encoding: Encoding, node: NumericOutput) -> SeriesFrames | None:
    if not node.steps or node.ahead:
        return None
    rule = encoding.distribution_of(node.column)
    return SeriesFrames(node.column, True, dtype_of(node), distribution=rule)


def _numeric_batch(
    encoding: Encoding, node: NumericOutput, name: str, arrays: Arrays
) -> BatchColumn:
    if node.ahead:
        return NextFrames(values_ahead(encoding, node, arrays))
    return Steps(arrays[name], np.nan) if node.steps else PerRow(arrays[name])


NUMERIC = ColumnKind(_numeric_settings, _numeric_encoder, _numeric_batch, table=_numeric_table)


# ---------------------------------------------------------------- frames that a decoder writes


@dataclass(frozen=True, slots=True)
class RaggedFrames:
    """Writes the frames of each row, in a number of their own; with `count`, just as many."""

    frames: NumberWriter
    rows: RaggedWriter
    count: int

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        found = self.frames.cells.steps(chunk, bad, self._checked)
        steps = [np.zeros((0, self.frames.width)), *found]
        self.rows.append(np.concatenate(steps), lengths_of(found))

    def _checked(self, steps: Floats) -> Floats:
        if self.count and len(steps) != self.count:
            raise DataError(
                f"has {len(steps)} frames, and decoder.length says that there are {self.count}"
            )
        found = self.frames.checked(steps)
        if not self.count and len(found) and np.isnan(found[-1]).all():
            raise DataError(
                "ends with a frame of null alone, which says nothing; remove it, or set"
                " decoder.length to a number or to input if there is a frame at this step"
            )
        return found


def _written_settings(encoding: Encoding, node: FramesOutput) -> list[object]:
    if node.read:
        return [node.column, "frames again"]
    count = node.limit if node.length == "fixed" else 0
    own = node.length == "input"
    return [node.column, "frames written", node.width, own, count, node.double]


def _written_encoder(
    encoding: Encoding, node: FramesOutput, name: str, writer: Writer
) -> NumberWriter | RaggedFrames | None:
    if node.read:
        return None
    if node.length == "input":
        cells, values = NumberCells(node.column, "frames", encoding.skips(node)), writer.column
        return NumberWriter(cells, node.width, values(name, dtype_of(node), node.width))
    rows = RaggedWriter.new(writer, name, dtype_of(node), node.width)
    cells = NumberCells(node.column, "frames", encoding.skips(node), apart=True)
    count = node.limit if node.length == "fixed" else 0
    return RaggedFrames(NumberWriter(cells, node.width, rows.values), rows, count)


def _written_batch(
    encoding: Encoding, node: FramesOutput, name: str, arrays: Arrays
) -> BatchColumn:
    if node.read:
        return Steps(arrays[encoding.name_of(node.column, FramesInput)], np.nan)
    if node.length == "input":
        return Steps(arrays[name], np.nan)
    return Ragged(arrays[name], arrays[f"{name}.offsets"])


WRITTEN = ColumnKind(_written_settings, _written_encoder, _written_batch)


def values_ahead(
    encoding: Encoding, node: ForecastOutput | NumericOutput, arrays: Arrays
) -> NDArray[Any]:
    """The numbers `[steps, W]` whose next ones a node answers."""
    series = encoding.series()
    if node.column in series:
        return arrays[series[node.column]][:, None]
    return arrays[encoding.name_of(node.column, FramesInput)]
