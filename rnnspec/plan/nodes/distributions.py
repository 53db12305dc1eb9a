"""The distribution of an answer, as every back end has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.spec.distributions import (
    DISTRIBUTIONS,
    DistributionName,
    DistributionTraits,
    Parameter,
)

SOFTPLUS_FLOOR = 1e-6
"""The least softplus of a parameter."""
MOST_CORRELATED = 0.999
"""Correlations stay this far from 1, so that a density stays finite."""


@dataclass(frozen=True, slots=True)
class Law:
    """The distribution of one number or, of a mixture, of the `width` numbers of a vector together.

    Its `size` raw numbers r become parameters in the order of `parameters`, each by its link. With
    c and s the centre and the scale of the number (0 and 1 where it is not scaled):

    - `value`: r * s + c. `rising`: the same, sorted.
    - `size`: softplus(r) * s. `per_root`: softplus(r) / sqrt(s). `positive`: softplus(r).
      `above_two`: 2 + softplus(r). softplus is at least `SOFTPLUS_FLOOR`.
    - `share`: sigmoid(r). `weights`: softmax of the r of all components.
      `correlation`: `MOST_CORRELATED` * tanh(r).

    The densities of a value v:

    - `gaussian`: exp(-z^2 / 2) / (deviation sqrt(2 pi)), z = (v - mean) / deviation.
    - `laplace`: exp(-|v - location| / scale) / (2 scale); its median is the location.
    - `student_t`: Gamma((n + 1) / 2) / (Gamma(n / 2) sqrt(n pi) scale)
      (1 + z^2 / n)^(-(n + 1) / 2), of n degrees, z = (v - location) / scale.
    - `poisson`: mean^v exp(-mean) / v!.
    - `negative_binomial`: Gamma(v + r) / (v! Gamma(r)) (1 + a m)^-r (a m / (1 + a m))^v, of mean m
      and dispersion a = 1 / r; the variance is m + a m^2 (Salinas et al. 2020, equation 3).
    - `beta`: v^(m p - 1) (1 - v)^((1 - m) p - 1) / B(m p, (1 - m) p), of mean m and precision p
      (Ferrari and Cribari-Neto 2004).
    - `mixture`: sum over components of weight times the product over the numbers of the vector of
      normal densities; with `correlated` times two numbers with a correlation (Bishop 1994; Graves
      2013, equations 24 and 25).
    - `weibull`: k / l (v / l)^(k - 1) exp(-(v / l)^k), of scale l and shape k; of a time that is
      only known to be longer, the probability exp(-(v / l)^k) that it is (Martinsson 2016).

    The answer is the first parameter; of `quantiles` the one nearest to 0.5, the lower of two; of
    `mixture` the mean, the sum of weight * mean; of `weibull` the median, l ln(2)^(1 / k).
    """

    name: DistributionName = "point"
    quantiles: tuple[float, ...] = ()
    components: int = 0
    correlated: bool = False
    width: int = 1

    @property
    def traits(self) -> DistributionTraits:
        return DISTRIBUTIONS[self.name]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        found = self.traits.parameters
        return found[:-1] if self.name == "mixture" and not self.correlated else found

    @property
    def parts(self) -> tuple[Parameter, ...]:
        """The parameters beside the answer."""
        return self.parameters[1 if self.traits.answer == "first" else 0 :]

    def count(self, parameter: Parameter) -> int:
        """How many numbers a parameter is."""
        match parameter.axes:
            case "one":
                return 1
            case "quantiles":
                return len(self.quantiles)
            case "components":
                return self.components
            case "values":
                return self.components * self.width

    @property
    def size(self) -> int:
        """The raw numbers, and the numbers of all parameters."""
        return sum(map(self.count, self.parameters))

    def placed(self) -> Iterator[tuple[Parameter, int, int]]:
        """The parameters, each with the places of its first number and of the one after its last
        among all."""
        start = 0
        for parameter in self.parameters:
            yield parameter, start, start + self.count(parameter)
            start += self.count(parameter)

    @property
    def middle(self) -> int:
        """The place of the quantile nearest to 0.5, of two the lower; 0 without quantiles."""
        distances = [abs(quantile - 0.5) for quantile in self.quantiles]
        return distances.index(min(distances)) if distances else 0

    @property
    def is_scaled(self) -> bool:
        """Whether a value is v * scale + centre: the density is then of the scaled value, over
        the scale."""
        return self.traits.values == "numbers"
