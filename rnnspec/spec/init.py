"""Models of `init:`: initializers of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, assert_never

from pydantic import Field

from rnnspec.spec.base import Positive
from rnnspec.spec.choice import OneOf, Option, Valued

if TYPE_CHECKING:
    from rnnspec.cells.initializers import Initializer


class Uniform(Valued):
    """Uniform in [-v, v]."""

    name: ClassVar[str] = "uniform"
    value: Positive = Field(description="Largest absolute value.")


class Normal(Valued):
    """Normal, of mean 0."""

    name: ClassVar[str] = "normal"
    value: Positive = Field(description="Standard deviation.")


class Constant(Valued):
    """Every element the same."""

    name: ClassVar[str] = "constant"
    value: float = Field(description="The value.")


class Zeros(Option):
    """Every element 0."""

    name: ClassVar[str] = "zeros"


class Ones(Option):
    """Every element 1."""

    name: ClassVar[str] = "ones"


class Glorot(Option):
    """Matrices: uniform within sqrt(6 / (rows + columns)) (Glorot and Bengio, 2010)."""

    name: ClassVar[str] = "glorot"


class Orthogonal(Valued):
    """Matrices: rows or columns orthonormal, times a gain (Saxe et al., 2014)."""

    name: ClassVar[str] = "orthogonal"
    value: Positive = Field(default=1.0, description="Gain.")


class Identity(Valued):
    """Square matrices: a gain on the diagonal (Le, Jaitly and Hinton, 2015)."""

    name: ClassVar[str] = "identity"
    value: Positive = Field(default=1.0, description="Gain.")


class Spectral(Valued):
    """Square matrices: uniform, scaled to a largest absolute eigenvalue (Jaeger, 2001)."""

    name: ClassVar[str] = "spectral"
    value: Positive = Field(description="Largest absolute eigenvalue.")


Init = Annotated[
    Uniform | Normal | Constant | Zeros | Ones | Glorot | Orthogonal | Identity | Spectral, OneOf()
]


def initializer_of(init: Init) -> Initializer:
    """The initializer, for the compiler of cells."""
    from rnnspec.cells import initializers

    match init:
        case Uniform():
            return initializers.Uniform(init.value)
        case Normal():
            return initializers.Normal(init.value)
        case Constant():
            return initializers.Constant(init.value)
        case Zeros():
            return initializers.Constant(0.0)
        case Ones():
            return initializers.Constant(1.0)
        case Glorot():
            return initializers.Glorot()
        case Orthogonal():
            return initializers.Orthogonal(init.value)
        case Identity():
            return initializers.Identity(init.value)
        case Spectral():
            return initializers.Spectral(init.value)
        case _:
            assert_never(init)
