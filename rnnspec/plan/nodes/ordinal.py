"""Labels that have an order, by proportional odds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log1p

from rnnspec.cells.initializers import Constant
from rnnspec.plan.nodes.node import Shape, Shapes, SourceNode, Weight

FAR = 1e30
"""Stands for a cut that is infinitely far."""


@dataclass(frozen=True, slots=True)
class Ordinal(SourceNode):
    """A number f to the logarithms of the probabilities of `classes` K in their order, by
    proportional odds (McCullagh 1980, Regression Models for Ordinal Data):

        P(class <= k) = sigmoid(c[k] - f)   c[1] = 0   c[k + 1] = c[k] + softplus(g[k])

    with the weights `gaps` g `[K - 2]`, so that the cuts c rise. The first cut is 0, for f has a
    bias. Of neighbouring cuts a > b, sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b)
    (1 - exp(b - a)), and 1 - exp(-softplus(g)) = sigmoid(g), so that

        ln P(k) = ln sigmoid(c[k] - f) + ln sigmoid(f - c[k - 1]) + ln sigmoid(g[k - 1])

    where the first class lacks the last two terms, and the last class the first and the last. A
    cut `FAR` away makes a term 0.
    """

    pointwise = True
    decays = False

    classes: int

    def weights(self) -> Iterator[Weight]:
        if self.classes > 2:
            yield Weight(f"{self.name}.gaps", (self.classes - 2,), Constant(0.0))

    def shape(self, shapes: Shapes) -> Shape:
        return shapes.each_vector(self, self.source, 1, self.classes)


def cuts_of(gaps: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Of each class the cut above it, the one below it, and ln(1 - exp(below - above)), for the
    weights `gaps`."""
    cuts = [0.0]
    for gap in gaps:
        cuts.append(cuts[-1] + softplus(gap))
    between = (-softplus(-gap) for gap in gaps)
    return (*cuts, FAR), (-FAR, *cuts), (0.0, *between, 0.0)


def softplus(value: float) -> float:
    """ln(1 + exp(value))."""
    return max(value, 0.0) + log1p(exp(-abs(value)))
