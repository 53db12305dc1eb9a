"""Canonical weights of a plan: names, shapes and how each starts. All back ends use these names.

`layers.0.forward.W_i` is the parameter `W_i` of the cell in layer 0's forward direction; the names
after the direction are those of the cell's own equations. `layers.0.forward.initial.h` is the
learned state `h` before the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from rnnspec.cells.initializers import Constant, Initializer, Uniform
from rnnspec.plan.nodes import (
    Attend,
    CopyMix,
    Decoder,
    Dense,
    Embed,
    ForecastOutput,
    FramesInput,
    FutureInput,
    Highway,
    Node,
    Normalize,
    NumericOutput,
    Plan,
    Pool,
    Recurrent,
    Scores,
    SeriesInput,
    VectorInput,
    WindowMoments,
)


@dataclass(frozen=True, slots=True)
class Vectors:
    """Each row normal of mean 0 and deviation 1; with `pad`, row 0 is 0."""

    pad: bool = True


@dataclass(frozen=True, slots=True)
class FromData:
    """Taken from the facts of the data, and not trained: "mean", "deviation", or "rest", what
    float32 rounds off the mean."""

    what: str


Start = Initializer | Vectors | FromData


HIGHWAY_BIAS = Constant(-1.0)
"""The gate starts near closed, so that a new layer lets its input through (Srivastava 2015, 3)."""


MONOTONIC_BIAS = -1.0
"""At first most steps are passed over, so that the weights reach beyond the first (Raffel 2017,
2.4)."""


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
            yield Weight(f"{node.name}.table", (node.size, node.width), Vectors(node.pad))
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
        case Scores():
            start = Uniform(1 / sqrt(node.inputs))
            if not node.tied:
                yield Weight(f"{node.name}.W", (node.size, node.inputs), start)
            yield Weight(f"{node.name}.b", (node.size,), start)
        case Attend():
            yield from _of_attention(node)
        case CopyMix():
            start = Uniform(1 / sqrt(node.gate_width))
            yield Weight(f"{node.name}.w", (node.gate_width,), start)
            yield Weight(f"{node.name}.b", (1,), Constant(0.0))
        case Decoder():
            for inner in node.body:
                yield from weights_of(inner)
        case FramesInput(scaled=True):
            yield from _scaling(node.name, node.features, node.double)
        case VectorInput(scaled=True) | NumericOutput(scaled=True):
            yield from _scaling(node.name, node.width, node.double)
        case SeriesInput(scaled=True) | FutureInput(scaled=True) | ForecastOutput(scaled=True):
            yield from _scaling(node.name, 1, node.double)
        case WindowMoments():
            yield from _scaling(node.name, 1, node.double)


def _of_attention(node: Attend) -> Iterator[Weight]:
    """In the order of the formulas of `Attend`; each starts as a dense layer of its inputs."""
    name, query, memory, units = node.name, node.query_width, node.memory_width, node.units
    of_query, of_memory, of_units = (Uniform(1 / sqrt(w)) for w in (query, memory, units or 1))
    match node.kind:
        case "additive" | "location" | "monotonic":
            yield Weight(f"{name}.W_q", (units, query), of_query)
            yield Weight(f"{name}.W_m", (units, memory), of_memory)
            yield Weight(f"{name}.b", (units,), of_memory)
            yield Weight(f"{name}.v", (units,), of_units)
        case "general":
            yield Weight(f"{name}.W", (query, memory), of_memory)
        case "concat":
            yield Weight(f"{name}.W", (units, query + memory), Uniform(1 / sqrt(query + memory)))
            yield Weight(f"{name}.v", (units,), of_units)
        case "multi_head":
            yield Weight(f"{name}.W_q", (units, query), of_query)
            yield Weight(f"{name}.W_k", (units, memory), of_memory)
            yield Weight(f"{name}.W_v", (units, memory), of_memory)
            yield Weight(f"{name}.W_o", (memory, units), of_units)
        case "dot":
            pass
    if node.kind == "location":
        filters, of_filters = (node.filters, node.kernel), Uniform(1 / sqrt(node.kernel))
        yield Weight(f"{name}.F", filters, of_filters)
        yield Weight(f"{name}.U", (units, node.filters), Uniform(1 / sqrt(node.filters)))
    if node.kind == "monotonic":
        yield Weight(f"{name}.r", (1,), Constant(MONOTONIC_BIAS))
    if node.coverage:
        yield Weight(f"{name}.w_c", (units,), of_units)


def _scaling(name: str, width: int, double: bool) -> Iterator[Weight]:
    yield Weight(f"{name}.mean", (width,), FromData("mean"), False)
    if double:
        yield Weight(f"{name}.rest", (width,), FromData("rest"), False)
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
