"""A plan: a model as a list of nodes, each naming the nodes it reads, and its invariants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from rnnspec.cells.initializers import EachHead, Initializer, Normal, Uniform
from rnnspec.plan.nodes.audio import AudioInput
from rnnspec.plan.nodes.calendar import CalendarFuture, CalendarInput
from rnnspec.plan.nodes.categories import CategoriesFuture, CategoriesInput
from rnnspec.plan.nodes.decoder import Decoder
from rnnspec.plan.nodes.differences import LastValues
from rnnspec.plan.nodes.frames import FramesOutput
from rnnspec.plan.nodes.inputs import (
    CategoryInput,
    CharactersInput,
    CopiesInput,
    Elapsed,
    FramesInput,
    FutureInput,
    ImageInput,
    KeysInput,
    NestedInput,
    Observed,
    SeriesInput,
    TokensInput,
    VectorInput,
    WindowMoments,
)
from rnnspec.plan.nodes.layers import Pool
from rnnspec.plan.nodes.node import Node, Shape, Shapes, Vectors, Weight
from rnnspec.plan.nodes.outputs import (
    ChainOutput,
    ClassOutput,
    CtcOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    StatesOutput,
    TextOutput,
    TransducerOutput,
)
from rnnspec.plan.nodes.pointers import PointerOutput
from rnnspec.plan.nodes.positions import PositionOutput
from rnnspec.plan.nodes.recurrent import Recurrent

Cardinality = Literal["1:1", "N:1", "1:N", "N:N", "N:M"]
Input = (
    TokensInput
    | CharactersInput
    | CopiesInput
    | CategoryInput
    | FramesInput
    | KeysInput
    | ImageInput
    | VectorInput
    | SeriesInput
    | FutureInput
    | CalendarInput
    | CalendarFuture
    | CategoriesInput
    | CategoriesFuture
    | AudioInput
    | NestedInput
)
"""Columns that a caller gives."""
Derived = Elapsed | WindowMoments | Observed | LastValues
"""Values computed from the column of an input."""
Target = (
    ClassOutput
    | ChainOutput
    | LabelsOutput
    | NumericOutput
    | PositionOutput
    | PointerOutput
    | TextOutput
    | CtcOutput
    | TransducerOutput
    | ForecastOutput
    | FramesOutput
)
"""Answers with a true value in the data, and a loss."""
Output = Target | StatesOutput


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved model. `nodes` are in order of computation; a decoder contains the nodes of its
    body. `init` starts the weights for which nothing nearer chooses an initializer."""

    name: str
    cardinality: Cardinality
    nodes: tuple[Node, ...]
    init: Initializer | None = None

    def node(self, name: str) -> Node:
        """The node called `name`, also one of a decoder's body. Raises KeyError."""
        for node in self.every_node():
            if node.name == name:
                return node
        raise KeyError(name)

    def every_node(self) -> Iterator[Node]:
        """All nodes in order, the nodes of a body before their decoder."""
        for node in self.nodes:
            if isinstance(node, Decoder):
                yield from node.body
            yield node

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(n for n in self.nodes if isinstance(n, Input))

    @property
    def outputs(self) -> tuple[Output, ...]:
        return tuple(n for n in self.nodes if isinstance(n, Output))

    @property
    def targets(self) -> tuple[Target, ...]:
        """The outputs with a true value in the data."""
        return tuple(n for n in self.nodes if isinstance(n, Target))


def weights(plan: Plan) -> tuple[Weight, ...]:
    """Every weight of the plan, in canonical order. All back ends use these names.

    `layers.0.forward.W_i` is the parameter `W_i` of the cell in the forward direction of layer 0,
    named as in the equations of the cell. `layers.0.forward.initial.h` is the learned state `h`
    before the first step.
    """
    own = (node for node in plan.nodes if not node.same_as)
    every = (weight for node in own for weight in node.weights())
    return tuple(every if plan.init is None else (_started(each, plan.init) for each in every))


def shared_weights(plan: Plan) -> dict[str, str]:
    """The names that weights would have in nodes that share them, each with the weight's name."""
    sharing = [node for node in plan.every_node() if node.same_as]
    return {
        weight.name: f"{node.same_as}{weight.name.removeprefix(node.name)}"
        for node in sharing
        for weight in node.weights()
    }


def _started(weight: Weight, init: Initializer) -> Weight:
    """The weight by the plan's initializer, unless one is chosen for it, or it starts at a constant
    or from the data. Vectors are biases, which only numbers drawn one by one start."""
    usual = weight.initializer
    if weight.chosen or not weight.trained:
        return weight
    if isinstance(usual, Vectors):
        return replace(weight, initializer=replace(usual, init=init))
    if isinstance(usual, EachHead) and isinstance(usual.start, Uniform):
        return replace(weight, initializer=replace(usual, start=init))
    if not isinstance(usual, Uniform):
        return weight
    suits = len(weight.shape) > 1 or isinstance(init, Uniform | Normal)
    return replace(weight, initializer=init) if suits else weight


def shapes(plan: Plan) -> dict[str, Shape]:
    """The shape of every node's value. Raises AssertionError where a node does not fit."""
    found = Shapes({node.name: node for node in plan.every_node()}, {})
    for node in plan.nodes:
        for source in node.sources():
            known = source in found.found
            assert known, f"{node.name} reads {source}, which does not come before it"
        found.add(node)
    return found.found


def verify(plan: Plan) -> Plan:
    """`plan` itself, after checking that names, order, shapes and outputs are consistent."""
    shapes(plan)
    assert plan.inputs and plan.outputs, "a plan has inputs and outputs"
    read = {source for node in plan.every_node() for source in node.sources()}
    read |= {node.scores for node in plan.nodes if isinstance(node, Decoder)}
    ends = {node.name for node in plan.outputs}
    idle = [n.name for n in plan.every_node() if n.name not in read and n.name not in ends]
    assert not idle, f"nothing reads {', '.join(idle)}"
    for node in plan.every_node():
        other = plan.node(node.same_as) if node.same_as else node
        assert type(other) is type(node) and not other.same_as, f"{node.name} shares no weights"
        shared = [weight.shape for weight in other.weights()]
        assert shared == [weight.shape for weight in node.weights()], f"{node.name} differs"
    columns = [node.key for node in plan.inputs]
    assert len(set(columns)) == len(columns), f"two inputs have one key: {columns}"
    return plan


def directions_read(plan: Plan, pool: Pool) -> tuple[Literal["forward", "reverse"], ...]:
    """Directions of the layer whose outputs `pool` reads, one for each equal part of its input.

    A pool of kind "last" never reads a `Merge`, which mixes the directions.
    """
    node = plan.node(pool.source)
    while node.keeps_directions:
        node = plan.node(next(node.sources()))
    return node.directions if isinstance(node, Recurrent) else ("forward",)
