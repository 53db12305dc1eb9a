"""Models of `pooling:` and `head:`: from the sequence of states to one answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import ListOf, Model, Share, Width
from rnnspec.spec.choice import OneOf, Option
from rnnspec.spec.init import AffineInit


class LastPooling(Option, name="last"):
    """The state after the last step read, of each direction."""


class MeanPooling(Option, name="mean"):
    """The mean over the sequence's own steps."""


class MaxPooling(Option, name="max"):
    """The largest value over the sequence's own steps, per entry."""


class AttentionPooling(Option, name="attention"):
    """A weighted mean over the sequence's own steps, with learned weights."""

    units: Width | None = Field(
        default=None,
        description="Width of the layer that scores each step; null means the width of its input.",
    )


Pooling = Annotated[LastPooling | MeanPooling | MaxPooling | AttentionPooling, OneOf()]


FixedPooling = Annotated[LastPooling | MeanPooling | MaxPooling, OneOf()]
"""Poolings that have no weights."""


class Head(Model):
    """The dense layers from the pooled vector to the answer."""

    hidden: Annotated[tuple[Width, ...], ListOf] = Field(
        default=(), description="Widths of dense layers before the answer; none by default."
    )
    activation: Literal["relu", "tanh", "gelu"] = Field(
        default="relu", description="Function after each hidden layer."
    )
    dropout: Share = Field(
        default=0.0,
        description="Share of entries set to zero while training, of the pooled vector and of "
        "each hidden layer.",
    )
    tied: bool = Field(
        default=False,
        description="Whether the learned vectors of the tokens read are also the matrix that "
        "scores the next one (Press and Wolf, 2017; Inan et al., 2017): the width before the "
        "answer must be the width of the vectors. Without an init they start uniform within "
        "1/sqrt(width).",
    )
    init: AffineInit = Field(
        default=AffineInit.model_construct(),
        description="Initializers of the hidden layers and of the layer that answers.",
    )
