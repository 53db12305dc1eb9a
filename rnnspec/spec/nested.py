"""Models of nested sequences: each step of a column is a sequence of its own, with an encoder, at
any number of levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import MaxSize, MinCount, Model, SequenceInput
from rnnspec.spec.choice import ByKey
from rnnspec.spec.encoder import InnerEncoder
from rnnspec.spec.text_options import FoldCase, Normalize, Split, VectorsKey, WhitespaceSplit


class InnerWords(Model):
    """Each step is a text, read as a sequence of words."""

    as_: Literal["words"] = Field(alias="as", description="How each step is read.")
    normalize: Normalize = "none"
    split: Split = WhitespaceSplit.model_construct()
    fold_case: FoldCase = False
    min_count: MinCount = 1
    max_size: MaxSize = None
    vectors: VectorsKey = None


class InnerTokens(Model):
    """Each step is a list of texts: words that are split already, or labels of events."""

    as_: Literal["tokens"] = Field(alias="as", description="How each step is read.")
    normalize: Normalize = "none"
    fold_case: FoldCase = False
    min_count: MinCount = 1
    max_size: MaxSize = None
    vectors: VectorsKey = None


class InnerChars(Model):
    """Each step is a text, read as a sequence of characters."""

    as_: Literal["chars"] = Field(alias="as", description="How each step is read.")
    normalize: Normalize = "none"
    min_count: MinCount = 1
    max_size: MaxSize = None
    fold_case: bool = Field(
        default=False, description="Whether upper and lower case are read as the same character."
    )


Of = Annotated[
    "InnerWords | InnerTokens | InnerChars | InnerNested",
    ByKey("as"),
    Field(
        description="What each step is: a text for words and chars, a list of texts for tokens, "
        "and for nested a list of what its own 'of' says."
    ),
]


class InnerNested(Model):
    """Each step is a sequence of sequences, as a chapter is one of paragraphs, each a list of
    sentences: a level more, with an encoder of its own."""

    as_: Literal["nested"] = Field(alias="as", description="How each step is read.")
    of: Of
    encoder: InnerEncoder = Field(
        description="Encoder of each sequence inside a step: its vector is what the encoder around "
        "it reads."
    )


class NestedInput(SequenceInput):
    """A sequence of sequences, as a document is one of sentences, and a user's history one of
    sessions: one step per sequence inside, which an encoder of its own makes a vector."""

    as_: Literal["nested"] = Field(alias="as", description="How the column is read.")
    of: Of
    encoder: InnerEncoder = Field(
        description="Encoder of each step's own sequence, the same for all steps: its vector is "
        "what the encoder of the spec reads."
    )


def inner_lengths(column: str, levels: int) -> Iterator[str]:
    """The inputs of a file with the lengths of the sequences of sequences inside the steps of a
    column, the outer ones first: `[batch, time]`, `[batch, time, inner]`, and so on. Sequences of
    tokens have none."""
    yield from (f"{column}.inner{level if level > 1 else ''}.lengths" for level in range(1, levels))
