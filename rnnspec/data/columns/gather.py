"""Which facts are collected of each kind of column: one table for inputs, one for outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rnnspec.data.columns.audio import AudioCells, AudioCollector
from rnnspec.data.columns.base import FactCollector, Lengths
from rnnspec.data.columns.keys import LabelSetCollector
from rnnspec.data.columns.labels import CategoryCollector, ClassCollector
from rnnspec.data.columns.nested import NestedCells, NestedCollector
from rnnspec.data.columns.numbers import CensoredCollector, NumberCells, NumberCollector
from rnnspec.data.columns.pictures import PictureCollector
from rnnspec.data.columns.positions import ListCells, PositionCells, StepsCollector
from rnnspec.data.columns.text_facts import (
    ByteCollector,
    CharCollector,
    SubwordCollector,
    TextCells,
    WordCollector,
)
from rnnspec.data.reading import Reading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.schemes import SchemeCheck
from rnnspec.data.shards import Shards
from rnnspec.data.statistics import CharCounts
from rnnspec.data.vectors import file_of
from rnnspec.errors import DataError
from rnnspec.plan.audio import audio_node
from rnnspec.plan.facts import ColumnFacts, TextFacts
from rnnspec.plan.resolve_inputs import picture_of
from rnnspec.plan.text_rule import rule_of
from rnnspec.spec import (
    AudioInput,
    BytesInput,
    CalendarInput,
    CategoriesInput,
    CategoryInput,
    CharsInput,
    CharsOutput,
    ClassOutput,
    ForecastOutput,
    FramesInput,
    FramesOutput,
    ImageInput,
    Input,
    KeysInput,
    KeysOutput,
    LabelsOutput,
    NestedInput,
    NextOutput,
    NumberInput,
    NumberOutput,
    OrdinalOutput,
    Output,
    PointedOutput,
    PositionOutput,
    PositionsOutput,
    SeriesInput,
    SpanOutput,
    Spec,
    SubwordsInput,
    TagsOutput,
    TokensInput,
    TokensOutput,
    VectorInput,
    VectorOutput,
    VideoInput,
    WordsInput,
    WordsOutput,
)
from rnnspec.spec.encoder import given_columns
from rnnspec.spec.inner_views import inner_input, innermost, levels
from rnnspec.spec.views import common_columns, of_one_or_several

Collectors = dict[str, FactCollector]
Chunks = Callable[[], Iterator[tuple[Chunk, BadRows]]]
"""Reads the training rows, from the start at each call."""


@dataclass(slots=True)
class CommonCollector:
    """Gathers a column into the facts of another one, `into`: both have them in common."""

    column: str
    into: str
    of: FactCollector

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        return self.of.add(*_renamed(chunk, bad, self.column, self.into))

    def facts(self) -> ColumnFacts:
        return self.of.facts()


def collectors(spec: Spec, reading: Reading, chunks: Chunks) -> tuple[Collectors, Collectors]:
    """The fact collectors of inputs and of outputs, by column."""
    common, of_inputs = common_columns(spec), dict[str, FactCollector | None]()
    for each in spec.data.inputs:
        if each.column not in common:
            again = _with_common(common, each.column, chunks)
            of_inputs[each.column] = INPUTS[type(each)](each, reading, again)
    for column, into in common.items():
        of = of_inputs[into]
        of_inputs[column] = None if of is None else CommonCollector(column, into, of)
    inputs = {column: found for column, found in of_inputs.items() if found is not None}
    for view in of_one_or_several(spec):
        for column in given_columns(view.encoder.layers):
            inputs.setdefault(column, NumberCollector(NumberCells(column, "vector")))
    of_outputs = {
        each.column: OUTPUTS[type(each)](each, reading)
        for each in spec.data.targets
        if each.column not in inputs or not isinstance(each, FramesOutput)
    }
    return inputs, {column: found for column, found in of_outputs.items() if found is not None}


def _with_common(common: Mapping[str, str], into: str, chunks: Chunks) -> Chunks:
    """What reads the rows again, with the columns whose facts are those of `into` behind them."""
    columns = [column for column, other in common.items() if other == into]
    if not columns:
        return chunks

    def again() -> Iterator[tuple[Chunk, BadRows]]:
        for chunk, bad in chunks():
            yield chunk, bad
            for column in columns:
                yield _renamed(chunk, bad, column, into)

    return again


def _renamed(chunk: Chunk, bad: BadRows, column: str, into: str) -> tuple[Chunk, BadRows]:
    """The cells of a column as those of another."""
    cells = {into: chunk.cells[column]}
    return replace(chunk, cells=cells), bad.in_place_of(column, into)


def _names_vectors(collector: FactCollector, error: DataError) -> bool:
    """Whether an error says which file of vectors it is about."""
    if not isinstance(collector, WordCollector) or collector.vectors is None:
        return False
    files = [each for each in (collector.vectors.file, collector.vectors.words) if each]
    return str(error).startswith(tuple(f"{Path(file)}:" for file in files))


def facts_of(train: Shards, collectors: Mapping[str, FactCollector]) -> dict[str, ColumnFacts]:
    """Raises DataError, with file and column, where the rows are not enough."""
    found: dict[str, ColumnFacts] = {}
    for column, collector in collectors.items():
        if isinstance(collector, CommonCollector):
            found[column] = found[collector.into]  # which comes before it
            continue
        try:
            found[column] = collector.facts()
        except DataError as error:
            if train.named_in(str(error)) or _names_vectors(collector, error):
                raise
            raise DataError(f"{train}: column {column!r} has {error}") from error
    return found


def outputs_of(
    spec: Spec, inputs: Mapping[str, ColumnFacts], found: Mapping[str, ColumnFacts]
) -> dict[str, ColumnFacts]:
    """The facts of all outputs; an output ahead of the input in its column, or that answers it
    again, has those facts, of words the ones of the rows."""
    return {
        each.column: found[each.column] if each.column in found else _answered(inputs[each.column])
        for each in spec.data.targets
    }


def _answered(known: ColumnFacts) -> ColumnFacts:
    return known.of_rows() if isinstance(known, TextFacts) else known


def _cells(column: Any, reading: Reading) -> TextCells:
    return TextCells(column.column, column.as_, reading.stream, rule_of(column))


def _words(column: WordsInput | TokensInput, reading: Reading, chunks: Chunks) -> WordCollector:
    spelled = CharCounts() if column.spelling else None
    vectors = file_of(column.vectors, reading.folder) if column.vectors else None
    return WordCollector(_cells(column, reading), column, spelled=spelled, vectors=vectors)


def _nested(column: NestedInput, reading: Reading, chunks: Chunks) -> NestedCollector:
    inner = inner_input(column)
    of = INPUTS[type(inner)](inner, replace(reading, stream=False), chunks)
    assert isinstance(of, WordCollector | CharCollector | NestedCollector)
    kind, deep = innermost(column).as_, sum(1 for _ in levels(column))
    return NestedCollector(NestedCells(column.column, kind, reading.stream, deep), of)


def _numbers(
    column: FramesInput | VectorInput | NumberInput, reading: Reading, chunks: Chunks
) -> NumberCollector:
    elapsed = column.elapsed if isinstance(column, FramesInput) else None
    missing, stream = column.missing != "error", reading.stream
    cells = NumberCells(column.column, column.as_, missing, elapsed, stream)
    return NumberCollector(_possible(cells, reading))


def _pictures(
    column: ImageInput | VideoInput, reading: Reading, chunks: Chunks
) -> PictureCollector:
    return PictureCollector(column.column, picture_of(column), column.invert)


INPUTS: Mapping[type[Input], Callable[[Any, Reading, Chunks], FactCollector | None]] = {
    WordsInput: _words,
    TokensInput: _words,
    CharsInput: lambda column, reading, chunks: CharCollector(_cells(column, reading), column),
    BytesInput: lambda column, reading, chunks: ByteCollector(_cells(column, reading), column),
    SubwordsInput: lambda column, reading, chunks: SubwordCollector(
        _cells(column, reading), column, chunks
    ),
    FramesInput: _numbers,
    ImageInput: _pictures,
    VideoInput: _pictures,
    VectorInput: _numbers,
    NumberInput: _numbers,
    KeysInput: lambda column, reading, chunks: LabelSetCollector(
        column.column, steps=True, stream=reading.stream
    ),
    CategoryInput: lambda column, reading, chunks: CategoryCollector(column),
    CategoriesInput: lambda column, reading, chunks: CategoryCollector(column),
    NestedInput: _nested,
    AudioInput: lambda column, reading, chunks: AudioCollector(AudioCells(audio_node(column))),
    CalendarInput: lambda column, reading, chunks: None,  # times have no facts
    SeriesInput: lambda column, reading, chunks: None,  # `rnnspec.data.survey` does
}
"""What collects the facts of a kind of input; None where another pass does."""


def _tags(column: TagsOutput, reading: Reading) -> ClassCollector:
    in_series = reading.series is not None  # the rows of the table are the steps
    scheme, order = SchemeCheck(column.scheme), tuple(map(str, column.labels or ()))
    found = ClassCollector(column.column, not in_series, in_series, scheme, order=order)
    return _weighed(found, column, reading)


def _weighed(
    found: ClassCollector, column: ClassOutput | OrdinalOutput | TagsOutput, reading: Reading
) -> ClassCollector:
    """With what the weights of labels need: the column of the weights of rows, where labels are
    balanced; the labels that the spec names, which a fold may lack."""
    match column.class_weights:
        case "balanced":
            return replace(found, weight=reading.weight)
        case Mapping() as factors if reading.fold is None:
            return replace(found, factors=tuple(factors))
    return found


def _frames(column: FramesOutput, reading: Reading) -> NumberCollector:
    if reading.series is not None:  # the rows of the table are the steps
        cells = NumberCells(column.column, "number", missing=True)
    else:
        apart = column.column in reading.apart
        skips = column.missing == "skip"
        cells = NumberCells(column.column, "frames", skips, stream=reading.stream, apart=apart)
    return NumberCollector(_possible(cells, reading))


def _row_numbers(
    column: NumberOutput | VectorOutput, reading: Reading
) -> NumberCollector | CensoredCollector:
    cells = NumberCells(column.column, column.as_, column.missing == "skip")
    found = NumberCollector(_possible(cells, reading))
    censored = reading.censored.get(column.column)
    return found if censored is None else CensoredCollector(found, censored)


def _possible(cells: NumberCells, reading: Reading) -> NumberCells:
    """The cells, of which the numbers are those of a distribution."""
    return replace(cells, distribution=reading.distributions.get(cells.column, "point"))


def _position(column: PointedOutput, reading: Reading) -> FactCollector:
    marks, skips = 1 + isinstance(column, SpanOutput), column.missing == "skip"
    return StepsCollector(PositionCells(column.column, marks, column.none, skips))


def _labels(column: LabelsOutput, reading: Reading) -> LabelSetCollector:
    skips = column.missing == "skip"
    return LabelSetCollector(column.column, False, skips, separator=column.separator)


def _written(column: WordsOutput | TokensOutput, reading: Reading) -> WordCollector:
    return WordCollector(TextCells(column.column, column.as_), column)


OUTPUTS: Mapping[type[Output], Callable[[Any, Reading], FactCollector | None]] = {
    ClassOutput: lambda column, reading: _weighed(
        ClassCollector(column.column, steps=False, skips=column.missing == "skip"), column, reading
    ),
    OrdinalOutput: lambda column, reading: _weighed(
        ClassCollector(
            column.column, steps=False, skips=column.missing == "skip", order=column.labels
        ),
        column,
        reading,
    ),
    TagsOutput: _tags,
    LabelsOutput: _labels,
    KeysOutput: lambda column, reading: LabelSetCollector(
        column.column, steps=True, stream=reading.stream
    ),
    NumberOutput: _row_numbers,
    VectorOutput: _row_numbers,
    FramesOutput: _frames,
    PositionOutput: _position,
    SpanOutput: _position,
    PositionsOutput: lambda column, reading: StepsCollector(ListCells(column.column, column.once)),
    WordsOutput: _written,
    TokensOutput: _written,
    CharsOutput: lambda column, reading: CharCollector(TextCells(column.column, "chars"), column),
    NextOutput: lambda column, reading: None,
    ForecastOutput: lambda column, reading: None,
}
"""What collects the facts of a kind of output; None where it has the facts of an input."""
