"""Models of `init:`: initializers of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from rnnspec.spec.base import Identifier, Model, Positive
from rnnspec.spec.choice import ByShape, OneOf, Option, Valued, by_type

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


class S4DReal(Option, name="s4d_real"):
    """Matrices: log(1), log(2), … along each row (Gu et al., 2022)."""


class Legendre(Valued, name="legendre"):
    """Square matrices and vectors: the memory of a window of steps (Voelker et al., 2019)."""

    needs: ClassVar[tuple[str, str]] = ("a number of steps, or a size of the cell", "100")
    value: Annotated[
        Positive | Identifier,
        ByShape("a number of steps, or a size of the cell", by_type(int | float, str)),
    ] = Field(description="Steps in the window, or the size of the cell that is their number.")


Init = Annotated[
    Uniform
    | Normal
    | Constant
    | Zeros
    | Ones
    | Glorot
    | Orthogonal
    | Identity
    | Spectral
    | S4DReal
    | Legendre,
    OneOf(),
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
