"""Expressions to nodes of the graph: looks up names, finds parameters, unifies shapes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import assert_never

from rnnspec.cells.functions import FUNCTIONS, STRUCTURAL
from rnnspec.cells.graph import RESERVED_SIZES, CellSource, Node, Shape
from rnnspec.cells.reassociate import Builder
from rnnspec.cells.sizes import is_never_negative, is_positive, names_in, part_of, sum_of
from rnnspec.cells.syntax import (
    COMPARISONS,
    Binary,
    Call,
    Equation,
    Expression,
    Name,
    Negated,
    Number,
    Place,
    Slice,
)
from rnnspec.errors import CellError

_MATRIX = re.compile(r"[A-Z]\w*")
_VECTOR = re.compile(r"b|[a-z]_\w+")
RANKS = ("one number", "a vector", "a matrix")
"""What a value is, by the number of its sizes."""
STRUCTURAL_ARITY = {
    "outer": 2,
    "dot": 2,
    "sum": 1,
    "concat": -2,
    "transpose": 1,
    "rows": 1,
    "columns": 1,
    "where": 3,
}
"""The number of arguments of `STRUCTURAL`; -n means at least n."""
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
    the parameters met so far, `shapes` those that are declared. `read` are the names that some
    expression reads, `unknown` the names without a value because of a mistake. An expression is
    read to its end even if it has mistakes.
    """

    def __init__(self, source: CellSource, equations: tuple[Equation, ...]) -> None:
        self.source, self.equations = source, equations
        self.sizes = Sizes()
        self._builder = Builder()
        self.nodes = self._builder.nodes
        self.names: dict[str, int] = {}
        self.shapes: dict[str, Shape] = {}
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
                operand = self.expression(expression.operand)
                return self.add("neg", (operand,), self.nodes[operand].shape)
            case Binary(operator="@"):
                return self._product(expression)
            case Slice():
                return self._slice(expression)
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
        if name.name in (*RESERVED_SIZES, *self.source.sizes):
            return self.add("size", (), (), name.name)
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
        declared = self.source.parameters.get(name.name)
        if name.name in FUNCTIONS or (name.name in STRUCTURAL and declared is None):
            raise error(name.place, f"{name.name} is a function; call it, as {name.name}(…)")
        if name.name in self.shapes:
            shape: Shape = self.shapes[name.name]
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

    def _product(self, product: Binary) -> int:
        left, right = self._each(self.expression, *_right_first(product))
        matrix, operand = self.nodes[left], self.nodes[right]
        if len(matrix.shape) != 2:
            what = "the left of @ must be a matrix: a parameter whose name starts with a capital,"
            raise error(product.place, f"{what} a state or a value that is one")
        name = matrix.name or "the matrix"
        if not operand.shape:
            what = f"the right of {name} @ must be a vector or a matrix, not one number"
            raise error(product.place, what)
        self.unify(matrix.shape[1], operand.shape[0], product.place, f"{name} @")
        if len(operand.shape) == 2:
            return self.add("compose", (left, right), (matrix.shape[0], operand.shape[1]))
        op = "matmul" if matrix.op == "parameter" else "apply"
        return self.add(op, (left, right), matrix.shape[:1])

    def _elementwise(self, binary: Binary) -> int:
        left, right = self._each(self.expression, binary.left, binary.right)
        if binary.operator == "**":
            if self.nodes[right].op != "constant":
                raise error(binary.place, "the exponent after ** must be a plain number")
            return self.add("pow", (left, right), self.nodes[left].shape)
        sides = binary.left.place, binary.right.place
        shape = self._broadcast((left, right), binary.place, binary.operator, sides)
        if binary.operator in COMPARISONS:
            op = "less" if len(binary.operator) == 1 else "at_most"
            args = (left, right) if binary.operator.startswith("<") else (right, left)
            return self.add(op, args, shape)
        return self.add(_ELEMENTWISE[binary.operator], (left, right), shape)

    def _call(self, call: Call) -> int:
        function = FUNCTIONS.get(call.function)
        arity = STRUCTURAL_ARITY.get(call.function, function.arity if function else None)
        if arity is None:
            known = sorted({*FUNCTIONS, *STRUCTURAL})
            hint = near(call.function, known)
            hint = hint or f"; there are {', '.join(known)}"
            what = f"{call.function!r} is not a function{hint}"
            self.mistakes.append(error(call.place, what))
        elif len(call.arguments) != abs(arity) and (arity > 0 or len(call.arguments) < -arity):
            given = len(call.arguments)
            plural = "" if arity == 1 else "s"
            least = "at least " if arity < 0 else ""
            what = f"{call.function} takes {least}{abs(arity)} argument{plural}, {given} given"
            self.mistakes.append(error(call.place, what))
            arity = None
        arguments = self._each(self.expression, *call.arguments)
        if arity is None:
            raise Unknown
        if function is None:
            return self._structural(call, arguments)
        places = tuple(argument.place for argument in call.arguments)
        shape = self._broadcast(arguments, call.place, function.name, places)
        if not function.elementwise and len(shape) != 1:
            what = f"{function.name} needs a vector, not {RANKS[len(shape)]}"
            raise error(call.place, what)
        return self.add(function.name, arguments, shape)

    def _structural(self, call: Call, args: tuple[int, ...]) -> int:
        """The value of a function of `STRUCTURAL`."""
        shapes = [self.nodes[arg].shape for arg in args]
        if call.function == "where":
            return self.add("select", args, self._broadcast(args, call.place, "where"))
        wanted = 2 if call.function == "transpose" else 1
        for shape in shapes:
            if len(shape) != wanted:
                what = f"{call.function} needs {RANKS[wanted]}, not {RANKS[len(shape)]}"
                raise error(call.place, what)
        match call.function:
            case "outer":
                return self.add("outer", args, (*shapes[0], *shapes[1]))
            case "transpose":
                return self.add("transpose", args, shapes[0][::-1])
            case "rows":
                return self.add("rows", args, (self.sizes.fresh(), *shapes[0]))
            case "columns":
                return self.add("columns", args, (*shapes[0], self.sizes.fresh()))
            case "dot":
                product = self.add("mul", args, self._broadcast(args, call.place, "dot"))
                return self.add("sum", (product,), ())
            case "sum":
                return self.add("sum", args, ())
            case _:
                return reduce(lambda one, other: self._joined(one, other, call.place), args)

    def _joined(self, one: int, other: int, place: Place) -> int:
        size = sum_of(self._known(one, place), self._known(other, place))
        return self.add("concat", (one, other), (size,))

    def _slice(self, piece: Slice) -> int:
        value = self.expression(piece.operand)
        if len(self.nodes[value].shape) != 1:
            what = f"a slice is taken of a vector, not of {RANKS[len(self.nodes[value].shape)]}"
            raise error(piece.place, what)
        whole = self._known(value, piece.place)
        if piece.stride > 1:
            return self._strided(piece, value, whole)
        start, stop = piece.start or "0", piece.stop or whole
        known = (*RESERVED_SIZES, *self.source.sizes)
        for name in (*names_in(start), *names_in(stop)):
            if name not in known:
                listed = near(name, known) or f"; the sizes are {', '.join(known)}"
                raise error(piece.place, f"unknown size {name!r}{listed}")
        width = sum_of(stop, start, -1)
        inside = [start, sum_of(whole, stop, -1)]
        if not all(map(is_never_negative, inside)) or not is_positive(width):
            what = f"[{start}:{stop}] is not always a part of a vector of {whole}"
            raise error(
                piece.place, f"{what}: bounds go from 0 to its width, and the first is less"
            )
        return self.add("slice", (value,), (width,), start)

    def _strided(self, piece: Slice, value: int, whole: str) -> int:
        """Every element of a vector that stands `start` behind a multiple of the stride."""
        start, stride = piece.start or "0", piece.stride
        if not start.isdigit() or int(start) >= stride:
            what = f"[{start}::{stride}] begins with a number from 0 to {stride - 1}"
            raise error(piece.place, what)
        return self.add("every", (value,), (part_of(whole, stride),), f"{start}::{stride}")

    def _known(self, value: int, place: Place) -> str:
        """The width of a vector, which must not be left to later use."""
        size = self.sizes.find(self.nodes[value].shape[0])
        if size.startswith("?"):
            what = "the width of this vector is not known here; give its parameter a shape under"
            raise error(place, f"{what} 'parameters', such as {{shape: [2*units, inputs]}}")
        return size

    def _broadcast(
        self, values: tuple[int, ...], place: Place, what: str, places: tuple[Place, ...] = ()
    ) -> Shape:
        """The common shape of numbers, and of vectors or matrices of one shape, each at its
        place."""
        shaped = [self.nodes[value] for value in values if self.nodes[value].shape]
        for node in shaped[1:]:
            if len(node.shape) != len(shaped[0].shape):
                for value, at in zip(values, places, strict=False):
                    matrix = self.nodes[value]
                    place = at if len(matrix.shape) == 2 and matrix.op == "parameter" else place
                raise error(place, _unequal_ranks(shaped[0], node))
            for one, other in zip(shaped[0].shape, node.shape, strict=True):
                self.unify(one, other, place, f"the two sides of {what}")
        return shaped[0].shape if shaped else ()

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


def _right_first(product: Binary) -> tuple[Expression, Expression]:
    """The sides of `U @ W @ x` as those of `U @ (W @ x)`, whose products are smaller."""
    left, right = product.left, product.right
    while isinstance(left, Binary) and left.operator == "@":
        right = Binary("@", left.right, right, product.place)
        left = left.left
    return left, right


def _unequal_ranks(one: Node, other: Node) -> str:
    matrix = one if len(one.shape) == 2 else other
    if matrix.op == "parameter":
        return (
            f"the matrix {matrix.name} can only be applied with @, as {matrix.name} @ x;"
            f" with other operators around it, use brackets: z * ({matrix.name} @ x)"
        )
    return (
        "a vector and a matrix do not fit, element by element: rows(v) is a matrix with v in every"
        " row, columns(v) one with v in every column"
    )


def error(place: Place, message: str) -> CellError:
    return CellError(message, place.line, place.column, place.length)


def near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
