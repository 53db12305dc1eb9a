"""Several encoders: the nodes of each, one of whose layers another may share, and how the vectors
that they give meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import assert_never

from rnnspec import spec as language
from rnnspec.errors import DataError
from rnnspec.plan.builder import (
    Finish,
    InitialStates,
    Stack,
    from_vector,
    pool,
    pooled,
    whole,
    zeros,
)
from rnnspec.plan.facts import Facts
from rnnspec.plan.nodes import Combine, Compare, Node, Recurrent
from rnnspec.plan.nodes.node import STEPS, ColumnNode
from rnnspec.plan.resolve_decoder import Source
from rnnspec.plan.resolve_inputs import Sources, read_inputs
from rnnspec.plan.stateless import Read, flat, joined, side_by_side
from rnnspec.spec.branches import branches
from rnnspec.spec.decoder import NoAttention
from rnnspec.spec.encoder import Combination
from rnnspec.spec.views import View, beside_encoders, views


def prefix_of(name: str) -> str:
    """What the names of an encoder's nodes begin with."""
    return f"encoders.{name}."


def all_pooled(spec: language.Spec, facts: Facts, nodes: list[Node]) -> Read:
    """The vectors of all encoders of `spec`, combined; their nodes are added. Raises DataError."""

    def vector(view: View, inputs: Sources) -> Read:
        return _pooled(view.spec, inputs, prefix_of(view.name))

    met = _combined(spec.combine, _each(spec, facts, nodes, vector), nodes)
    return joined("beside", [met, *_beside(spec, facts, nodes).beside], nodes)


@dataclass(frozen=True, slots=True)
class Written:
    """What several encoders give a decoder: its `sources` and, in `inputs`, vectors of the row; and
    the vector that answers beside it are made of, where there are some."""

    sources: tuple[Source, ...]
    inputs: Sources
    pooled: Read | None = None


def all_written(spec: language.Spec, facts: Facts, nodes: list[Node]) -> Written:
    """The steps of all encoders of `spec`, for its decoder; their nodes are added. Raises
    DataError."""
    assert spec.decoder is not None, "a decoder reads the steps"
    answered = bool(branches(spec))
    states_alone = isinstance(spec.decoder.attention, NoAttention) and not answered
    vectors: list[Read] = []

    def steps(view: View, inputs: Sources) -> Read:
        prefix = prefix_of(view.name)
        memory = _encoded(view.spec, inputs, prefix, _unfinished if states_alone else whole)
        if answered:
            vectors.append(pool(view.spec, memory, prefix, inputs.nodes))
        return memory

    memories = _each(spec, facts, nodes, steps)
    beside = _beside(spec, facts, nodes)
    vector = None
    if answered:
        vector = joined("beside", [_combined(spec.combine, vectors, nodes), *beside.beside], nodes)
    layers = [node for node in nodes if isinstance(node, Recurrent)]
    sources = tuple(
        Source(memory, _of_encoder(layers, view.name), view.name)
        for memory, view in zip(memories, views(spec), strict=True)
    )
    return Written(sources, beside, vector)


def _unfinished(read: Read, after: Callable[[Read], Read]) -> Read:
    """The last recurrent layer without what follows it: its states alone are read."""
    return read


def _of_encoder(layers: Sequence[Recurrent], name: str) -> tuple[Recurrent, ...]:
    """The layers of an encoder, without the spelling layers of its inputs."""
    prefix = f"{prefix_of(name)}layers."
    return tuple(layer for layer in layers if layer.name.startswith(prefix))


def _each(
    spec: language.Spec, facts: Facts, nodes: list[Node], value: Callable[[View, Sources], Read]
) -> list[Read]:
    """The `value` of each encoder, made of its inputs; their nodes are added."""
    found: list[Read] = []
    of_encoders: dict[str, list[Node]] = {}
    for view in views(spec):
        sources = _read(view, facts)
        found.append(value(view, sources))
        of_encoders[view.name] = list(sources.nodes)
    for view in views(spec):
        known = {node.name for node in nodes}  # a column may give first states to several encoders
        own = of_encoders[view.name]
        if view.same_as:
            own = _sharing(own, of_encoders[view.same_as])
        nodes += [node for node in own if node.name not in known]
    return found


def _beside(spec: language.Spec, facts: Facts, nodes: list[Node]) -> Sources:
    """The vectors of whole rows that no encoder reads."""
    inputs = beside_encoders(spec)
    data = spec.data.model_copy(update={"input": inputs})
    sources = read_inputs(spec.model_copy(update={"data": data, "encoders": {}}), facts)
    nodes += sources.nodes
    return sources


def _read(view: View, facts: Facts) -> Sources:
    """The inputs of an encoder, on an axis of their own."""
    found = read_inputs(view.spec, facts, prefix_of(view.name))
    axis = f"{STEPS}.{view.name}"
    found.nodes[:] = [
        replace(node, axis=axis) if isinstance(node, ColumnNode) else node for node in found.nodes
    ]
    return found


def _pooled(spec: language.Spec, inputs: Sources, prefix: str) -> Read:
    """One vector of all steps of an encoder."""
    encoded = partial(_encoded, spec, inputs, prefix)
    return pooled(spec, encoded, prefix, inputs.nodes)


def _encoded(spec: language.Spec, inputs: Sources, prefix: str, finish: Finish = whole) -> Read:
    """The layers of an encoder over all its inputs."""
    nodes = inputs.nodes
    source = side_by_side(f"{prefix}join", [*inputs.sequences, *inputs.beside], nodes)
    initial: InitialStates = zeros
    if inputs.start:
        initial = from_vector(joined(f"{prefix}start", inputs.start, nodes), nodes)
    stack = Stack(spec, "encoder", f"{prefix}layers", nodes, initial)
    return flat(stack.built(source, finish), nodes)


def _sharing(own: Sequence[Node], others: Sequence[Node]) -> list[Node]:
    """The nodes `own`, with the weights of the nodes in the same places among `others`."""
    return [
        replace(node, same_as=other.name) if any(node.weights()) else node
        for node, other in zip(own, others, strict=True)
    ]


def _combined(kinds: Sequence[Combination], reads: Sequence[Read], nodes: list[Node]) -> Read:
    widths = {read.width for read in reads}
    if len(widths) > 1 and set(kinds) != {"concat"}:
        listed = ", ".join(str(read.width) for read in reads)
        raise DataError(
            f"combine: {next(kind for kind in kinds if kind != 'concat')} needs vectors of one"
            f" width, and the encoders give {listed} numbers"
        )
    parts = [part for kind in kinds for part in _parts(kind, reads, nodes)]
    return joined("combine", parts, nodes)


def _parts(kind: Combination, reads: Sequence[Read], nodes: list[Node]) -> list[Read]:
    if kind == "concat":
        return list(reads)
    found = []
    for place, (one, two) in enumerate(combinations(reads, 2)):
        several = f".{place}" if len(reads) > 2 else ""
        name, width = f"combine.{kind}{several}", one.width
        match kind:
            case "product":
                nodes.append(Combine(name, (one.name, two.name), "mul"))
            case "difference" | "cosine" | "manhattan":
                nodes.append(Compare(name, (one.name, two.name), kind))
                width = one.width if kind == "difference" else 1
            case _:
                assert_never(kind)
        found.append(Read(name, width))
    return found
