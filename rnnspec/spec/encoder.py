"""Models of `encoder:`: the embedding and the recurrent layers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import ListOf, Model, Share, Text, Width


class Layer(Model):
    """One recurrent layer of a stack."""

    cell: Text = Field(
        description="The cell: a built-in one (rnn, lstm, gru and more) or a name under 'cells:'."
    )
    units: Width = Field(description="Width of the state, per direction.")
    direction: Literal["forward", "reverse", "bidirectional"] = Field(
        default="forward",
        description="Order in which steps are read: 'forward' from the first to the last, "
        "'reverse' from the last to the first (answers keep time order), 'bidirectional' both "
        "ways, giving twice the width.",
    )
    repeat: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="Number of layers like this one, each with weights of its own."
    )
    dropout: Share = Field(
        default=0.0,
        description="Share of this layer's outputs set to zero at each step while training.",
    )


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
    layers: Annotated[tuple[Layer, ...], ListOf, Field(min_length=1)] = Field(
        description="The recurrent layers, first the one nearest to the input."
    )
