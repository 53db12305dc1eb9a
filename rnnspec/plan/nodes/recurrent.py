"""Recurrent layers, and what is made of their directions and states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from rnnspec.cells import Cell
from rnnspec.cells.heads import HEADS
from rnnspec.cells.initializers import (
    MATRIX_ONLY,
    Constant,
    EachHead,
    FromFile,
    Initializer,
    Legendre,
    Uniform,
)
from rnnspec.cells.rewrites import with_zoneout
from rnnspec.plan.nodes.inputs import Elapsed
from rnnspec.plan.nodes.node import Node, Shape, Shapes, SourceNode, State, Weight, named

Direction = Literal["forward", "reverse", "bidirectional"]
MergeKind = Literal["sum", "mean", "mul"]
InitialState = Literal["zeros", "learned", "given"]


@dataclass(frozen=True, slots=True)
class Recurrent(Node):
    """One recurrent layer: `[B, T, inputs]` to `[B, T, width]`, 0 past the length of a row.

    `reverse` reads each row from its last step to its first and gives its outputs in time order;
    `bidirectional` joins the outputs of both, forward first. `sizes` are the numbers of the cell's
    own sizes; one of a cell of several heads (`rnnspec.cells.heads`) is their number, by which
    `units` is divided. A state that is a matrix is the vector of its rows, one behind the other.
    `elapsed` is the node whose value a cell reads as its input `dt`; without one, `dt`
    is 1. In either direction a step is read together with its own `dt`.

    The states before the first step read are 0, or weights of the layer if `initial` is "learned";
    if it is "given", each state is the value `[B, width]` of the node named at its place in
    `given`, in either direction, or 0 where the name is empty.
    `initializers` of parameters replace those of the cell, `l2` is the factor of
    `sum(w^2) / 2` over its trained parameters in the loss. `recurrent_dropout` and `zoneout` apply
    while training (`rnnspec.cells.rewrites`); zoneout also changes the answers: back ends lower
    `answering_cell`. While training, elements of the matrices that are applied to no
    x are 0 with probability `weight_drop`, and the others divided by 1 - `weight_drop`, the same
    for all rows and steps of a batch (DropConnect: Wan et al. 2013; of recurrent matrices: Merity
    et al. 2018, section 3).

    Part of the loss are `activation_l2` times the mean square of the outputs that are read of the
    layer, after dropout, and `temporal_l2` times that of the differences between the outputs of
    neighbouring steps, before dropout (Merity et al. 2018, section 4.6), over the steps of the
    rows.
    """

    source: str
    cell: Cell
    inputs: int
    units: int
    direction: Direction
    sizes: tuple[tuple[str, int], ...] = ()
    elapsed: str = ""
    initial: InitialState = "zeros"
    given: tuple[str, ...] = ()
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    initializers: tuple[tuple[str, Initializer], ...] = ()
    l2: float = 0.0
    weight_drop: float = 0.0
    activation_l2: float = 0.0
    temporal_l2: float = 0.0

    @property
    def answering_cell(self) -> Cell:
        """The cell as it answers, with the expectation of zoneout in the place of its masks."""
        return with_zoneout(self.cell, self.zoneout) if self.zoneout else self.cell

    @property
    def extents(self) -> dict[str, int]:
        """The number behind each size of the cell; `units` is that of one head."""
        return self.cell.sizes(self.inputs, self.units // self.heads, dict(self.sizes))

    @property
    def heads(self) -> int:
        """How often the cell runs side by side."""
        return dict(self.sizes)[HEADS] if self.cell.head else 1

    @property
    def output_width(self) -> int:
        """Width of one direction's output."""
        return self.extents[self.cell.output_size]

    def state_width(self, state: str) -> int:
        return self.extents[self.cell.state_size(state)]

    @property
    def directions(self) -> tuple[Literal["forward", "reverse"], ...]:
        if self.direction == "bidirectional":
            return ("forward", "reverse")
        return (self.direction,)

    @property
    def width(self) -> int:
        """Width of the output at each step."""
        return self.output_width * len(self.directions)

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.elapsed, *self.given)

    def weights(self) -> Iterator[Weight]:
        """Initialized as the layer chooses, else as the cell chooses, else like torch's recurrent
        layers: uniform within 1/sqrt(units)."""
        extents, cell = self.extents, self.cell
        usual = Uniform(1 / sqrt(self.units))
        chosen = {**cell.starts, **dict(self.initializers)}
        for direction in self.directions:
            for name, shape in cell.parameters.items():
                trained = name not in cell.fixed
                yield Weight(
                    f"{self.name}.{direction}.{name}",
                    tuple(extents[size] for size in shape),
                    self._start(chosen.get(name, usual)),
                    trained,
                    self.l2 if trained else 0.0,
                    name in chosen,
                )
            for state in cell.states if self.initial == "learned" else ():
                name = f"{self.name}.{direction}.initial.{state}"
                yield Weight(name, (self.state_width(state),), Constant(0.0))

    def _start(self, chosen: Initializer) -> Initializer:
        if isinstance(chosen, Legendre) and isinstance(chosen.window, str):
            chosen = Legendre(self.extents[chosen.window])
        whole = not self.cell.head or not isinstance(chosen, (*MATRIX_ONLY, Legendre, FromFile))
        return chosen if whole else EachHead(chosen, self.heads)

    def shape(self, shapes: Shapes) -> Shape:
        self._check_cell()
        if self.elapsed:
            elapsed = shapes.nodes[self.elapsed]
            assert self.cell.inputs, f"{self.cell.name} reads no elapsed time"
            assert isinstance(elapsed, Elapsed), f"{self.elapsed} is no elapsed time"
        for state, name in zip(self.cell.states, self.given, strict=True) if self.given else ():
            if name:
                shapes.expect(self, name, ("B", self.state_width(state)))
        source = shapes[self.source]
        assert len(source) == 3, f"{self.name} takes a sequence, not {source}"
        return shapes.each_vector(self, self.source, self.inputs, self.width)

    def _check_cell(self) -> None:
        """Its settings are those that its cell has."""
        cell, sizes = self.cell, [name for name, _ in self.sizes]
        assert sorted(sizes) == sorted(cell.own_sizes), f"{self.name} gives the sizes {sizes}"
        unknown = {name for name, _ in self.initializers} - cell.parameters.keys()
        assert not unknown, f"{self.name} initializes {unknown}, which {cell.name} does not have"
        given = self.initial == "given"
        assert bool(self.given) == given, f"{self.name} is given {self.given!r}"

    def carried(self) -> tuple[State, ...] | None:
        if self.direction != "forward":
            return None
        return tuple(State(state, (self.state_width(state),)) for state in self.cell.states)


@dataclass(frozen=True, slots=True)
class Merge(SourceNode):
    """The outputs of two directions, joined, to their sum, mean or product element by element:
    `[B, T, inputs]` to `[B, T, inputs / 2]`, or `[B, inputs]` to `[B, inputs / 2]`."""

    pointwise = True

    kind: MergeKind
    inputs: int

    @property
    def width(self) -> int:
        return self.inputs // 2

    def shape(self, shapes: Shapes) -> Shape:
        return shapes.each_vector(self, self.source, self.inputs, self.width)


@dataclass(frozen=True, slots=True)
class FinalState(SourceNode):
    """The state `state` of the layer `source` after the last step that each direction read, forward
    first: `[B, W]`, `[B, 2 W]` for two directions. In a row without steps, the initial state."""

    state: str

    def shape(self, shapes: Shapes) -> Shape:
        layer = shapes.nodes[self.source]
        assert isinstance(layer, Recurrent), f"{self.source} has no states"
        return ("B", layer.state_width(self.state) * len(layer.directions))
