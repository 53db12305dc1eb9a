"""What lowered nodes of a plan hand to each other, and the state of a lowering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan import Facts, Plan
from rnnspec.plan.nodes import STEPS, Dropout, FinalState, Node, Pool, Recurrent
from rnnspec.plan.nodes.node import ColumnNode
from rnnspec.to_onnx.chunks import Chunks
from rnnspec.to_onnx.emitter import Emitter, Extent
from rnnspec.to_onnx.lengths import Lengths

BATCH, TIME = "batch", "time"
"""Names of the two dimensions that vary in every model."""


def time_dimension(axis: str) -> str:
    """The name of the dimension of an axis: of several, each has its own."""
    return f"{TIME}{of_axis(axis)}"


def of_axis(axis: str) -> str:
    """What ends the names of dimensions on an axis, where there are several."""
    return axis.removeprefix(STEPS).replace(".", "_")


@dataclass(frozen=True, slots=True)
class PaddedSequence:
    """A sequence: `name` is `[T, B, width]`, or `[T, B]` for token ids.

    `last` `[B, width]`, where some node reads it, is the output after the last step that each
    direction read; `final_states` `[B, width]`, by name, are the states after it. `clean`
    sequences are 0 past the length of a row.
    """

    name: str
    lengths: Lengths
    last: str = ""
    clean: bool = False
    final_states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vector:
    """One vector a row: `name` is `[B, width]`, or `[B]` for ids of labels."""

    name: str


Value = PaddedSequence | Vector


def like(source: Value, name: str, clean: bool = False) -> Value:
    """`name` as a sequence or a vector, as `source` is."""
    return (
        PaddedSequence(name, source.lengths, clean=clean)
        if isinstance(source, PaddedSequence)
        else Vector(name)
    )


@dataclass(frozen=True, slots=True)
class Demand:
    """Which forms of a node's value other nodes read: all steps, the last one, final states."""

    steps: bool = False
    last: bool = False
    final_states: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lowering:
    """One plan on its way to ONNX.

    `ids`: token ids come in and go out instead of text. `generic`: no native recurrent operators.
    `attention`: the weights of a decoder's attention are an output. `padded`: a batch whose rows
    are all empty gets more steps, past every length, because an operator of the graph (Scan,
    GatherND, Loop) cannot take an empty time axis.
    """

    plan: Plan
    facts: Facts
    weights: Mapping[str, NDArray[np.float32]]
    emit: Emitter
    demands: Mapping[str, Demand]
    ids: bool
    generic: bool
    padded: bool
    attention: bool = False
    chunks: Chunks | None = None
    """The states, of a graph that answers chunk by chunk."""
    narrow: bool = False
    """Weights are to be kept in 8 bits: layers are lowered to what is fastest then."""
    portable: bool = False
    """Only what every runtime answers right: numbers, operators of the standard, no lengths that
    recurrent operators are told."""
    values: dict[str, Value] = field(default_factory=dict)
    raw: dict[str, PaddedSequence] = field(default_factory=dict)
    """Columns of frames and series as they came in, `[T, B, width]`, by name."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Columns of tokens as texts `[B, T]`, by name."""
    rows: list[str] = field(default_factory=list)
    """Int64 `[B, 1]` of anything, once an input has come in: the others have as many rows."""
    seeds: list[str] = field(default_factory=list)
    """The seeds of the rows, int64 `[B]`, once an answer has been drawn."""
    axes: dict[str, Lengths] = field(default_factory=dict)
    """The lengths of each time axis, by its name: those of the inputs' axes, and one for each
    `CharactersInput`."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """The names that weights have in nodes that share them, each with the weight's name."""

    @property
    def step(self) -> bool:
        """Whether a chunk is just one step of each row, so that no lengths come in."""
        return self.chunks is not None and self.chunks.stream.step

    def streaming(self) -> Chunks:
        """The states, of a graph that has some."""
        assert self.chunks is not None, "a graph that answers chunk by chunk"
        return self.chunks

    def time_extent(self, node: ColumnNode) -> Extent:
        """The extent of the time axis of an input."""
        return 1 if self.step else time_dimension(node.axis)

    def steps(self, name: str) -> PaddedSequence:
        """The sequence that the node `name` gives."""
        value = self.values[name]
        assert isinstance(value, PaddedSequence), f"{name} gives no sequence"
        return value

    def vector(self, name: str) -> str:
        """The vector `[B, width]` that the node `name` gives."""
        value = self.values[name]
        assert isinstance(value, Vector), f"{name} gives no vector"
        return value.name

    def canonical(self, name: str) -> str:
        """The weight `name` as an initializer of that name; a shared one is there once."""
        own = self.shared.get(name, name)
        return self.emit.weight(own, self.weights[own])

    def exact(self, name: str) -> NDArray[np.float64]:
        """The weight `name` in double precision."""
        return self.weights[name].astype(np.float64)


Entry = TypeVar("Entry")


def entry_of(table: Mapping[type[Node], Entry], node: Node, place: str) -> Entry:
    """The entry of a node's type. Raises NotImplementedError if `table` lacks it."""
    kind = type(node)
    if kind not in table:
        raise NotImplementedError(f"to_onnx has no lowering of {kind.__name__} in {place}")
    return table[kind]


def demands(plan: Plan) -> dict[str, Demand]:
    """What is read of each node's value; dropout passes on what is read of its own."""
    found: dict[str, Demand] = {}
    for node in reversed(plan.nodes):
        demand = _demand_on_sources(plan, node, found.get(node.name, Demand()))
        for source in node.sources():
            known = found.get(source, Demand())
            found[source] = Demand(
                known.steps or demand.steps,
                known.last or demand.last,
                known.final_states | demand.final_states,
            )
    return found


def reads_last(plan: Plan, pool: Pool) -> bool:
    """Whether a pooling of kind "last" reads a layer, which knows its own last outputs."""
    source = plan.node(pool.source)
    while isinstance(source, Dropout):
        source = plan.node(source.source)
    return isinstance(source, Recurrent)


def _demand_on_sources(plan: Plan, node: Node, own: Demand) -> Demand:
    """What `node` reads of its sources, where `own` is read of it."""
    match node:
        case Dropout():
            return own
        case Pool(kind="last") if reads_last(plan, node):
            return Demand(last=True)
        case FinalState():
            return Demand(final_states=frozenset([node.state]))
    return Demand(steps=True)  # all steps serve every reader
