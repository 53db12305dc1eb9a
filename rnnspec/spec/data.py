"""Models of `data:`: which files, which columns, and how each is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import MAX_WIDTH, Count, Model, Text
from rnnspec.spec.choice import ByKey, ByShape

Scale = Annotated[
    Literal["standard", "none"],
    Field(
        description="Scaling inside the model: 'standard' takes off the mean and divides by the "
        "standard deviation, each measured per feature on the training rows; 'none' leaves "
        "numbers as they are."
    ),
]
Column = Annotated[
    Text, Field(description="Name of the column (CSV, TSV, Parquet) or of the key (JSONL).")
]
MinCount = Annotated[
    Count,
    Field(
        description="Least number of times an entry must occur in the training rows to enter the "
        "vocabulary; rarer ones are read as unknown."
    ),
]
MaxSize = Annotated[
    Count | None,
    Field(
        description="Largest number of vocabulary entries, the most frequent ones first; null "
        "means no limit."
    ),
]


class WordsInput(Model):
    """Text as a sequence of words: split at white space, one step per word."""

    column: Column
    as_: Literal["words"] = Field(alias="as", description="How the column is read.")
    min_count: MinCount = 1
    max_size: MaxSize = None


class CharsInput(Model):
    """Text as a sequence of characters: one step per Unicode code point."""

    column: Column
    as_: Literal["chars"] = Field(alias="as", description="How the column is read.")
    min_count: MinCount = 1
    max_size: MaxSize = None
    fold_case: bool = Field(
        default=False, description="Whether upper and lower case are read as the same character."
    )


class FramesInput(Model):
    """A sequence of numeric vectors, all of the same width: one step per vector."""

    column: Column
    as_: Literal["frames"] = Field(alias="as", description="How the column is read.")
    scale: Scale = "standard"
    elapsed: Annotated[int, Field(ge=0, lt=MAX_WIDTH)] | None = Field(
        default=None,
        description="Place, from 0, of the element of each vector that is the time since the step "
        "before. It is not scaled, and only cells with the input dt see it.",
    )


class ClassOutput(Model):
    """One label out of those seen in the training rows."""

    column: Column
    as_: Literal["class"] = Field(alias="as", description="What the column holds.")


class NumberOutput(Model):
    """One number; answers are in the units of the data."""

    column: Column
    as_: Literal["number"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"


class VectorOutput(Model):
    """A list of numbers, as long in every row; answers are in the units of the data."""

    column: Column
    as_: Literal["vector"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"


Input = Annotated[WordsInput | CharsInput | FramesInput, ByKey("as")]
Output = Annotated[ClassOutput | NumberOutput | VectorOutput, ByKey("as")]


def _file_or_share(value: object) -> int | None:
    if value is None:
        return 2
    if isinstance(value, str):
        return 0
    return 1 if isinstance(value, int | float) and not isinstance(value, bool) else None


ValidShare = Annotated[float, Field(gt=0.0, le=0.5)]
Valid = Annotated[
    Text | ValidShare | None,
    ByShape("a file, or a share above 0 and up to 0.5, or null", _file_or_share),
]


class Data(Model):
    """Where the rows come from and what each holds."""

    train: Text = Field(
        description="File of the training rows; a relative path starts at the folder of the spec."
    )
    valid: Valid = Field(
        default=None,
        description="Rows kept out of training to measure on: a file, or a share of the training "
        "rows above 0 and up to 0.5, or null for none.",
    )
    format: Literal["auto", "jsonl", "csv", "tsv", "parquet"] = Field(
        default="auto", description="Format of the files; 'auto' goes by the ending of the name."
    )
    input: Input = Field(description="The column the model reads, and how.")
    output: Output = Field(description="The column the model answers with, and what it holds.")
