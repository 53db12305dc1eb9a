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
from rnnspec.spec.branches import one_pooling, read_by_outputs
from rnnspec.spec.decoder import NoAttention
from rnnspec.spec.encoder import Combination
from rnnspec.spec.views import (
    View,
    answers_of_all,
    beside_encoders,
    encoder_read,
    layers_read,
    of_one_encoder,
    views,
)


def prefix_of(name: str) -> str:
    """What the names of an encoder's nodes begin with."""
    return f"encoders.{name}."


@dataclass(frozen=True, slots=True)
class Several:
    """What several encoders give: to a decoder their `sources` and, in `inputs`, vectors of the
    row; `pooled`, the vector that answers of all are made of, where there are some; and the values
    of the layers of each encoder, by name."""

    sources: tuple[Source, ...]
    inputs: Sources
    pooled: Read | None
    values: Mapping[str, Mapping[str, Read]]

    def steps(self, output: language.Output) -> list[Read]:
        """The layers that an answer of one encoder is made of."""
        values = self.values[encoder_read(output)]
        return [values[name] for name in layers_read(output) or (LAST,)]


def all_encoded(spec: language.Spec, facts: Facts, nodes: list[Node]) -> Several:
    """The encoders of `spec`; their nodes are added. Raises DataError."""
    growing: dict[str, _Growing] = {}
    for view in views(spec):
        growing[view.name] = _Growing.of(view, facts, growing)
    for name, each in growing.items():
        for layer in _read_of(spec, name) if each.view.same_as else (LAST,):
            each.until(layer)
    vectors = [each.vector() for each in growing.values()] if answers_of_all(spec) else []
    nodes += _in_turn(_nodes_of(growing))
    beside = _beside(spec, facts, nodes)
    pooled = None
    if vectors:
        pooled = joined("beside", [_combined(spec.combine, vectors, nodes), *beside.beside], nodes)
    sources: tuple[Source, ...] = ()
    if spec.decoder is not None:
        layers = [node for node in nodes if isinstance(node, Recurrent)]
        sources = tuple(
            Source(flat(each.known[LAST], nodes), _of_encoder(layers, name), name)
            for name, each in growing.items()
        )
    return Several(sources, beside, pooled, {name: each.known for name, each in growing.items()})


def _read_of(spec: language.Spec, name: str) -> list[str]:
    """The layers of an encoder that a decoder and answers of one encoder read. One that shares
    those of another needs no more, whatever that one needs: what others attend to, and the vector,
    are asked for."""
    found = [LAST] if spec.decoder is not None else []
    for output in spec.data.outputs:
        if of_one_encoder(spec, output) and encoder_read(output) == name:
            found += layers_read(output) or (LAST,)
    return found


def _of_encoder(layers: Sequence[Recurrent], name: str) -> tuple[Recurrent, ...]:
    """The layers of an encoder, without the spelling layers of its inputs."""
    prefix = f"{prefix_of(name)}layers."
    return tuple(layer for layer in layers if layer.name.startswith(prefix))


@dataclass(slots=True)
class _Growing:
    """An encoder, built as far as it has been asked for: the values of its `layers` so far.
    Encoders grow together: one may attend to a layer of another before that one ends. Of its nodes
    the first `read` ones are those of its inputs. `at_ends`: its last value is its vector."""

    view: View
    inputs: Sources
    layers: Iterator[dict[str, Read]]
    read: int
    at_ends: bool
    known: dict[str, Read] = field(default_factory=dict)
    pooled: Read | None = None

    @staticmethod
    def of(view: View, facts: Facts, others: Mapping[str, _Growing]) -> _Growing:
        """The encoder of a view, which attends to `others`. Raises DataError."""
        inputs, at_ends = _read(view, facts), _pools_at_ends(view)
        finish: Finish = whole
        if at_ends:

            def finish(read: Read, after: Callable[[Read], Read]) -> Read:
                return after(pool(view.spec, read, prefix_of(view.name), inputs.nodes))

        elif _reads_states_alone(view.spec):

            def finish(read: Read, after: Callable[[Read], Read]) -> Read:
                return read

        read = len(inputs.nodes)
        return _Growing(view, inputs, _layers(view, inputs, finish, others), read, at_ends)

    def until(self, name: str) -> Read:
        """The steps of the layer `name`, with all that it depends on."""
        while name not in self.known:
            self.known = next(self.layers)
        return flat(self.known[name], self.inputs.nodes)

    def vector(self) -> Read:
        """The one vector of all steps, by the pooling of the encoder."""
        if self.pooled is None:
            self.pooled, nodes = self.until(LAST), self.inputs.nodes
            if not self.at_ends:
                self.pooled = pool(self.view.spec, self.pooled, prefix_of(self.view.name), nodes)
        return self.pooled


def _pools_at_ends(view: View) -> bool:
    """Whether the ends of a layer are pooled before its directions are merged: they are in
    different places until then. What others read too has all steps."""
    last = view.spec.encoder.layers[-1]
    at_ends = isinstance(view.spec.pooling, language.LastPooling)
    recurrent = isinstance(last, language.RecurrentLayer) and last.skip == "none"
    return at_ends and recurrent and one_pooling(view.spec)


def _reads_states_alone(spec: language.Spec) -> bool:
    """Whether a decoder reads the last recurrent layer without what follows it: its states alone
    are read."""
    decoder = spec.decoder
    without = decoder is not None and isinstance(decoder.attention, NoAttention)
    return without and None not in read_by_outputs(spec, decoder=False)


def _nodes_of(growing: Mapping[str, _Growing]) -> list[Node]:
    """The nodes of all encoders, those with the same weights sharing them."""
    every: list[Node] = []
    for each in growing.values():
        known = {node.name for node in every}  # a column may give first states to several encoders
        own = each.inputs.nodes
        if each.view.same_as:
            own = list(_sharing(each, growing[each.view.same_as]))
        every += [node for node in own if node.name not in known]
    return every


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
        other = others[layer.encoder]
        return other.vector() if layer.pools else other.until(layer.layer)

    stack = Stack(view.spec, "encoder", f"{prefix}layers", nodes, initial, attended=attended)
    return stack.growing(source, finish)


def _sharing(one: _Growing, other: _Growing) -> Iterator[Node]:
    """The nodes of an encoder with the weights of those of another: of its inputs of those in the
    same places, of its layers of those with the same names."""
    own, others = one.inputs.nodes, other.inputs.nodes
    prefix, of_other = prefix_of(one.view.name), prefix_of(other.view.name)
    names = {node.name for node in others}
    for place, node in enumerate(own):
        name = of_other + node.name.removeprefix(prefix)
        if place < one.read:
            name = others[place].name
        shared = any(node.weights()) and name in names
        yield replace(node, same_as=name) if shared else node


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
