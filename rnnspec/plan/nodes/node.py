"""What every node of a plan has: a name, sources, weights, a shape rule, traits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import ClassVar

from rnnspec.cells.initializers import Initializer, Normal, Uniform

Shape = tuple[str | int, ...]
"""`("B", "T", 64)`: a sequence of vectors; `("B", 64)`: one vector a row; `("B",)`: one number.

Axes by name: `B` rows, `T` steps of the input (`T.left` of the inputs of the encoder `left`, where
several have steps of their own), `U` steps of the answer, `W` tokens of all rows, one
after the other, and `C` their characters; or the steps of nested sequences, and what is in them,
`E` at most in a step, `E.1` and so on of levels between, whose rows are `WW`. `T/4` are
ceil(T / 4) steps, `T*3` 3 for each of T."""


STEPS = "T"
"""The axis of the steps of all sequences of a model with one encoder."""


def strided(axis: str, stride: int) -> str:
    """The axis of ceil(n / stride) of the n steps of `axis`: of `T/2`, by 3, it is `T/6`."""
    if stride == 1:
        return axis
    assert "*" not in axis, f"no stride divides {axis}"
    name, _, by = axis.partition("/")
    return f"{name}/{int(by or 1) * stride}"


STANDARD_NORMAL = Normal(1.0)
"""As torch starts an embedding."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Rows drawn by `init`; with `pad`, row 0 is 0."""

    pad: bool = True
    init: Initializer = STANDARD_NORMAL


@dataclass(frozen=True, slots=True)
class FromData:
    """Taken from the facts of the data, and not trained: "mean", "deviation", "rest", the rounding
    error of the mean in float32, or "rules", which labels may follow which."""

    what: str


@dataclass(frozen=True, slots=True)
class FromVectors:
    """Taken from a file of word vectors; in a trained table, those that the file lacks are drawn
    with the mean and deviation of all its vectors, and the unknown has their mean."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor of the model; only `trained` weights change while training.

    `l2` times half the sum of its squares is part of the loss. `chosen`: its initializer is one
    that the spec or the cell states for it, which no initializer of the whole plan replaces.
    """

    name: str
    shape: tuple[int, ...]
    initializer: Initializer | Vectors | FromData | FromVectors
    trained: bool = True
    l2: float = 0.0
    chosen: bool = False

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class State:
    """What a node keeps of the steps so far: a value `[B, *shape]` for each row."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes found so far, for nodes to add their own; `nodes` are all nodes of the plan."""

    nodes: Mapping[str, Node]
    found: dict[str, Shape]

    def __getitem__(self, name: str) -> Shape:
        return self.found[name]

    def add(self, node: Node) -> None:
        """Finds the shape of a node. Raises AssertionError where the node does not fit."""
        assert node.name not in self.found, f"two nodes are called {node.name}"
        self.found[node.name] = node.shape(self)

    def expect(self, node: Node, source: str, shape: Shape) -> None:
        found = self[source]
        assert found == shape, f"{node.name} takes {shape}, {source} gives {found}"

    def each_vector(self, node: Node, source: str, inputs: int, width: int) -> Shape:
        """The shape of a node that makes `width` numbers of `inputs`, in a sequence or alone."""
        *rows, found = self[source]
        assert rows and found == inputs, f"{node.name} takes width {inputs}, {source} gives {found}"
        return (*rows, width)


def expect_at_each_step(node: Node, source: str, shapes: Shapes, shape: Shape) -> None:
    """`source` has a `shape`, or that of one vector of the row, which stands at each step."""
    found = shapes[source]
    fits = found in (shape, (shape[0], shape[-1]))
    assert fits, f"{node.name} takes {shape}, {source} gives {found}"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a plan. `name` is also the prefix of the names of its weights, unless it has those
    of another node, `same_as`, of its type and settings."""

    name: str
    same_as: str = field(default="", kw_only=True)

    pointwise: ClassVar[bool] = False
    """The value at a step depends on nothing but the values at this step of what the node reads. A
    vector of the whole row stands at each of its steps."""
    keeps_directions: ClassVar[bool] = False
    """Each direction of a bidirectional layer has the same part of the value as of `source`: what
    is read at the last step of each direction may be read behind this node."""
    decays: ClassVar[bool] = True
    """Weight decay that is limited to matrices applies to the matrices of the node."""

    @property
    def stepwise(self) -> bool:
        """Whether a decoder has to run the node step by step even if all answers are known."""
        return False

    def sources(self) -> Iterator[str]:
        """Names of the nodes it reads."""
        yield from ()

    def weights(self) -> Iterator[Weight]:
        """Its weights in canonical order."""
        yield from ()

    def shape(self, shapes: Shapes) -> Shape:
        """The shape of its value. Raises AssertionError where the node does not fit the shapes of
        what it reads."""
        raise NotImplementedError(f"{type(self).__name__} has no shape rule")

    def carried(self) -> tuple[State, ...] | None:
        """The states that are carried from chunk to chunk if a row is read in chunks of steps; with
        them the value at each step is the same for every division into chunks. None: the value at
        a step depends on later steps, or on so many steps before that no state holds them."""
        return () if self.pointwise else None


@dataclass(frozen=True, slots=True)
class SourceNode(Node):
    """A node that reads the value of one node, `source`."""

    source: str

    def sources(self) -> Iterator[str]:
        yield self.source


@dataclass(frozen=True, slots=True)
class ColumnNode(Node):
    """A node of a column of the data. Its steps, if it has any, are those of the `axis`."""

    column: str
    axis: str = field(default=STEPS, kw_only=True)

    @property
    def key(self) -> str:
        """The name of its values in a batch."""
        return self.column

    def carried(self) -> tuple[State, ...] | None:
        return ()


def named(*names: str) -> Iterator[str]:
    """Those of `names` that are not empty."""
    return filter(None, names)


Initializers = tuple[tuple[str, Initializer], ...]
"""The initializers that a spec states, by the names of weights in the node."""


def affine(
    node: Node,
    units: int,
    inputs: int,
    matrix: str = "W",
    bias: str | None = "b",
    stated: Initializers = (),
) -> Iterator[Weight]:
    """A matrix and a bias, by the initializers that are `stated`, else uniform within
    1 / sqrt(inputs), as torch initializes a linear layer."""
    uniform = Uniform(1 / sqrt(inputs))
    yield started(node, matrix, (units, inputs), uniform, stated)
    if bias is not None:
        yield started(node, bias, (units,), uniform, stated)


def started(
    node: Node, name: str, shape: tuple[int, ...], usual: Initializer, stated: Initializers
) -> Weight:
    """A weight by the initializer that is `stated` for it, else by the usual one."""
    chosen = dict(stated).get(name)
    return Weight(f"{node.name}.{name}", shape, chosen or usual, chosen=chosen is not None)


def scaling(node: Node, width: int, double: bool) -> Iterator[Weight]:
    """Mean and deviation of the training rows; `rest` is what float32 rounds off the mean."""
    yield Weight(f"{node.name}.mean", (width,), FromData("mean"), False)
    if double:
        yield Weight(f"{node.name}.rest", (width,), FromData("rest"), False)
    yield Weight(f"{node.name}.deviation", (width,), FromData("deviation"), False)
