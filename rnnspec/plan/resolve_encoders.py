"""Several encoders: the nodes of each, one of whose layers another may share, and how the vectors
that they give meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from rnnspec import spec as language
from rnnspec.errors import DataError
from rnnspec.plan.attending import met
from rnnspec.plan.builder import LAST, Finish, InitialStates, Stack, from_vector, pool, whole, zeros
from rnnspec.plan.facts import Facts
from rnnspec.plan.nodes import Node, Recurrent
from rnnspec.plan.nodes.node import STEPS, ColumnNode
from rnnspec.plan.resolve_decoder import Source
from rnnspec.plan.resolve_inputs import Sources, read_inputs
from rnnspec.plan.stateless import Read, flat, joined, side_by_side
from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.branches import branches
from rnnspec.spec.decoder import NoAttention
from rnnspec.spec.encoder import Combination
from rnnspec.spec.views import View, attended_at_end, beside_encoders, views


def prefix_of(name: str) -> str:
    """What the names of an encoder's nodes begin with."""
    return f"encoders.{name}."


def all_pooled(spec: language.Spec, facts: Facts, nodes: list[Node]) -> Read:
    """The vectors of all encoders of `spec`, combined; their nodes are added. Raises DataError."""

    ends = {view.name for view in views(spec) if _pools_at_ends(spec, view)}

    def pooled(view: View, inputs: Sources, read: Read) -> Read:
        return pool(view.spec, read, prefix_of(view.name), inputs.nodes)

    def finish(view: View, inputs: Sources) -> Finish:
        if view.name not in ends:
            return whole
        return lambda read, after: after(pooled(view, inputs, read))

    def value(view: View, inputs: Sources, read: Read) -> Read:
        return read if view.name in ends else pooled(view, inputs, read)

    met_all = _combined(spec.combine, _each(spec, facts, nodes, finish, value), nodes)
    return joined("beside", [met_all, *_beside(spec, facts, nodes).beside], nodes)


def _pools_at_ends(spec: language.Spec, view: View) -> bool:
    """Whether the ends of a layer are pooled before its directions are merged: they are in
    different places until then. What others attend to has all steps."""
    last = view.spec.encoder.layers[-1]
    at_ends = isinstance(view.spec.pooling, language.LastPooling)
    recurrent = isinstance(last, language.RecurrentLayer) and last.skip == "none"
    return at_ends and recurrent and view.name not in attended_at_end(spec)


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

    def finish(view: View, inputs: Sources) -> Finish:
        attended = view.name in attended_at_end(spec)
        return _unfinished if states_alone and not attended else whole

    def steps(view: View, inputs: Sources, memory: Read) -> Read:
        if answered:
            vectors.append(pool(view.spec, memory, prefix_of(view.name), inputs.nodes))
        return memory

    memories = _each(spec, facts, nodes, finish, steps)
    beside = _beside(spec, facts, nodes)
    pooled = None
    if answered:
        pooled = joined("beside", [_combined(spec.combine, vectors, nodes), *beside.beside], nodes)
    layers = [node for node in nodes if isinstance(node, Recurrent)]
    sources = tuple(
        Source(memory, _of_encoder(layers, view.name), view.name)
        for memory, view in zip(memories, views(spec), strict=True)
    )
    return Written(sources, beside, pooled)


def _unfinished(read: Read, after: Callable[[Read], Read]) -> Read:
    """The last recurrent layer without what follows it: its states alone are read."""
    return read


def _of_encoder(layers: Sequence[Recurrent], name: str) -> tuple[Recurrent, ...]:
    """The layers of an encoder, without the spelling layers of its inputs."""
    prefix = f"{prefix_of(name)}layers."
    return tuple(layer for layer in layers if layer.name.startswith(prefix))


@dataclass(slots=True)
class _Growing:
    """An encoder, built as far as it has been asked for: the values of its `layers` so far."""

    inputs: Sources
    layers: Iterator[dict[str, Read]]
    known: dict[str, Read] = field(default_factory=dict)

    def until(self, name: str) -> Read:
        """The steps of the layer `name`, with all that it depends on."""
        while name not in self.known:
            self.known = next(self.layers)
        return flat(self.known[name], self.inputs.nodes)


def _each(
    spec: language.Spec,
    facts: Facts,
    nodes: list[Node],
    finish: Callable[[View, Sources], Finish],
    value: Callable[[View, Sources, Read], Read],
) -> list[Read]:
    """The `value` of what the last layer of each encoder gives, followed by `finish`; their nodes
    are added. Encoders grow together: one may attend to a layer of another before that one ends."""
    growing: dict[str, _Growing] = {}
    for view in views(spec):
        inputs = _read(view, facts)
        after = finish(view, inputs)
        growing[view.name] = _Growing(inputs, _layers(view, inputs, after, growing))
    found = [
        value(view, growing[view.name].inputs, growing[view.name].until(LAST))
        for view in views(spec)
    ]
    every: list[Node] = []
    for view in views(spec):
        known = {node.name for node in every}  # a column may give first states to several encoders
        own = growing[view.name].inputs.nodes
        if view.same_as:
            own = _sharing(own, growing[view.same_as].inputs.nodes)
        every += [node for node in own if node.name not in known]
    nodes += _in_turn(every)
    return found


def _in_turn(nodes: Sequence[Node]) -> Iterator[Node]:
    """Each node after those that it reads, else in the order that they have."""
    left = {node.name: node for node in nodes}

    def with_sources(node: Node) -> Iterator[Node]:
        for name in node.sources():
            if name in left:
                yield from with_sources(left[name])
        if left.pop(node.name, None) is not None:
            yield node

    for node in nodes:
        yield from with_sources(node)


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


def _layers(
    view: View, inputs: Sources, finish: Finish, others: Mapping[str, _Growing]
) -> Iterator[dict[str, Read]]:
    """The layers of an encoder over all its inputs, one by one."""
    nodes, prefix = inputs.nodes, prefix_of(view.name)
    source = side_by_side(f"{prefix}join", [*inputs.sequences, *inputs.beside], nodes)
    initial: InitialStates = zeros
    if inputs.start:
        initial = from_vector(joined(f"{prefix}start", inputs.start, nodes), nodes)

    def attended(layer: AttendLayer) -> Read:
        return others[layer.encoder].until(layer.layer)

    stack = Stack(view.spec, "encoder", f"{prefix}layers", nodes, initial, attended=attended)
    return stack.growing(source, finish)


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
    return [
        met(kind, f"combine.{kind}" + (f".{place}" if len(reads) > 2 else ""), one, two, nodes)
        for place, (one, two) in enumerate(combinations(reads, 2))
    ]
