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

Direction = Literal["forward", "reverse", "bidirectional"]
PoolKind = Literal["last", "mean", "max", "attention"]
Activation = Literal["none", "relu", "tanh", "gelu"]
TokenKind = Literal["words", "chars"]


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
    `scaled`."""

    name: str
    column: str
    width: int
    scaled: bool


@dataclass(frozen=True, slots=True)
class Embed:
    """A learned vector for each token number: `[B, T]` to `[B, T, width]`."""

    name: str
    source: str
    size: int
    width: int


@dataclass(frozen=True, slots=True)
class Dropout:
    """While training, elements are zeroed with probability `rate` and the rest scaled up."""

    name: str
    source: str
    rate: float


@dataclass(frozen=True, slots=True)
class Recurrent:
    """One recurrent layer: `[B, T, inputs]` to `[B, T, width]`, 0 past the length of a row.

    `reverse` reads each row from its last step to its first and gives its outputs in time order;
    `bidirectional` joins the outputs of both, forward first. The state before the first step is 0.
    `sizes` are the numbers of the cell's own sizes.
    """

    name: str
    source: str
    cell: Cell
    inputs: int
    units: int
    direction: Direction
    sizes: tuple[tuple[str, int], ...] = ()

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


Input = TokensInput | FramesInput
Output = ClassOutput | NumericOutput
Node = Input | Embed | Dropout | Recurrent | Pool | Dense | Output


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
        return tuple(n for n in self.nodes if isinstance(n, TokensInput | FramesInput))

    @property
    def outputs(self) -> tuple[Output, ...]:
        return tuple(n for n in self.nodes if isinstance(n, ClassOutput | NumericOutput))


def sources(node: Node) -> Iterator[str]:
    """Names of the nodes that `node` reads."""
    if not isinstance(node, TokensInput | FramesInput):
        yield node.source


def directions_read(plan: Plan, pool: Pool) -> tuple[Literal["forward", "reverse"], ...]:
    """Directions of the layer whose outputs `pool` reads, one for each equal part of its input."""
    node = plan.node(pool.source)
    while isinstance(node, Dropout):
        node = plan.node(node.source)
    return node.directions if isinstance(node, Recurrent) else ("forward",)
