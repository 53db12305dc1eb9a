"""Layers without a state: embeddings, dense layers, pooling, and what stands around others.

A sequence is `[B, T, W]` with the lengths of its time axis, a vector `[B, W]`. A node that works on
each vector takes either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from rnnspec.cells.initializers import Constant, Uniform
from rnnspec.plan.nodes.node import (
    FromVectors,
    Initializers,
    Node,
    Shape,
    Shapes,
    SourceNode,
    State,
    Vectors,
    Weight,
    affine,
    expect_at_each_step,
)
from rnnspec.plan.nodes.recurrent import Merge, Recurrent

PoolKind = Literal["last", "mean", "max", "attention"]
Activation = Literal[
    "none", "relu", "tanh", "sigmoid", "elu", "silu", "gelu", "softplus", "hard_sigmoid"
]
CombineKind = Literal["sum", "mul", "mean"]
HIGHWAY_BIAS = Constant(-1.0)
"""The gate starts near closed, so that a new layer lets its input through (Srivastava 2015, 3)."""


@dataclass(frozen=True, slots=True)
class Embed(SourceNode):
    """A learned vector for each number: `[B, T]` to `[B, T, width]`, or `[B]` to `[B, width]`.

    With `pad`, row 0 of the table is the pad's: always 0, and not trained. With `vectors` the rows
    come from a file of word vectors. The last `frozen` numbers have their rows in the weight
    `vectors`, which is not trained; numbers of it have 11 bits if they are `half` ones.
    """

    pointwise = True
    decays = False

    size: int
    width: int
    pad: bool = True
    vectors: bool = False
    frozen: int = 0
    half: bool = False
    initializers: Initializers = ()

    @property
    def own(self) -> int:
        """How many numbers have their row in the table."""
        return self.size - self.frozen

    def weights(self) -> Iterator[Weight]:
        stated = dict(self.initializers).get("table")
        drawn = Vectors(self.pad) if stated is None else Vectors(self.pad, stated)
        initializer = FromVectors() if self.vectors else drawn
        shape, chosen = (self.own, self.width), stated is not None
        yield Weight(f"{self.name}.table", shape, initializer, chosen=chosen)
        if self.frozen:
            yield Weight(f"{self.name}.vectors", (self.frozen, self.width), FromVectors(), False)

    def shape(self, shapes: Shapes) -> Shape:
        axes = shapes[self.source]
        assert isinstance(axes[-1], str), f"{self.name} takes numbers, {self.source} gives vectors"
        return (*axes, self.width)


@dataclass(frozen=True, slots=True)
class Dropout(SourceNode):
    """While training, elements are zeroed with probability `rate` and the rest scaled up by
    1 / (1 - rate); of a sequence, `per_sequence`, the same ones at all steps of a row
    (Gal and Ghahramani 2016)."""

    pointwise = True
    keeps_directions = True

    rate: float
    per_sequence: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return shapes[self.source]


@dataclass(frozen=True, slots=True)
class Normalize(SourceNode):
    """`scale * (v - mean(v)) / sqrt(var(v) + 1e-5) + shift` over each vector, of a sequence or
    alone (Ba, Kiros and Hinton 2016, Layer Normalization); biased variance."""

    pointwise = True
    keeps_directions = True
    decays = False

    width: int

    def weights(self) -> Iterator[Weight]:
        yield Weight(f"{self.name}.scale", (self.width,), Constant(1.0))
        yield Weight(f"{self.name}.shift", (self.width,), Constant(0.0))

    def shape(self, shapes: Shapes) -> Shape:
        return shapes.each_vector(self, self.source, self.width, self.width)


@dataclass(frozen=True, slots=True)
class SkipNode(SourceNode):
    """A node that adds a sequence, or a grid, to what was made of it, of the same shape."""

    pointwise = True
    keeps_directions = True

    skip: str

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.skip)

    def shape(self, shapes: Shapes) -> Shape:
        found = shapes[self.source]
        shapes.expect(self, self.skip, found)
        assert len(found) > 2, f"{self.name} takes sequences, {self.source} gives {found}"
        return found


@dataclass(frozen=True, slots=True)
class Residual(SkipNode):
    """`source + skip`, two sequences or two grids of one shape (He et al. 2016, Deep Residual
    Learning)."""


@dataclass(frozen=True, slots=True)
class Highway(SkipNode):
    """`g * source + (1 - g) * skip` with `g = sigmoid(W skip + b)`, for two sequences of one
    width (Srivastava, Greff and Schmidhuber 2015, Highway Networks, equation 3)."""

    width: int

    def weights(self) -> Iterator[Weight]:
        yield from affine(self, self.width, self.width, bias=None)
        yield Weight(f"{self.name}.b", (self.width,), HIGHWAY_BIAS)

    def shape(self, shapes: Shapes) -> Shape:
        shapes.each_vector(self, self.source, self.width, self.width)
        return SkipNode.shape(self, shapes)


@dataclass(frozen=True, slots=True)
class Pool(SourceNode):
    """A sequence `[B, T, inputs]` to one vector `[B, inputs]`, over the steps below the length.

    `last`: the output after the last step that each direction of the layer read (for `reverse`
    that is the row's first step). `mean`, `max`: element by element. `attention`:
    `softmax_t(v · tanh(W y_t + b))` weighted mean of the `y_t`, with `units` rows in W
    (Yang et al. 2016, Hierarchical Attention Networks, equations 5 to 7). No steps give 0.
    """

    kind: PoolKind
    inputs: int
    units: int

    def weights(self) -> Iterator[Weight]:
        if self.kind == "attention":
            yield from affine(self, self.units, self.inputs)
            yield Weight(f"{self.name}.v", (self.units,), Uniform(1 / sqrt(self.units)))

    def shape(self, shapes: Shapes) -> Shape:
        if self.kind == "last":
            self._check_directions(shapes)
        rows, _, width = shapes[self.source]
        fits = width == self.inputs
        assert fits, f"{self.name} takes {self.inputs}, {self.source} gives {width}"
        return (rows, self.inputs)

    def _check_directions(self, shapes: Shapes) -> None:
        """The ends of the directions are in different places, so that no `Merge` comes before."""
        source = shapes.nodes[self.source]
        while not isinstance(source, Merge | Recurrent) and (before := next(source.sources(), "")):
            source = shapes.nodes[before]
        merged = isinstance(source, Merge)
        assert not merged, f"{self.name} cannot tell directions in {source.name}"


@dataclass(frozen=True, slots=True)
class Dense(SourceNode):
    """`activation(W v + b)` of each vector: `inputs` to `units` wide."""

    pointwise = True

    inputs: int
    units: int
    activation: Activation
    initializers: Initializers = ()

    def weights(self) -> Iterator[Weight]:
        yield from affine(self, self.units, self.inputs, stated=self.initializers)

    def shape(self, shapes: Shapes) -> Shape:
        return shapes.each_vector(self, self.source, self.inputs, self.units)


@dataclass(frozen=True, slots=True)
class Join(Node):
    """The values of `reads` side by side, in their order.

    Sequences of one time axis give a sequence; a vector among sequences stands at every step of
    its row. Vectors alone give a vector. Grids of one time axis with equally many features give a
    grid with the channels of all.
    """

    pointwise = True

    reads: tuple[str, ...]

    def sources(self) -> Iterator[str]:
        yield from self.reads

    def shape(self, shapes: Shapes) -> Shape:
        parts = [shapes[source] for source in self.reads]
        axes: set[Shape] = {part[:-1] for part in parts if len(part) >= 3} or {("B",)}
        assert len(axes) == 1, f"{self.name} joins the axes {axes}"
        (axis,) = axes
        return (*axis, sum(part[-1] for part in parts if isinstance(part[-1], int)))


@dataclass(frozen=True, slots=True)
class Activate(SourceNode):
    """A function of each number (`rnnspec.cells.functions`)."""

    pointwise = True
    keeps_directions = True

    activation: Activation

    def shape(self, shapes: Shapes) -> Shape:
        return shapes[self.source]


@dataclass(frozen=True, slots=True)
class Combine(Node):
    """The sum, the product or the mean of the values of `reads`, element by element. All have one
    shape, but for vectors behind a sequence, which stand at every step of their row."""

    pointwise = True

    reads: tuple[str, ...]
    kind: CombineKind

    def sources(self) -> Iterator[str]:
        yield from self.reads

    def shape(self, shapes: Shapes) -> Shape:
        found = shapes[self.reads[0]]
        for source in self.reads[1:]:
            expect_at_each_step(self, source, shapes, found)
        return found


@dataclass(frozen=True, slots=True)
class Unnest(SourceNode):
    """The sequences inside the steps of a `NestedInput` `[B, T, E]`, as rows of their own.

    Its value is a sequence of `B * T` rows, one for each step, each as long as it has numbers above
    0; `PerStep` makes one step of each again (Yang et al. 2016, Hierarchical Attention Networks).
    Of `[B, T, S, E]` it is a sequence `[B * T, S, E]` of sequences, which another `Unnest` reads.
    """

    def shape(self, shapes: Shapes) -> Shape:
        found = shapes[self.source]
        assert len(found) >= 3, f"{self.name} takes nested sequences, {self.source} gives {found}"
        rows, _, *inside = found
        above = str(rows) if str(rows).startswith("W") else ""
        return (f"{above}W", "C", *inside[1:])

    def carried(self) -> tuple[State, ...] | None:
        """None are needed: all of its sequence comes with a step."""
        return ()


@dataclass(frozen=True, slots=True)
class PerStep(Node):
    """The vectors `[B * T, W]` of all steps of the node `steps`, an input or an `Unnest`, as a
    sequence `[B, T, W]`, with `reverse` those of each row from the last to the first, as its
    tokens are.

    Past a row's length it is arbitrary, and nothing may read it.
    """

    source: str
    steps: str
    reverse: bool = False

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.steps)

    def shape(self, shapes: Shapes) -> Shape:
        rows, width = shapes[self.source]
        assert str(rows).startswith("W"), f"{self.name} takes vectors of tokens, not of {rows}"
        return (*shapes[self.steps][:2], width)

    def carried(self) -> tuple[State, ...] | None:
        """None are needed: the characters of a token come with it."""
        return ()
