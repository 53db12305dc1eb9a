"""Models of `init:`: initializers of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rnnspec.spec.base import Model, Positive
from rnnspec.spec.choice import OneOf, Option, Valued

if TYPE_CHECKING:
    from rnnspec.cells.initializers import Initializer


class Uniform(Valued, name="uniform"):
    """Uniform in [-v, v]."""

    value: Positive = Field(description="Largest absolute value.")


class Normal(Valued, name="normal"):
    """Normal, of mean 0."""

    value: Positive = Field(description="Standard deviation.")


class Constant(Valued, name="constant"):
    """Every element the same."""

    value: float = Field(description="The value.")


class Zeros(Option, name="zeros"):
    """Every element 0."""


class Ones(Option, name="ones"):
    """Every element 1."""


class Glorot(Option, name="glorot"):
    """Matrices: uniform within sqrt(6 / (rows + columns)) (Glorot and Bengio, 2010)."""


class Orthogonal(Valued, name="orthogonal"):
    """Matrices: rows or columns orthonormal, times a gain (Saxe et al., 2014)."""

    value: Positive = Field(default=1.0, description="Gain.")


class Identity(Valued, name="identity"):
    """Square matrices: a gain on the diagonal (Le, Jaitly and Hinton, 2015)."""

    value: Positive = Field(default=1.0, description="Gain.")


class Spectral(Valued, name="spectral"):
    """Square matrices: uniform, scaled to a largest absolute eigenvalue (Jaeger, 2001)."""

    value: Positive = Field(description="Largest absolute eigenvalue.")


Init = Annotated[
    Uniform | Normal | Constant | Zeros | Ones | Glorot | Orthogonal | Identity | Spectral, OneOf()
]

Start = Annotated[Uniform | Normal | Glorot | Orthogonal, OneOf()]
"""Those that start a matrix of any shape so that it learns."""
BiasInit = Annotated[Uniform | Normal | Constant | Zeros | Ones, OneOf()]


class AffineInit(Model):
    """Initializers of a matrix, or of filters, and of the bias beside it."""

    weights: Start | None = Field(
        default=None,
        description="The matrix, or the filters; null means the spec's init, or uniform within "
        "1/sqrt(numbers that one output reads).",
    )
    bias: BiasInit | None = Field(
        default=None, description="The bias; null means as the weights do without one."
    )


def initializer_of(init: Init | Start | BiasInit) -> Initializer:
    """The initializer, for the compiler of cells."""
    from rnnspec.cells.initializers import BY_NAME

    return BY_NAME[init.name](*[init.value] if isinstance(init, Valued) else [])
