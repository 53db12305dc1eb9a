"""Initializers of weights.

The torch back end draws the values (`rnnspec.to_torch.initializers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Uniform:
    """Evenly from [-bound, bound]."""

    bound: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal, of mean 0."""

    deviation: float


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element the same."""

    value: float


@dataclass(frozen=True, slots=True)
class Glorot:
    """Uniform within sqrt(6 / (rows + columns)) (Glorot and Bengio 2010, equation 16)."""


@dataclass(frozen=True, slots=True)
class Orthogonal:
    """Rows or columns orthonormal, whichever are fewer, times `gain` (Saxe et al. 2014)."""

    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Identity:
    """`gain` on the diagonal (Le, Jaitly and Hinton 2015)."""

    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Spectral:
    """Uniform, then scaled so that the largest absolute eigenvalue is `radius` (Jaeger 2001)."""

    radius: float


@dataclass(frozen=True, slots=True)
class S4DReal:
    """log(1), log(2), … along each row (Gu et al. 2022, On the Parameterization and Initialization
    of Diagonal State Space Models, S4D-Real)."""


@dataclass(frozen=True, slots=True)
class Legendre:
    """Of a square matrix or a vector: the memory of a window of so many steps, or of as many as a
    size of the cell, over one step by zero-order hold (Voelker et al. 2019, equations 3 to 5)."""

    window: float | str


@dataclass(frozen=True, slots=True)
class FromFile:
    """The numbers of a file, which training does not change; `tensor` is its name in there, ""
    where it is alone."""

    file: str
    tensor: str = ""


@dataclass(frozen=True, slots=True)
class EachHead:
    """The rows of each head on their own."""

    start: Initializer
    heads: int


Initializer = (
    Uniform
    | Normal
    | Constant
    | Glorot
    | Orthogonal
    | Identity
    | Spectral
    | S4DReal
    | Legendre
    | FromFile
    | EachHead
)
MATRIX_ONLY = (Glorot, Orthogonal, Identity, Spectral, S4DReal)
"""Initializers that need a matrix."""
SQUARE_ONLY = (Identity, Spectral, Legendre)
"""Initializers that need a square matrix."""
BY_NAME: Mapping[str, Callable[..., Initializer]] = {
    "uniform": Uniform,
    "normal": Normal,
    "constant": Constant,
    "zeros": lambda: Constant(0.0),
    "ones": lambda: Constant(1.0),
    "glorot": Glorot,
    "orthogonal": Orthogonal,
    "identity": Identity,
    "spectral": Spectral,
    "s4d_real": S4DReal,
    "legendre": Legendre,
}
"""The initializers by their names in YAML, made of the number under the name, if there is one."""
