"""Random cells, as equations a person could write, and a cell run by torch's autograd alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor

from rnnspec.cells import FUNCTIONS, Cell, CellSource, ParameterSource, compile_cell
from rnnspec.cells.heads import BLOCKS, HEADS
from rnnspec.cells.layout import is_shaped, layout
from rnnspec.to_torch.functions import OPERATIONS

UNARY = sorted(f.name for f in FUNCTIONS.values() if f.arity == 1 and f.name not in ("log", "sqrt"))
OF_NUMBERS = sorted(n for n in UNARY if FUNCTIONS[n].elementwise)
BINARY = ("+", "-", "*")
NUMBERS = ("0.5", "-1.5", "2", "1")


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """Cells of one to three states of several widths, all values of moderate size.

    Among them linear recurrences, residuals around the step, running maxima and squares (nothing
    bounds these, and no product stands in their loop), states that are copied or need no state,
    elapsed times, constants, and parameters that are matrices, vectors or single numbers.
    """
    return _Writer(draw).cell()


@dataclass
class _Writer:
    """`widths` of what has a value so far, by name; `parameters` by name, with their shapes."""

    draw: st.DrawFn
    widths: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def cell(self) -> Cell:
        sizes = self.draw(st.sampled_from([["units"], ["units", "inputs"], ["units", "few"]]))
        names = ["h", "c", "m"][: self.draw(st.integers(1, 3))]
        states = {name: self.draw(st.sampled_from(sizes)) for name in names}
        self.widths = {"x": "inputs", **states}
        lines: list[tuple[str, str]] = []
        for number in range(self.draw(st.integers(0, 3))):
            size = self.draw(st.sampled_from(["", *sizes]))
            lines.append((f"t{number}", self.value(size, 2)))
            self.widths[f"t{number}"] = size
        for state, size in states.items():
            lines.append((state, self.next_value(state, size)))
        output = self.draw(st.sampled_from([*states, *(n for n, _ in lines if self.widths[n])]))
        if self.draw(st.booleans()):
            output = "y"
            residual = self.draw(st.sampled_from(["x + {}", "{} - x", "0.5 * x + {}", "{}"]))
            first = next(iter(states))
            lines.append(("y", residual.format(self.product("inputs", first, states[first]))))
        return self._compiled(states, _read(lines, {*states, output}), output)

    def _compiled(self, states: dict[str, str], lines: list[tuple[str, str]], output: str) -> Cell:
        text = "\n".join(f"{name} = {value}" for name, value in lines)
        used = set(re.findall(r"\w+", text))
        shapes = {name: shape for name, shape in self.parameters.items() if name in used}
        widths = {*states.values(), *(size for shape in shapes.values() for size in shape)}
        return compile_cell(
            CellSource(
                "random",
                states,
                text,
                output,
                inputs=[name for name in ("dt",) if name in used],
                sizes=["few"] if "few" in widths else [],
                constants={name: 0.75 for name in ("kappa",) if name in used},
                parameters={name: ParameterSource(shape) for name, shape in shapes.items()},
            )
        )

    def next_value(self, state: str, size: str) -> str:
        """Of a state: a value that keeps moderate for the few steps of a test."""
        same = [n for n, width in self.widths.items() if width == size]
        kinds: dict[str, Callable[[], str]] = {
            "squashed": lambda: f"tanh({self.value(size, 3)})",
            "squashed, and the old value": lambda: f"{state} + 0.5 * tanh({self.value(size, 2)})",
            "over time": lambda: f"{state} + dt * tanh({self.value(size, 2)})",
            "linear": lambda: f"sigmoid({self.free(size)}) * {state} + {self.free(size)}",
            "linear by a number": lambda: f"tanh({self.number(1)}) * {state} + {self.free(size)}",
            "the largest": lambda: f"max({state}, {self.free(size)})",
            "the smallest": lambda: f"min({self.free(size)}, 0.9 * {state})",
            "a square": lambda: f"0.3 * {state} * {state} + {self.free(size)}",
            "a distance": lambda: f"abs({state} - {self.free(size)})",
            "a copy": lambda: self.draw(st.sampled_from(same)),
            "of no state": lambda: self.free(size),
            "a root": lambda: f"sqrt(1 + {state} * {state}) * tanh({self.value(size, 1)})",
        }
        return kinds[self.draw(st.sampled_from(sorted(kinds)))]()

    def free(self, size: str) -> str:
        """A value that no state enters."""
        known, self.widths = self.widths, {"x": "inputs"}
        value = self.value(size, 2)
        self.widths = known
        return value

    def value(self, size: str, depth: int) -> str:
        """A vector of a width, or one number (size "")."""
        if not size:
            return self.number(depth)
        kinds = ["leaf"] if depth == 0 else ["leaf", "product", *self._larger(size, depth)]
        kind = self.draw(st.sampled_from(kinds))
        if kind == "leaf":
            return self.leaf(size)
        if kind == "product":
            other = self.draw(st.sampled_from([*filter(None, self.widths.values())]))
            return self.product(size, self.value(other, depth - 1), other)
        return self._larger(size, depth)[kind]()

    def _larger(self, size: str, depth: int) -> dict[str, Callable[[], str]]:
        def inner() -> str:
            return self.value(size, depth - 1)

        def one() -> str:
            return self.number(depth - 1)

        def of(names: list[str] | tuple[str, ...]) -> str:
            return self.draw(st.sampled_from(names))

        functions = UNARY if size else OF_NUMBERS
        return {
            "function": lambda: f"{of(functions)}({inner()})",
            "operator": lambda: f"({inner()} {of(BINARY)} {inner()})",
            "extreme": lambda: f"{of(['max', 'min'])}({inner()}, {inner()})",
            "quotient": lambda: f"({inner()} / (1.5 + sigmoid({inner()})))",
            "root": lambda: f"sqrt(2 + tanh({inner()}))",
            "logarithm": lambda: f"log(2 + tanh({inner()}))",
            "power": lambda: f"tanh({inner()}) ** {of(['0', '2', '3'])}",
            "number": lambda: f"({one()} {of(BINARY)} {inner()})",
            "extreme of a number": lambda: f"{of(['max', 'min'])}({inner()}, {one()})",
            "negative": lambda: f"(-{inner()})",
        }

    def number(self, depth: int) -> str:
        """One number a row, or one for all rows."""
        kinds = ["leaf"] if depth <= 0 else ["leaf", *self._larger("", depth)]
        kind = self.draw(st.sampled_from(kinds))
        if kind != "leaf":
            return self._larger("", depth)[kind]()
        known = [n for n, width in self.widths.items() if not width]
        name = self.draw(st.sampled_from([*known, *known, "dt", "kappa", "a", "e", *NUMBERS]))
        if name in ("a", "e"):
            self.parameters[name] = ()
        return name

    def leaf(self, size: str) -> str:
        named = [name for name, width in self.widths.items() if width == size]
        vectors = [f"b_{size}", f"d_{size}"]
        kind = self.draw(st.sampled_from([*named, *named, *vectors, "product", "product"]))
        if kind in vectors:
            self.parameters[kind] = (size,)
        if kind == "product":
            operand = self.draw(st.sampled_from([n for n, width in self.widths.items() if width]))
            return self.product(size, operand, self.widths[operand])
        return kind

    def product(self, size: str, operand: str, width: str) -> str:
        """Of one of two matrices of each shape, so that some matrices have several operands."""
        name = f"{self.draw(st.sampled_from(['U', 'W']))}_{size}_{width}"
        self.parameters[name] = (size, width)
        return f"({name} @ {operand})"


def _read(lines: list[tuple[str, str]], wanted: set[str]) -> list[tuple[str, str]]:
    """The lines of names that are `wanted`, or read by a later line that stays."""
    kept: list[tuple[str, str]] = []
    for name, value in reversed(lines):
        if name in wanted:
            kept.append((name, value))
            wanted = wanted | set(re.findall(r"\w+", value))
    return kept[::-1]


def _hard_sigmoid(v: Tensor) -> Tensor:
    """torch's own has 1/6 as a float32 in its derivative, whatever the type: 2.9e-8 too large."""
    return torch.where((v > -3) & (v < 3), v / 6 + 0.5, (v > 0).to(v.dtype))


ORACLE = {**OPERATIONS, "hard_sigmoid": _hard_sigmoid}
"""Operations whose gradients by autograd are right to the last digits of float64."""


def run_by_autograd(
    cell: Cell,
    parameters: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    states: Mapping[str, Tensor],
    sizes: Mapping[str, int],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Node by node and step by step, `[T, B, output]` and the states after the last step."""
    length, rows = inputs["x"].shape[:2]
    outputs = []
    current = dict(states)
    nodes = cell.graph.nodes

    def matrix(index: int) -> Tensor:
        name = nodes[index].name
        found = parameters[name.removesuffix(BLOCKS)]
        return torch.block_diag(*found.chunk(sizes[HEADS])) if name.endswith(BLOCKS) else found

    for t in range(length):
        values: list[Tensor] = []
        for index, node in enumerate(nodes):
            args = [values[arg] for arg in node.args]
            match node.op:
                case "input":
                    value = inputs[node.name][t]
                case "state":
                    value = current[node.name]
                case "parameter":
                    value = parameters[node.name.removesuffix(BLOCKS)]
                    value = value.flatten() if value.dim() else value
                case "size":
                    value = inputs["x"].new_tensor(sizes[node.name])
                case "constant":
                    value = inputs["x"].new_tensor(node.value)
                case "matmul":
                    value = args[1] @ matrix(node.args[0]).t()
                case op if is_shaped(node):
                    value = structural(node.op, layout(nodes, index, sizes), *args)
                case op:
                    value = ORACLE[op](*args)
            values.append(value)
        current = {s: values[i].expand(rows, -1) for s, i in cell.graph.next_states.items()}
        outputs.append(values[cell.graph.output].expand(rows, -1))
    return torch.stack(outputs), current


def structural(op: str, dims: tuple[int, ...], *args: Tensor) -> Tensor:
    """An operation that is told a layout, by einsum, of values `[B, elements]` or `[elements]`."""
    rows = max([1, *(len(arg) for arg in args if arg.dim() > 1)])
    n, *rest = dims

    def cut(arg: Tensor, *extents: int) -> Tensor:
        return arg.reshape(-1, *extents).expand(rows, *extents)

    match op, rest:
        case "outer", (a, b):
            found = torch.einsum("rni,rnj->rnij", cut(args[0], n, a), cut(args[1], n, b))
        case "apply", (a, b):
            found = torch.einsum("rnij,rnj->rni", cut(args[0], n, a, b), cut(args[1], n, b))
        case "compose", (a, b, c):
            found = torch.einsum("rnij,rnjk->rnik", cut(args[0], n, a, b), cut(args[1], n, b, c))
        case "transpose", _:
            found = torch.einsum("rnij->rnji", cut(args[0], *dims))
        case "sum", _:
            found = torch.einsum("rnj->rn", cut(args[0], *dims))
        case "columns", (often,):
            found = torch.einsum("rn,j->rnj", cut(args[0], n), args[0].new_ones(often))
        case (("rows" | "tile"), (often, width)):
            found = torch.einsum("rnj,i->rnij", cut(args[0], n, width), args[0].new_ones(often))
        case "concat", (a, b):
            found = torch.cat([cut(args[0], n, a), cut(args[1], n, b)], -1)
        case "slice", (width, start, stop):
            found = cut(args[0], n, width)[..., start:stop]
        case "every", (width, stride, start):
            one = torch.eye(stride, dtype=args[0].dtype)[start]
            found = torch.einsum("rnik,k->rni", cut(args[0], n, width, stride), one)
        case _:
            found = ORACLE[op](cut(args[0], *dims))
    return found.reshape(rows, -1)
