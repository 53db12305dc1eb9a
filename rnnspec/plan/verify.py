"""Invariants of a plan, checked after every resolution: what the back ends may rely on."""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.plan.nodes import (
    CategoryInput,
    CharactersInput,
    ClassOutput,
    CopiesInput,
    Decoder,
    Dense,
    Dropout,
    Elapsed,
    Embed,
    FinalState,
    ForecastOutput,
    FramesInput,
    FutureInput,
    Highway,
    Input,
    Join,
    KeysInput,
    LabelsOutput,
    Merge,
    Node,
    Normalize,
    NumericOutput,
    Output,
    PerStep,
    Plan,
    Pool,
    Recurrent,
    Residual,
    SeriesInput,
    TextOutput,
    TokensInput,
    VectorInput,
    WindowMoments,
    sources,
)
from rnnspec.plan.verify_decoder import body_shapes

Shape = tuple[str | int, ...]
"""`("B", "T", 64)`: a sequence of vectors; `("B", 64)`: one vector a row; `("B",)`: one number.

Axes by name: `B` rows, `T` steps of the input, `U` steps of the answer, `W` tokens of all rows, one
after the other, and `C` their characters."""


def shapes(plan: Plan) -> dict[str, Shape]:
    """The shape of every node's value. Raises AssertionError where a node does not fit."""
    found: dict[str, Shape] = {}
    for node in plan.nodes:
        assert node.name not in found, f"two nodes are called {node.name}"
        for source in sources(node):
            assert source in found, f"{node.name} reads {source}, which does not come before it"
        if isinstance(node, Decoder):
            found |= body_shapes(plan, node, found)
            found[node.name] = found[node.scores]
        else:
            found[node.name] = shape_of(plan, node, found)
    return found


def verify(plan: Plan) -> Plan:
    """`plan` itself, after checking that names, order, shapes and outputs are consistent."""
    shapes(plan)
    assert plan.inputs and plan.outputs, "a plan has inputs and outputs"
    read = {source for node in plan.every_node() for source in sources(node)}
    read |= {node.scores for node in plan.nodes if isinstance(node, Decoder)}
    ends = {node.name for node in plan.outputs}
    idle = [n.name for n in plan.every_node() if n.name not in read and n.name not in ends]
    assert not idle, f"nothing reads {', '.join(idle)}"
    columns = [node.key for node in plan.inputs]
    assert len(set(columns)) == len(columns), f"two inputs have one key: {columns}"
    return plan


def shape_of(plan: Plan, node: Node, found: Mapping[str, Shape]) -> Shape:
    """The shape of a node that is no part of a decoder's body."""
    match node:
        case Dropout():
            return found[node.source]
        case Recurrent():
            return _layer(plan, node, found)
        case Merge():
            return _each_vector(node, found, node.inputs, node.width)
        case Normalize():
            return _each_vector(node, found, node.width, node.width)
        case Dense():
            return _each_vector(node, found, node.inputs, node.units)
        case Residual() | Highway():
            return _skip(node, found)
        case Embed():
            *axes, last = found[node.source]
            assert isinstance(last, str), f"{node.name} takes numbers, {node.source} gives vectors"
            return (*axes, last, node.width)
        case Join():
            return _joined(node, found)
        case Pool():
            return _pooled(plan, node, found)
        case PerStep():
            rows, width = found[node.source]
            assert rows == "W", f"{node.name} takes vectors of tokens, not of {rows}"
            return (*found[node.steps], width)
        case FinalState():
            layer = plan.node(node.source)
            assert isinstance(layer, Recurrent), f"{node.source} has no states"
            return ("B", layer.state_width(node.state) * len(layer.directions))
    assert isinstance(node, Input | Elapsed | WindowMoments | Output), f"{node.name} has no shape"
    return _input(plan, node) if not isinstance(node, Output) else _output(node, found)


def _input(plan: Plan, node: Input | Elapsed | WindowMoments) -> Shape:
    match node:
        case TokensInput():
            return ("B", "T")
        case CharactersInput():
            return ("W", "C")
        case CopiesInput():
            return ("B", "T")
        case CategoryInput():
            return ("B",)
        case FramesInput():
            return ("B", "T", node.features)
        case KeysInput():
            return ("B", "T", node.size)
        case SeriesInput():
            return ("B", "T", 1)
        case FutureInput():
            return ("B", node.horizon) if node.flat else ("B", "U", 1)
        case VectorInput():
            return ("B", node.width)
        case WindowMoments():
            return ("B", 2)
        case Elapsed():
            taken = {n.column: n.elapsed for n in plan.inputs if isinstance(n, FramesInput)}
            fits = taken.get(node.column) == node.index
            assert fits, f"{node.name} is not taken out of {node.column}"
            return ("B", "T")


def _output(node: Output, found: Mapping[str, Shape]) -> Shape:
    match node:
        case ClassOutput():
            return _answer(node, found, node.classes, node.steps)
        case LabelsOutput():
            return _answer(node, found, node.labels, node.steps)
        case NumericOutput():
            return _answer(node, found, node.width, node.steps)
        case TextOutput():
            size: str | int = f"{node.size} + T" if node.copies else node.size
            return expect(node, found, ("B", "U", size), ("B", "U"))
        case ForecastOutput():
            source, wide = found[node.source], node.horizon * node.parameters
            fits = source in (("B", wide), ("B", "U", node.parameters))
            assert fits, f"{node.name} takes {wide} numbers, {node.source} gives {source}"
            return ("B", node.horizon)


def _answer(node: Output, found: Mapping[str, Shape], width: int, steps: bool) -> Shape:
    shape: Shape = ("B", "T", width) if steps else ("B", width)
    return expect(node, found, shape, shape)


def expect(node: Node, found: Mapping[str, Shape], takes: Shape, gives: Shape) -> Shape:
    """`gives`, where the first source of `node` has the shape `takes`."""
    source = next(sources(node))
    assert found[source] == takes, f"{node.name} takes {takes}, {source} gives {found[source]}"
    return gives


def _each_vector(node: Node, found: Mapping[str, Shape], takes: int, gives: int) -> Shape:
    """Of nodes that take vectors alone or in a sequence."""
    source = next(sources(node))
    *rows, width = found[source]
    assert rows and width == takes, f"{node.name} takes width {takes}, {source} gives {width}"
    return (*rows, gives)


def _joined(node: Join, found: Mapping[str, Shape]) -> Shape:
    """Sequences of one time axis, and vectors that stand at each step."""
    parts = [found[source] for source in node.sources]
    axes: set[Shape] = {part[:-1] for part in parts if len(part) == 3} or {("B",)}
    assert len(axes) == 1, f"{node.name} joins the axes {axes}"
    widths = [part[-1] for part in parts]
    (axis,) = axes
    return (*axis, sum(width for width in widths if isinstance(width, int)))


def _layer(plan: Plan, node: Recurrent, found: Mapping[str, Shape]) -> Shape:
    """Its cell has all its sizes, its states, and the elapsed time that comes with its input."""
    cell, named = node.cell, [name for name, _ in node.sizes]
    assert sorted(named) == sorted(cell.own_sizes), f"{node.name} gives the sizes {named}"
    unknown = {name for name, _ in node.starts} - cell.parameters.keys()
    assert not unknown, f"{node.name} starts {unknown}, which {cell.name} does not have"
    if node.elapsed:
        assert cell.inputs, f"{node.name} has an elapsed time, which {cell.name} does not read"
        source = plan.node(node.elapsed)
        assert isinstance(source, Elapsed), f"{node.name} takes {node.elapsed} for elapsed time"
    assert bool(node.given) == (node.initial == "given"), f"{node.name} is given {node.given!r}"
    if node.given:
        for state, name in zip(cell.states, node.given, strict=True):
            takes = ("B", node.state_width(state))
            gives = found[name] if name else takes
            assert gives == takes, f"{node.name} takes {takes} for {state}, {name} gives {gives}"
    source_shape = found[node.source]
    assert len(source_shape) == 3, f"{node.name} takes a sequence, not {source_shape}"
    return _each_vector(node, found, node.inputs, node.width)


def _skip(node: Residual | Highway, found: Mapping[str, Shape]) -> Shape:
    one, other = found[node.source], found[node.skip]
    assert one == other, f"{node.name} adds {node.skip} {other} to {node.source} {one}"
    assert len(one) == 3, f"{node.name} takes sequences, {node.source} gives {one}"
    return expect(node, found, (*one[:2], node.width), one) if isinstance(node, Highway) else one


def _pooled(plan: Plan, node: Pool, found: Mapping[str, Shape]) -> Shape:
    if node.kind == "last":
        source = plan.node(node.source)
        while not isinstance(source, Merge | Recurrent) and (before := next(sources(source), "")):
            source = plan.node(before)
        assert not isinstance(source, Merge), f"{node.name} cannot tell directions in {source.name}"
    rows, _, width = found[node.source]
    assert width == node.inputs, f"{node.name} takes {node.inputs}, {node.source} gives {width}"
    return (rows, node.inputs)
