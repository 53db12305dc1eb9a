"""Spec and facts of the data to plan: every default, size and name filled in."""

from __future__ import annotations

from typing import cast

from rnnspec import spec as language
from rnnspec.plan.facts import Facts
from rnnspec.plan.nodes import Node, Plan, Pool, PoolKind, Recurrent, verify
from rnnspec.plan.resolve_cells import cell_of
from rnnspec.plan.resolve_decoder import Written, write_answer
from rnnspec.plan.resolve_inputs import Read, Sources, joined, read_inputs
from rnnspec.plan.resolve_outputs import answer_all
from rnnspec.plan.resolve_stack import Given, Stack, from_vector, zeros
from rnnspec.spec.decoder import NoAttention

__all__ = ["cell_of", "resolve"]


def resolve(spec: language.Spec, facts: Facts) -> Plan:
    """The plan of a checked spec. `facts` must be those of the spec's own training data.

    Raises DataError where the width of the data does not fit the spec. The result is verified; an
    inconsistency raises AssertionError, for it is a defect of rnnspec.
    """
    inputs = read_inputs(spec, facts)
    nodes = inputs.nodes
    match spec.cardinality:
        case "1:1":
            answer_all(spec, facts, joined("join", [*inputs.beside, *inputs.start], nodes), nodes)
        case "1:N":
            write_answer(Written(spec, facts, inputs, nodes, []))
        case "N:N":
            answer_all(spec, facts, _steps(spec, inputs), nodes, steps=True)
        case "N:M" if spec.decoder is not None:
            memory = _steps(spec, inputs)
            write_answer(Written(spec, facts, inputs, nodes, [], _encoder(nodes), memory))
        case _:
            pooled = joined("ahead", [_pooled(spec, inputs), *inputs.ahead], nodes)
            answer_all(spec, facts, pooled, nodes)
    return verify(Plan(spec.name, spec.cardinality, tuple(nodes)))


def _encoder(nodes: list[Node]) -> tuple[Recurrent, ...]:
    """The encoder's layers, without those that spell words."""
    layers = (node for node in nodes if isinstance(node, Recurrent))
    return tuple(layer for layer in layers if layer.name.startswith("layers."))


def _stack(spec: language.Spec, inputs: Sources) -> tuple[Stack, Read]:
    """The encoder's stack, still empty, and what its first layer reads."""
    nodes = inputs.nodes
    source = joined("join", [*inputs.sequences, *inputs.beside], nodes)
    given: Given = zeros
    if inputs.start:
        given = from_vector(joined("start", inputs.start, nodes), nodes)
    return Stack(spec, "encoder", "layers", nodes, given), source


def _steps(spec: language.Spec, inputs: Sources) -> Read:
    """The encoder's output at every step."""
    stack, read = _stack(spec, inputs)
    *before, (place, last) = stack.expanded()
    for index, layer in before:
        node = stack.recurrent(index, layer, read)
        read = stack.after(index, layer, node, Read(node.name, node.width))
    node = stack.recurrent(place, last, read)
    read = Read(node.name, node.width)
    decoder = spec.decoder
    if decoder is not None and isinstance(decoder.attention, NoAttention):
        return read  # only the states of the last layer are read, not what follows it
    return stack.after(place, last, node, read)


def _pooled(spec: language.Spec, inputs: Sources) -> Read:
    """One vector of all steps of the encoder."""
    stack, read = _stack(spec, inputs)
    *before, (place, last) = stack.expanded()
    for index, layer in before:
        node = stack.recurrent(index, layer, read)
        read = stack.after(index, layer, node, Read(node.name, node.width))
    node = stack.recurrent(place, last, read)
    read = Read(node.name, node.width)
    if isinstance(spec.pooling, language.LastPooling) and last.skip == "none":
        # The ends of the directions must be told before they are merged; and what follows a layer
        # step by step is then computed for one step only.
        return stack.after(place, last, node, _pool(spec, read, inputs.nodes))
    return _pool(spec, stack.after(place, last, node, read), inputs.nodes)


def _pool(spec: language.Spec, read: Read, nodes: list[Node]) -> Read:
    pooling = spec.pooling
    units = 0
    if isinstance(pooling, language.AttentionPooling):
        units = pooling.units or read.width
    nodes.append(Pool("pool", read.name, cast(PoolKind, pooling.name), read.width, units))
    return Read("pool", read.width)
