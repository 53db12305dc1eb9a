"""Two vectors of a row compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.plan.nodes.node import Node, Shape, Shapes, expect_at_each_step

CompareKind = Literal["difference", "cosine", "manhattan"]
LEAST_SQUARE = 1e-16
"""The least sum of squares that a cosine divides by: a vector shorter than 1e-8 is taken for one of
this length."""


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """Two vectors u and v of one width, `reads`, compared; a vector v of the row with the vector u
    of each step.

    - `difference`: |u - v|, element by element (Conneau et al. 2017, InferSent, 3.1)
    - `cosine`: u · v / sqrt(max(u · u, 1e-16) max(v · v, 1e-16)), one number
    - `manhattan`: exp(-sum |u - v|), one number from 0 to 1 (Mueller and Thyagarajan 2016, Siamese
      Recurrent Architectures, equation 5)
    """

    pointwise = True

    reads: tuple[str, str]
    kind: CompareKind

    def sources(self) -> Iterator[str]:
        yield from self.reads

    def shape(self, shapes: Shapes) -> Shape:
        found = shapes[self.reads[0]]
        expect_at_each_step(self, self.reads[1], shapes, found)
        return found if self.kind == "difference" else (*found[:-1], 1)
