"""Stacks of layers: the recurrent ones, and what stands around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from rnnspec import spec as language
from rnnspec.cells import Cell, builtin_cell, builtin_names, compile_cell
from rnnspec.cells.graph import parameter_roles
from rnnspec.cells.heads import HEADS, with_heads
from rnnspec.cells.initializers import Constant, Initializer
from rnnspec.cells.sizes import extent
from rnnspec.errors import DataError
from rnnspec.plan.attending import attending
from rnnspec.plan.nodes import (
    Dense,
    Elapsed,
    Highway,
    InitialState,
    Merge,
    Node,
    Normalize,
    Pool,
    PoolKind,
    Recurrent,
    Residual,
    VectorInput,
)
from rnnspec.plan.stateless import Read, added, dropped, flat, side_by_side
from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.cell import source_of
from rnnspec.spec.head import AttentionPooling, LastPooling
from rnnspec.spec.init import initializer_of
from rnnspec.spec.layers import JoinLayer, Layer
from rnnspec.spec.recurrent import GivenState, LearnedState, RecurrentLayer
from rnnspec.spec.stack import INPUT, repeats, unequal_widths


def cell_of(spec: language.Spec, name: str) -> Cell:
    """The compiled cell that a layer's `cell: name` means."""
    if name in builtin_names():
        return builtin_cell(name)
    return compile_cell(source_of(name, spec.cells[name]))


LAST = ""
"""Stands for the name of the last layer."""
InitialStates = Callable[[str, Cell, dict[str, int]], tuple[InitialState, tuple[str, ...]]]
"""From a layer's name, its cell and the widths of its states to the states before the first step
and the nodes that give them."""
Finish = Callable[[Read, Callable[[Read], Read]], Read]
"""From the output of the last recurrent layer, and the function that adds what follows that layer,
to the value of the whole stack."""


def whole(read: Read, after: Callable[[Read], Read]) -> Read:
    """The last layer with all that follows it."""
    return after(read)


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers of `part` ("encoder" or "decoder") of a spec, which are added to `nodes` as
    `prefix.0`, `prefix.1`, …; `initial` gives the states of those that choose none themselves, and
    `others` are what layers may read by name besides one another and what the first one reads, and
    `attended` gives what a layer attends to."""

    spec: language.Spec
    part: str
    prefix: str
    nodes: list[Node]
    initial: InitialStates
    others: Mapping[str, Read] = field(default_factory=dict)
    attended: Callable[[AttendLayer], Read] | None = None

    def built(self, read: Read, finish: Finish = whole) -> Read:
        """The last value of `values`."""
        return self.values(read, finish)[LAST]

    def values(self, read: Read, finish: Finish = whole) -> dict[str, Read]:
        """The values of all layers that have a name, and of the last one. Raises DataError."""
        *_, found = self.growing(read, finish)
        return found

    def growing(self, read: Read, finish: Finish = whole) -> Iterator[dict[str, Read]]:
        """Adds the layers one after another, each as often as it repeats; those that name nothing
        else read the one before, the first one `read`. Yields the values of those that have a name
        so far, at first what the first one reads, in the end with the last one. Raises
        DataError."""
        of_encoder = self.part == "encoder"
        layers = self.spec.encoder.layers if of_encoder else self.spec.decoder_layers
        known, number = {INPUT: read, **self.others}, 0
        yield known
        for index, layer in enumerate(layers):
            reads = [known[name] for name in layer.reads] if layer.reads else [read]
            if not isinstance(layer, JoinLayer):
                reads = [side_by_side(f"{self.prefix}.{number}.reads", reads, self.nodes)]
            for time in range(repeats(layer)):
                last = index == len(layers) - 1 and time == repeats(layer) - 1
                read = self._layer(number, index, layer, reads, finish if last else whole)
                reads, number = [read], number + 1
            if layer.name is not None:
                known[layer.name] = read
            yield known
        yield {**known, LAST: read}

    def _layer(
        self, number: int, index: int, layer: Layer, reads: list[Read], finish: Finish
    ) -> Read:
        """One layer with what follows it, and `finish` between the two."""
        name, source = f"{self.prefix}.{number}", reads[0]
        if isinstance(layer, RecurrentLayer):
            node = self._recurrent(name, index, layer, flat(source, self.nodes))
            after = partial(self._after, index, layer, node)
            return finish(Read(node.name, node.width), after)
        at = self._at(index)
        if isinstance(layer, AttendLayer):
            assert self.attended is not None, "one of several encoders"
            memory, query = self.attended(layer), flat(source, self.nodes)
            return finish(attending(layer, name, at, query, memory, self.nodes), lambda read: read)
        return finish(added(layer, name, at, reads, self.nodes), lambda read: read)

    def _at(self, index: int) -> str:
        """How messages name a layer."""
        return self.spec.in_part(self.part, "layers", index)

    def _recurrent(self, name: str, index: int, layer: RecurrentLayer, source: Read) -> Recurrent:
        """The node of one layer, added to the nodes."""
        cell = cell_of(self.spec, layer.cell)
        if layer.heads > 1:
            cell = with_heads(cell)
        elapsed = [node.name for node in self.nodes if isinstance(node, Elapsed)]
        numbers = {**layer.sizes, HEADS: layer.heads} if layer.heads > 1 else layer.sizes
        sizes = tuple((size, numbers[size]) for size in cell.own_sizes)
        extents = cell.sizes(source.width, layer.units // layer.heads, dict(sizes))
        self._check_sizes(index, cell, extents)
        widths = {state: extents[cell.state_size(state)] for state in cell.states}
        initial, given = self._initial_states(index, layer, cell, name, widths)
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
            initializers=tuple(_initializers(layer, cell).items()),
            l2=layer.l2,
            weight_drop=layer.weight_drop,
            activation_l2=layer.activation_l2,
            temporal_l2=layer.temporal_l2,
        )
        self.nodes.append(node)
        return node

    def _check_sizes(self, index: int, cell: Cell, extents: dict[str, int]) -> None:
        """All sizes of a cell are whole numbers."""
        try:
            for node in cell.graph.nodes:
                extent(node.shape, extents)
        except ValueError as problem:
            raise DataError(f"{self._at(index)}: {cell.name}: {problem}") from None

    def _after(self, index: int, layer: RecurrentLayer, node: Recurrent, read: Read) -> Read:
        """What follows a recurrent node, on sequences or on the pooled vector."""
        nodes, width = self.nodes, read.width
        if layer.merge != "concat":
            nodes.append(Merge(f"{node.name}.merge", read.name, layer.merge, width))
            read = Read(f"{node.name}.merge", width // 2)
        if layer.norm == "layer":
            nodes.append(Normalize(f"{node.name}.norm", read.name, read.width))
            read = Read(f"{node.name}.norm", read.width)
        per_sequence = layer.dropout_per == "sequence"
        read = dropped(f"{node.name}.dropout", layer.dropout, read, nodes, per_sequence)
        return self._skip(index, layer, node, read) if layer.skip != "none" else read

    def _initial_states(
        self, index: int, layer: RecurrentLayer, cell: Cell, name: str, widths: dict[str, int]
    ) -> tuple[InitialState, tuple[str, ...]]:
        chosen = layer.initial_state
        if isinstance(chosen, LearnedState):
            return "learned", ()
        if isinstance(chosen, GivenState):
            self._check_given(index, chosen.value, cell, widths)
            others = len(cell.states) - 1
            return "given", (f"input.{chosen.value}", *("" for _ in range(others)))
        return self.initial(name, cell, widths)

    def _check_given(self, index: int, column: str, cell: Cell, widths: dict[str, int]) -> None:
        """The column of an initial state is as wide as the state."""
        first = next(iter(cell.states))
        name = f"input.{column}"
        width = next(v.width for v in self.nodes if isinstance(v, VectorInput) and v.name == name)
        if width != widths[first]:
            raise DataError(
                f"{self._at(index)}.initial_state: column {column!r} holds {width} numbers for"
                f" each row, but the state {first} is {widths[first]} wide"
            )

    def _skip(self, index: int, layer: RecurrentLayer, node: Recurrent, read: Read) -> Read:
        if node.inputs != read.width:  # of tokens, the check of the spec has found it
            columns = ", ".join(repr(each.column) for each in self.spec.data.inputs)
            what = "column" if len(self.spec.data.inputs) == 1 else "columns"
            raise DataError(
                f"{self._at(index)}.skip: {unequal_widths(layer.skip, node.inputs, read.width)}"
                f" ({what} {columns}); put a layer without skip before it"
            )
        name = f"{node.name}.skip"
        if layer.skip == "residual":
            self.nodes.append(Residual(name, read.name, node.source))
        else:
            self.nodes.append(Highway(name, read.name, node.source, read.width))
        return Read(name, read.width)


def pooled(
    spec: language.Spec, encoded: Callable[[Finish], Read], prefix: str, nodes: list[Node]
) -> Read:
    """One vector of all steps of the encoder of `spec`, by its pooling; `encoded` gives them."""
    last = spec.encoder.layers[-1]
    at_ends = isinstance(spec.pooling, LastPooling)
    if at_ends and isinstance(last, RecurrentLayer) and last.skip == "none":
        # The ends of the directions are in different places until they are merged.
        found = encoded(lambda read, after: after(pool(spec, read, prefix, nodes)))
        return flat(found, nodes)
    return pool(spec, flat(encoded(whole), nodes), prefix, nodes)


def pool(spec: language.Spec, read: Read, prefix: str, nodes: list[Node]) -> Read:
    """The pooling of `spec` over all steps."""
    pooling, name, units = spec.pooling, f"{prefix}pool", 0
    if isinstance(pooling, AttentionPooling):
        units = pooling.units or read.width
    nodes.append(Pool(name, read.name, cast(PoolKind, pooling.name), read.width, units))
    return Read(name, read.width)


def zeros(name: str, cell: Cell, widths: dict[str, int]) -> tuple[InitialState, tuple[str, ...]]:
    """States of 0."""
    return "zeros", ()


def from_vector(source: Read, nodes: list[Node]) -> InitialStates:
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


def _initializers(layer: RecurrentLayer, cell: Cell) -> dict[str, Initializer]:
    """The initializers that the layer chooses, for parameters whose initializer the cell leaves
    open."""
    found: dict[str, Initializer] = {}
    by_role = {role: init for role, init in layer.init if init is not None}
    for name, role in parameter_roles(cell).items():
        if name in cell.starts:
            continue
        if role in by_role:
            found[name] = initializer_of(by_role[role])
        if name == "b_f" and layer.forget_bias is not None:
            found[name] = Constant(layer.forget_bias)
    return found
