"""Canonical weights of a plan: names, shapes and how each starts. All back ends use these names.

`layers.0.forward.W_i` is the parameter `W_i` of the cell in layer 0's forward direction; the names
after the direction are those of the cell's own equations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from rnnspec.plan.nodes import (
    Dense,
    Embed,
    FramesInput,
    Node,
    NumericOutput,
    Plan,
    Pool,
    Recurrent,
)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Drawn evenly from [-bound, bound]."""

    bound: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Drawn from a normal distribution of mean 0 with this deviation; row 0 (the pad) is 0."""

    deviation: float


@dataclass(frozen=True, slots=True)
class FromData:
    """Taken from the facts of the data, and not trained: "mean" or "deviation"."""

    what: str


Start = Uniform | Normal | FromData


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor of the model; `trained` weights change while training."""

    name: str
    shape: tuple[int, ...]
    start: Start

    @property
    def trained(self) -> bool:
        return not isinstance(self.start, FromData)

    @property
    def size(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count


def weights_of(node: Node) -> Iterator[Weight]:
    """The weights of one node, in canonical order."""
    match node:
        case Embed():
            yield Weight(f"{node.name}.table", (node.size, node.width), Normal(1.0))
        case Recurrent():
            yield from _of_layer(node)
        case Pool(kind="attention"):
            start = Uniform(1 / sqrt(node.inputs))
            yield Weight(f"{node.name}.W", (node.units, node.inputs), start)
            yield Weight(f"{node.name}.b", (node.units,), start)
            yield Weight(f"{node.name}.v", (node.units,), Uniform(1 / sqrt(node.units)))
        case Dense():
            start = Uniform(1 / sqrt(node.inputs))
            yield Weight(f"{node.name}.W", (node.units, node.inputs), start)
            yield Weight(f"{node.name}.b", (node.units,), start)
        case FramesInput(scaled=True) | NumericOutput(scaled=True):
            yield Weight(f"{node.name}.mean", (node.width,), FromData("mean"))
            yield Weight(f"{node.name}.deviation", (node.width,), FromData("deviation"))


def _of_layer(layer: Recurrent) -> Iterator[Weight]:
    """Uniform in 1/sqrt(units), as torch starts its recurrent layers."""
    sizes = layer.cell.sizes(layer.inputs, layer.units)
    start = Uniform(1 / sqrt(layer.units))
    for direction in layer.directions:
        for name, shape in layer.cell.parameters.items():
            extents = tuple(sizes[size] for size in shape)
            yield Weight(f"{layer.name}.{direction}.{name}", extents, start)


def weights(plan: Plan) -> tuple[Weight, ...]:
    """Every weight of the plan, in canonical order."""
    return tuple(weight for node in plan.nodes for weight in weights_of(node))
