"""What all models of the spec share: strictness, and common types of values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.functional_validators import AfterValidator
from pydantic.types import Strict
from pydantic_core import PydanticCustomError

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


def _has_text(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("own", "is empty; write a text or leave the key out")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_has_text)]
"""A text with something in it."""
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""A name that is safe as the name of a folder."""
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=100)]
"""A name that can stand in equations."""
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
"""The length of a vector."""
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
"""How many of something, at least one."""
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A probability, or a share of the whole, below 1."""
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

ListOf = Strict(False)
"""Lets a YAML list fill a tuple, which stays unchangeable: `Annotated[tuple[X, ...], ListOf]`."""
