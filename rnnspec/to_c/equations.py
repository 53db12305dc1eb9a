"""One step of a cell as a function of C, written from its equations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells.graph import Cell
from rnnspec.cells.layout import is_shaped, layout
from rnnspec.cells.sizes import extent
from rnnspec.reference.functions import applied
from rnnspec.to_c.expressions import OPERATIONS, Expression, literal
from rnnspec.to_c.functions import OF_VECTORS
from rnnspec.to_c.phases import Phase, Phases, phases_of
from rnnspec.to_c.products import Matrix, Product, joined, product
from rnnspec.to_c.structural import STRUCTURAL
from rnnspec.to_c.text import Names, comment, identifier, indented, loop, table

Parameters = Mapping[str, NDArray[np.floating]]
SUMS, OUTPUT = "sums", "y"
LONG = 60
"""Characters of an expression that gets a name of its own."""


@dataclass(frozen=True, slots=True)
class CellFunction:
    """The text of a function that makes one step: `name(x[, dt], state…[, y])`.

    `output` is the state whose new value is the output, "x" where it is the input, "" where the
    function writes it to `y`. `functions` are calls of functions a step.
    """

    name: str
    tables: tuple[str, ...]
    text: str
    output: str
    products: tuple[Product, ...]
    functions: int


def cell_function(
    name: str,
    title: Sequence[str],
    cell: Cell,
    sizes: Mapping[str, int],
    parameters: Parameters,
    timed: bool,
    int8: bool,
) -> CellFunction:
    """The step of a cell; `timed` where it is given the inputs that it has besides x, else 1."""
    phases = phases_of(cell.graph, sizes, parameters, () if timed else cell.inputs)
    return _Writer(name, title, cell, sizes, parameters, timed, int8, phases).function()


@dataclass(slots=True)
class _Writer:
    name: str
    title: Sequence[str]
    cell: Cell
    sizes: Mapping[str, int]
    parameters: Parameters
    timed: bool
    int8: bool
    phases: Phases
    names: Names = field(default_factory=Names)
    tables: list[str] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    stored: dict[int, str] = field(default_factory=dict)
    """The array that has a vector once it has been computed."""
    numbers: dict[int, str] = field(default_factory=dict)
    constants: dict[int, str] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    arrays: dict[str, str] = field(default_factory=dict)
    """The array of each state."""
    numbers_given: list[str] = field(default_factory=list)
    """The arguments besides x and the states."""
    kept: dict[str, str] = field(default_factory=dict)
    """The array that has the value of a state before the step, by the state that takes it over."""
    targets: dict[int, list[str]] = field(default_factory=dict)
    """The arrays that a loop writes a value to."""
    written: set[str] = field(default_factory=set)
    """The states that a loop has written."""
    functions: int = 0

    def function(self) -> CellFunction:
        arguments = list(self._arguments())
        output = self._output()
        if not output:
            size = self.sizes[self.cell.output_size]
            arguments.append(f"float {OUTPUT}[restrict {size}]")
        body = [*self._begin(), *(line for each in self._phases() for line in each), *self._end()]
        head = f"static void {self.name}({', '.join(arguments)})"
        whole = [*self._sums(), *self.declared, *body]
        unused = [f"(void){name};" for name in self._unused(whole)]
        lines = [*comment(*self.title), head, "{", *indented([*unused, *whole]), "}"]
        return CellFunction(
            self.name,
            tuple(self.tables),
            "\n".join(lines),
            output,
            tuple(self.products),
            self.functions,
        )

    # ---------------------------------------------------------------- what has which name

    def _arguments(self) -> Iterator[str]:
        """Of the function; states and inputs get their names here."""
        self.names.taken |= {"x", "j", OUTPUT, SUMS}
        yield f"const float x[restrict {self.sizes['inputs']}]"
        for index, node in enumerate(self.phases.graph.nodes):
            if node.op == "input" and node.name == "x":
                self.stored[index] = "x"
        for each in self.cell.inputs if self.timed else ():
            name = self.names.new(each)
            self._leaf("input", each, self.numbers, name)
            self.numbers_given.append(name)
            yield f"float {name}"
        for state, shape in self.cell.states.items():
            name = self.names.new(state)
            self.arrays[state] = name
            if shape:
                self._leaf("state", state, self.stored, name)
            else:
                self._leaf("state", state, self.numbers, f"{name}[0]")
            yield f"float {name}[restrict {extent(shape, self.sizes)}]"

    def _unused(self, body: Sequence[str]) -> Iterator[str]:
        """The arguments that the statements do not read."""
        words = set(re.findall(r"\w+", "\n".join(body)))
        names = ["x", *self.numbers_given, *self.arrays.values()]
        yield from (name for name in names if name not in words)

    def _leaf(self, op: str, name: str, into: dict[int, str], text: str) -> None:
        for index, node in enumerate(self.phases.graph.nodes):
            if node.op == op and node.name == name:
                into[index] = text

    def _output(self) -> str:
        graph = self.phases.graph
        for state, index in graph.next_states.items():
            if index == graph.output:
                return state
        node = graph.nodes[graph.output]
        return "x" if node.op == "input" else ""

    def _title_of(self, index: int) -> str:
        """A new name for the value of a node: that of its equation, if it has one."""
        graph = self.phases.graph
        found = [name for name, at in graph.names.items() if at == index]
        if found:
            return self.names.new(f"{found[0]}_new" if found[0] in self.cell.states else found[0])
        states = [state for state, at in graph.next_states.items() if at == index]
        return self.names.new(f"{states[0]}_new" if states else f"{graph.nodes[index].op}_1")

    # ---------------------------------------------------------------- values

    def _sums(self) -> list[str]:
        """The buffer of all sums, which begin as their biases."""
        of_sums = sorted(self.phases.sums.values(), key=lambda s: self.phases.begins[s.index])
        if not of_sums:
            return []
        bias = np.concatenate([each.bias for each in of_sums])
        title = self._ranges([each.index for each in of_sums])
        if not bias.any():
            return [*title, f"float {SUMS}[{len(bias)}] = {{0}};"]
        name = f"{self.name}_bias"
        self.tables.append(table("float", name, bias))
        return [
            *title,
            f"float {SUMS}[{len(bias)}];",
            *loop(len(bias), [f"{SUMS}[j] = {name}[j];"]),
        ]

    def _ranges(self, indices: Sequence[int]) -> list[str]:
        names = []
        for index in indices:
            products = self.phases.sums[index].products
            words = [f"{matrix} @ {self._operand_words(o)}" for matrix, o in products]
            names.append(" + ".join(words))
        return comment(" | ".join(names))

    def _operand_words(self, index: int) -> str:
        node = self.phases.graph.nodes[index]
        found = [name for name, at in self.phases.graph.names.items() if at == index]
        return node.name or (found[0] if found else "(...)")

    def _constant(self, index: int) -> Expression:
        """A value that depends on weights alone, at place j."""
        value = self.phases.fixed[index]
        if value.ndim == 0 or (value == value.flat[0]).all():
            return literal(float(value.flat[0]))
        return Expression(f"{self._table(index)}[j]")

    def _table(self, index: int) -> str:
        """The name of the table of a value that depends on weights alone."""
        if index not in self.constants:
            node = self.phases.graph.nodes[index]
            known = [name for name, at in self.phases.graph.names.items() if at == index]
            named = node.name if node.op == "parameter" else ""
            title = named or (known[0] if known else f"{node.op}_{index}")
            self.constants[index] = f"{self.name}_{identifier(title)}"
            self.tables.append(table("float", self.constants[index], self.phases.fixed[index]))
        return self.constants[index]

    def _at(self, index: int, here: Mapping[int, Expression]) -> Expression:
        """The value of a node at place j, or the one number that it is."""
        if index in here:
            return here[index]
        if index in self.phases.fixed:
            return self._constant(index)
        if index in self.numbers:
            return Expression(self.numbers[index])
        if index in self.stored:
            return Expression(f"{self.stored[index]}[j]")
        begin = self.phases.begins[index]
        return Expression(f"{SUMS}[{f'{begin} + ' if begin else ''}j]")

    def _array(self, index: int) -> str:
        """A vector as a whole."""
        if index in self.stored:
            return self.stored[index]
        begin = self.phases.begins[index]
        return f"{SUMS} + {begin}" if begin else SUMS

    def _computed(self, index: int, here: Mapping[int, Expression]) -> Expression:
        node = self.phases.graph.nodes[index]
        if index not in self.phases.sums:
            return OPERATIONS[node.op](*(self._at(arg, here) for arg in node.args))
        begin = self.phases.begins[index]
        total = Expression(f"{SUMS}[{f'{begin} + ' if begin else ''}j]")
        for other in self.phases.sums[index].others:
            total = OPERATIONS["add"](total, self._at(other, here))
        return total

    # ---------------------------------------------------------------- statements

    def _begin(self) -> Iterator[str]:
        """What of the states before the step is read behind it, kept."""
        graph = self.phases.graph
        for state, index in graph.next_states.items():
            if graph.nodes[index].op == "state" and graph.nodes[index].name != state:
                yield from self._kept(index, state)
        if not self._output() and graph.nodes[graph.output].op == "state":
            width = self.phases.widths[graph.output]
            yield from loop(width, [f"{OUTPUT}[j] = {self.stored[graph.output]}[j];"])

    def _kept(self, index: int, state: str) -> Iterator[str]:
        name, width = self.names.new(f"{state}_new"), max(1, self.phases.widths[index])
        self.kept[state] = name
        self.declared.append(f"float {name}[{width}];")
        yield from loop(width, [f"{name}[j] = {self._at(index, {}).text};"])

    def _phases(self) -> Iterator[list[str]]:
        for number, phase in enumerate(self.phases.phases):
            match phase.kind:
                case "product":
                    yield [self._product(phase)]
                case "number":
                    yield self._number(phase.nodes[0])
                case "vector":
                    yield self._vector(phase)
                case "loop":
                    yield self._loop(number, phase)

    def _product(self, phase: Phase) -> str:
        run = phase.run
        assert run is not None
        matrices: list[Matrix] = [
            np.asarray(applied(self.parameters, m, self.sizes), np.float32) for m in run.matrices
        ]
        title = identifier("_".join(run.matrices)) if len(run.matrices) == 1 else ""
        name = f"{self.name}_{title or self._operand_title(run.operand)}"
        while any(each.name == name for each in self.products):
            name += "_2"
        found = product(name, joined(matrices), f"{', '.join(run.matrices)}", self.int8)
        self.products.append(found)
        self.tables += found.tables
        into = f"{SUMS} + {run.begin}" if run.begin else SUMS
        return found.add(into, self._array(run.operand))

    def _operand_title(self, index: int) -> str:
        words = self._operand_words(index)
        return f"of_{identifier(words)}" if words != "(...)" else f"of_value_{index}"

    def _number(self, index: int) -> list[str]:
        name = self._title_of(index)
        value = self._computed(index, {})
        self.functions += self._is_function(index)
        self.numbers[index] = name
        return [f"const float {name} = {value.text};"]

    def _vector(self, phase: Phase) -> list[str]:
        (index,) = phase.nodes
        node = self.phases.graph.nodes[index]
        name, width = self._title_of(index), max(1, phase.width)
        self.declared.append(f"float {name}[{width}];")
        function = OF_VECTORS.get(node.op) or STRUCTURAL[node.op]
        numbers = [width]
        if is_shaped(node):
            numbers = list(layout(self.phases.graph.nodes, index, self.sizes))
        if node.shape:
            self.stored[index] = name
        else:
            self.numbers[index] = f"{name}[0]"
        if node.op in OF_VECTORS:
            self.functions += width
            return self._vectors(function, name, self._array(node.args[0]), numbers)
        arguments = [name, *map(self._argument, node.args), *map(str, numbers)]
        return [f"{function}({', '.join(arguments)});"]

    def _vectors(self, function: str, out: str, value: str, numbers: list[int]) -> list[str]:
        """Calls of a function of a whole vector, one for each head."""
        if len(numbers) == 1:
            return [f"{function}({out}, {value}, {numbers[0]});"]
        heads, width = numbers
        begins = [head * width for head in range(heads)]
        return [f"{function}({out} + {at}, {value} + {at}, {width});" for at in begins]

    def _argument(self, index: int) -> str:
        """A value as the address of its elements."""
        if index in self.phases.fixed:
            return self._table(index)
        return f"&{self.numbers[index]}" if index in self.numbers else self._array(index)

    def _is_function(self, index: int) -> int:
        op = self.phases.graph.nodes[index].op
        return int(op not in ("add", "sub", "mul", "neg", "max", "min", "abs", "relu"))

    def _loop(self, number: int, phase: Phase) -> list[str]:
        here: dict[int, Expression] = {}
        lines, stores = list[str](), list[str]()
        for index in phase.nodes:
            self.functions += phase.width * self._is_function(index)
            value = self._computed(index, here)
            arrays = self._arrays_for(number, index)
            if not arrays and self._inline(number, index) and len(value.text) < LONG:
                here[index] = value
                continue
            name = self._title_of(index)
            lines.append(f"const float {name} = {value.text};")
            here[index] = Expression(name)
            stores += [f"{array}[j] = {name};" for array in arrays]
        for index in phase.nodes:
            arrays = self._arrays_for(number, index)
            if arrays:
                self.stored[index] = arrays[0]
        return loop(phase.width, [*lines, *stores])

    def _inline(self, number: int, index: int) -> bool:
        """Whether a value needs no name: it is read once, and has none in the equations."""
        graph = self.phases.graph
        named = index in graph.names.values()
        readers = [n for n in self.phases.phases[number].nodes if index in self.phases.args(n)]
        once = len(readers) == 1 and graph.nodes[readers[0]].args.count(index) <= 1
        return once and not named

    def _arrays_for(self, number: int, index: int) -> list[str]:
        """The arrays in which a value of a loop is kept, for later phases or as the result."""
        if index in self.targets:
            return self.targets[index]
        graph, found = self.phases.graph, list[str]()
        for state, at in graph.next_states.items():
            if at == index and self._is_free(number, state):
                found.append(self.arrays[state])
                self.written.add(state)
        if index == graph.output and not self._output():
            found.append(OUTPUT)
        later = any(reader > number for reader in self.phases.readers(index))
        waiting = any(
            at == index and not self._is_free(number, s) for s, at in graph.next_states.items()
        )
        if (later or waiting) and not found:
            name = self.names.new(f"{self._plain_title(index)}_")
            self.declared.append(f"float {name}[{self.phases.widths[index]}];")
            found.append(name)
        self.targets[index] = found
        return found

    def _plain_title(self, index: int) -> str:
        graph = self.phases.graph
        found = [name for name, at in graph.names.items() if at == index]
        return found[0] if found else f"{graph.nodes[index].op}_{index}"

    def _is_free(self, number: int, state: str) -> bool:
        """Whether nothing reads the old value of a state behind a phase."""
        graph = self.phases.graph
        leaves = [i for i, n in enumerate(graph.nodes) if n.op == "state" and n.name == state]
        return all(reader <= number for leaf in leaves for reader in self.phases.readers(leaf))

    def _end(self) -> Iterator[str]:
        """The new values of states that no loop has written, and the output."""
        graph = self.phases.graph
        for state, index in graph.next_states.items():
            array, width = self.arrays[state], extent(self.cell.states[state], self.sizes)
            if state in self.written or graph.nodes[index].name == state == self._state_name(index):
                continue
            kept = self.kept.get(state)
            value = f"{kept}[j]" if kept else self._at(index, {}).text
            yield from loop(width, [f"{array}[j] = {value};"])
        written = any(OUTPUT in arrays for arrays in self.targets.values())
        kept_state = graph.nodes[graph.output].op == "state"
        if not self._output() and not written and not kept_state:
            width = self.sizes[self.cell.output_size]
            yield from loop(width, [f"{OUTPUT}[j] = {self._at(graph.output, {}).text};"])

    def _state_name(self, index: int) -> str:
        node = self.phases.graph.nodes[index]
        return node.name if node.op == "state" else ""
