"""Models of `data.format`: the name of a format, or a mapping of it to its settings."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError
from pydantic.functional_validators import AfterValidator

from rnnspec.errors import RnnspecError
from rnnspec.source.text import Source
from rnnspec.source.yaml12 import compose
from rnnspec.spec.base import ListOf, Model, Text, spec_error
from rnnspec.spec.choice import HIDDEN, ByShape, OneOf, Option, by_type
from rnnspec.spec.files import FormatName


def _known_encoding(name: str) -> str:
    try:
        known = codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError):
        hint = "write it as Python's codecs do: utf-8, utf-16, latin-1, windows-1252, shift_jis"
        raise spec_error(f"there is no encoding {name[:40]!r} of texts", hint) from None
    if known.name in ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"):
        raise spec_error(f"{name!r} is no encoding of files", "write utf-8, or latin-1")
    return name


def _one_character(text: str) -> str:
    if len(text) != 1 or text in "\n\r\0":
        raise spec_error(f"expected one character, found {text[:40]!r}", "write it as in ';'")
    return text


Encoding = Annotated[
    Text,
    AfterValidator(_known_encoding),
    Field(
        description="How characters stand in bytes, by the names of Python's codecs: utf-8, "
        "latin-1, windows-1252, utf-16, shift_jis and so on. A byte order mark is left off."
    ),
]
Character = Annotated[str, AfterValidator(_one_character)]


class TextFormat(Option):
    """Base of the settings of formats that are text."""

    encoding: Encoding = "utf-8"

    def written(self) -> dict[str, Any]:
        return {self.name: self.model_dump(mode="json", exclude_defaults=True)}


class Delimited(TextFormat):
    """Base of CSV and TSV. All cells are texts; numbers are read from decimal text."""

    delimiter: Character | None = Field(
        default=None,
        description="What ends a field; null is ',' in CSV and a tab in TSV. ' ' is any run of "
        "spaces and tabs, in which no quotes count.",
    )
    quote: Character = Field(
        default='"', description="The quote that encloses fields, if data.quoting says that any do."
    )
    header: bool = Field(
        default=True,
        description="Whether the first line names the columns. Without one data.columns names "
        "them, or they are called by their numbers, '1' and so on.",
    )
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0, description="Lines before the header that are left out."
    )
    comment: Character | None = Field(
        default=None, description="Lines that begin with it are left out; null leaves out none."
    )
    decimal: Literal[".", ","] = Field(
        default=".", description="What stands before the fraction of a number."
    )
    thousands: Literal[".", ",", " ", "'", "_"] | None = Field(
        default=None,
        description="What may stand between the thousands of a number; ' ' also is U+00A0 and "
        "U+202F.",
    )
    missing: Annotated[tuple[str, ...], ListOf] = Field(
        default=(),
        description="Words for a missing value, such as NA or '?', wherever a column is no text. "
        "An empty field is one without being named.",
    )
    dates: Text | None = Field(
        default=None,
        description="How dates are written in columns of times, by the letters of strptime, as in "
        "'%d.%m.%Y %H:%M'; null means ISO 8601.",
    )


class CsvFormat(Delimited):
    """Rows of delimited text, by default RFC 4180."""

    name: ClassVar[Literal["csv"]] = "csv"


class TsvFormat(Delimited):
    """Rows of text delimited by tabs."""

    name: ClassVar[Literal["tsv"]] = "tsv"


class JsonlFormat(TextFormat):
    """One JSON object a line."""

    name: ClassVar[Literal["jsonl"]] = "jsonl"


class ConllFormat(TextFormat):
    """A line for each token, in columns."""

    name: ClassVar[Literal["conll"]] = "conll"


class NpzFormat(Option):
    """Arrays of NumPy, an entry a row."""

    name: ClassVar[Literal["npz"]] = "npz"

    lengths: Text | None = Field(
        default=None,
        description="Array with the number of steps of each row, where rows are filled up to the "
        "longest one; null means that no array says it.",
    )
    padding: Annotated[
        Literal["nan"] | float | None,
        ByShape("nan, a number, or null", by_type(str, int | float, NoneType)),
    ] = Field(
        default=None,
        description="What fills rows up: steps at the end of a row that are nothing else are left "
        "out. null leaves every step in.",
    )
    features: Literal["last", "first"] = Field(
        default="last",
        description="Where the features of arrays of steps are: 'last' is rows, steps, features, "
        "'first' rows, features, steps.",
    )

    def written(self) -> dict[str, Any]:
        return {self.name: self.model_dump(mode="json", exclude_defaults=True)}


class PlainFormat(TextFormat):
    """Plain text."""

    name: ClassVar[Literal["text"]] = "text"


class FoldersFormat(TextFormat):
    """A folder for each class; of files of text."""

    name: ClassVar[Literal["folders"]] = "folders"


FormatSettings = (
    CsvFormat | TsvFormat | JsonlFormat | ConllFormat | PlainFormat | FoldersFormat | NpzFormat
)
"""The formats that have settings."""
FormatKey = Annotated[
    FormatName | Annotated[FormatSettings, OneOf()],
    ByShape(
        "the name of a format, or a mapping of one to its settings", by_type(str, Mapping | Option)
    ),
]


class OneFormat(Model):
    """A format by itself, as an option of a command gives it."""

    format: FormatKey


def read_format(text: str) -> FormatName | FormatSettings:
    """`data.format` as it stands in `text`, in YAML. Raises RnnspecError."""
    document, problems = compose(Source.of(text, "--format"))
    if document is None:
        raise RnnspecError(f"--format: {problems[0].message}")
    try:
        return OneFormat.model_validate({"format": document.data}).format
    except ValidationError as error:
        wrong = error.errors()[0]
        key = str(wrong["loc"][-1])
        place = f"{key}: " if not key.startswith(HIDDEN) and key != "format" else ""
        hint = wrong.get("ctx", {}).get("hint")
        raise RnnspecError(
            f"--format: {place}{wrong['msg']}{f'; {hint}' if hint else ''}"
        ) from None


WHERE = "(data.format of a spec, --format of run and evaluate)"


def set_format(name: str, settings: Mapping[str, object]) -> str:
    """What a message tells the reader to write: `set format to {csv: {delimiter: ';'}} (…)`."""
    listed = ", ".join(f"{key}: {_as_yaml(value)}" for key, value in settings.items())
    return f"set format to {{{name}: {{{listed}}}}} {WHERE}"


def _as_yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_yaml, value))}]"
    if isinstance(value, str):
        plain = value.replace("-", "").replace("_", "").isalnum() and value[0].isalpha()
        quoted = '"\\t"' if value == "\t" else "'" + value.replace("'", "''") + "'"
        return value if plain else quoted
    return str(value)
