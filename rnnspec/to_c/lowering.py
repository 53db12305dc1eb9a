"""What the functions that lower the nodes of a plan share: the text of a program in the making."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan import Facts
from rnnspec.plan.nodes import Node, Plan, Shape
from rnnspec.plan.stream import Stream
from rnnspec.plan.stream_states import StreamState
from rnnspec.to_c.products import Matrix, Product, product
from rnnspec.to_c.text import TYPES, Names, table

CType = Literal["float", "double", "int32_t", "uint8_t"]


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a node: a pointer to `extents` numbers, or one number. Values `of_row` are
    computed where a stream begins, and kept."""

    name: str
    extents: tuple[int, ...]
    of_row: bool = False

    @property
    def size(self) -> int:
        return prod(self.extents)


@dataclass(frozen=True, slots=True)
class Argument:
    """What a caller gives, or gets, for a column: `width` numbers, or one number by value (0).
    What is `of_row` is given where a stream begins."""

    name: str
    column: str
    key: str
    kind: CType
    width: int
    words: str
    of_row: bool = False

    def parameter(self, constant: bool) -> str:
        """Its declaration."""
        if not self.width:
            return f"{self.kind} {self.name}"
        return f"{'const ' if constant else ''}{self.kind} {self.name}[{self.width}]"


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the numbers that an argument stands for."""

    argument: str
    names: tuple[str, ...]


@dataclass(slots=True)
class Counts:
    """What a step computes, and bytes of constants."""

    multiply_adds: int = 0
    functions: int = 0
    weights: int = 0


@dataclass(slots=True)
class Lowering:
    """The text of a program so far. `begin` are the statements where a stream begins, `step` those
    of each step; names are those of both."""

    plan: Plan
    facts: Facts
    weights: Mapping[str, NDArray[np.floating]]
    stream: Stream
    shapes: Mapping[str, Shape]
    name: str
    int8: bool
    values: dict[str, Value] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    tables: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    begin: list[str] = field(default_factory=list)
    step: list[str] = field(default_factory=list)
    inputs: list[Argument] = field(default_factory=list)
    outputs: list[Argument] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    # ---------------------------------------------------------------- what a node reads and gives

    def value(self, name: str) -> Value:
        return self.values[name]

    def extents(self, node: Node) -> tuple[int, ...]:
        """The extents of the value of a node at one step, or of the row."""
        return tuple(each for each in self.shapes[node.name] if isinstance(each, int))

    def of_row(self, node: Node) -> bool:
        """Whether a value is known where a stream begins."""
        sources = [self.values[name].of_row for name in node.sources()]
        return bool(sources) and all(sources)

    def lines(self, of_row: bool) -> list[str]:
        return self.begin if of_row else self.step

    def buffer(self, node: Node, extents: tuple[int, ...] | None = None) -> Value:
        """A new array for the value of a node."""
        wide, of_row = self.extents(node) if extents is None else extents, self.of_row(node)
        name = self.names.new(node.name)
        if of_row:
            self.fields.append(f"float {name}[{prod(wide)}];")
            return Value(f"state->{name}", wide, True)
        self.step.append(f"float {name}[{prod(wide)}];")
        return Value(name, wide)

    def put(self, value: Value, lines: Iterable[str]) -> Value:
        """The value, once its statements stand where it is computed."""
        self.lines(value.of_row).extend(lines)
        return value

    # ---------------------------------------------------------------- states

    def state(self, state: StreamState) -> str:
        """A new member of the state struct: the expression for it."""
        name, kind = self.names.new(state.name), TYPES[state.kind]
        self.fields.append(f"{kind} {name}[{state.size}];" if state.shape else f"{kind} {name};")
        return f"state->{name}"

    def states(self, node: Node) -> Mapping[str, str]:
        """The states of a node, by what stands behind its name."""
        known = self.stream.of_nodes.get(node.name, ())
        return {each.name.removeprefix(f"{node.name}."): self.state(each) for each in known}

    # ---------------------------------------------------------------- weights

    def weight(self, node: Node, name: str) -> NDArray[np.float64]:
        return np.asarray(self.weights[f"{node.name}.{name}"], np.float64)

    def table(self, kind: str, name: str, values: NDArray[np.generic]) -> str:
        """A new constant array, of float or double."""
        found = self.names.new(name)
        self.tables.append(table(kind, found, values))
        self.counts.weights += values.size * (8 if kind == "double" else 4)
        return found

    def product(self, node: Node, name: str, matrix: Matrix) -> Product:
        """A matrix `[outputs, inputs]` to multiply with once a step."""
        title = self.names.new(f"{node.name}.{name}")
        found = product(title, np.asarray(matrix, np.float32), f"{node.name}.{name}", self.int8)
        self.tables += found.tables
        self.add(found)
        return found

    def add(self, found: Product, times: int = 1) -> None:
        """Counts a matrix that is multiplied with so often a step."""
        self.counts.weights += sum(found.sizes)
        self.counts.multiply_adds += times * found.inputs * found.outputs
