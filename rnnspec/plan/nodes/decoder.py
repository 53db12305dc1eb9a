"""The decoder: a body of nodes that is run step by step, fed with its own answers.

A body holds nodes of `layers`, of `attention` and of this file, on sequences `[B, U, W]` where U is
the axis of the answer. Where all that is fed back is known (teacher forcing) and no node is
`stepwise`, a back end may run the body over all steps at once; step by step it is run with U = 1,
the states of the recurrent layers carried from step to step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.plan.nodes.inputs import FramesInput, KeysInput
from rnnspec.plan.nodes.layers import Embed
from rnnspec.plan.nodes.node import (
    Initializers,
    Node,
    Shape,
    Shapes,
    SourceNode,
    State,
    Weight,
    affine,
)
from rnnspec.plan.nodes.recurrent import Recurrent


@dataclass(frozen=True, slots=True)
class Previous(Node):
    """The number of the token before each step, `[B, U]` below `size`; 0, the mark, before the
    first. A copied token that the vocabulary lacks is the unknown here. With `size` 0 it is the
    number of a step, of any size. The first node in the body of a decoder over tokens."""

    size: int

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", "U")


@dataclass(frozen=True, slots=True)
class PreviousNumber(SourceNode):
    """The values before each step, `[B, U, 1]` or, of forecasts of several series, `[B, U, K]`, one
    of each, scaled like the answers.

    Before the first step it is the last value of the sequence `source` `[B, T, 1]`, the past of the
    series (0 in a row without steps), and that of each of the `others`; then (a - centre) / scale,
    where a is the answer of the step before, the mean of a distribution, or the draw of a path. A
    true value that is given and not missing replaces a. The first node in the body of a recursive
    forecast, whose outputs are in the same order. If it is not `fed`, the last values of the past
    stand at each step, and the decoder reads nothing of its answers.
    """

    others: tuple[str, ...] = ()
    fed: bool = True

    @property
    def series(self) -> tuple[str, ...]:
        """The past of each series."""
        return (self.source, *self.others)

    def sources(self) -> Iterator[str]:
        yield from self.series

    def shape(self, shapes: Shapes) -> Shape:
        for past in self.series:
            shapes.expect(self, past, ("B", "T", 1))
        return ("B", "U", len(self.series))


@dataclass(frozen=True, slots=True)
class PreviousFrame(Node):
    """The frame before each step, `[B, U, width]`, scaled like the answer; 0 before the first, the
    frame to begin with (Wang et al. 2017, Tacotron, section 3.2).

    Then it is the frame answered at the step before, or the true one where that is given; a true
    number that is missing is 0. If it is not `fed`, the decoder reads nothing of its answers: the
    value is 0 at each step (the unconditioned decoder of Srivastava et al. 2015, section 2.1). The
    first node in the body of a decoder over frames.
    """

    width: int
    fed: bool = True

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", "U", self.width)


@dataclass(frozen=True, slots=True)
class Delayed(SourceNode):
    """The value `[B, U, width]` of the node `source` one step before, 0 before the first step.

    `source` comes later in the body.
    """

    width: int

    @property
    def stepwise(self) -> bool:
        return True

    def shape(self, shapes: Shapes) -> Shape:
        """The decoder checks `source`, whose shape is found later."""
        return ("B", "U", self.width)

    def carried(self) -> tuple[State, ...] | None:
        return (State("before", (self.width,)),)


@dataclass(frozen=True, slots=True)
class Scores(SourceNode):
    """A score for each token number at each step, `[B, U, size]`: W v + b, W `[size, inputs]`; of
    a language model that is no decoder, `[B, T, size]`.

    `tied` names the embedding whose table is W; then only b is a weight of its own (Press and Wolf
    2017).
    """

    pointwise = True

    inputs: int
    size: int
    tied: str = ""
    initializers: Initializers = ()

    def weights(self) -> Iterator[Weight]:
        matrix, bias = affine(self, self.size, self.inputs, stated=self.initializers)
        yield from (bias,) if self.tied else (matrix, bias)

    def shape(self, shapes: Shapes) -> Shape:
        found = shapes.each_vector(self, self.source, self.inputs, self.size)
        if self.tied:
            table = shapes.nodes[self.tied]
            assert isinstance(table, Embed), f"{self.name} is tied to {self.tied}, no embedding"
            fits = (table.size, table.width) == (self.size, self.inputs)
            assert fits, f"{self.name} cannot take the table of {self.tied}"
        return found


@dataclass(frozen=True, slots=True)
class Decoder(Node):
    """`body`, run step by step; its last node gives the scores `[B, U, W]`.

    `reads` are the outer nodes that the body reads: memories, initial states, vectors for every
    step, values ahead, and inputs of frames or keys of which it reads step u at its own step u,
    with `reverse` the last step of the row first.
    `steps` is the number of steps of a forecast, 0 for a decoder over tokens or frames.
    `whole_prompt` is set for a language model, which has no mark before the first token: the first
    token of the prompt is read at once.
    """

    body: tuple[Node, ...]
    reads: tuple[str, ...]
    steps: int = 0
    whole_prompt: bool = False
    reverse: bool = False

    @property
    def scores(self) -> str:
        """Name of the node that gives the scores."""
        return self.body[-1].name

    def sources(self) -> Iterator[str]:
        yield from self.reads

    def weights(self) -> Iterator[Weight]:
        for node in self.body:
            yield from node.weights()

    def shape(self, shapes: Shapes) -> Shape:
        """Adds the shapes of the body."""
        first = self.body[0]
        known = Previous | PreviousNumber | PreviousFrame
        assert isinstance(first, known), f"{self.name} reads nothing before"
        inside = Shapes(shapes.nodes, {**shapes.found, **self._controls(shapes)})
        for node in self.body:
            self._check_sources(node, inside)
            inside.add(node)
        for node in self.body:
            if isinstance(node, Delayed):
                inside.expect(node, node.source, ("B", "U", node.width))
        shapes.found.update({node.name: inside[node.name] for node in self.body})
        axes = shapes[self.scores]
        assert len(axes) == 3 and axes[:2] == ("B", "U"), f"{self.scores} gives {axes}"
        return axes

    def _controls(self, shapes: Shapes) -> dict[str, Shape]:
        """The inputs with steps that the body reads, of which it has step u at its own step u."""
        read = (shapes.nodes[name] for name in self.reads)
        controls = (node for node in read if isinstance(node, FramesInput | KeysInput))
        return {node.name: ("B", "U", *shapes[node.name][2:]) for node in controls}

    def _check_sources(self, node: Node, shapes: Shapes) -> None:
        """What a node of the body reads is known before it, but for what it reads delayed."""
        inside = {each.name for each in self.body}
        for source in node.sources():
            assert source in inside or source in self.reads, (
                f"{node.name} reads {source}, {self.name} reads {self.reads}"
            )
            known = isinstance(node, Delayed) or source in shapes.found
            assert known, f"{node.name} reads {source}, which comes later"
        if isinstance(node, Recurrent):
            assert node.direction == "forward", f"{node.name} cannot run {node.direction}"
