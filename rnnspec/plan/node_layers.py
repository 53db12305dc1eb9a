"""Nodes between the inputs and the outputs: embeddings, recurrent layers, what stands around them.

A sequence is `[B, T, W]` with the lengths of its time axis, a vector `[B, W]`. A node that works on
each vector takes either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnspec.cells import Cell
from rnnspec.cells.initializers import Initializer
from rnnspec.cells.rewrites import with_zoneout

Direction = Literal["forward", "reverse", "bidirectional"]
PoolKind = Literal["last", "mean", "max", "attention"]
Activation = Literal["none", "relu", "tanh", "gelu"]
MergeKind = Literal["sum", "mean", "mul"]
InitialState = Literal["zeros", "learned", "given"]


@dataclass(frozen=True, slots=True)
class Embed:
    """A learned vector for each number: `[B, T]` to `[B, T, width]`, or `[B]` to `[B, width]`.

    With `pad`, row 0 of the table is the pad's: always 0, and not trained.
    """

    name: str
    source: str
    size: int
    width: int
    pad: bool = True


@dataclass(frozen=True, slots=True)
class Dropout:
    """While training, elements are zeroed with probability `rate` and the rest scaled up by
    1 / (1 - rate); of a sequence, `per_sequence`, the same ones at all steps of a row
    (Gal and Ghahramani 2016)."""

    name: str
    source: str
    rate: float
    per_sequence: bool = False


@dataclass(frozen=True, slots=True)
class Recurrent:
    """One recurrent layer: `[B, T, inputs]` to `[B, T, width]`, 0 past the length of a row.

    `reverse` reads each row from its last step to its first and gives its outputs in time order;
    `bidirectional` joins the outputs of both, forward first. `sizes` are the numbers of the cell's
    own sizes. `elapsed` is the node whose value a cell reads as its input `dt`; without one, `dt`
    is 1. In either direction a step is read together with its own `dt`.

    The states before the first step read are 0, or weights of the layer if `initial` is "learned";
    if it is "given", each state is the value `[B, width]` of the node named at its place in
    `given`, in either direction, or 0 where the name is empty.
    `starts` are the starts of parameters that go before those of the cell, `l2` is the factor of
    `sum(w^2) / 2` over its trained parameters in the loss. While training, `recurrent_dropout` and
    `zoneout` are at work (`rnnspec.cells.rewrites`); zoneout also
    changes the answers: back ends lower `answering_cell`.
    """

    name: str
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
    starts: tuple[tuple[str, Initializer], ...] = ()
    l2: float = 0.0

    @property
    def answering_cell(self) -> Cell:
        """The cell as it answers, with the expectation of zoneout in the place of its masks."""
        return with_zoneout(self.cell, self.zoneout) if self.zoneout else self.cell

    @property
    def extents(self) -> dict[str, int]:
        """The number behind each size name of the cell."""
        return self.cell.sizes(self.inputs, self.units, dict(self.sizes))

    @property
    def output_width(self) -> int:
        """Width of one direction's output."""
        return self.extents[self.cell.output_size]

    def state_width(self, state: str) -> int:
        return self.extents[self.cell.states[state][0]]

    @property
    def directions(self) -> tuple[Literal["forward", "reverse"], ...]:
        if self.direction == "bidirectional":
            return ("forward", "reverse")
        return (self.direction,)

    @property
    def width(self) -> int:
        """Width of the output at each step."""
        return self.output_width * len(self.directions)


@dataclass(frozen=True, slots=True)
class Merge:
    """The outputs of two directions, joined, to their sum, mean or product element by element:
    `[B, T, inputs]` to `[B, T, inputs / 2]`, or `[B, inputs]` to `[B, inputs / 2]`."""

    name: str
    source: str
    kind: MergeKind
    inputs: int

    @property
    def width(self) -> int:
        return self.inputs // 2


@dataclass(frozen=True, slots=True)
class Normalize:
    """`scale * (v - mean(v)) / sqrt(var(v) + 1e-5) + shift` over each vector, of a sequence or
    alone (Ba, Kiros and Hinton 2016, Layer Normalization); biased variance."""

    name: str
    source: str
    width: int


@dataclass(frozen=True, slots=True)
class Residual:
    """`source + skip`, two sequences of one width (He et al. 2016, Deep Residual Learning)."""

    name: str
    source: str
    skip: str


@dataclass(frozen=True, slots=True)
class Highway:
    """`g * source + (1 - g) * skip` with `g = sigmoid(W skip + b)`, for two sequences of one
    width (Srivastava, Greff and Schmidhuber 2015, Highway Networks, equation 3)."""

    name: str
    source: str
    skip: str
    width: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A sequence `[B, T, inputs]` to one vector `[B, inputs]`, over the steps below the length.

    `last`: the output after the last step that each direction of the layer read (for `reverse`
    that is the row's first step). `mean`, `max`: element by element. `attention`:
    `softmax_t(v · tanh(W y_t + b))` weighted mean of the `y_t`, with `units` rows in W
    (Yang et al. 2016, Hierarchical Attention Networks, equations 5 to 7). No steps give 0.
    """

    name: str
    source: str
    kind: PoolKind
    inputs: int
    units: int


@dataclass(frozen=True, slots=True)
class Dense:
    """`activation(W v + b)` of each vector: `inputs` to `units` wide."""

    name: str
    source: str
    inputs: int
    units: int
    activation: Activation


@dataclass(frozen=True, slots=True)
class Join:
    """The values of `sources` side by side, in their order.

    Sequences of one time axis give a sequence; a vector among sequences stands at every step of
    its row. Vectors alone give a vector.
    """

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PerStep:
    """The vectors `[B * T, W]` of all steps of the input node `steps` as a sequence `[B, T, W]`.

    What stands past a row's length is arbitrary and read by nothing.
    """

    name: str
    source: str
    steps: str


@dataclass(frozen=True, slots=True)
class FinalState:
    """The state `state` of the layer `source` after the last step that each direction read, forward
    first: `[B, W]`, `[B, 2 W]` of two directions. Of a row of no steps, the initial state."""

    name: str
    source: str
    state: str
