"""What is answered of a number: itself, quantiles, or the parameters of a distribution.

One record a distribution, `DISTRIBUTIONS`: its parameters and how each is made of a raw number, and
what its values are. The formulas stand at `rnnspec.plan.nodes.Law`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import ListOf, Model, Text
from rnnspec.spec.choice import ByShape, OneOf, Option, Valued, by_type

Probability = Annotated[float, Field(gt=0.0, lt=1.0)]
Probabilities = Annotated[tuple[Probability, ...], ListOf, Field(min_length=1, max_length=99)]
Components = Annotated[
    int, Field(ge=1, le=1000, description="How many normal distributions are mixed.")
]


class PointDistribution(Option, name="point"):
    """One number, the mean or the median, depending on the loss."""


class QuantilesDistribution(Valued, name="quantiles"):
    """Quantiles of the value at these probabilities, by the pinball loss."""

    needs: ClassVar[tuple[str, str]] = ("a list of probabilities", "[0.1, 0.5, 0.9]")
    value: Probabilities = Field(
        description="Probabilities, rising, among them 0.5: the median is the point forecast."
    )


class GaussianDistribution(Option, name="gaussian"):
    """A normal distribution: mean and deviation."""


class LaplaceDistribution(Option, name="laplace"):
    """A Laplace distribution, with heavier tails: location (the median) and scale."""


class StudentTDistribution(Option, name="student_t"):
    """A Student-t distribution: location, scale and degrees of freedom above 2."""


class PoissonDistribution(Option, name="poisson"):
    """A Poisson distribution, for counts: the mean, which is the variance too."""


class NegativeBinomialDistribution(Option, name="negative_binomial"):
    """A negative binomial distribution, for counts: mean and dispersion."""


class BetaDistribution(Option, name="beta"):
    """A beta distribution, for shares between 0 and 1: mean and precision."""


class MixtureDistribution(Option, name="mixture"):
    """A mixture of normal distributions: of each its weight, means and deviations."""

    shorthand: ClassVar[str] = "components"
    components: Components = 5
    correlated: bool = Field(
        default=False,
        description="Whether the two numbers of each normal distribution have a correlation, for "
        "vectors and frames of width 2 (Graves, 2013).",
    )


class WeibullDistribution(Option, name="weibull"):
    """A Weibull distribution, for the time until something happens: scale and shape."""

    censored: Text | None = Field(
        default=None,
        description="Column of 0 and 1 that says where it had not happened yet (1): the true time "
        "is then known to be longer, and is learned as such. For a number of a row. null means "
        "that it has happened in every row.",
    )


Distribution = Annotated[
    PointDistribution
    | QuantilesDistribution
    | GaussianDistribution
    | LaplaceDistribution
    | StudentTDistribution
    | PoissonDistribution
    | NegativeBinomialDistribution
    | BetaDistribution
    | MixtureDistribution
    | WeibullDistribution,
    OneOf(),
]


class SamplePaths(Model):
    """Paths that a decoder draws: each step from its distribution, to be read at the next."""

    samples: Annotated[int, Field(ge=2, le=10_000)] = Field(
        default=200, description="How many paths are drawn for each row."
    )
    quantiles: Probabilities = Field(
        default=(0.1, 0.5, 0.9),
        description="The quantiles over the paths that are answered, rising, among them 0.5: the "
        "median is the point forecast.",
    )


Paths = Annotated[
    Annotated[int, Field(ge=2, le=10_000)] | SamplePaths | None,
    ByShape(
        "a number of paths, {samples: 200, quantiles: [0.1, 0.5, 0.9]}, or null",
        by_type(int, Mapping | SamplePaths, NoneType),
    ),
    Field(
        description="Draws paths in place of feeding the point answers back: each step is drawn "
        "from its distribution and read at the next, and what is answered are quantiles over all "
        "paths (Salinas et al., 2020, DeepAR). A number says how many. The model is trained as "
        "without; the exported file draws by the input 'seed'."
    ),
]


def paths_of(paths: int | SamplePaths | None) -> SamplePaths | None:
    """The paths as a mapping says them."""
    return SamplePaths(samples=paths) if isinstance(paths, int) else paths


DistributionName = Literal[
    "point", "quantiles", "gaussian", "laplace", "student_t", "poisson", "negative_binomial",
    "beta", "mixture", "weibull",
]  # fmt: skip
Link = Literal[
    "value", "rising", "size", "per_root", "positive", "above_two", "share", "weights",
    "correlation",
]  # fmt: skip
"""How a parameter is made of a raw number; the formulas stand at `rnnspec.plan.nodes.Law`."""
Axes = Literal["one", "quantiles", "components", "values"]
"""How many numbers a parameter is: one, one a quantile, one a component of a mixture, or one for
each component and each number of the vector."""
Values = Literal["numbers", "counts", "shares", "positive"]
"""What may stand in the data: any number; whole numbers from 0; numbers above 0 and below 1;
numbers above 0."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a distribution. `name` ends the name of its output in an exported file; the
    one that is the answer itself has no output of its own."""

    name: str
    link: Link
    axes: Axes = "one"


@dataclass(frozen=True, slots=True)
class DistributionTraits:
    """What a distribution is.

    `answer`: the point answer, which is the first parameter, the quantile nearest to 0.5, or the
    mean or the median of the distribution. `unscaled`: nothing in it is in the unit of the data.
    """

    parameters: tuple[Parameter, ...]
    answer: Literal["first", "middle", "mean", "median"] = "first"
    values: Values = "numbers"
    unscaled: bool = False

    @property
    def parts(self) -> tuple[Parameter, ...]:
        """The parameters with an output of their own in an exported file."""
        return self.parameters[1 if self.answer == "first" else 0 :]


DISTRIBUTIONS: Mapping[DistributionName, DistributionTraits] = {
    "point": DistributionTraits((Parameter("value", "value"),)),
    "quantiles": DistributionTraits((Parameter("quantiles", "rising", "quantiles"),), "middle"),
    "gaussian": DistributionTraits((Parameter("mean", "value"), Parameter("deviation", "size"))),
    "laplace": DistributionTraits((Parameter("location", "value"), Parameter("scale", "size"))),
    "student_t": DistributionTraits(
        (
            Parameter("location", "value"),
            Parameter("scale", "size"),
            Parameter("degrees", "above_two"),
        )
    ),
    "poisson": DistributionTraits((Parameter("mean", "size"),), values="counts"),
    "negative_binomial": DistributionTraits(
        (Parameter("mean", "size"), Parameter("dispersion", "per_root")), values="counts"
    ),
    "beta": DistributionTraits(
        (Parameter("mean", "share"), Parameter("precision", "positive")),
        values="shares",
        unscaled=True,
    ),
    "mixture": DistributionTraits(
        (
            Parameter("weights", "weights", "components"),
            Parameter("means", "value", "values"),
            Parameter("deviations", "size", "values"),
            Parameter("correlations", "correlation", "components"),
        ),
        "mean",
    ),
    "weibull": DistributionTraits(
        (Parameter("scale", "size"), Parameter("shape", "positive")), "median", "positive"
    ),
}


def censored_by(distribution: Distribution) -> str | None:
    """The column that says which times had not ended."""
    return distribution.censored if isinstance(distribution, WeibullDistribution) else None


def name_of(distribution: Distribution) -> DistributionName:
    """The name of an option."""
    return distribution.name  # type: ignore[return-value]  # the options have these names


def parts_of(distribution: Distribution) -> tuple[str, ...]:
    """The outputs of an exported file beside the answer, by the ends of their names."""
    traits = DISTRIBUTIONS[name_of(distribution)]
    names = tuple(part.name for part in traits.parts)
    if isinstance(distribution, MixtureDistribution) and not distribution.correlated:
        return names[:-1]
    return names
