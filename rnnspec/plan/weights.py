"""Canonical weights of a plan: names, shapes and how each starts. All back ends use these names.

`layers.0.forward.W_i` is the parameter `W_i` of the cell in layer 0's forward direction; the names
after the direction are those of the cell's own equations. `layers.0.forward.initial.h` is the
learned state `h` before the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from rnnspec.cells.starts import CellStart, Constant, Uniform
from rnnspec.plan.nodes import (
    Dense,
    Embed,
    FramesInput,
    Highway,
    Node,
    Normalize,
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


HIGHWAY_BIAS = Constant(-1.0)
"""The gate starts near closed, so that a new layer lets its input through (Srivastava 2015, 3)."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor of the model; only `trained` weights change while training.

    `l2` times half the sum of its squares is part of the loss.
    """

    name: str
    shape: tuple[int, ...]
    start: Start
    trained: bool = True
    l2: float = 0.0

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
        case Normalize():
            yield Weight(f"{node.name}.scale", (node.width,), Constant(1.0))
            yield Weight(f"{node.name}.shift", (node.width,), Constant(0.0))
        case Highway():
            yield Weight(f"{node.name}.W", (node.width, node.width), Uniform(1 / sqrt(node.width)))
            yield Weight(f"{node.name}.b", (node.width,), HIGHWAY_BIAS)
        case Pool(kind="attention"):
            start = Uniform(1 / sqrt(node.inputs))
            yield Weight(f"{node.name}.W", (node.units, node.inputs), start)
            yield Weight(f"{node.name}.b", (node.units,), start)
            yield Weight(f"{node.name}.v", (node.units,), Uniform(1 / sqrt(node.units)))
        case Dense():
            start = Uniform(1 / sqrt(node.inputs))
            yield Weight(f"{node.name}.W", (node.units, node.inputs), start)
            yield Weight(f"{node.name}.b", (node.units,), start)
        case FramesInput(scaled=True):
            yield from _scaling(node.name, node.features)
        case NumericOutput(scaled=True):
            yield from _scaling(node.name, node.width)


def _scaling(name: str, width: int) -> Iterator[Weight]:
    yield Weight(f"{name}.mean", (width,), FromData("mean"), False)
    yield Weight(f"{name}.deviation", (width,), FromData("deviation"), False)


def _of_layer(layer: Recurrent) -> Iterator[Weight]:
    """As the layer says, then the cell; where they say nothing, as torch starts its recurrent
    layers: uniform within 1/sqrt(units)."""
    extents, cell = layer.extents, layer.cell
    usual = Uniform(1 / sqrt(layer.units))
    starts = {**cell.starts, **dict(layer.starts)}
    for direction in layer.directions:
        for name, shape in cell.parameters.items():
            trained = name not in cell.fixed
            yield Weight(
                f"{layer.name}.{direction}.{name}",
                tuple(extents[size] for size in shape),
                starts.get(name, usual),
                trained,
                layer.l2 if trained else 0.0,
            )
        for state in cell.states if layer.initial == "learned" else ():
            name = f"{layer.name}.{direction}.initial.{state}"
            yield Weight(name, (layer.state_width(state),), Constant(0.0))


def weights(plan: Plan) -> tuple[Weight, ...]:
    """Every weight of the plan, in canonical order."""
    return tuple(weight for node in plan.nodes for weight in weights_of(node))
