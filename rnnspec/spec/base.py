"""Base of all models of the spec, and common types of values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.functional_validators import AfterValidator
from pydantic.types import Strict
from pydantic_core import PydanticCustomError

Loc = tuple[str | int, ...]
"""Keys and list indices that lead to a value of the spec."""

MAX_WIDTH = 65_536
"""Largest width of a layer: one recurrent matrix of this size would already take 16 GiB."""
MAX_COUNT = 2**31 - 1
MAX_SEED = 2**32 - 1


class Model(BaseModel):
    """Base of every mapping in a spec: no key is unknown, no value is converted, none changes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        defer_build=True,
    )


def spec_error(
    message: str, hint: str = "", at: str = "", on_key: bool = False
) -> PydanticCustomError:
    """An error with a message and a hint of rnnspec.

    `at` is the key below the value, where that is the better place. With `on_key` the name of the
    key is wrong, otherwise the value under it.
    """
    context = {"message": message, "hint": hint, "at": at, "key": on_key}
    return PydanticCustomError("spec_error", "{message}", context)


def keys_of(model: type[Model]) -> dict[str, str]:
    """The YAML keys of a model, each with its description."""
    return {
        field.alias or name: field.description or "" for name, field in model.model_fields.items()
    }


def _has_text(text: str) -> str:
    if not text.strip():
        raise spec_error("expected a text, found an empty one")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_has_text)]
"""A text with something in it."""
_SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_IDENTIFIER = r"^[A-Za-z][A-Za-z0-9_]*$"
_SIZE = r"^[A-Za-z0-9_][A-Za-z0-9_ +*/-]*$"
PATTERNS = {
    _SIZE: ("a size such as units, 2*units or inputs/3", r"[^A-Za-z0-9_ +*/-]+"),
    _SLUG: ("a name of letters, digits, '-', '_' and '.'", r"[^A-Za-z0-9._-]+"),
    _IDENTIFIER: ("a name of letters, digits and '_' that starts with a letter", r"[^A-Za-z0-9_]+"),
}
"""For each pattern, what it requires in words, and the characters that it forbids."""

Slug = Annotated[str, Field(pattern=_SLUG, max_length=100)]
"""A name that is safe as the name of a folder."""
Identifier = Annotated[str, Field(pattern=_IDENTIFIER, max_length=100)]
"""A name that can be used in equations."""
Size = Annotated[str, Field(pattern=_SIZE, max_length=100)]
"""A size of a cell: a name, or a sum of names, numbers and their products."""
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
"""The length of a vector."""
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
"""A number of things, at least one."""
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A probability, or a share of the whole, below 1."""
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

ListOf = Strict(False)
"""Lets a YAML list fill a tuple, which stays unchangeable: `Annotated[tuple[X, ...], ListOf]`."""

Scale = Annotated[
    Literal["standard", "none"],
    Field(
        description="Scaling inside the model: 'standard' subtracts the mean and divides by the "
        "standard deviation, each measured per feature on the training rows; 'none' leaves "
        "numbers unchanged."
    ),
]
Column = Annotated[
    Text, Field(description="Name of the column (CSV, TSV, Parquet, CoNLL) or of the key (JSONL).")
]


class OfColumn(Model):
    """Base of what is read from a column or answered: `as` says how."""

    column: Column


class SequenceInput(OfColumn):
    """Base of inputs that are sequences of steps."""

    as_: str = Field(alias="as", description="How the column is read.")


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
LayerName = Annotated[
    Identifier | None, Field(description="Name by which later layers read this one.")
]
LayerReads = Annotated[
    tuple[Text, ...] | None,
    ListOf,
    Field(
        min_length=1,
        description="Names of what the layer reads, side by side: layers before it in the list, "
        "and 'input', which the first layer reads. Null means the layer before.",
    ),
]
Repeat = Annotated[
    int,
    Field(ge=1, le=64, description="Number of layers like this one, each with its own weights."),
]
