"""Which facts are gathered of each kind of column: the tables of them, of inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rnnspec.data.columns.base import FactCollector
from rnnspec.data.columns.keys import LabelSets
from rnnspec.data.columns.labels import Categories, Labels
from rnnspec.data.columns.numbers import NumberCells, Numbers
from rnnspec.data.columns.subwords import Subwords
from rnnspec.data.columns.texts import Bytes, Chars, TextCells, Words
from rnnspec.data.counting import CharCounts
from rnnspec.data.reading import Reading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.schemes import Marked
from rnnspec.data.shards import Shards
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

Gatherers = dict[str, FactCollector]
Chunks = Callable[[], Iterator[tuple[Chunk, BadRows]]]
"""The training rows, anew at each call."""


def gatherers(spec: Spec, reading: Reading, chunks: Chunks) -> tuple[Gatherers, Gatherers]:
    """What gathers the facts of inputs and outputs, by column."""
    of_inputs = {each.column: gatherer_of_input(each, reading, chunks) for each in spec.data.inputs}
    inputs = {column: found for column, found in of_inputs.items() if found is not None}
    for column in given_columns(spec.encoder.layers):
        inputs.setdefault(column, Numbers(NumberCells(column, "vector")))
    of_outputs = {each.column: gatherer_of_output(each, reading) for each in spec.data.outputs}
    return inputs, {column: found for column, found in of_outputs.items() if found is not None}


def facts_of(train: Shards, gatherers: Mapping[str, FactCollector]) -> dict[str, ColumnFacts]:
    """Raises DataError, with file and column, where the rows were not enough."""
    found = {}
    for column, gatherer in gatherers.items():
        try:
            found[column] = gatherer.facts()
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


def gatherer_of_input(column: Input, reading: Reading, chunks: Chunks) -> FactCollector | None:
    """What gathers the facts of an input; None of series, whose steps are rows."""
    match column:
        case WordsInput() | TokensInput():
            cells = TextCells(column.column, column.as_, reading.stream)
            return Words(cells, column, spelled=CharCounts() if column.spelling else None)
        case CharsInput():
            return Chars(TextCells(column.column, "chars", reading.stream), column)
        case BytesInput():
            return Bytes(TextCells(column.column, "bytes", reading.stream), column)
        case SubwordsInput():
            cells = TextCells(column.column, "subwords", reading.stream)
            return Subwords(cells, column, chunks)
        case FramesInput():
            missing = column.missing != "error"
            elapsed, stream = column.elapsed, reading.stream
            return Numbers(NumberCells(column.column, "frames", missing, elapsed, stream))
        case VectorInput() | NumberInput():
            return Numbers(NumberCells(column.column, column.as_, column.missing != "error"))
        case KeysInput():
            return LabelSets(column.column, steps=True, stream=reading.stream)
        case CategoryInput():
            return Categories(column)
        case SeriesInput():
            return None


def gatherer_of_output(column: Output, reading: Reading) -> FactCollector | None:
    """What gathers the facts of an output; None where they are those of the input in its column."""
    skips = getattr(column, "missing", "error") == "skip"
    match column:
        case TagsOutput() if reading.series is not None:  # whose rows are the steps
            return Labels(column.column, steps=False, skips=True, marked=Marked(column.scheme))
        case FramesOutput() if reading.series is not None:
            return Numbers(NumberCells(column.column, "number", missing=True))
        case TagsOutput():
            return Labels(column.column, steps=True, skips=skips, marked=Marked(column.scheme))
        case ClassOutput():
            return Labels(column.column, steps=False, skips=skips)
        case LabelsOutput():
            return LabelSets(column.column, False, skips, separator=column.separator)
        case KeysOutput():
            return LabelSets(column.column, True, skips, reading.stream)
        case NumberOutput() | VectorOutput() | FramesOutput():
            return Numbers(NumberCells(column.column, column.as_, skips, stream=reading.stream))
        case WordsOutput() | TokensOutput():
            return Words(TextCells(column.column, column.as_), column)
        case CharsOutput():
            return Chars(TextCells(column.column, "chars"), column)
        case NextOutput() | ForecastOutput():
            return None
