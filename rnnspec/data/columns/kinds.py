"""The table of all kinds of columns, and what is encoded of the columns of a plan.

The arrays of input node i are called `input.i`, those of output node i `output.i`; that of a series
`series.i`, for all nodes that read or answer its column. Beside them, for rows that are measured,
`input.i.raw` and `output.i.raw` hold texts as they are in the file, and `asked` a digest of the
inputs of each row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.data.cache import Column, Writer
from rnnspec.data.columns import (
    audio,
    keys,
    labels,
    nested,
    numbers,
    pictures,
    positions,
    series,
    texts,
)
from rnnspec.data.columns.base import (
    Arrays,
    ColumnEncoder,
    ColumnKind,
    Encoding,
    RaggedWriter,
    TableEncoder,
)
from rnnspec.data.columns.new_labels import new_labels
from rnnspec.data.columns.numbers import SeriesColumn
from rnnspec.data.columns.series import StaticColumn
from rnnspec.data.raw import DIGEST, Raw, RawTexts
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.plan import nodes
from rnnspec.plan.nodes import ForecastOutput, Input, NumericOutput, Output, WrittenOutput

KINDS: Mapping[type[Input | Output], ColumnKind] = {
    nodes.TokensInput: texts.TOKENS,
    nodes.CharactersInput: texts.CHARACTERS,
    nodes.NestedInput: nested.NESTED,
    nodes.CopiesInput: texts.COPIES,
    nodes.CategoryInput: labels.CATEGORY,
    nodes.FramesInput: numbers.FRAMES,
    nodes.ImageInput: pictures.PICTURES,
    nodes.KeysInput: keys.KEYS,
    nodes.VectorInput: numbers.VECTOR,
    nodes.SeriesInput: series.SERIES,
    nodes.FutureInput: series.FUTURE,
    nodes.CalendarInput: series.CALENDAR,
    nodes.CalendarFuture: series.CALENDAR_FUTURE,
    nodes.CategoriesInput: labels.CATEGORIES,
    nodes.CategoriesFuture: labels.CATEGORIES_FUTURE,
    nodes.AudioInput: audio.AUDIO,
    nodes.ClassOutput: labels.CLASS,
    nodes.ChainOutput: labels.CLASS,
    nodes.LabelsOutput: keys.LABELS,
    nodes.NumericOutput: numbers.NUMERIC,
    nodes.PositionOutput: positions.POSITION,
    nodes.PointerOutput: positions.POINTERS,
    nodes.TextOutput: texts.TEXT,
    nodes.CtcOutput: texts.TEXT,
    nodes.TransducerOutput: texts.TEXT,
    nodes.ForecastOutput: series.FORECAST,
    nodes.FramesOutput: numbers.WRITTEN,
}
INPUT_DIGESTS = "asked"
"""The array of digests of the inputs of each row."""


def kind_of(node: Input | Output) -> ColumnKind:
    return KINDS[type(node)]


def encoders(encoding: Encoding, writer: Writer) -> list[tuple[str, ColumnEncoder]]:
    """What writes each column that has arrays of its own, with its column."""
    tables = {name for name, _, _ in table_encoders(encoding)}
    found = [
        (node.column, kind_of(node).encoder(encoding, node, name, writer))
        for name, node in encoding.named()
        if name not in tables
    ]
    return [(column, encoder) for column, encoder in found if encoder is not None]


def table_encoders(encoding: Encoding) -> list[tuple[str, str, TableEncoder]]:
    """What encodes outputs and labels at each step of series, one a row of the table, with the
    names of their arrays and their columns."""
    if encoding.reading.series is None:
        return []
    found = [
        (name, node.column, kind_of(node).table(encoding, node)) for name, node in encoding.named()
    ]
    return [(name, column, encoder) for name, column, encoder in found if encoder is not None]


def series_encoder(encoding: Encoding, column: str) -> SeriesColumn:
    """What encodes the series in `column`, for all nodes that read or answer it."""
    inputs = encoding.plan.inputs
    (node,) = (n for n in inputs if isinstance(n, nodes.SeriesInput) and n.column == column)
    rule = encoding.distribution_of(column)
    return SeriesColumn(column, node.missing != "error", numbers.dtype_of(node), node.log, rule)


def static_columns(encoding: Encoding) -> list[StaticColumn]:
    """The columns that are read once for all steps of a window."""
    kinds = [(node.column, kind_of(node).static(node)) for node in encoding.plan.inputs]
    return [StaticColumn(column, kind) for column, kind in kinds if kind is not None]


def outputs_ahead(encoding: Encoding) -> Iterator[tuple[str, ForecastOutput | NumericOutput]]:
    """The outputs of numbers that lie ahead of those read, with the names of their arrays."""
    for at, node in enumerate(encoding.plan.targets):
        if isinstance(node, ForecastOutput) or (isinstance(node, NumericOutput) and node.ahead):
            yield f"output.{at}", node


def new_labels_of(encoding: Encoding, arrays: Arrays) -> dict[str, dict[str, int]]:
    """The labels of each output column that no training row has, and how often each occurs."""
    found: dict[str, dict[str, int]] = {}
    for at, node in enumerate(encoding.plan.targets):
        name = kind_of(node).counted(encoding, node, f"output.{at}")
        if name is not None and (new := new_labels(arrays, name)):
            found[node.column] = new
    return found


# ---------------------------------------------------------------- raw texts of measured rows


def raw_names(encoding: Encoding) -> list[tuple[str, Input | Output]]:
    """The nodes whose raw texts are kept, each with the name of its array; none of streams, whose
    texts have no bounds, and of series."""
    if encoding.reading.stream or encoding.reading.series is not None:
        return []
    named = encoding.named()
    return [(f"{name}.raw", node) for name, node in named if kind_of(node).raw is not None]


def raw_encoders(encoding: Encoding, writer: Writer) -> list[tuple[str, ColumnEncoder]]:
    """What writes raw texts, each with its column."""
    found: list[tuple[str, ColumnEncoder]] = []
    for name, node in raw_names(encoding):
        raw = kind_of(node).raw
        assert raw is not None
        found.append((node.column, raw(node, RaggedWriter.new(writer, name, "u1"))))
    if any(isinstance(node, WrittenOutput) for node in encoding.plan.targets):
        columns = tuple(dict.fromkeys(node.column for node in encoding.plan.inputs))
        values = writer.column(INPUT_DIGESTS, "u1", DIGEST)
        found.append((columns[0], InputDigestWriter(columns, values)))
    return found


def raw_texts(encoding: Encoding, arrays: Arrays) -> Raw:
    """The raw texts out of the arrays of the whole folder."""
    inputs: dict[str, RawTexts] = {}
    truth: dict[str, RawTexts] = {}
    for name, node in raw_names(encoding):
        apart = kind_of(node).apart(node)
        found = RawTexts(arrays[name], arrays[f"{name}.offsets"], apart)
        if isinstance(node, Input):
            inputs[node.key] = found
        else:
            truth[node.column] = found
    return Raw(inputs, truth, arrays.get(INPUT_DIGESTS))


@dataclass(frozen=True, slots=True)
class InputDigestWriter:
    """Writes a digest of the raw cells of all inputs of each row: BLAKE2b of their JSON."""

    columns: Sequence[str]
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        if bad.found:  # the file ends in an error
            return
        rows = zip(*(chunk.cells[column] for column in self.columns), strict=True)
        each = (hashlib.blake2b(json.dumps(row).encode(), digest_size=DIGEST) for row in rows)
        digests = b"".join(one.digest() for one in each)
        self.values.append(np.frombuffer(digests, np.uint8).reshape(-1, DIGEST))
