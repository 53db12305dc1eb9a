"""Models of `data.table`: columns that belong together, wide tables and long ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from rnnspec.spec.base import ListOf, Model, Text
from rnnspec.spec.choice import ByShape, by_type


class ColumnRange(Model):
    """Neighbouring columns of a file."""

    from_: Text = Field(alias="from", description="The first of the columns.")
    to: Text | None = Field(
        default=None, description="The last of them; null is the last column of the file."
    )


SomeColumns = Annotated[
    Annotated[tuple[Text, ...], ListOf, Field(min_length=1)] | ColumnRange,
    ByShape("a list of columns, or {from: …, to: …}", by_type(list | tuple, Mapping | ColumnRange)),
]


class Long(Model):
    """A table whose rows are the steps of sequences: rows of one id follow one another."""

    id: Text = Field(
        description="Column that names the sequence of a row. Where it is empty, the row belongs "
        "to the sequence of the row before."
    )
    time: Text | None = Field(
        default=None,
        description="Column of numbers, or of dates as ISO 8601, that rises within each sequence; "
        "null takes the rows in their order.",
    )


class TableShape(Model):
    """How the columns of a table make those that are read."""

    join: dict[Text, SomeColumns] = Field(
        default={},
        description="Columns that are made of several ones side by side, by their new names: of "
        "numbers a vector, of lists the features of each step.",
    )
    wide: dict[Text, SomeColumns] = Field(
        default={},
        description="Columns that are made of several ones one after another, by their new names: "
        "each holds one step, and empty ones at the end are no steps. With data.series each row "
        "is a series, and the names of the columns are its times.",
    )
    long: Long | None = Field(
        default=None,
        description="Set where several rows make one: columns of steps become lists, and the "
        "others say the same in each row, or nothing.",
    )
