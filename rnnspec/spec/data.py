"""Models of `data:`: files, columns and series."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, model_validator
from pydantic.functional_validators import AfterValidator

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import Count, ListOf, Loc, Model, Positive, SequenceInput, Text, spec_error
from rnnspec.spec.calendar import CalendarInput
from rnnspec.spec.choice import ByShape, by_type, describe
from rnnspec.spec.every import known_every
from rnnspec.spec.files import FormatName, Quoting
from rnnspec.spec.formats import FormatKey, FormatSettings
from rnnspec.spec.inputs import CategoriesInput, Input, SeriesInput, StaticInput
from rnnspec.spec.outputs import ForecastOutput, NextOutput, Output, StatesOutput, Target
from rnnspec.spec.tables import TableShape

_ONE_OR_SEVERAL = by_type(str, list | tuple, other=0)
Several = Annotated[tuple[Text, ...], ListOf, Field(min_length=1)]
Files = Annotated[Text | Several, ByShape("a file, or a list of files", _ONE_OR_SEVERAL)]


class Query(Model):
    """The rows that a database answers a query with."""

    file: Text = Field(description="File of the database, of SQLite or DuckDB.")
    query: Text = Field(
        description="Query in SQL, whose columns are those of the rows. With ORDER BY the rows "
        "come in the same order at each reading."
    )


Columns = Annotated[dict[Text, Files], Field(min_length=1)]
Named = str | tuple[str, ...] | Query | dict[str, str | tuple[str, ...]]
"""What `train` and `valid` name."""
_KEYS = {"file", "query"}


def _named(value: object) -> int | None:
    """The place of a value among the forms of files."""
    if isinstance(value, Mapping):
        of_files = all(isinstance(each, str | list | tuple) for each in value.values())
        return 2 if set(value) == _KEYS else 3 if of_files and value else None
    return by_type(str, list | tuple, Query, Mapping, int | float, NoneType)(value)


def _named_files(value: object) -> int | None:
    found = _named(value)
    return found if found is not None and found < 4 else 0


TrainFiles = Annotated[
    Text | Several | Query | Columns, ByShape("a file, or a list of files", _named_files)
]
ValidShare = Annotated[float, Field(gt=0.0, le=0.5)]


class Fold(Model):
    """One of several parts of the training rows, each of which is measured by a build on the
    others: cross-validation."""

    fold: Count = Field(description="The number of the part that is measured, from 1.")
    of: Annotated[int, Field(ge=2, le=100)] = Field(
        description="Number of parts; they are drawn as a share is, of as equal size as can be."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Fold:
        if self.fold > self.of:
            raise spec_error(
                f"there is no fold {self.fold} of {self.of}", f"write 1 to {self.of}", at="fold"
            )
        return self


def _measured(value: object) -> int | None:
    """The place of a value among the forms of validation rows."""
    if isinstance(value, Mapping) and {int} <= set(map(type, value.values())):
        return 5
    if isinstance(value, str) and (share := re.fullmatch(r"([0-9.]{1,9})\s*%", value)):
        hint = f"write {float(share[1]) / 100:g}" if share[1].count(".") < 2 else ""
        raise spec_error(f"expected a file or a share, found {describe(value)}", hint)
    found = 5 if isinstance(value, Fold) else _named(value)
    return 6 if value is None else found


Valid = Annotated[
    Text | Several | Query | Columns | ValidShare | Fold | None,
    ByShape("a file, or a share above 0 and up to 0.5, or {fold: 1, of: 5}, or null", _measured),
]


def _names(named: Named | Fold | float | None) -> tuple[str, ...]:
    """All names of files."""
    match named:
        case str():
            return (named,)
        case tuple():
            return named
        case Query():
            return (named.file,)
        case dict():
            return tuple(name for each in named.values() for name in _names(each))
    return ()


def _known_fill(value: object) -> int | None:
    if isinstance(value, str):
        return 0 if value in ("error", "previous", "missing") else None
    return 1 if isinstance(value, int | float) and not isinstance(value, bool) else None


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        near = did_you_mean(name, known) if known else "install the package tzdata"
        hint = near or "write it as in Europe/Berlin, America/New_York or UTC"
        raise spec_error(f"there is no time zone {name[:40]!r}", hint) from None
    return name


EveryKey = Annotated[
    Annotated[Text, AfterValidator(known_every)] | Positive | None,
    ByShape(
        "a step as in 'day' or '30 min', or a number, or null", by_type(str, int | float, NoneType)
    ),
]
Fill = Annotated[
    Literal["error", "previous", "missing"] | float,
    ByShape("error, previous, missing, or a number", _known_fill),
]


class Series(Model):
    """How the rows of a table make series, and how much of them is read at once."""

    time: Text | None = Field(
        default=None,
        description="Column that orders the rows of each series: numbers, or dates as ISO 8601, "
        "rising by equal steps; null means that the rows are in order. A text that is a number is "
        "read as one, be it a year or milliseconds since 1970. Numbers count as equal within a "
        "thousandth of a step, or within the precision of float64.",
    )
    every: EveryKey = Field(
        default=None,
        description="One step of 'time': the difference of numbers, or ms, s, min, half "
        "hour, hour (h), day, business day (Monday to Friday), week, month, quarter or year, or "
        "several as in '30 min'. Hours and less are time that passes, days the same time of day, "
        "months also the same day, or the last. With it dates may be 20240131, 202401 or 2024. "
        "null takes it from the first two rows of each series.",
    )
    zone: Annotated[Text, AfterValidator(_known_zone)] | None = Field(
        default=None,
        description="Time zone of calendar and clock, as in Europe/Berlin; null takes each time as "
        "it is written, with its own offset.",
    )
    fill: Fill = Field(
        default="error",
        description="Numbers for steps without a row: 'error' refuses such steps, a number stands "
        "for all of them, 'previous' takes the row before; both are learned and measured like "
        "others. 'missing' leaves them to 'missing' of each input. Needs 'every'.",
    )
    id: Text | None = Field(
        default=None,
        description="Column whose label names the series of a row; null means one series.",
    )
    history: Count | None = Field(
        default=None,
        description="Steps of the past that are read for each forecast; null where each step of a "
        "series is answered, which is read whole, or by train.window.",
    )
    stride: Count = Field(default=1, description="Steps from one training window to the next.")


class Data(Model):
    """Where the rows come from and what each holds."""

    train: TrainFiles = Field(
        description="File of the training rows; or a folder of files, a pattern for them with *, "
        "?, […] and **, or a list of these, whose rows follow one another. A relative path starts "
        "at the folder of the spec. A mapping of columns to files has a row in line n of each, or "
        "in entry n of an .npy array, as in {text: train.de, translation: train.en}; one of file "
        "and query reads the rows of a database."
    )
    valid: Valid = Field(
        default=None,
        description="Rows kept out of training to measure on: files as for train, or a share of "
        "the training rows above 0 and up to 0.5, or {fold: 1, of: 5} for one of several parts "
        "(all of them: rnnspec build --folds), or null for none. A share is drawn by "
        "train.seed. Where a class is answered (the first, if several are), it is drawn from the "
        "rows of each label, of which at least one is trained on. Of series it is the end of each, "
        "and of one plain text that is read whole its end.",
    )
    format: FormatKey = Field(
        default="auto",
        description="Format of the files; 'auto' goes by the ending of the name. A mapping of one "
        "has its settings, as in {csv: {delimiter: ';', encoding: latin-1}}. 'text' (.txt) is "
        "plain text with one column, text; 'conll' (.conll, .conllu) has a line for each token, an "
        "empty line after each sentence, which is a row, and columns between tabs or white space: "
        "each is a list of texts. 'folders', which auto makes of a folder of folders, are classes: "
        "each file in one of them is a row with the columns file, read as audio, image or video, "
        "or text, what a .txt file holds, and folder, the name of the folder. 'arrow' "
        "(.arrow, .feather) are Arrow files; 'npz' has arrays of NumPy, a column each, whose "
        "entries are the rows.",
    )
    columns: Annotated[tuple[Text, ...], ListOf] = Field(
        default=(),
        description="Names of the columns of CoNLL files, and of CSV and TSV without a header, the "
        "first one first. Columns without a name are called by their numbers, '1' and so on, "
        "unless the first line of a CoNLL file names them, as in '# global.columns = tokens "
        "tags'. Those of CoNLL-U are ID, FORM, LEMMA, UPOS and so on.",
    )
    quoting: Quoting = Field(
        default="auto",
        description="Whether double quotes around a field of CSV or TSV enclose it, so that it may "
        "hold the delimiter and line breaks (RFC 4180): 'double' says that they do, 'none' that a "
        "quote is a character as any other. 'auto' is double in CSV, but refuses a field that "
        "looks as if an unbalanced quote had swallowed rows, and none in TSV.",
    )
    documents: Literal["file", "paragraph", "line"] = Field(
        default="file",
        description="What a row of plain text is: the whole file, a paragraph (up to an empty "
        "line), or a line.",
    )
    table: TableShape | None = Field(
        default=None,
        description="How the columns of a table make those that are read: several columns as one, "
        "wide tables, and long tables of sequences. null reads each column as it is.",
    )
    series: Series | None = Field(
        default=None, description="Set where the rows of the table are the steps of series."
    )
    input: Annotated[
        Input | Annotated[tuple[Input, ...], ListOf, Field(min_length=1)],
        ByShape("a mapping, or a list of them", _ONE_OR_SEVERAL),
    ] = Field(description="The column the model reads, and how; or a list of several.")
    output: Annotated[
        Output | Annotated[tuple[Output, ...], ListOf, Field(min_length=1)],
        ByShape("a mapping, or a list of them", _ONE_OR_SEVERAL),
    ] = Field(description="The column the model answers with, and what it holds; or a list.")

    weight: Text | None = Field(
        default=None,
        description="Column of numbers from 0 on that say how much each row counts in the loss, "
        "which is the weighted mean: a row of weight 2 counts as if it stood there twice, one of "
        "weight 0 as if it were not there. Of series each row is a step, whose weight counts where "
        "it is answered. Metrics count every row once. null means 1 for all.",
    )

    @property
    def format_name(self) -> FormatName:
        """The format, without its settings."""
        return self.format if isinstance(self.format, str) else self.format.name

    @property
    def format_settings(self) -> FormatSettings | None:
        """The settings of the format; None where the spec has none."""
        return None if isinstance(self.format, str) else self.format

    @property
    def train_files(self) -> tuple[str, ...]:
        """The names under `train`."""
        return _names(self.train)

    @property
    def valid_share(self) -> float:
        """The share of the training rows that is kept for validation, 0 for none."""
        if isinstance(self.valid, Fold):
            return 1 / self.valid.of
        return self.valid if isinstance(self.valid, float) else 0.0

    @property
    def valid_files(self) -> tuple[str, ...]:
        """The names under `valid`; none where it is a share or null."""
        return _names(self.valid)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every input, in the order of the spec."""
        return self.input if isinstance(self.input, tuple) else (self.input,)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Every output, in the order of the spec."""
        return self.output if isinstance(self.output, tuple) else (self.output,)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The outputs whose true values stand in the data."""
        return tuple(each for each in self.outputs if not isinstance(each, StatesOutput))

    @property
    def sequences(self) -> tuple[SequenceInput, ...]:
        """The inputs of steps."""
        return tuple(each for each in self.inputs if isinstance(each, SequenceInput))

    @property
    def statics(self) -> tuple[StaticInput, ...]:
        """The inputs of whole rows."""
        return tuple(each for each in self.inputs if isinstance(each, StaticInput))

    @property
    def located_inputs(self) -> tuple[tuple[Loc, Input], ...]:
        """Every input with its path in the YAML."""
        if not isinstance(self.input, tuple):
            return ((("data", "input"), self.input),)
        return tuple((("data", "input", index), each) for index, each in enumerate(self.input))

    @property
    def located_series(self) -> tuple[tuple[Loc, SeriesInput], ...]:
        """Every series that is read, with its path in the YAML."""
        every = self.located_inputs
        return tuple((path, each) for path, each in every if isinstance(each, SeriesInput))

    @property
    def located_outputs(self) -> tuple[tuple[Loc, Output], ...]:
        """Every output with its path in the YAML."""
        if not isinstance(self.output, tuple):
            return ((("data", "output"), self.output),)
        return tuple((("data", "output", index), each) for index, each in enumerate(self.output))

    @property
    def located_targets(self) -> tuple[tuple[Loc, Target], ...]:
        """Every output whose true values stand in the data, with its path in the YAML."""
        every = self.located_outputs
        return tuple((path, each) for path, each in every if not isinstance(each, StatesOutput))

    @property
    def is_forecast(self) -> bool:
        """Whether some output is a forecast."""
        return any(isinstance(output, ForecastOutput) for output in self.outputs)

    def is_reversed(self, column: str) -> bool:
        """Whether a text is read from its end, to answer the token before each."""
        ahead = (each for each in self.outputs if isinstance(each, NextOutput))
        return any(each.column == column and each.direction == "reverse" for each in ahead)

    def read_ahead(self, source: Input) -> bool:
        """Whether the values of an input over the horizon of a forecast are read too."""
        ahead = isinstance(source, SeriesInput | CalendarInput | CategoriesInput) and source.known
        return ahead and self.is_forecast

    @property
    def history(self) -> int:
        """How many steps of series are run through for a forecast; 0 where they are read whole."""
        return (self.series.history or 0) if self.series is not None else 0

    @property
    def reach(self) -> int:
        """How many steps before the history are read: the longest lag, and before it what a
        difference is from."""
        found = (
            max(each.lags, default=0) + sum(self.differences(each))
            for each in self.inputs
            if isinstance(each, SeriesInput)
        )
        return max(found, default=0)

    def differences(self, source: SeriesInput) -> tuple[int, ...]:
        """The lags of the differences that a series is read as; 'seasonal' is the season of the
        forecast of its column, 1 without one."""
        own = (
            o for o in self.outputs if isinstance(o, ForecastOutput) and o.column == source.column
        )
        season = next((output.season for output in own), 1)
        return tuple(season if lag == "seasonal" else lag for lag in source.difference)

    def input_of(self, output: Output) -> Input | None:
        """The input in the column of an output."""
        return next((each for each in self.inputs if each.column == output.column), None)
