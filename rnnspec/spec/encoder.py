"""Models of `encoder:`: the embedding and the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from rnnspec.spec.base import ListOf, Model, Share, Width
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
    layers: Annotated[tuple[Layer, ...], ListOf, Field(min_length=1)] = Field(
        description="The layers, first the one nearest to the input."
    )


def given_columns(layers: Sequence[Layer]) -> tuple[str, ...]:
    """The columns that hold initial states, each once, in the order of the layers."""
    given = [layer.initial_state for layer in layers if isinstance(layer, RecurrentLayer)]
    return tuple(dict.fromkeys(state.value for state in given if isinstance(state, GivenState)))
