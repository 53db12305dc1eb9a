"""Columns whose steps are sequences: the steps of all rows one after the other, as rows of their
own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rnnspec.data import decode
from rnnspec.data.cache import Writer
from rnnspec.data.collate import Nested
from rnnspec.data.columns.base import (
    Arrays,
    ColumnKind,
    Encoding,
    Lengths,
    OffsetWriter,
    RaggedWriter,
    lengths_of,
    narrow,
)
from rnnspec.data.columns.text_facts import CharCollector, TextCells, WordCollector
from rnnspec.data.columns.texts import Numbered, numbered, tokens_settings
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import LengthStatistics
from rnnspec.plan.facts import TextFacts
from rnnspec.plan.nodes import NestedInput, TokenKind


@dataclass(frozen=True, slots=True)
class NestedCells:
    """Reads the cells of a column of lists, whose entries are read as cells of the kind `inner`,
    with more `levels` than 1 as lists of such entries. In a `stream` rows may have any number of
    steps."""

    column: str
    inner: TokenKind
    stream: bool = False
    levels: int = 1

    def steps(self, chunk: Chunk, bad: BadRows) -> tuple[Chunk, Lengths]:
        """The steps of all rows as the rows of a chunk, each on the line of its own, and how many
        each row has. A row with a step that cannot be read is noted in `bad` and has none."""
        textual = chunk.textual
        rows = bad.decoded(chunk, self.column, lambda cell: self._row(cell, textual))
        if bad.found:  # the file ends in an error
            rows = [[] for _ in chunk.lines]
        lines = [line for line, row in zip(chunk.lines, rows, strict=True) for _ in row]
        cells = {self.column: [step for row in rows for step in row]}
        return replace(chunk, lines=lines, cells=cells, textual=False), lengths_of(rows)

    @property
    def deeper(self) -> NestedCells:
        """Reads what is in the steps, where that is lists too."""
        return replace(self, stream=False, levels=self.levels - 1)

    def _row(self, cell: object, textual: bool) -> list[object]:
        found = decode.nested(cell, textual, self.inner == "tokens", self.levels)
        if not self.stream:
            decode.check_length(len(found))
        return found


@dataclass(slots=True)
class NestedCollector:
    """Collects the facts of what is in the steps, and how many steps rows have."""

    cells: NestedCells
    inner: WordCollector | CharCollector | NestedCollector
    lengths: LengthStatistics = field(default_factory=LengthStatistics)

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        steps, lengths = self.cells.steps(chunk, bad)
        self.inner.add(steps, bad)
        self.lengths.add(lengths, chunk.continued)
        return lengths

    def facts(self) -> TextFacts:
        """Raises DataError where there is no step, or nothing in any."""
        found, lengths = self.inner.facts(), self.lengths
        return replace(
            found,
            longest=lengths.longest,
            mean_length=lengths.mean(),
            length_deviation=lengths.deviation(),
            longest_step=found.longest_step or found.longest,
        )


@dataclass(frozen=True, slots=True)
class NestedWriter:
    """Writes the numbers of what is in each step: of its tokens `[offsets]` where they begin and
    end, with more levels those of the sequences `between`, the outer ones first."""

    cells: NestedCells
    numbers: Numbered
    steps: RaggedWriter
    between: tuple[OffsetWriter, ...] = ()

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        cells = self.cells
        steps, lengths = cells.steps(chunk, bad)
        for offsets in self.between:
            cells = cells.deeper
            steps, counts = cells.steps(steps, bad)
            offsets.append(counts)
        self.steps.append(*self.numbers(steps, bad))
        return lengths


def _encoder(encoding: Encoding, node: NestedInput, name: str, writer: Writer) -> NestedWriter:
    stream, known = encoding.reading.stream, encoding.text(node)
    inner = TextCells(node.column, node.kind, rule=node.rule)
    numbers = numbered(inner, known, node.fold_case, node.or_lower)
    cells = NestedCells(node.column, node.kind, stream, node.levels)
    between = tuple(OffsetWriter.new(writer, each) for each in _between(node, name))
    tokens = RaggedWriter.new(writer, name, narrow(node.size))
    return NestedWriter(cells, numbers, tokens, between)


def _between(node: NestedInput, name: str) -> list[str]:
    """The arrays that say where the sequences of sequences in each step begin."""
    return [f"{name}.offsets.{level}" for level in range(1, node.levels)]


def _settings(encoding: Encoding, node: NestedInput) -> list[object]:
    deeper = [node.levels] if node.levels > 1 else []
    return ["nested", *tokens_settings(encoding, node.inner), *deeper]


def _batch(encoding: Encoding, node: NestedInput, name: str, arrays: Arrays) -> Nested:
    offsets = [arrays[each] for each in (*_between(node, name), f"{name}.offsets")]
    return Nested(arrays[name], tuple(offsets))


NESTED = ColumnKind(settings=_settings, encoder=_encoder, batch=_batch)
