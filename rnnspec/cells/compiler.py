"""Syntax tree to graph: names resolved, shapes inferred from use, mistakes placed.

Equations run from top to bottom. A state's name means its previous value until it is assigned and
its next value afterwards. A free name that starts with a capital is a matrix parameter; a free `b`
or lower-case letter with an underscore (`b_i`, `p_f`) is a vector parameter; any other free name is
a mistake. A matrix applied to `x` has `inputs` columns, applied to a state as many as the state is
wide; all other sizes follow from use, and are `units` where use leaves them open.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rnnspec.cells.functions import FUNCTIONS
from rnnspec.cells.graph import Cell, Graph, Node, Shape
from rnnspec.cells.syntax import (
    Binary,
    Call,
    Equation,
    Expression,
    Name,
    Negated,
    Number,
    Place,
    parse,
)
from rnnspec.errors import CellError

_MATRIX = re.compile(r"[A-Z]\w*")
_VECTOR = re.compile(r"b|[a-z]_\w+")
_ELEMENTWISE = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


@dataclass(frozen=True, slots=True)
class CellSource:
    """A cell as its author writes it. `output` is a state or an assigned name; the default is the
    first state."""

    name: str
    states: Sequence[str]
    equations: str
    output: str | None = None
    paper: str = ""


def compile_cell(source: CellSource) -> Cell:
    """Parse, resolve and check `source`. Raises CellError with the place of the first mistake."""
    return _Compiler(source).cell()


@dataclass(slots=True)
class _Sizes:
    """Union-find over size names; fresh ones (`?1`) take the name that use gives them."""

    parent: dict[str, str] = field(default_factory=dict)

    def fresh(self) -> str:
        name = f"?{len(self.parent)}"
        self.parent[name] = name
        return name

    def find(self, size: str) -> str:
        while self.parent.get(size, size) != size:
            size = self.parent[size]
        return size

    def unify(self, one: str, other: str) -> bool:
        """Make both sizes one; False if they are two different known sizes."""
        one, other = self.find(one), self.find(other)
        if one == other:
            return True
        if not one.startswith("?"):
            one, other = other, one
        if not one.startswith("?"):
            return False
        self.parent[one] = other
        return True

    def settle(self, shape: Shape) -> Shape:
        return tuple("units" if s.startswith("?") else s for s in map(self.find, shape))


class _Compiler:
    def __init__(self, source: CellSource) -> None:
        self._source = source
        self._sizes = _Sizes()
        self._nodes: list[Node] = []
        self._index: dict[tuple[str, tuple[int, ...], str, float], int] = {}
        self._names: dict[str, int] = {}
        self._parameters: dict[str, int] = {}
        self._assigned: dict[str, Equation] = {}
        self._read: set[str] = set()
        self._equations = parse(source.equations)

    def cell(self) -> Cell:
        self._declare()
        for equation in self._equations:
            self._assign(equation)
        output = self._output()
        self._check_used(output)
        nodes = tuple(
            Node(n.op, n.args, self._sizes.settle(n.shape), n.name, n.value) for n in self._nodes
        )
        states: dict[str, Shape] = dict.fromkeys(self._source.states, ("units",))
        return Cell(
            name=self._source.name,
            states=states,
            parameters={name: nodes[index].shape for name, index in self._parameters.items()},
            output=output,
            graph=Graph(nodes, {s: self._names[s] for s in states}, self._names[output]),
            equations=self._source.equations,
            paper=self._source.paper,
        )

    def _declare(self) -> None:
        self._names["x"] = self._add("input", (), ("inputs",), "x")
        if not self._source.states:
            raise CellError("a cell needs at least one state", about="states")
        for state in self._source.states:
            if state in FUNCTIONS:
                what = f"the state {state!r} has the name of a function; rename it"
                raise CellError(what, about="states")
            if state in self._names:
                what = f"the state {state!r} is listed twice, or is the input's name; rename it"
                raise CellError(what, about="states")
            if not state.isidentifier():
                what = f"the state {state!r} is not a name (letters, digits, _)"
                raise CellError(what, about="states")
            self._names[state] = self._add("state", (), ("units",), state)

    def _assign(self, equation: Equation) -> None:
        target, place = equation.target, equation.place
        if target == "x":
            raise _error(place, "x is the step's input and cannot be assigned")
        if target in FUNCTIONS:
            raise _error(place, f"{target} is a function; give the value another name")
        if target in self._assigned:
            first = self._assigned[target].place.line
            raise _error(place, f"{target} is assigned twice, first on line {first}")
        if target in self._parameters:
            raise _error(place, f"{target} is used above as a parameter and cannot be assigned")
        value = self._expression(equation.value)
        shape = self._nodes[value].shape
        if target in self._source.states:
            if not shape:
                raise _error(place, f"the state {target} must be a vector, not one number")
            self._unify(shape[0], "units", place, f"the new value of {target}")
        self._names[target] = value
        self._assigned[target] = equation

    def _output(self) -> str:
        for state in self._source.states:
            if state not in self._assigned:
                raise CellError(f"the state {state} is never assigned; add an equation {state} = …")
        output = self._source.output or self._source.states[0]
        if output not in self._assigned:
            hint = _near(output, self._assigned)
            what = (
                f"the output {output!r} is never assigned{hint or '; name a state or a left side'}"
            )
            raise CellError(what, about="output")
        if self._nodes[self._names[output]].shape == ():
            what = f"the output {output!r} must be a vector, not one number"
            raise CellError(what, about="output")
        return output

    def _check_used(self, output: str) -> None:
        for name, equation in self._assigned.items():
            if name not in self._read and name not in self._source.states and name != output:
                raise _error(equation.place, f"{name} is computed but never used")

    def _expression(self, expression: Expression) -> int:
        match expression:
            case Number():
                return self._add("constant", (), (), value=expression.value)
            case Name():
                return self._name(expression)
            case Negated(operand=Number(value=value)):
                return self._add("constant", (), (), value=-value)
            case Negated():
                operand = self._vector(expression.operand)
                return self._add("neg", (operand,), self._nodes[operand].shape)
            case Binary(operator="@"):
                return self._product(expression)
            case Binary():
                return self._elementwise(expression)
            case Call():
                return self._call(expression)

    def _name(self, name: Name) -> int:
        if name.name in self._names:
            self._read.add(name.name)
            return self._names[name.name]
        if name.name in self._parameters:
            return self._parameters[name.name]
        for equation in self._equations:
            if equation.target == name.name:
                line = equation.place.line
                what = "in terms of itself" if line == name.place.line else f"only on line {line}"
                raise _error(
                    name.place,
                    f"{name.name} is used here but defined {what}: equations run from top to"
                    " bottom without cycles; only states carry values from the step before",
                )
        if name.name in FUNCTIONS:
            raise _error(name.place, f"{name.name} is a function; call it, as {name.name}(…)")
        if _MATRIX.fullmatch(name.name):
            shape: Shape = (self._sizes.fresh(), self._sizes.fresh())
        elif _VECTOR.fullmatch(name.name):
            shape = (self._sizes.fresh(),)
        else:
            hint = _near(name.name, [*self._names, *self._parameters])
            raise _error(
                name.place,
                f"unknown name {name.name!r}{hint} (a matrix parameter starts with a capital, as"
                f" W_{name.name}; a vector parameter is b or has a letter and _, as b_{name.name})",
            )
        self._parameters[name.name] = self._add("parameter", (), shape, name.name)
        return self._parameters[name.name]

    def _vector(self, expression: Expression) -> int:
        """The value of an expression that must not be a matrix."""
        value = self._expression(expression)
        if len(self._nodes[value].shape) == 2:
            name = self._nodes[value].name
            raise _error(
                expression.place,
                f"the matrix {name} can only be applied with @, as {name} @ x;"
                f" with other operators around it, use brackets: z * ({name} @ x)",
            )
        return value

    def _product(self, product: Binary) -> int:
        left = self._expression(product.left)
        matrix = self._nodes[left]
        if matrix.op != "parameter" or len(matrix.shape) != 2:
            raise _error(
                product.place,
                "the left of @ must be a matrix parameter (a name that starts with a capital);"
                " for two products in a row write U @ (W @ x)",
            )
        right = self._vector(product.right)
        if not self._nodes[right].shape:
            raise _error(product.place, f"the right of {matrix.name} @ must be a vector")
        width = self._nodes[right].shape[0]
        self._unify(matrix.shape[1], width, product.place, f"{matrix.name} @")
        return self._add("matmul", (left, right), matrix.shape[:1])

    def _elementwise(self, binary: Binary) -> int:
        left, right = self._vector(binary.left), self._vector(binary.right)
        if binary.operator == "**":
            if self._nodes[right].op != "constant":
                raise _error(binary.place, "the exponent after ** must be a plain number")
            return self._add("pow", (left, right), self._nodes[left].shape)
        shape = self._broadcast((left, right), binary.place, binary.operator)
        return self._add(_ELEMENTWISE[binary.operator], (left, right), shape)

    def _call(self, call: Call) -> int:
        function = FUNCTIONS.get(call.function)
        if function is None:
            known = ", ".join(sorted(FUNCTIONS))
            hint = _near(call.function, FUNCTIONS)
            raise _error(
                call.place, f"{call.function!r} is not a function{hint or f'; there are {known}'}"
            )
        if len(call.arguments) != function.arity:
            given = len(call.arguments)
            plural = "" if function.arity == 1 else "s"
            raise _error(
                call.place,
                f"{function.name} takes {function.arity} argument{plural}, {given} given",
            )
        arguments = tuple(self._vector(argument) for argument in call.arguments)
        shape = self._broadcast(arguments, call.place, function.name)
        if not function.elementwise and not shape:
            raise _error(call.place, f"{function.name} needs a vector, not one number")
        return self._add(function.name, arguments, shape)

    def _broadcast(self, values: tuple[int, ...], place: Place, what: str) -> Shape:
        """The common shape of scalars and vectors of one width."""
        vectors = [self._nodes[value].shape for value in values if self._nodes[value].shape]
        for shape in vectors[1:]:
            self._unify(vectors[0][0], shape[0], place, f"the two sides of {what}")
        return vectors[0] if vectors else ()

    def _unify(self, one: str, other: str, place: Place, what: str) -> None:
        if not self._sizes.unify(one, other):
            sizes = self._sizes.find(one), self._sizes.find(other)
            raise _error(
                place,
                f"shapes do not fit: {what} would need {sizes[0]} and {sizes[1]} to be the same;"
                " a matrix parameter turns one width into the other",
            )

    def _add(
        self, op: str, args: tuple[int, ...], shape: Shape, name: str = "", value: float = 0.0
    ) -> int:
        key = (op, args, name, value)
        if key not in self._index:
            self._index[key] = len(self._nodes)
            self._nodes.append(Node(op, args, shape, name, value))
        return self._index[key]


def _error(place: Place, message: str) -> CellError:
    return CellError(message, place.line, place.column, place.length)


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
