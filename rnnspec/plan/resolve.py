"""From a spec and the facts of its data to a plan: every default, size and name resolved."""

from __future__ import annotations

from functools import partial
from typing import cast

from rnnspec import spec as language
from rnnspec.plan.builder import Finish, InitialStates, Stack, from_vector, whole, zeros
from rnnspec.plan.facts import Facts
from rnnspec.plan.nodes import Node, Plan, Pool, PoolKind, Recurrent, verify
from rnnspec.plan.resolve_alignment import align_answer
from rnnspec.plan.resolve_decoder import Encoded, write_answer
from rnnspec.plan.resolve_inputs import Sources, read_inputs
from rnnspec.plan.resolve_outputs import answer_all
from rnnspec.plan.stateless import Read, flat, joined, side_by_side
from rnnspec.spec.decoder import NoAttention


def resolve(spec: language.Spec, facts: Facts) -> Plan:
    """The plan of a checked spec, with the `facts` of its own training data.

    Raises DataError if the width of the data does not fit the spec. The result is verified; an
    inconsistency raises AssertionError, for it is a defect of rnnspec.
    """
    inputs = read_inputs(spec, facts)
    nodes = inputs.nodes
    match spec.cardinality:
        case "1:1":
            answer_all(spec, facts, joined("join", [*inputs.beside, *inputs.start], nodes), nodes)
        case "1:N":
            write_answer(Encoded(spec, facts, inputs, nodes, []))
        case "N:N":
            answer_all(spec, facts, _encoded(spec, inputs), nodes, steps=True)
        case "N:M" if spec.decoder is not None:
            memory = _memory(spec, inputs)
            write_answer(Encoded(spec, facts, inputs, nodes, [], _encoder(nodes), memory))
        case "N:M" if spec.aligner is not None:
            align_answer(spec, facts, _encoded(spec, inputs), nodes)
        case "N:1" | "N:M":  # without a decoder: a forecast
            pooled = joined("ahead", [_pooled(spec, inputs), *inputs.ahead], nodes)
            answer_all(spec, facts, pooled, nodes)
    return verify(Plan(spec.name, spec.cardinality, tuple(nodes)))


def _encoder(nodes: list[Node]) -> tuple[Recurrent, ...]:
    """The encoder's layers, without the spelling layers of its inputs."""
    layers = (node for node in nodes if isinstance(node, Recurrent))
    return tuple(layer for layer in layers if layer.name.startswith("layers."))


def _encoded(spec: language.Spec, inputs: Sources, finish: Finish = whole) -> Read:
    """The encoder's layers over all inputs."""
    nodes = inputs.nodes
    source = side_by_side("join", [*inputs.sequences, *inputs.beside], nodes)
    initial: InitialStates = zeros
    if inputs.start:
        initial = from_vector(joined("start", inputs.start, nodes), nodes)
    read = Stack(spec, "encoder", "layers", nodes, initial).built(source, finish)
    return flat(read, nodes)


def _memory(spec: language.Spec, inputs: Sources) -> Read:
    """The encoder's output at every step, for a decoder."""
    assert spec.decoder is not None, "no decoder reads the steps"
    if isinstance(spec.decoder.attention, NoAttention):
        # Only the states of the last recurrent layer are read, not what follows it.
        return _encoded(spec, inputs, lambda read, after: read)
    return _encoded(spec, inputs)


def _pooled(spec: language.Spec, inputs: Sources) -> Read:
    """One vector of all steps of the encoder."""
    pool, last = partial(_pool, spec, inputs.nodes), spec.encoder.layers[-1]
    at_ends = isinstance(spec.pooling, language.LastPooling)
    if at_ends and isinstance(last, language.RecurrentLayer) and last.skip == "none":
        # The ends of the directions are in different places until they are merged; and what follows
        # a layer step by step is then computed for one step only.
        return _encoded(spec, inputs, lambda read, after: after(pool(read)))
    return pool(_encoded(spec, inputs))


def _pool(spec: language.Spec, nodes: list[Node], read: Read) -> Read:
    pooling = spec.pooling
    units = 0
    if isinstance(pooling, language.AttentionPooling):
        units = pooling.units or read.width
    nodes.append(Pool("pool", read.name, cast(PoolKind, pooling.name), read.width, units))
    return Read("pool", read.width)
