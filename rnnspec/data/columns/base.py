"""What all kinds of columns share: encoders of chunks, and ragged rows on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import BatchColumn
from rnnspec.data.reading import Reading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import Table
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, TextFacts
from rnnspec.plan.nodes import STEPS, FutureInput, Input, Output, Plan, SeriesInput
from rnnspec.plan.nodes.outputs import OutputNode
from rnnspec.spec.distributions import DistributionName

Lengths = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


class ColumnEncoder(Protocol):
    """Encodes the cells of one column, chunk by chunk."""

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        """Adds a chunk. Returns the steps of each row if the column is on the shared time axis.

        A cell that cannot be read is noted in `bad`.
        """
        ...


@runtime_checkable
class Pointing(Protocol):
    """An encoder of steps of the other columns."""

    def check_steps(self, chunk: Chunk, lengths: Lengths, bad: BadRows) -> None:
        """Notes the rows of the chunk that was just added that point at steps they do not have,
        each of as many as `lengths` says."""
        ...


class FactCollector(ColumnEncoder, Protocol):
    """Gathers the facts of one column."""

    def facts(self) -> ColumnFacts:
        """Raises DataError, without the place, where the rows seen are not enough."""
        ...


class TableEncoder(Protocol):
    """Encodes one value a row of a table whose rows are the steps of series, and holds them."""

    def add(self, chunk: Chunk, bad: BadRows) -> None: ...

    def values(self, table: Table) -> NDArray[Any]:
        """The values of all steps, series by series: `[places, ...]`."""
        ...


@dataclass(slots=True)
class RaggedWriter:
    """Writes `name`, rows one after the other, and `name.offsets` `[rows + 1]`: row i is
    `values[offsets[i]:offsets[i + 1]]`."""

    values: Column
    offsets: Column
    end: int = 0

    @staticmethod
    def new(writer: Writer, name: str, dtype: str, *entry: int) -> RaggedWriter:
        offsets = writer.column(f"{name}.offsets", "<i8")
        offsets.append(np.zeros(1, np.int64))
        return RaggedWriter(writer.column(name, dtype, *entry), offsets)

    def append(self, values: NDArray[Any], lengths: Lengths) -> None:
        """Adds rows of `lengths`, whose steps follow each other in `values`."""
        self.offsets.append(self.end + np.cumsum(lengths))
        self.values.append(values)
        self.end += len(values)

    def append_texts(self, texts: Sequence[str]) -> None:
        """Adds the UTF-8 of each text as a row of bytes."""
        cells = [text.encode() for text in texts]
        self.append(np.frombuffer(b"".join(cells), np.uint8), lengths_of(cells))


@dataclass(slots=True)
class OffsetWriter:
    """Writes where rows begin in what another array has: row i are its entries `offsets[i]` to
    `offsets[i + 1]`, of `offsets` `[rows + 1]`."""

    offsets: Column
    end: int = 0

    @staticmethod
    def new(writer: Writer, name: str) -> OffsetWriter:
        offsets = writer.column(name, "<i8")
        offsets.append(np.zeros(1, np.int64))
        return OffsetWriter(offsets)

    def append(self, lengths: Lengths) -> None:
        self.offsets.append(self.end + np.cumsum(lengths))
        self.end += int(lengths.sum())


def lengths_of(rows: Sequence[Sized]) -> Lengths:
    return np.fromiter(map(len, rows), np.int64, len(rows))


def add_chunk(
    chunk: Chunk,
    encoders: Sequence[tuple[str, ColumnEncoder]],
    bad: BadRows,
    axes: Mapping[str, str] | None = None,
) -> dict[str, Lengths]:
    """Adds a chunk to every encoder, each with its column, and returns the steps of each row, by
    the axis that `axes` says of each column; by default there is one.

    Rows whose columns differ in their number of steps on one axis are bad. Empty if no column has
    steps.
    """
    steps: dict[str, tuple[str, Lengths]] = {}
    added = [(column, encoder.add(chunk, bad)) for column, encoder in encoders]
    lined_up = not bad.found  # else the file ends in an error
    for column, of_column in added:
        if of_column is None:
            continue
        first, lengths = steps.setdefault((axes or {}).get(column, STEPS), (column, of_column))
        for at in np.flatnonzero(lengths != of_column).tolist() if lined_up else ():
            bad.add(
                chunk.lines[at],
                f"column {column!r} has {of_column[at]} steps, column {first!r} has "
                f"{lengths[at]}; they are read together, step by step{bad.apart(first, column)}",
            )
    for column, encoder in encoders if lined_up else ():
        axis = (axes or {}).get(column, STEPS)
        if isinstance(encoder, Pointing) and axis in steps:
            encoder.check_steps(chunk, steps[axis][1], bad)
    return {axis: lengths for axis, (_, lengths) in steps.items()}


@dataclass(frozen=True, slots=True)
class Encoding:
    """What encoded columns depend on: the nodes, the facts, and how the files are read."""

    plan: Plan
    facts: Facts
    reading: Reading

    def named(self) -> list[tuple[str, Input | Output]]:
        """Every node, with the name of its array."""
        sides = (("input", self.plan.inputs), ("output", self.plan.targets))
        return [(f"{side}.{at}", node) for side, nodes in sides for at, node in enumerate(nodes)]

    def name_of(self, column: str, kind: type[Input]) -> str:
        """The name of the array of the input of this kind in `column`."""
        return next(
            name for name, node in self.named() if isinstance(node, kind) and node.column == column
        )

    def axes(self) -> dict[str, str]:
        """The time axis of each column of steps, or that points at them."""
        targets = (node for node in self.plan.targets if isinstance(node, OutputNode))
        found = {node.column: node.axis for node in targets}
        return found | {node.column: node.axis for node in self.plan.inputs}

    def series(self) -> dict[str, str]:
        """The columns of series, each with the name of its array."""
        found = [n.column for n in self.plan.inputs if isinstance(n, SeriesInput | FutureInput)]
        return {column: f"series.{at}" for at, column in enumerate(dict.fromkeys(found))}

    def text(self, node: Input | Output) -> TextFacts:
        """The facts of the column of a node of text."""
        known = self._facts(node)
        assert isinstance(known, TextFacts)
        return known

    def labels(self, node: Input | Output) -> tuple[str, ...]:
        """The labels of the column of a node of labels."""
        known = self._facts(node)
        assert isinstance(known, ClassFacts)
        return known.labels

    def skips(self, node: Output) -> bool:
        """Whether targets may be missing."""
        return node.column in self.reading.skipped

    def distribution_of(self, column: str) -> DistributionName:
        """The distribution whose numbers alone may stand in a column; `point` for any number."""
        return self.reading.distributions.get(column, "point")

    def rule_of(self, column: str) -> list[object]:
        """Its name, where there is one: numbers that were stored under another rule are read
        anew."""
        return [name] if (name := self.reading.distributions.get(column)) else []

    def _facts(self, node: Input | Output) -> ColumnFacts:
        side = self.facts.inputs if isinstance(node, Input) else self.facts.outputs
        return side[node.column]


StaticKind = Literal["category", "number", "vector"]


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """What is done with the column of one type of node. Each function is given the node.

    - `settings`: all that the arrays depend on, but for the file and how it is read.
    - `encoder`: writes the arrays called by a name; None where another node's arrays have them.
    - `batch`: the column as arrays of a batch, out of the arrays of the whole folder.
    - `table`: encodes an output, or a label that is read, at each step of series, whose steps are
      the rows of a table.
    - `raw`: writes the raw texts of rows that are measured, and `apart` says whether a token may
      have several characters.
    - `static`: the kind of a value that holds for a whole window of series.
    - `beside`: cells may name files, relative to the folder of the data file.
    - `counted`: the name of the array that counts labels that no training row has.
    """

    settings: Callable[[Encoding, Any], list[object]]
    encoder: Callable[[Encoding, Any, str, Writer], ColumnEncoder | None]
    batch: Callable[[Encoding, Any, str, Arrays], BatchColumn]
    table: Callable[[Encoding, Any], TableEncoder | None] = lambda encoding, node: None
    raw: Callable[[Any, RaggedWriter], ColumnEncoder] | None = None
    apart: Callable[[Any], bool] = lambda node: False
    static: Callable[[Any], StaticKind | None] = lambda node: None
    beside: bool = False
    counted: Callable[[Encoding, Any, str], str | None] = lambda encoding, node, name: None


def not_stored(encoding: Encoding, node: Input | Output, name: str, writer: Writer) -> None:
    """The encoder of a node whose values are in another node's arrays."""


def narrow(size: int) -> str:
    """The smallest type of numbers below `size`: one byte for most characters."""
    return "u1" if size <= 1 << 8 else "<u2" if size <= 1 << 16 else "<i4"
