"""From a spec and the facts of its data to a plan: every default, size and name resolved."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from rnnspec import spec as language
from rnnspec.plan.builder import LAST, Finish, InitialStates, Stack, from_vector, whole, zeros
from rnnspec.plan.constants import check_constants
from rnnspec.plan.facts import Facts
from rnnspec.plan.nodes import Latest, Node, Plan, Pool, PoolKind, Recurrent, verify
from rnnspec.plan.resolve_alignment import align_answer
from rnnspec.plan.resolve_decoder import Encoded, Source, write_answer
from rnnspec.plan.resolve_encoders import all_encoded
from rnnspec.plan.resolve_inputs import Sources, read_inputs
from rnnspec.plan.resolve_outputs import answer, in_order, named
from rnnspec.plan.stateless import Read, flat, joined, side_by_side
from rnnspec.spec.branches import Branch, branches, one_pooling, read_by_outputs
from rnnspec.spec.decoder import NoAttention
from rnnspec.spec.init import initializer_of
from rnnspec.spec.views import of_one_encoder

Values = dict[str, Read]
"""What the layers of the encoder give, by name: see `Stack.values`."""


def resolve(spec: language.Spec, facts: Facts) -> Plan:
    """The plan of a checked spec, with the `facts` of its own training data.

    Raises DataError if the width of the data does not fit the spec. The result is verified; an
    inconsistency raises AssertionError, for it is a defect of rnnspec.
    """
    nodes = _answer_encoders(spec, facts) if spec.encoders else _answer_encoder(spec, facts)
    init = None if spec.init is None else initializer_of(spec.init)
    plan = verify(Plan(spec.name, spec.cardinality, tuple(in_order(spec, nodes)), init))
    check_constants(spec, plan, facts)
    return plan


def _answer_encoders(spec: language.Spec, facts: Facts) -> list[Node]:
    """The decoder over the steps of several encoders, and the heads: over their vectors together,
    or over the steps of one."""
    nodes: list[Node] = []
    several = all_encoded(spec, facts, nodes)
    if spec.decoder is not None:
        write_answer(Encoded(spec, facts, several.inputs, nodes, [], several.sources))
    for branch in branches(spec):
        read, first = several.pooled, branch.outputs[0]
        if of_one_encoder(spec, first):
            steps = side_by_side(named(branch, "reads"), several.steps(first), nodes)
            read = flat(steps, nodes)
            if branch.pooling is not None:
                read = _pool(branch, read, nodes)
            elif not isinstance(first, language.StatesOutput):
                read = joined(named(branch, "beside"), [read, *several.inputs.beside], nodes)
        assert read is not None, "vectors of all encoders"
        answer(spec, facts, branch, read, nodes)
    return nodes


def _answer_encoder(spec: language.Spec, facts: Facts) -> list[Node]:
    """The inputs, the encoder if there is one, and what answers."""
    inputs = read_inputs(spec, facts)
    nodes = inputs.nodes
    if not spec.encoder.layers:
        _answer_rows(spec, facts, inputs)
        if spec.cardinality == "1:N":
            write_answer(Encoded(spec, facts, inputs, nodes, []))
    elif one_pooling(spec):
        _answer_pooled(spec, facts, inputs)
    else:
        values = _encoded(spec, inputs, _finish(spec))
        _answer_values(spec, facts, values, inputs)
        if spec.decoder is not None:
            memory = flat(values[LAST], nodes)
            source = Source(memory, _encoder(nodes))
            write_answer(Encoded(spec, facts, inputs, nodes, [], (source,)))
        if spec.aligner is not None:
            align_answer(spec, facts, flat(values[LAST], nodes), nodes)
    return nodes


def _answer_rows(spec: language.Spec, facts: Facts, inputs: Sources) -> None:
    """The heads over the vectors of whole rows, side by side."""
    found = branches(spec)
    if found:
        read = joined("join", [*inputs.beside, *inputs.start], inputs.nodes)
        for branch in found:
            answer(spec, facts, branch, read, inputs.nodes)


def _answer_pooled(spec: language.Spec, facts: Facts, inputs: Sources) -> None:
    """The heads over one pooling of all steps."""
    found, nodes, last = branches(spec), inputs.nodes, spec.encoder.layers[-1]
    first = found[0]
    at_ends = isinstance(first.pooling, language.LastPooling)
    if at_ends and isinstance(last, language.RecurrentLayer) and last.skip == "none":
        # The ends of the directions are in different places until they are merged; and what follows
        # a layer step by step is then computed for one step only.
        def finish(read: Read, after: Callable[[Read], Read]) -> Read:
            return after(_pool(first, read, nodes))

        vector = _encoded(spec, inputs, finish)[LAST]
    else:
        vector = _pool(first, flat(_encoded(spec, inputs)[LAST], nodes), nodes)
    vector = joined("ahead", [vector, *inputs.ahead], nodes)
    for branch in found:
        answer(spec, facts, branch, vector, nodes)


def _answer_values(spec: language.Spec, facts: Facts, values: Values, inputs: Sources) -> None:
    """The heads over what they read of the encoder, each value pooled once."""
    nodes, known = inputs.nodes, dict[object, Read]()
    for branch in branches(spec):
        if branch.value not in known:
            reads = [values[name] for name in branch.reads or (LAST,)]
            read = flat(side_by_side(named(branch, "reads"), reads, nodes), nodes)
            if branch.pooling is not None:
                read = _pool(branch, read, nodes)
                read = joined(f"{read.name}.ahead", [read, *inputs.ahead], nodes)
            known[branch.value] = read
        answer(spec, facts, branch, known[branch.value], nodes)


def _encoder(nodes: list[Node]) -> tuple[Recurrent, ...]:
    """The encoder's layers, without the spelling layers of its inputs."""
    layers = (node for node in nodes if isinstance(node, Recurrent))
    return tuple(layer for layer in layers if layer.name.startswith("layers."))


def _encoded(spec: language.Spec, inputs: Sources, finish: Finish = whole) -> Values:
    """The encoder's layers over all inputs."""
    nodes = inputs.nodes
    source = side_by_side("join", [*inputs.sequences, *inputs.beside], nodes)
    if spec.data.reach:
        nodes.append(Latest("latest", source.name, spec.data.history))
        source = Read("latest", source.width)
    initial: InitialStates = zeros
    if inputs.start:
        initial = from_vector(joined("start", inputs.start, nodes), nodes)
    return Stack(spec, "encoder", "layers", nodes, initial).values(source, finish)


def _finish(spec: language.Spec) -> Finish:
    """What follows the last recurrent layer, where anything reads it: a decoder without attention
    reads the states alone."""
    decoder = spec.decoder
    states = decoder is not None and isinstance(decoder.attention, NoAttention) and not spec.points
    if states and None not in read_by_outputs(spec, decoder=False):
        return lambda read, after: read
    return whole


def _pool(branch: Branch, read: Read, nodes: list[Node]) -> Read:
    """One vector of all steps; the pooling of the spec over the last layer is called 'pool'."""
    pooling, units = branch.pooling, 0
    assert pooling is not None
    if isinstance(pooling, language.AttentionPooling):
        units = pooling.units or read.width
    usual = branch.reads is None and not branch.pooled_by
    name = "pool" if usual else named(branch, "pool")
    nodes.append(Pool(name, read.name, cast(PoolKind, pooling.name), read.width, units))
    return Read(name, read.width)
