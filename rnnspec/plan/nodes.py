"""The plan: a model as a list of frozen nodes, each naming the nodes it reads.

A node's `name` is also the prefix of its weights' names. Shapes are written with `B` for rows and
`T` for steps; sequences carry the lengths of the input they come from. Every back end lowers each
node type once. A new node type is a class here, its weights in `weights.py`, and one function in
each of `reference/`, `to_torch/` and `to_onnx/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.cells import Cell
from rnnspec.cells.starts import CellStart
from rnnspec.cells.zoneout import with_zoneout

Direction = Literal["forward", "reverse", "bidirectional"]
PoolKind = Literal["last", "mean", "max", "attention"]
Activation = Literal["none", "relu", "tanh", "gelu"]
TokenKind = Literal["words", "chars"]
MergeKind = Literal["sum", "mean", "mul"]
InitialState = Literal["zeros", "learned", "given"]


@dataclass(frozen=True, slots=True)
class TokensInput:
    """Text of `column` as token numbers `[B, T]` below `size`, with its lengths `[B]`.

    Words are separated by one or more U+0020, and only by that; characters are code points,
    lower-cased one by one if `fold_case`.
    """

    name: str
    column: str
    kind: TokenKind
    size: int
    fold_case: bool


@dataclass(frozen=True, slots=True)
class FramesInput:
    """Vectors of `column`, `[B, T, width]`, with their lengths `[B]`; (v - mean) / deviation if
    `scaled`.

    Element `elapsed` of each vector, if any, is taken out: an `Elapsed` node has it. The value is
    `[B, T, features]`.
    """

    name: str
    column: str
    width: int
    scaled: bool
    elapsed: int | None = None

    @property
    def features(self) -> int:
        """Width of the value."""
        return self.width if self.elapsed is None else self.width - 1


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Element `index` of each vector of the frames in `column`, as it stands in the data: `[B, T]`,
    the time since the step before."""

    name: str
    column: str
    index: int


@dataclass(frozen=True, slots=True)
class VectorInput:
    """Numbers of `column`, `[B, width]`, as they stand in the data."""

    name: str
    column: str
    width: int


@dataclass(frozen=True, slots=True)
class Embed:
    """A learned vector for each token number: `[B, T]` to `[B, T, width]`."""

    name: str
    source: str
    size: int
    width: int


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
    if it is "given", the cell's first state is the value `[B, width]` of the node `given`, in
    either direction, and the others are 0.
    `starts` are the starts of parameters that go before those of the cell, `l2` is the factor of
    `sum(w^2) / 2` over its trained parameters in the loss. While training, `recurrent_dropout` and
    `zoneout` are at work (`rnnspec.cells.zoneout`, `rnnspec.cells.recurrent_dropout`); zoneout also
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
    given: str = ""
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    starts: tuple[tuple[str, CellStart], ...] = ()
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
    """`activation(W v + b)`: `[B, inputs]` to `[B, units]`."""

    name: str
    source: str
    inputs: int
    units: int
    activation: Activation


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """Scores `[B, classes]` to probabilities (softmax) and the label of the largest."""

    name: str
    source: str
    column: str
    classes: int


@dataclass(frozen=True, slots=True)
class NumericOutput:
    """`[B, width]` in the units of the data: v * deviation + mean if `scaled`.

    `single` columns hold one number a row and are answered as `[B]`.
    """

    name: str
    source: str
    column: str
    width: int
    scaled: bool
    single: bool


Input = TokensInput | FramesInput | VectorInput
Output = ClassOutput | NumericOutput
Skip = Residual | Highway
Node = (
    Input | Elapsed | Embed | Dropout | Recurrent | Merge | Normalize | Skip | Pool | Dense | Output
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved model. `nodes` are in order of computation."""

    name: str
    cardinality: Literal["N:1"]
    nodes: tuple[Node, ...]

    def node(self, name: str) -> Node:
        """The node called `name`. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(n for n in self.nodes if isinstance(n, Input))

    @property
    def outputs(self) -> tuple[Output, ...]:
        return tuple(n for n in self.nodes if isinstance(n, ClassOutput | NumericOutput))


def sources(node: Node) -> Iterator[str]:
    """Names of the nodes that `node` reads."""
    match node:
        case TokensInput() | FramesInput() | VectorInput() | Elapsed():
            return
        case Residual() | Highway():
            yield from (node.source, node.skip)
        case Recurrent():
            yield from (name for name in (node.source, node.elapsed, node.given) if name)
        case _:
            yield node.source


def directions_read(plan: Plan, pool: Pool) -> tuple[Literal["forward", "reverse"], ...]:
    """Directions of the layer whose outputs `pool` reads, one for each equal part of its input.

    A pool of kind "last" never reads a `Merge`, in which the directions can no longer be told.
    """
    node = plan.node(pool.source)
    while isinstance(node, Dropout | Normalize | Residual | Highway):
        node = plan.node(node.source)
    return node.directions if isinstance(node, Recurrent) else ("forward",)
