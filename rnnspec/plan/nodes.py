"""The plan: a model as a list of frozen nodes, each naming the nodes it reads.

A node's `name` is also the prefix of its weights' names. Shapes are written with `B` for rows and
`T` for steps; sequences carry the lengths of the input they come from. Every back end lowers each
node type once. A new node type is a class in `node_inputs`, `node_layers`, `node_decoder` or
`node_outputs`, its weights in `weights.py`, and one function in each of `reference/`, `to_torch/`
and `to_onnx/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.plan.node_decoder import (
    Attend,
    AttentionKind,
    CopyMix,
    Decoder,
    Delayed,
    Previous,
    PreviousNumber,
    Scores,
)
from rnnspec.plan.node_inputs import (
    CategoryInput,
    CharactersInput,
    CopiesInput,
    Elapsed,
    FramesInput,
    FutureInput,
    KeysInput,
    Missing,
    SeriesInput,
    TokenKind,
    TokensInput,
    VectorInput,
    WindowKind,
    WindowMoments,
)
from rnnspec.plan.node_layers import (
    Activation,
    Dense,
    Direction,
    Dropout,
    Embed,
    FinalState,
    Highway,
    InitialState,
    Join,
    Merge,
    MergeKind,
    Normalize,
    PerStep,
    Pool,
    PoolKind,
    Recurrent,
    Residual,
)
from rnnspec.plan.node_outputs import (
    ClassOutput,
    Distribution,
    ForecastOutput,
    LabelsOutput,
    LengthNorm,
    NumericOutput,
    Search,
    Stop,
    Strategy,
    TextKind,
    TextOutput,
)

__all__ = [
    "Activation",
    "Attend",
    "AttentionKind",
    "BodyNode",
    "Cardinality",
    "CategoryInput",
    "CharactersInput",
    "ClassOutput",
    "CopiesInput",
    "CopyMix",
    "Decoder",
    "Delayed",
    "Dense",
    "Direction",
    "Distribution",
    "Dropout",
    "Elapsed",
    "Embed",
    "FinalState",
    "ForecastOutput",
    "FramesInput",
    "FutureInput",
    "Highway",
    "InitialState",
    "Input",
    "Join",
    "KeysInput",
    "LabelsOutput",
    "LengthNorm",
    "Merge",
    "MergeKind",
    "Missing",
    "Node",
    "Normalize",
    "NumericOutput",
    "Output",
    "PerStep",
    "Plan",
    "Pool",
    "PoolKind",
    "Previous",
    "PreviousNumber",
    "Recurrent",
    "Residual",
    "Scores",
    "Search",
    "SeriesInput",
    "Skip",
    "Stop",
    "Strategy",
    "TextKind",
    "TextOutput",
    "TokenKind",
    "TokensInput",
    "VectorInput",
    "WindowKind",
    "WindowMoments",
    "directions_read",
    "sources",
]

Cardinality = Literal["1:1", "N:1", "1:N", "N:N", "N:M"]
Input = (
    TokensInput
    | CharactersInput
    | CopiesInput
    | CategoryInput
    | FramesInput
    | KeysInput
    | VectorInput
    | SeriesInput
    | FutureInput
)
"""What a caller gives."""
Derived = Elapsed | WindowMoments
"""What is taken from an input that another node brings in."""
Output = ClassOutput | LabelsOutput | NumericOutput | TextOutput | ForecastOutput
Skip = Residual | Highway
Layer = (
    Embed
    | Dropout
    | Recurrent
    | Merge
    | Normalize
    | Skip
    | Pool
    | Dense
    | Join
    | PerStep
    | FinalState
)
BodyNode = Previous | PreviousNumber | Delayed | Attend | Scores | CopyMix
Node = Input | Derived | Layer | BodyNode | Decoder | Output


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved model. `nodes` are in order of computation; those of a decoder's body are inside
    its node."""

    name: str
    cardinality: Cardinality
    nodes: tuple[Node, ...]

    def node(self, name: str) -> Node:
        """The node called `name`, also one of a decoder's body. Raises KeyError."""
        for node in self.every_node():
            if node.name == name:
                return node
        raise KeyError(name)

    def every_node(self) -> Iterator[Node]:
        """All nodes in order, those of a body before their decoder."""
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


def sources(node: Node) -> Iterator[str]:
    """Names of the nodes that `node` reads."""
    match node:
        case Residual() | Highway():
            yield from (node.source, node.skip)
        case Recurrent():
            yield from (name for name in (node.source, node.elapsed, *node.given) if name)
        case Join():
            yield from node.sources
        case PerStep():
            yield from (node.source, node.steps)
        case Decoder():
            yield from node.reads
        case Attend():
            yield from (node.source, node.memory)
        case CopyMix():
            yield from (node.source, node.gate, node.attend, node.tokens)
        case TextOutput():
            yield from (name for name in (node.source, node.prompt, node.copies) if name)
        case ForecastOutput():
            yield from (name for name in (node.source, node.moments) if name)
        case SeriesInput():
            yield from (node.moments,) if node.moments else ()
        case FutureInput():
            yield from (name for name in (node.moments, node.past) if name)
        case Previous() | Elapsed() | WindowMoments():
            return
        case (
            TokensInput()
            | CharactersInput()
            | CopiesInput()
            | CategoryInput()
            | FramesInput()
            | KeysInput()
            | VectorInput()
        ):
            return
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
