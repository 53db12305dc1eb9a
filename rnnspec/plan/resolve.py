"""Spec and facts of the data to plan: every default, size and name filled in."""

from __future__ import annotations

from typing import cast

from rnnspec import spec as language
from rnnspec.cells import Cell, builtin_cell, builtin_names, compile_cell
from rnnspec.cells.roles import parameter_roles
from rnnspec.cells.starts import CellStart, Constant
from rnnspec.errors import DataError
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, NumericFacts, TextFacts
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Elapsed,
    Embed,
    FramesInput,
    Highway,
    InitialState,
    Merge,
    Node,
    Normalize,
    NumericOutput,
    Plan,
    Pool,
    PoolKind,
    Recurrent,
    Residual,
    TokensInput,
    VectorInput,
)
from rnnspec.plan.verify import verify
from rnnspec.spec.cell import source_of
from rnnspec.spec.check_layers import unequal_widths
from rnnspec.spec.encoder import DEFAULT_EMBED, GivenState, LearnedState, ZeroState, given_columns
from rnnspec.spec.init import start_of

_INITIAL: dict[type[ZeroState | LearnedState | GivenState], InitialState] = {
    ZeroState: "zeros",
    LearnedState: "learned",
    GivenState: "given",
}


def resolve(spec: language.Spec, facts: Facts) -> Plan:
    """The plan of a checked spec. `facts` must be those of the spec's own training data.

    Raises DataError where the width of the data does not fit the spec. The result is verified; an
    inconsistency raises AssertionError, for it is a defect of rnnspec.
    """
    nodes: list[Node] = []
    for column in given_columns(spec.encoder.layers):
        vector = facts.inputs[column]
        assert isinstance(vector, NumericFacts)
        nodes.append(VectorInput(f"input.{column}", column, vector.width))
    width = _input(spec, facts, nodes)
    *stack, last = [layer for layer in spec.encoder.layers for _ in range(layer.repeat)]
    for layer in stack:
        node = _recurrent(spec, layer, width, nodes)
        width = _after(spec, layer, node, node.width, nodes)
    node = _recurrent(spec, last, width, nodes)
    width = node.width
    if isinstance(spec.pooling, language.LastPooling) and last.skip == "none":
        # The ends of the directions must be told before they are merged; and what follows a layer
        # step by step is then computed for one step only.
        _pool(spec, width, nodes)
        width = _after(spec, last, node, width, nodes)
    else:
        width = _after(spec, last, node, width, nodes)
        _pool(spec, width, nodes)
    _head(spec, facts, width, nodes)
    return verify(Plan(spec.name, spec.cardinality, tuple(nodes)))


def cell_of(spec: language.Spec, name: str) -> Cell:
    """The compiled cell that a layer's `cell: name` means."""
    if name in builtin_names():
        return builtin_cell(name)
    return compile_cell(source_of(name, spec.cells[name]))


def _input(spec: language.Spec, facts: Facts, nodes: list[Node]) -> int:
    """The input node and, for tokens, its embedding; the width of each step."""
    source = spec.data.input
    known = facts.inputs[source.column]
    name = f"input.{source.column}"
    if isinstance(source, language.FramesInput):
        assert isinstance(known, NumericFacts)
        return _frames(source, known, name, nodes)
    assert isinstance(known, TextFacts)
    size = len(known.vocabulary)
    fold_case = isinstance(source, language.CharsInput) and source.fold_case
    nodes.append(TokensInput(name, source.column, source.as_, size, fold_case))
    width = spec.encoder.embed or DEFAULT_EMBED
    nodes.append(Embed("embed", name, size, width))
    _dropout("embed.dropout", spec.encoder.embed_dropout, nodes)
    return width


def _frames(source: language.FramesInput, known: NumericFacts, name: str, nodes: list[Node]) -> int:
    elapsed = source.elapsed
    if elapsed is not None and not elapsed < known.width:
        raise DataError(
            f"data.input.elapsed is {elapsed}, but the frames of column {source.column!r} have"
            f" {known.width} elements, counted from 0"
        )
    if elapsed is not None and known.width == 1:
        raise DataError(
            f"data.input.elapsed takes the only element of the frames of column"
            f" {source.column!r}, which leaves no input; give each frame another element"
        )
    if elapsed is not None:
        nodes.append(Elapsed(f"{name}.elapsed", source.column, elapsed))
    node = FramesInput(name, source.column, known.width, source.scale == "standard", elapsed)
    nodes.append(node)
    return node.features


def _recurrent(
    spec: language.Spec, layer: language.Layer, width: int, nodes: list[Node]
) -> Recurrent:
    cell = cell_of(spec, layer.cell)
    elapsed = [node.name for node in nodes if isinstance(node, Elapsed)]
    initial = layer.initial_state
    node = Recurrent(
        name=f"layers.{sum(isinstance(before, Recurrent) for before in nodes)}",
        source=nodes[-1].name,
        cell=cell,
        inputs=width,
        units=layer.units,
        direction=layer.direction,
        sizes=tuple((size, layer.sizes[size]) for size in cell.own_sizes),
        elapsed=elapsed[0] if elapsed and cell.inputs else "",
        initial=_INITIAL[type(initial)],
        given=_given(cell, initial),
        recurrent_dropout=layer.recurrent_dropout,
        zoneout=layer.zoneout,
        starts=tuple(_starts(layer, cell).items()),
        l2=layer.l2,
    )
    nodes.append(node)
    if isinstance(initial, GivenState):
        _check_given(spec, layer, node, nodes)
    return node


def _given(cell: Cell, initial: object) -> tuple[str, ...]:
    """A node for each state of the cell: the column for the first, 0 for the others."""
    if not isinstance(initial, GivenState):
        return ()
    return (f"input.{initial.value}", *("" for _ in range(len(cell.states) - 1)))


def _check_given(
    spec: language.Spec, layer: language.Layer, node: Recurrent, nodes: list[Node]
) -> None:
    """The column of an initial state is as wide as the state."""
    first = next(iter(node.cell.states))
    width = next(v.width for v in nodes if isinstance(v, VectorInput) and v.name == node.given[0])
    if width != node.state_width(first):
        raise DataError(
            f"encoder.layers[{spec.encoder.layers.index(layer)}].initial_state: column"
            f" {node.given[0].removeprefix('input.')!r} holds {width} numbers for each row, but the"
            f" state {first} is {node.state_width(first)} wide"
        )


def _starts(layer: language.Layer, cell: Cell) -> dict[str, CellStart]:
    """Starts that the layer chooses: of parameters of which the cell itself says nothing."""
    found: dict[str, CellStart] = {}
    by_role = {role: init for role, init in layer.init if init is not None}
    for name, role in parameter_roles(cell).items():
        if name in cell.starts:
            continue
        if role in by_role:
            found[name] = start_of(by_role[role])
        if name == "b_f" and layer.forget_bias is not None:
            found[name] = Constant(layer.forget_bias)
    return found


def _after(
    spec: language.Spec, layer: language.Layer, node: Recurrent, width: int, nodes: list[Node]
) -> int:
    """What follows a recurrent node, on sequences or on the pooled vector; the width it gives."""
    if layer.merge != "concat":
        nodes.append(Merge(f"{node.name}.merge", nodes[-1].name, layer.merge, width))
        width = width // 2
    if layer.norm == "layer":
        nodes.append(Normalize(f"{node.name}.norm", nodes[-1].name, width))
    _dropout(f"{node.name}.dropout", layer.dropout, nodes, layer.dropout_per == "sequence")
    if layer.skip != "none":
        _skip(spec, layer, node, width, nodes)
    return width


def _skip(
    spec: language.Spec, layer: language.Layer, node: Recurrent, width: int, nodes: list[Node]
) -> None:
    if node.inputs != width:  # of tokens, the check of the spec has found it
        index = spec.encoder.layers.index(layer)
        raise DataError(
            f"encoder.layers[{index}].skip: {unequal_widths(layer, node.inputs, width)}"
            f" (column {spec.data.input.column!r}); put a layer without skip before it"
        )
    name, source = f"{node.name}.skip", nodes[-1].name
    if layer.skip == "residual":
        nodes.append(Residual(name, source, node.source))
    else:
        nodes.append(Highway(name, source, node.source, width))


def _dropout(name: str, rate: float, nodes: list[Node], per_sequence: bool = False) -> None:
    if rate:
        nodes.append(Dropout(name, nodes[-1].name, rate, per_sequence))


def _pool(spec: language.Spec, width: int, nodes: list[Node]) -> None:
    pooling = spec.pooling
    units = 0
    if isinstance(pooling, language.AttentionPooling):
        units = pooling.units or width
    kind = cast(PoolKind, pooling.name)
    nodes.append(Pool("pool", nodes[-1].name, kind, width, units))


def _head(spec: language.Spec, facts: Facts, width: int, nodes: list[Node]) -> None:
    head, target = spec.head, spec.data.output
    _dropout("pool.dropout", head.dropout, nodes)
    for index, units in enumerate(head.hidden):
        name = f"hidden.{index}"
        nodes.append(Dense(name, nodes[-1].name, width, units, head.activation))
        _dropout(f"{name}.dropout", head.dropout, nodes)
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
