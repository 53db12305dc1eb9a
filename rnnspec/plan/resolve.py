"""Spec and facts of the data to plan: every default, size and name filled in."""

from __future__ import annotations

from typing import cast

from rnnspec import spec as language
from rnnspec.cells import Cell, CellSource, builtin_cell, builtin_names, compile_cell
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, NumericFacts, TextFacts
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Embed,
    FramesInput,
    Node,
    NumericOutput,
    Plan,
    Pool,
    PoolKind,
    Recurrent,
    TokensInput,
)
from rnnspec.plan.verify import verify

DEFAULT_EMBED = 64
"""Width of the embedding where the spec leaves it open."""


def resolve(spec: language.Spec, facts: Facts) -> Plan:
    """The plan of a checked spec. `facts` must be those of the spec's own training data.

    The result is verified; an inconsistency raises AssertionError, for it is a defect of rnnspec.
    """
    nodes: list[Node] = []
    width = _input(spec, facts, nodes)
    width = _layers(spec, width, nodes)
    _pool(spec, width, nodes)
    _head(spec, facts, width, nodes)
    return verify(Plan(spec.name, spec.cardinality, tuple(nodes)))


def cell_of(spec: language.Spec, name: str) -> Cell:
    """The compiled cell that a layer's `cell: name` means."""
    if name in builtin_names():
        return builtin_cell(name)
    own = spec.cells[name]
    return compile_cell(CellSource(name, tuple(own.states), own.equations, own.output))


def _input(spec: language.Spec, facts: Facts, nodes: list[Node]) -> int:
    """The input node and, for tokens, its embedding; the width of each step."""
    source = spec.data.input
    known = facts.inputs[source.column]
    name = f"input.{source.column}"
    if isinstance(source, language.FramesInput):
        assert isinstance(known, NumericFacts)
        nodes.append(FramesInput(name, source.column, known.width, source.scale == "standard"))
        return known.width
    assert isinstance(known, TextFacts)
    size = len(known.vocabulary)
    fold_case = isinstance(source, language.CharsInput) and source.fold_case
    nodes.append(TokensInput(name, source.column, source.as_, size, fold_case))
    width = spec.encoder.embed or DEFAULT_EMBED
    nodes.append(Embed("embed", name, size, width))
    _dropout(spec.encoder.embed_dropout, nodes)
    return width


def _layers(spec: language.Spec, width: int, nodes: list[Node]) -> int:
    """The stack; the width of its output."""
    index = 0
    for layer in spec.encoder.layers:
        cell = cell_of(spec, layer.cell)
        for _ in range(layer.repeat):
            source = nodes[-1].name
            node = Recurrent(f"layers.{index}", source, cell, width, layer.units, layer.direction)
            nodes.append(node)
            _dropout(layer.dropout, nodes)
            width, index = node.width, index + 1
    return width


def _dropout(rate: float, nodes: list[Node]) -> None:
    if rate:
        nodes.append(Dropout(f"{nodes[-1].name}.dropout", nodes[-1].name, rate))


def _pool(spec: language.Spec, width: int, nodes: list[Node]) -> None:
    pooling = spec.pooling
    units = 0
    if isinstance(pooling, language.AttentionPooling):
        units = pooling.units or width
    kind = cast(PoolKind, pooling.name)
    nodes.append(Pool("pool", nodes[-1].name, kind, width, units))


def _head(spec: language.Spec, facts: Facts, width: int, nodes: list[Node]) -> None:
    head, target = spec.head, spec.data.output
    _dropout(head.dropout, nodes)
    for index, units in enumerate(head.hidden):
        name = f"hidden.{index}"
        nodes.append(Dense(name, nodes[-1].name, width, units, head.activation))
        _dropout(head.dropout, nodes)
        width = units
    known = facts.outputs[target.column]
    count = _answers(known)
    nodes.append(Dense("answer", nodes[-1].name, width, count, "none"))
    name = f"output.{target.column}"
    if isinstance(target, language.ClassOutput):
        nodes.append(ClassOutput(name, "answer", target.column, count))
    else:
        single = isinstance(target, language.NumberOutput)
        scaled = target.scale == "standard"
        nodes.append(NumericOutput(name, "answer", target.column, count, scaled, single))


def _answers(known: ColumnFacts) -> int:
    match known:
        case ClassFacts():
            return len(known.labels)
        case NumericFacts():
            return known.width
        case TextFacts():
            raise AssertionError("a text column cannot be an answer of N:1")
