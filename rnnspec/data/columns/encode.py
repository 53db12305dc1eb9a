"""How each kind of node is written to disk and cut into batches: the one table of them.

The arrays of input node i are called `input.i`, those of output node i `output.i`; that of a series
`series.i`, for all nodes that read or answer its column. Beside them, of rows that are measured,
`input.i.raw` and `output.i.raw` hold texts as they stand in the file, and `asked` what the inputs
of each row are known by.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.cache import Writer
from rnnspec.data.collate import (
    SKIPPED,
    BatchColumn,
    Characters,
    Future,
    KeySteps,
    LabelSets,
    NextFrames,
    NextSteps,
    PerRow,
    Steps,
    Texts,
)
from rnnspec.data.columns.base import Arrays, ColumnEncoder, RaggedWriter
from rnnspec.data.columns.keys import KeysWriter, LabelSetWriter
from rnnspec.data.columns.labels import (
    CategoryWriter,
    ClassWriter,
    KnownLabels,
    TagWriter,
    numbers_of,
)
from rnnspec.data.columns.new_labels import NewInSets, NewLabels, new_labels
from rnnspec.data.columns.numbers import NumberCells, NumberWriter
from rnnspec.data.columns.series import (
    SeriesColumn,
    SeriesFrames,
    SeriesLabels,
    StaticColumn,
    TableEncoder,
)
from rnnspec.data.columns.subwords import numbered_subwords
from rnnspec.data.columns.texts import (
    CharacterWriter,
    CopiedTextWriter,
    CopySourceWriter,
    Numbered,
    TextCells,
    TextWriter,
    TokenWriter,
    char_table,
    numbered,
)
from rnnspec.data.raw import (
    APART,
    DIGEST,
    AskedWriter,
    Raw,
    RawLabelWriter,
    RawTexts,
    RawTextWriter,
)
from rnnspec.data.reading import Reading
from rnnspec.data.schemes import WITHOUT, Marked
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, TextFacts, Vocabulary
from rnnspec.plan.nodes import (
    CategoryInput,
    CharactersInput,
    ClassOutput,
    CopiesInput,
    ForecastOutput,
    FramesInput,
    FutureInput,
    Input,
    KeysInput,
    LabelsOutput,
    NumericOutput,
    Output,
    Plan,
    SeriesInput,
    TextOutput,
    TokenKind,
    TokensInput,
    VectorInput,
)

LabelWriter = ClassWriter | TagWriter | LabelSetWriter | KeysWriter
"""What writes answers of which some may be new."""
AheadOutput = ClassOutput | LabelsOutput | NumericOutput
ASKED = "asked"
"""The array of what the inputs of each row are known by."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of the columns of a plan whose facts are `facts`."""

    plan: Plan
    facts: Facts
    reading: Reading

    def named(self) -> list[tuple[str, Input | Output]]:
        """Every node, with the name of its array."""
        sides = (("input", self.plan.inputs), ("output", self.plan.outputs))
        return [(f"{side}.{at}", node) for side, nodes in sides for at, node in enumerate(nodes)]

    def series(self) -> dict[str, str]:
        """The columns of series, each with the name of its array."""
        found = [n.column for n in self.plan.inputs if isinstance(n, SeriesInput | FutureInput)]
        return {column: f"series.{at}" for at, column in enumerate(dict.fromkeys(found))}

    def of_series(self, node: Input | Output) -> TableEncoder | None:
        """What takes in the answers to the steps of series, one a row of the table."""
        if self.reading.series is None or isinstance(node, Input):
            return None
        match node:
            case ClassOutput(steps=True, ahead=False, column=column):
                return SeriesLabels(self._known_labels("", node))
            case NumericOutput(steps=True, ahead=False, column=column):
                return SeriesFrames(SeriesColumn(column, True, _floats(node)))
        return None

    def series_column(self, column: str) -> SeriesColumn:
        """What takes in the series in `column`, for all nodes that read or answer it."""
        (node,) = (n for n in self.plan.inputs if isinstance(n, SeriesInput) and n.column == column)
        return SeriesColumn(column, node.missing != "error", _floats(node))

    def of_windows(self) -> dict[str, StaticColumn]:
        """What is read once for all steps of a window, by column."""
        found: dict[str, StaticColumn] = {}
        for node in self.plan.inputs:
            match node:
                case CategoryInput(column=column):
                    found[column] = StaticColumn(column, "category")
                case VectorInput(column=column, single=single):
                    found[column] = StaticColumn(column, "number" if single else "vector")
        return found

    def ahead(self) -> Iterator[tuple[str, ForecastOutput | NumericOutput]]:
        """The outputs of numbers that lie ahead of those read, with the names of their arrays."""
        for at, node in enumerate(self.plan.outputs):
            if isinstance(node, ForecastOutput) or (isinstance(node, NumericOutput) and node.ahead):
                yield f"output.{at}", node

    def numbers_of(self, node: ForecastOutput | NumericOutput, arrays: Arrays) -> NDArray[Any]:
        """The numbers `[steps, W]` that a node answers ahead of."""
        if node.column in self.series():
            return arrays[self.series()[node.column]][:, None]
        assert isinstance(node, NumericOutput)
        return arrays[self._read_by(node)]

    def encoder(self, name: str, node: Input | Output, writer: Writer) -> ColumnEncoder | None:
        """What writes the column of `node`; None where another node's arrays hold it."""
        if isinstance(node, Input):
            return self._input(name, node, writer)
        return self._output(name, node, writer)

    def _input(self, name: str, node: Input, writer: Writer) -> ColumnEncoder | None:
        known = self.facts.inputs[node.column]
        match node:
            case TokensInput():
                values = writer.column(name, _narrow(node.size))
                return TokenWriter(self._numbered(node), values)
            case CharactersInput():
                cells = TextCells(node.column, self._kind(node), self.reading.stream)
                table = char_table(_characters(known))
                dtype = _narrow(len(_characters(known)))
                return CharacterWriter(cells, table, RaggedWriter.new(writer, name, dtype))
            case CopiesInput(answers=answers, banned=banned):
                cells = TextCells(node.column, node.kind)
                vocabulary = _text(self.facts.outputs[answers]).vocabulary
                return CopySourceWriter(
                    cells, vocabulary, frozenset(banned), writer.column(name, "<i4")
                )
            case CategoryInput():
                vocabulary = _text(known).vocabulary
                return CategoryWriter(node.column, vocabulary, writer.column(name, "<i4"))
            case FramesInput() | VectorInput():
                values = writer.column(name, _floats(node), node.width)
                return NumberWriter(self._number_cells(node), node.width, values)
            case KeysInput(column=column, size=size):
                values = writer.column(name, "u1", -(-size // 8))
                beside = _beside(writer, name)
                return KeysWriter(column, _labels(known), self.reading.stream, values, beside)
            case SeriesInput() | FutureInput():
                return None

    def _output(self, name: str, node: Output, writer: Writer) -> ColumnEncoder | None:
        column, known = node.column, self.facts.outputs[node.column]
        skips = column in self.reading.skipped
        if self.of_series(node) is not None:
            return None
        match node:
            case (
                ClassOutput(ahead=True)
                | LabelsOutput(ahead=True)
                | NumericOutput(ahead=True)
                | ForecastOutput()
            ):
                return None
            case ClassOutput(steps=True):
                labels = self._known_labels(name, node)
                return TagWriter(labels, writer.column(name, "<i4"))
            case ClassOutput():
                labels = self._known_labels(name, node)
                return ClassWriter(labels, skips, writer.column(name, "<i8"))
            case LabelsOutput(steps=True, labels=size):
                values = writer.column(name, "u1", -(-size // 8))
                beside = _beside(writer, name)
                return KeysWriter(column, _labels(known), self.reading.stream, values, beside)
            case LabelsOutput(labels=size):
                values = writer.column(name, "u1", size // 8 + 1)
                beside, separator = _beside(writer, name), self.reading.separators.get(column)
                return LabelSetWriter(column, _labels(known), skips, separator, values, beside)
            case NumericOutput(width=width):
                values = writer.column(name, _floats(node), width)
                return NumberWriter(self._answer_cells(node, skips), width, values)
            case TextOutput(kind=kind, copies=copies) if copies:
                source = self.plan.node(copies)
                assert isinstance(source, CopiesInput)
                return CopiedTextWriter(
                    TextCells(column, kind),
                    TextCells(source.column, source.kind),
                    _text(known).vocabulary,
                    RaggedWriter.new(writer, name, "<i4"),
                )
            case TextOutput(kind=kind):
                vocabulary = _text(known).vocabulary
                numbers, dtype = (
                    numbered(TextCells(column, kind), vocabulary),
                    _narrow(len(vocabulary)),
                )
                return TextWriter(numbers, RaggedWriter.new(writer, name, dtype))

    def raw(self) -> list[tuple[str, TokensInput | CategoryInput | TextOutput]]:
        """The nodes whose raw texts are kept of rows that are measured, each with the name of its
        array; none of streams, whose texts have no bounds, and of series."""
        if self.reading.stream or self.reading.series is not None:
            return []
        return [
            (f"{name}.raw", node)
            for name, node in self.named()
            if isinstance(node, TokensInput | CategoryInput | TextOutput)
        ]

    def raw_encoders(self, writer: Writer) -> list[tuple[str, ColumnEncoder]]:
        """What writes raw texts, each with its column."""
        encoders: list[tuple[str, ColumnEncoder]] = []
        for name, node in self.raw():
            rows = RaggedWriter.new(writer, name, "u1")
            if isinstance(node, CategoryInput):
                encoders.append((node.column, RawLabelWriter(node.column, rows)))
            else:
                encoders.append(
                    (node.column, RawTextWriter(TextCells(node.column, node.kind), rows))
                )
        if any(isinstance(node, TextOutput) for node in self.plan.outputs):
            columns = tuple(dict.fromkeys(node.column for node in self.plan.inputs))
            encoders.append((columns[0], AskedWriter(columns, writer.column(ASKED, "u1", DIGEST))))
        return encoders

    def raw_texts(self, arrays: Arrays) -> Raw:
        """The raw texts out of the arrays of the whole folder."""
        inputs: dict[str, RawTexts] = {}
        truth: dict[str, RawTexts] = {}
        for name, node in self.raw():
            apart = isinstance(node, CategoryInput) or node.kind in APART
            texts = RawTexts(arrays[name], arrays[f"{name}.offsets"], apart)
            if isinstance(node, TextOutput):
                truth[node.column] = texts
            else:
                inputs[node.key] = texts
        return Raw(inputs, truth, arrays.get(ASKED))

    def _known_labels(self, name: str, node: ClassOutput) -> KnownLabels:
        column = node.column
        numbers = numbers_of(_labels(self.facts.outputs[column]))
        marked = Marked(self.reading.schemes.get(column, WITHOUT))
        return KnownLabels(column, numbers, NewLabels(name), marked)

    def _number_cells(self, node: FramesInput | VectorInput) -> NumberCells:
        missing, stream = node.missing != "error", self.reading.stream
        if isinstance(node, FramesInput):
            return NumberCells(node.column, "frames", missing, node.elapsed, stream)
        return NumberCells(node.column, "number" if node.single else "vector", missing)

    def _answer_cells(self, node: NumericOutput, skips: bool) -> NumberCells:
        if node.steps:
            return NumberCells(node.column, "frames", skips, stream=self.reading.stream)
        return NumberCells(node.column, "number" if node.single else "vector", skips)

    def _numbered(self, node: TokensInput) -> Numbered:
        cells = TextCells(node.column, node.kind, self.reading.stream)
        known = _text(self.facts.inputs[node.column])
        if node.kind == "subwords":
            return numbered_subwords(cells, known)
        return numbered(cells, known.vocabulary, node.fold_case)

    def _kind(self, node: CharactersInput) -> TokenKind:
        steps = self.plan.node(node.steps)
        assert isinstance(steps, TokensInput)
        return steps.kind

    def view(self, name: str, node: Input | Output, arrays: Arrays) -> BatchColumn:
        """The column of `node` out of the arrays of the whole folder."""
        match node:
            case TokensInput() | CopiesInput() | FramesInput():
                return Steps(arrays[name], 0)
            case CharactersInput():
                return Characters(arrays[name], arrays[f"{name}.offsets"])
            case CategoryInput() | VectorInput():
                return PerRow(arrays[name])
            case KeysInput(size=size):
                return KeySteps(arrays[name], size, 0)
            case SeriesInput(column=column):
                return Steps(arrays[self.series()[column]][:, None], 0)
            case FutureInput(column=column, horizon=horizon):
                return Future(arrays[self.series()[column]], horizon, wide=True)
            case ForecastOutput(column=column, horizon=horizon):
                return Future(arrays[self.series()[column]], horizon, wide=False)
            case ClassOutput(ahead=True):
                return NextSteps(arrays[self._read_by(node)])
            case LabelsOutput(ahead=True, labels=size):
                read = self._read_by(node)
                return KeySteps(arrays[read], size, np.nan, ahead=True, new=arrays[f"{read}.new"])
            case NumericOutput(ahead=True):
                return NextFrames(self.numbers_of(node, arrays))
            case ClassOutput(steps=True):
                return Steps(arrays[name], SKIPPED)
            case LabelsOutput(steps=True, labels=size):
                return KeySteps(arrays[name], size, np.nan, new=arrays[f"{name}.new"])
            case NumericOutput(steps=True):
                return Steps(arrays[name], np.nan)
            case LabelsOutput(labels=size):
                return LabelSets(arrays[name], size, arrays[f"{name}.new"])
            case ClassOutput() | NumericOutput():
                return PerRow(arrays[name])
            case TextOutput():
                return Texts(arrays[name], arrays[f"{name}.offsets"])

    def new_labels(self, name: str, node: Output, arrays: Arrays) -> dict[str, int]:
        """The labels that no training row has, and how often each is to be answered."""
        match node:
            case ClassOutput(ahead=False) | LabelsOutput(ahead=False):
                return new_labels(arrays, name)
            case LabelsOutput(ahead=True):
                return new_labels(arrays, self._read_by(node))
        return {}

    def _read_by(self, node: AheadOutput) -> str:
        """The array of the input whose next steps `node` answers."""
        kind = {ClassOutput: TokensInput, LabelsOutput: KeysInput}.get(type(node), FramesInput)
        return next(
            name
            for name, source in self.named()
            if isinstance(source, kind) and source.column == node.column
        )

    def settings(self, node: Input | Output) -> list[object]:
        """All that the arrays of a column depend on, but for the file and how it is read."""
        column = node.column
        side = self.facts.inputs if isinstance(node, Input) else self.facts.outputs
        known = side[column]
        match node:
            case TokensInput(kind=kind, fold_case=fold_case):
                unicode = unicodedata.unidata_version if fold_case else ""
                entries = _text(known).tokenizer or _text(known).vocabulary.entries
                return [column, kind, unicode, entries]
            case CharactersInput():
                return [column, "characters", self._kind(node), _characters(known).entries]
            case CopiesInput(answers=answers, banned=banned):
                vocabulary = _text(self.facts.outputs[answers]).vocabulary
                return [column, "copies", node.kind, vocabulary.entries, banned]
            case CategoryInput():
                return [column, "category", _text(known).vocabulary.entries]
            case FramesInput(width=width, elapsed=elapsed, missing=missing):
                return [column, "frames", width, elapsed, missing != "error", node.double]
            case VectorInput(width=width, single=single, missing=missing):
                return [column, "vector", width, single, missing != "error", node.double]
            case KeysInput():
                return [column, "keys", _labels(known)]
            case SeriesInput(missing=missing):
                return [column, "series", missing != "error", node.double]
            case FutureInput() | ForecastOutput():
                return [column, "ahead"]
            case ClassOutput(steps=steps, ahead=ahead):
                return [column, "class", steps, ahead, () if ahead else _labels(known)]
            case LabelsOutput(steps=steps, ahead=ahead):
                return [column, "labels", steps, ahead, () if ahead else _labels(known)]
            case NumericOutput(ahead=True):
                return [column, "next numbers"]
            case NumericOutput(width=width, single=single, steps=steps):
                return [column, "numeric", width, single, steps, node.double]
            case TextOutput(kind=kind, copies=copies):
                return [column, "text", kind, _text(known).vocabulary.entries, copies]


def _beside(writer: Writer, name: str) -> NewInSets:
    return NewInSets(NewLabels(name), writer.column(f"{name}.new", "<i8", 2))


def _narrow(size: int) -> str:
    """The smallest type of numbers below `size`: of most texts, one byte a character."""
    return "u1" if size <= 1 << 8 else "<u2" if size <= 1 << 16 else "<i4"


def _floats(node: FramesInput | VectorInput | SeriesInput | NumericOutput) -> str:
    return "<f8" if node.double else "<f4"


def _text(known: ColumnFacts) -> TextFacts:
    assert isinstance(known, TextFacts)
    return known


def _characters(known: ColumnFacts) -> Vocabulary:
    characters = _text(known).characters
    assert characters is not None
    return characters


def _labels(known: ColumnFacts) -> tuple[str, ...]:
    assert isinstance(known, ClassFacts)
    return known.labels
