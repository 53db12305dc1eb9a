"""Which facts are gathered of each kind of column: the tables of them, of inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rnnspec.data.columns.base import FactCollector
from rnnspec.data.columns.keys import LabelSetCollector
from rnnspec.data.columns.labels import CategoryCollector, ClassCollector
from rnnspec.data.columns.numbers import NumberCells, NumberCollector
from rnnspec.data.columns.subwords import SubwordCollector
from rnnspec.data.columns.texts import ByteCollector, CharCollector, TextCells, WordCollector
from rnnspec.data.reading import Reading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.schemes import Marked
from rnnspec.data.shards import Shards
from rnnspec.data.statistics import CharCounts
from rnnspec.errors import DataError
from rnnspec.plan.facts import ColumnFacts
from rnnspec.spec import (
    BytesInput,
    CategoryInput,
    CharsInput,
    CharsOutput,
    ClassOutput,
    ForecastOutput,
    FramesInput,
    FramesOutput,
    Input,
    KeysInput,
    KeysOutput,
    LabelsOutput,
    NextOutput,
    NumberInput,
    NumberOutput,
    Output,
    SeriesInput,
    Spec,
    SubwordsInput,
    TagsOutput,
    TokensInput,
    TokensOutput,
    VectorInput,
    VectorOutput,
    WordsInput,
    WordsOutput,
)
from rnnspec.spec.encoder import given_columns

Collectors = dict[str, FactCollector]
Chunks = Callable[[], Iterator[tuple[Chunk, BadRows]]]
"""The training rows, anew at each call."""


def collectors(spec: Spec, reading: Reading, chunks: Chunks) -> tuple[Collectors, Collectors]:
    """What gathers the facts of inputs and outputs, by column."""
    of_inputs = {
        each.column: collector_of_input(each, reading, chunks) for each in spec.data.inputs
    }
    inputs = {column: found for column, found in of_inputs.items() if found is not None}
    for column in given_columns(spec.encoder.layers):
        inputs.setdefault(column, NumberCollector(NumberCells(column, "vector")))
    of_outputs = {each.column: collector_of_output(each, reading) for each in spec.data.outputs}
    return inputs, {column: found for column, found in of_outputs.items() if found is not None}


def facts_of(train: Shards, collectors: Mapping[str, FactCollector]) -> dict[str, ColumnFacts]:
    """Raises DataError, with file and column, where the rows were not enough."""
    found = {}
    for column, collector in collectors.items():
        try:
            found[column] = collector.facts()
        except DataError as error:
            if train.named_in(str(error)):
                raise
            raise DataError(f"{train}: column {column!r} has {error}") from error
    return found


def outputs_of(
    spec: Spec, inputs: Mapping[str, ColumnFacts], found: Mapping[str, ColumnFacts]
) -> dict[str, ColumnFacts]:
    """The facts of all outputs; those that answer what the input in their column holds have its
    facts."""
    return {
        each.column: found[each.column] if each.column in found else inputs[each.column]
        for each in spec.data.outputs
    }


def collector_of_input(column: Input, reading: Reading, chunks: Chunks) -> FactCollector | None:
    """What gathers the facts of an input; None of series, whose steps are rows."""
    match column:
        case WordsInput() | TokensInput():
            cells = TextCells(column.column, column.as_, reading.stream)
            return WordCollector(cells, column, spelled=CharCounts() if column.spelling else None)
        case CharsInput():
            return CharCollector(TextCells(column.column, "chars", reading.stream), column)
        case BytesInput():
            return ByteCollector(TextCells(column.column, "bytes", reading.stream), column)
        case SubwordsInput():
            cells = TextCells(column.column, "subwords", reading.stream)
            return SubwordCollector(cells, column, chunks)
        case FramesInput():
            missing = column.missing != "error"
            elapsed, stream = column.elapsed, reading.stream
            return NumberCollector(NumberCells(column.column, "frames", missing, elapsed, stream))
        case VectorInput() | NumberInput():
            return NumberCollector(
                NumberCells(column.column, column.as_, column.missing != "error")
            )
        case KeysInput():
            return LabelSetCollector(column.column, steps=True, stream=reading.stream)
        case CategoryInput():
            return CategoryCollector(column)
        case SeriesInput():
            return None


def collector_of_output(column: Output, reading: Reading) -> FactCollector | None:
    """What gathers the facts of an output; None where they are those of the input in its column."""
    skips = getattr(column, "missing", "error") == "skip"
    match column:
        case TagsOutput() if reading.series is not None:  # whose rows are the steps
            return ClassCollector(
                column.column, steps=False, skips=True, marked=Marked(column.scheme)
            )
        case FramesOutput() if reading.series is not None:
            return NumberCollector(NumberCells(column.column, "number", missing=True))
        case TagsOutput():
            return ClassCollector(
                column.column, steps=True, skips=skips, marked=Marked(column.scheme)
            )
        case ClassOutput():
            return ClassCollector(column.column, steps=False, skips=skips)
        case LabelsOutput():
            return LabelSetCollector(column.column, False, skips, separator=column.separator)
        case KeysOutput():
            return LabelSetCollector(column.column, True, skips, reading.stream)
        case NumberOutput() | VectorOutput() | FramesOutput():
            return NumberCollector(
                NumberCells(column.column, column.as_, skips, stream=reading.stream)
            )
        case WordsOutput() | TokensOutput():
            return WordCollector(TextCells(column.column, column.as_), column)
        case CharsOutput():
            return CharCollector(TextCells(column.column, "chars"), column)
        case NextOutput() | ForecastOutput():
            return None
