"""Models of nested sequences: each step of a column is a sequence of its own, with an encoder."""

from __future__ import annotations

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


Inner = InnerWords | InnerTokens | InnerChars


class NestedInput(SequenceInput):
    """A sequence of sequences, as a document is one of sentences, and a user's history one of
    sessions: one step per sequence inside, which an encoder of its own makes a vector."""

    as_: Literal["nested"] = Field(alias="as", description="How the column is read.")
    of: Annotated[Inner, ByKey("as")] = Field(
        description="What each step is: a cell is a list of texts for words and chars, for tokens "
        "a list of lists of texts."
    )
    encoder: InnerEncoder = Field(
        description="Encoder of each step's own sequence, the same for all steps: its vector is "
        "what the encoder of the spec reads."
    )
