"""Canonical weights of a plan: names, shapes and how each starts. All back ends use these names.

`layers.0.forward.W_i` is the parameter `W_i` of the cell in layer 0's forward direction; the names
after the direction are those of the cell's own equations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from rnnspec.cells.starts import CellStart, Uniform
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
class Vectors:
    """Each row normal of mean 0 and deviation 1, but row 0, the pad, 0."""


@dataclass(frozen=True, slots=True)
class FromData:
    """Taken from the facts of the data, and not trained: "mean" or "deviation"."""

    what: str


Start = CellStart | Vectors | FromData


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor of the model; only `trained` weights change while training."""

    name: str
    shape: tuple[int, ...]
    start: Start
    trained: bool = True

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
            yield Weight(f"{node.name}.table", (node.size, node.width), Vectors())
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
            yield Weight(f"{node.name}.mean", (node.width,), FromData("mean"), False)
            yield Weight(f"{node.name}.deviation", (node.width,), FromData("deviation"), False)


def _of_layer(layer: Recurrent) -> Iterator[Weight]:
    """As the cell says; where it says nothing, as torch starts its recurrent layers: uniform
    within 1/sqrt(units)."""
    extents, cell = layer.extents, layer.cell
    usual = Uniform(1 / sqrt(layer.units))
    for direction in layer.directions:
        for name, shape in cell.parameters.items():
            yield Weight(
                f"{layer.name}.{direction}.{name}",
                tuple(extents[size] for size in shape),
                cell.starts.get(name, usual),
                name not in cell.fixed,
            )


def weights(plan: Plan) -> tuple[Weight, ...]:
    """Every weight of the plan, in canonical order."""
    return tuple(weight for node in plan.nodes for weight in weights_of(node))
