"""Recurrent layers and what stands around them, of an encoder or in the body of a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rnnspec import spec as language
from rnnspec.cells import Cell
from rnnspec.cells.graph import parameter_roles
from rnnspec.cells.initializers import Constant, Initializer
from rnnspec.errors import DataError
from rnnspec.plan.nodes import (
    Dense,
    Elapsed,
    Highway,
    InitialState,
    Merge,
    Node,
    Normalize,
    Recurrent,
    Residual,
    VectorInput,
)
from rnnspec.plan.resolve_cells import cell_of
from rnnspec.plan.resolve_inputs import Read, dropped
from rnnspec.spec.check_layers import unequal_widths
from rnnspec.spec.encoder import GivenState, LearnedState
from rnnspec.spec.init import start_of

Given = Callable[[str, Cell, dict[str, int]], tuple[InitialState, tuple[str, ...]]]
"""From a layer's name, its cell and the widths of its states to the states before the first step
and the nodes that give them."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the layers of `part` ("encoder" or "decoder") go: after what is in `nodes`, called
    `prefix.0`, `prefix.1`, …; `given` says what states they start from."""

    spec: language.Spec
    part: str
    prefix: str
    nodes: list[Node]
    given: Given

    @property
    def layers(self) -> tuple[language.Layer, ...]:
        of = self.spec.decoder if self.part == "decoder" else self.spec.encoder
        assert of is not None, f"the spec has no {self.part}"
        return of.layers

    def expanded(self) -> list[tuple[int, language.Layer]]:
        """Every layer with its place in the spec, those that repeat once for each time."""
        return [(i, layer) for i, layer in enumerate(self.layers) for _ in range(layer.repeat)]

    def recurrent(self, index: int, layer: language.Layer, source: Read) -> Recurrent:
        """The node of one layer, added to the nodes."""
        cell = cell_of(self.spec, layer.cell)
        count = sum(n.name.startswith(f"{self.prefix}.") for n in self._layers())
        name = f"{self.prefix}.{count}"
        elapsed = [node.name for node in self.nodes if isinstance(node, Elapsed)]
        sizes = tuple((size, layer.sizes[size]) for size in cell.own_sizes)
        extents = cell.sizes(source.width, layer.units, dict(sizes))
        widths = {state: extents[size] for state, (size,) in cell.states.items()}
        initial, given = self._initial(index, layer, cell, name, widths)
        node = Recurrent(
            name=name,
            source=source.name,
            cell=cell,
            inputs=source.width,
            units=layer.units,
            direction=layer.direction,
            sizes=sizes,
            elapsed=elapsed[0] if elapsed and cell.inputs else "",
            initial=initial,
            given=given,
            recurrent_dropout=layer.recurrent_dropout,
            zoneout=layer.zoneout,
            starts=tuple(_starts(layer, cell).items()),
            l2=layer.l2,
        )
        self.nodes.append(node)
        return node

    def after(self, index: int, layer: language.Layer, node: Recurrent, read: Read) -> Read:
        """What follows a recurrent node, on sequences or on the pooled vector."""
        nodes, width = self.nodes, read.width
        if layer.merge != "concat":
            nodes.append(Merge(f"{node.name}.merge", read.name, layer.merge, width))
            read = Read(f"{node.name}.merge", width // 2)
        if layer.norm == "layer":
            nodes.append(Normalize(f"{node.name}.norm", read.name, read.width))
            read = Read(f"{node.name}.norm", read.width)
        whole = layer.dropout_per == "sequence"
        read = dropped(f"{node.name}.dropout", layer.dropout, read, nodes, whole)
        return self._skip(index, layer, node, read) if layer.skip != "none" else read

    def _layers(self) -> list[Recurrent]:
        return [node for node in self.nodes if isinstance(node, Recurrent)]

    def _initial(
        self, index: int, layer: language.Layer, cell: Cell, name: str, widths: dict[str, int]
    ) -> tuple[InitialState, tuple[str, ...]]:
        chosen = layer.initial_state
        if isinstance(chosen, LearnedState):
            return "learned", ()
        if isinstance(chosen, GivenState):
            self._check_given(index, chosen.value, cell, widths)
            others = len(cell.states) - 1
            return "given", (f"input.{chosen.value}", *("" for _ in range(others)))
        return self.given(name, cell, widths)

    def _check_given(self, index: int, column: str, cell: Cell, widths: dict[str, int]) -> None:
        """The column of an initial state is as wide as the state."""
        first = next(iter(cell.states))
        name = f"input.{column}"
        width = next(v.width for v in self.nodes if isinstance(v, VectorInput) and v.name == name)
        if width != widths[first]:
            raise DataError(
                f"{self.part}.layers[{index}].initial_state: column {column!r} holds {width}"
                f" numbers for each row, but the state {first} is {widths[first]} wide"
            )

    def _skip(self, index: int, layer: language.Layer, node: Recurrent, read: Read) -> Read:
        if node.inputs != read.width:  # of tokens, the check of the spec has found it
            columns = ", ".join(repr(each.column) for each in self.spec.data.inputs)
            what = "column" if len(self.spec.data.inputs) == 1 else "columns"
            raise DataError(
                f"{self.part}.layers[{index}].skip:"
                f" {unequal_widths(layer, node.inputs, read.width)}"
                f" ({what} {columns}); put a layer without skip before it"
            )
        name = f"{node.name}.skip"
        if layer.skip == "residual":
            self.nodes.append(Residual(name, read.name, node.source))
        else:
            self.nodes.append(Highway(name, read.name, node.source, read.width))
        return Read(name, read.width)


def zeros(name: str, cell: Cell, widths: dict[str, int]) -> tuple[InitialState, tuple[str, ...]]:
    """States of 0."""
    return "zeros", ()


def from_vector(source: Read, nodes: list[Node]) -> Given:
    """Each state through a tanh layer of its own from one vector of the row."""

    def given(
        name: str, cell: Cell, widths: dict[str, int]
    ) -> tuple[InitialState, tuple[str, ...]]:
        names = []
        for state, width in widths.items():
            names.append(f"{name}.start.{state}")
            nodes.append(Dense(names[-1], source.name, source.width, width, "tanh"))
        return "given", tuple(names)

    return given


def _starts(layer: language.Layer, cell: Cell) -> dict[str, Initializer]:
    """Starts that the layer chooses: of parameters of which the cell itself says nothing."""
    found: dict[str, Initializer] = {}
    by_role = {role: init for role, init in layer.init if init is not None}
    for name, role in parameter_roles(cell).items():
        if name in cell.starts:
            continue
        if role in by_role:
            found[name] = start_of(by_role[role])
        if name == "b_f" and layer.forget_bias is not None:
            found[name] = Constant(layer.forget_bias)
    return found
