"""Expressions to nodes of the graph: looks up names, finds parameters, unifies shapes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import assert_never

from rnnspec.cells.functions import FUNCTIONS
from rnnspec.cells.graph import CellSource, Node, Shape
from rnnspec.cells.reassociate import Builder
from rnnspec.cells.syntax import Binary, Call, Equation, Expression, Name, Negated, Number, Place
from rnnspec.errors import CellError

_MATRIX = re.compile(r"[A-Z]\w*")
_VECTOR = re.compile(r"b|[a-z]_\w+")
_ELEMENTWISE = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


class Unknown(Exception):
    """An expression has no value because of a mistake that is recorded already."""


@dataclass(slots=True)
class Sizes:
    """Union-find over size names; a fresh one (`?1`) takes the name that it is unified with."""

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
        """Make both sizes equal; False if they are two different known sizes."""
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


class Expressions:
    """The nodes of one cell while its equations are read.

    `names` maps inputs, states, constants and assigned names to their current nodes, `parameters`
    the parameters met so far. `read` are the names that some expression reads, `unknown` the names
    without a value because of a mistake. An expression is read to its end even if it has mistakes.
    """

    def __init__(self, source: CellSource, equations: tuple[Equation, ...]) -> None:
        self.source, self.equations = source, equations
        self.sizes = Sizes()
        self._builder = Builder()
        self.nodes = self._builder.nodes
        self.names: dict[str, int] = {}
        self.parameters: dict[str, int] = {}
        self.read: set[str] = set()
        self.unknown: set[str] = set()
        self.mistakes: list[CellError] = []

    def settled(self) -> tuple[Node, ...]:
        """All nodes, with the sizes inferred from use."""
        settle = self.sizes.settle
        return tuple(Node(n.op, n.args, settle(n.shape), n.name, n.value) for n in self.nodes)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records a mistake in the block, and continues after the block."""
        try:
            yield
        except CellError as mistake:
            self.mistakes.append(mistake)
        except Unknown:
            pass

    def _each(
        self, value: Callable[[Expression], int], *expressions: Expression
    ) -> tuple[int, ...]:
        """The values of `expressions`; records mistakes and raises Unknown where one has none."""
        found: list[int] = []
        for expression in expressions:
            with self.recording():
                found.append(value(expression))
        if len(found) < len(expressions):
            raise Unknown
        return tuple(found)

    def expression(self, expression: Expression) -> int:
        """The node of an expression's value. Raises CellError for a mistake, or Unknown where all
        mistakes are recorded already."""
        match expression:
            case Number():
                return self.add("constant", (), (), value=expression.value)
            case Name():
                return self._name(expression)
            case Negated(operand=Number(value=value)):
                return self.add("constant", (), (), value=-value)
            case Negated():
                operand = self._vector(expression.operand)
                return self.add("neg", (operand,), self.nodes[operand].shape)
            case Binary(operator="@"):
                return self._product(expression)
            case Binary():
                return self._elementwise(expression)
            case Call():
                return self._call(expression)
            case _:
                assert_never(expression)

    def _name(self, name: Name) -> int:
        if name.name in self.unknown:
            self.read.add(name.name)
            raise Unknown
        if name.name in self.names:
            self.read.add(name.name)
            return self.names[name.name]
        if name.name in self.parameters:
            return self.parameters[name.name]
        for equation in self.equations:
            if equation.target == name.name:
                self.unknown.add(name.name)
                line = equation.place.line
                what = "in terms of itself" if line == name.place.line else f"only on line {line}"
                raise error(
                    name.place,
                    f"{name.name} is used here but defined {what}: equations run from top to"
                    " bottom without cycles; only states carry values from the step before",
                )
        if name.name in FUNCTIONS:
            raise error(name.place, f"{name.name} is a function; call it, as {name.name}(…)")
        declared = self.source.parameters.get(name.name)
        if declared is not None and declared.shape is not None:
            shape: Shape = declared.shape
        elif _MATRIX.fullmatch(name.name):
            shape = (self.sizes.fresh(), self.sizes.fresh())
        elif _VECTOR.fullmatch(name.name) or declared is not None:
            shape = (self.sizes.fresh(),)
        else:
            self.unknown.add(name.name)
            hint = near(name.name, [*self.names, *self.parameters])
            raise error(
                name.place,
                f"unknown name {name.name!r}{hint} (a matrix parameter starts with a capital, as"
                f" W_{name.name}; a vector parameter is b or has a letter and _, as b_{name.name})",
            )
        self.parameters[name.name] = self.add("parameter", (), shape, name.name)
        return self.parameters[name.name]

    def _vector(self, expression: Expression) -> int:
        """The value of an expression that must not be a matrix."""
        value = self.expression(expression)
        if len(self.nodes[value].shape) == 2:
            name = self.nodes[value].name
            raise error(
                expression.place,
                f"the matrix {name} can only be applied with @, as {name} @ x;"
                f" with other operators around it, use brackets: z * ({name} @ x)",
            )
        return value

    def _product(self, product: Binary) -> int:
        left, right = self._each(self.expression, product.left, product.right)
        matrix = self.nodes[left]
        if matrix.op != "parameter" or len(matrix.shape) != 2:
            raise error(
                product.place,
                "the left of @ must be a matrix parameter (a name that starts with a capital)",
            )
        if len(self.nodes[right].shape) != 1:
            raise error(
                product.place,
                f"the right of {matrix.name} @ must be a vector;"
                " for two products in a row write U @ (W @ x)",
            )
        width = self.nodes[right].shape[0]
        self.unify(matrix.shape[1], width, product.place, f"{matrix.name} @")
        return self.add("matmul", (left, right), matrix.shape[:1])

    def _elementwise(self, binary: Binary) -> int:
        left, right = self._each(self._vector, binary.left, binary.right)
        if binary.operator == "**":
            if self.nodes[right].op != "constant":
                raise error(binary.place, "the exponent after ** must be a plain number")
            return self.add("pow", (left, right), self.nodes[left].shape)
        shape = self._broadcast((left, right), binary.place, binary.operator)
        return self.add(_ELEMENTWISE[binary.operator], (left, right), shape)

    def _call(self, call: Call) -> int:
        function = FUNCTIONS.get(call.function)
        if function is None:
            known = ", ".join(sorted(FUNCTIONS))
            hint = near(call.function, FUNCTIONS)
            what = f"{call.function!r} is not a function{hint or f'; there are {known}'}"
            self.mistakes.append(error(call.place, what))
        elif len(call.arguments) != function.arity:
            given = len(call.arguments)
            plural = "" if function.arity == 1 else "s"
            what = f"{function.name} takes {function.arity} argument{plural}, {given} given"
            self.mistakes.append(error(call.place, what))
            function = None
        arguments = self._each(self._vector, *call.arguments)
        if function is None:
            raise Unknown
        shape = self._broadcast(arguments, call.place, function.name)
        if not function.elementwise and not shape:
            raise error(call.place, f"{function.name} needs a vector, not one number")
        return self.add(function.name, arguments, shape)

    def _broadcast(self, values: tuple[int, ...], place: Place, what: str) -> Shape:
        """The common shape of scalars and vectors of one width."""
        vectors = [self.nodes[value].shape for value in values if self.nodes[value].shape]
        for shape in vectors[1:]:
            self.unify(vectors[0][0], shape[0], place, f"the two sides of {what}")
        return vectors[0] if vectors else ()

    def unify(self, one: str, other: str, place: Place, what: str) -> None:
        if not self.sizes.unify(one, other):
            sizes = self.sizes.find(one), self.sizes.find(other)
            raise error(
                place,
                f"shapes do not fit: {what} would need {sizes[0]} and {sizes[1]} to be the same;"
                " a matrix parameter turns one width into the other",
            )

    def add(
        self, op: str, args: tuple[int, ...], shape: Shape, name: str = "", value: float = 0.0
    ) -> int:
        return self._builder.add(Node(op, (), shape, name, value), args)


def error(place: Place, message: str) -> CellError:
    return CellError(message, place.line, place.column, place.length)


def near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
