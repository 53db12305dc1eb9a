"""The input of what the calendar says of each step: `as: calendar`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import ListOf, SequenceInput
from rnnspec.spec.choice import OneOf, Option, Valued

CalendarFeature = Literal[
    "minute", "hour", "time_of_day", "weekday", "day", "week", "month", "quarter", "year_day"
]
PERIODS: dict[CalendarFeature, int] = {
    "minute": 60, "hour": 24, "time_of_day": 1440, "weekday": 7, "day": 31, "week": 53,
    "month": 12, "quarter": 4, "year_day": 366,
}  # fmt: skip
"""How many values a feature has."""


class CyclicEncoding(Option):
    """Sine and cosine of the place of a value in its circle, so that December is beside January."""

    name: ClassVar[Literal["cyclic"]] = "cyclic"
    harmonics: Annotated[int, Field(ge=1, le=30)] = Field(
        default=1,
        description="How many pairs of sine and cosine: pair k goes round k times, so that more of "
        "them follow a sharper shape.",
    )


class OneHotEncoding(Option):
    """A number for each value, 1 at its own and else 0."""

    name: ClassVar[Literal["one_hot"]] = "one_hot"


class EmbedEncoding(Valued):
    """A learned vector of each value, of each feature by itself, the same for the steps of the past
    and those ahead."""

    name: ClassVar[Literal["embed"]] = "embed"
    needs: ClassVar[tuple[str, str]] = ("the width of the vectors", "4")
    value: Annotated[int, Field(ge=1, le=1024)] = Field(description="Numbers of each vector.")


class CalendarInput(SequenceInput):
    """What the calendar says of each step of series, from the times in the column of
    `data.series.time`, by the clock of `data.series.zone`. The exported file computes it too: it
    reads seconds since 1970."""

    as_: Literal["calendar"] = Field(alias="as", description="How the column is read.")
    features: Annotated[tuple[CalendarFeature, ...], ListOf, Field(min_length=1)] = Field(
        description="What is read of a time: minute (of the hour), hour, time_of_day (the minute "
        "of the day), weekday (from Monday), day (of the month), week (ISO 8601), month, quarter, "
        "year_day (the day of the year)."
    )
    encode: Annotated[CyclicEncoding | OneHotEncoding | EmbedEncoding, OneOf()] = Field(
        default=CyclicEncoding.model_construct(), description="How each feature becomes numbers."
    )
    known: bool = Field(
        default=True, description="Whether it is read over the horizon of a forecast too."
    )

    @property
    def width(self) -> int:
        """Numbers of a step."""
        if isinstance(self.encode, CyclicEncoding):
            return 2 * self.encode.harmonics * len(self.features)
        if isinstance(self.encode, EmbedEncoding):
            return self.encode.value * len(self.features)
        return sum(PERIODS[each] for each in self.features)
