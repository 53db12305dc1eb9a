"""Models of `encoder:` and `encoders:`: the embedding and the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import Identifier, ListOf, Model, Share, Text, Width
from rnnspec.spec.choice import ByShape
from rnnspec.spec.head import LastPooling, Pooling
from rnnspec.spec.init import Start
from rnnspec.spec.layers import Layer
from rnnspec.spec.recurrent import GivenState, RecurrentLayer

DEFAULT_EMBED = 64
"""Width of the embedding where the spec leaves it open."""


class Encoder(Model):
    """The part that reads the input sequence."""

    embed: Width | None = Field(
        default=None,
        description="Width of the learned vector of each word or character; null means 64. Has "
        "no effect on frames, where it is refused.",
    )
    embed_dropout: Share = Field(
        default=0.0,
        description="Share of the learned vectors' entries set to zero while training. Has no "
        "effect on frames, where it is refused.",
    )
    embed_init: Start | None = Field(
        default=None,
        description="Initializer of the learned vectors; null means the spec's init, or normal "
        "with deviation 1. Has no effect on frames, where it is refused.",
    )
    layers: Annotated[tuple[Layer, ...], ListOf, Field(min_length=1)] = Field(
        description="The layers, first the one nearest to the input."
    )


class InnerEncoder(Encoder):
    """The encoder of each sequence inside a nested one: its vector is a step of the sequence
    outside."""

    pooling: Pooling = Field(
        default=LastPooling.model_construct(),
        description="How the states of all its steps become one vector.",
    )


Inputs = Annotated[
    tuple[Text, ...],
    ListOf,
    Field(
        min_length=1,
        description="Columns of data.input that this encoder reads; its sequences have equal "
        "numbers of steps, which those of other encoders need not have. A category, number or "
        "vector that no encoder reads stands beside the vectors of all.",
    ),
]


class OwnEncoder(Encoder):
    """One of several encoders, with weights of its own."""

    name: ClassVar[str] = "own"

    inputs: Inputs
    pooling: Pooling = Field(
        default=LastPooling.model_construct(),
        description="How the states of all its steps become one vector.",
    )


class SharedEncoder(Model):
    """One of several encoders, with the layers, the weights and the vocabularies of another."""

    name: ClassVar[str] = "same_as"

    inputs: Inputs
    same_as: Identifier = Field(
        description="The encoder whose embedding, layers and pooling it has, with the same "
        "weights; its columns are of the same kinds, in the same order, and entries of either "
        "column are in the vocabulary of both."
    )


def _kind_of_encoder(value: object) -> int:
    return int("same_as" in value if isinstance(value, Mapping) else type(value) is SharedEncoder)


AnyEncoder = Annotated[
    OwnEncoder | SharedEncoder, ByShape("the keys of an encoder", _kind_of_encoder)
]
Combination = Literal["concat", "difference", "product", "cosine", "manhattan"]
"""How the vectors of several encoders meet."""


def given_columns(layers: Sequence[Layer]) -> tuple[str, ...]:
    """The columns that hold initial states, each once, in the order of the layers."""
    given = [layer.initial_state for layer in layers if isinstance(layer, RecurrentLayer)]
    return tuple(dict.fromkeys(state.value for state in given if isinstance(state, GivenState)))
