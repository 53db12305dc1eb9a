"""What is in the cells of each column, by how a spec reads it."""

from __future__ import annotations

from typing import Literal

from rnnspec.spec.data import Data
from rnnspec.spec.inputs import (
    BytesInput,
    CharsInput,
    FramesInput,
    NumberInput,
    SeriesInput,
    SubwordsInput,
    VectorInput,
    WordsInput,
)
from rnnspec.spec.outputs import (
    CharsOutput,
    ForecastOutput,
    FramesOutput,
    NumberOutput,
    VectorOutput,
    WordsOutput,
)

CellKind = Literal["number", "text", "time", "other"]
"""Numbers, texts, times; of labels and of lists of them it is "other"."""
_NUMBERS = (
    FramesInput,
    NumberInput,
    VectorInput,
    SeriesInput,
    NumberOutput,
    VectorOutput,
    FramesOutput,
    ForecastOutput,
)
_TEXTS = (WordsInput, CharsInput, BytesInput, SubwordsInput, WordsOutput, CharsOutput)


def cell_kinds(data: Data) -> dict[str, CellKind]:
    """The kind of each column, but for "other"."""
    found: dict[str, CellKind] = {}
    for column in (*data.targets, *data.inputs):
        if isinstance(column, _NUMBERS):
            found[column.column] = "number"
        elif isinstance(column, _TEXTS):
            found[column.column] = "text"
    if data.weight is not None:
        found[data.weight] = "number"
    if data.series is not None and data.series.time is not None:
        found[data.series.time] = "time"
    if data.table is not None and data.table.long is not None and data.table.long.time is not None:
        found[data.table.long.time] = "time"
    return found
