"""What a cell's schedule computes when, in words: its products, its scans, its loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.cells.graph import Cell, Shape
from rnnspec.cells.schedule import (
    Delay,
    Entry,
    JoinedProduct,
    Loop,
    Scan,
    Schedule,
    Whole,
    schedule,
)
from rnnspec.cells.syntax import Binary, Call, Expression, Name, Negated, Number, parse

ALL_AT_ONCE = "all steps at once"
STEP_BY_STEP = "step after step"


@dataclass(frozen=True, slots=True)
class Work:
    """`when` it is done, `what` is computed, and the `shapes` of the matrices in it."""

    when: str
    what: str
    shapes: tuple[Shape, ...] = ()


def work(cell: Cell) -> tuple[Work, ...]:
    """What is computed to run `cell` over a sequence from its equations, in order."""
    return tuple(_work(cell, schedule(cell.graph)))


def _work(cell: Cell, plan: Schedule) -> Iterator[Work]:
    for phase in plan.phases:
        match phase:
            case Whole():
                yield from _products(cell, plan, phase.entries, ALL_AT_ONCE)
            case Loop():
                products = list(_products(cell, plan, phase.entries, STEP_BY_STEP))
                what = f"{', '.join(phase.states)}, element by element"
                yield from products or [Work(STEP_BY_STEP, what)]
            case Scan():
                what = f"{phase.state} = a * {phase.state} + b, a and b known (ONNX: in steps)"
                yield Work("parallel scan", what)
            case Delay():
                yield Work(ALL_AT_ONCE, f"{phase.state} from known values, read a step late")


def _products(cell: Cell, plan: Schedule, entries: tuple[Entry, ...], when: str) -> Iterator[Work]:
    for entry in entries:
        if isinstance(entry, JoinedProduct):
            shapes = tuple(cell.parameters[name] for name in entry.matrices)
            yield Work(when, _product(cell, plan, entry), shapes)


def _product(cell: Cell, plan: Schedule, product: JoinedProduct) -> str:
    """`[W_r; W_z] @ x`: matrices one above the other, and what they are applied to."""
    names = product.matrices
    joined = names[0] if len(names) == 1 else f"[{'; '.join(names)}]"
    node = plan.graph.nodes[product.operand]
    return f"{joined} @ {node.name or _operand(cell, names)}"


def _operand(cell: Cell, names: tuple[str, ...]) -> str:
    """What all these matrices are applied to, as the equations write it."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for equation in parse(cell.equations):
        for part in _parts(equation.value):
            if isinstance(part, Binary) and part.operator == "@" and isinstance(part.left, Name):
                found.setdefault(part.left.name, []).append(_text(part.right))
    return next((text for text in found[names[0]] if all(text in found[n] for n in names)), "…")


def _parts(expression: Expression) -> Iterator[Expression]:
    yield expression
    match expression:
        case Negated():
            yield from _parts(expression.operand)
        case Binary():
            yield from _parts(expression.left)
            yield from _parts(expression.right)
        case Call():
            for argument in expression.arguments:
                yield from _parts(argument)


def _text(expression: Expression) -> str:
    """An expression as it may stand after `@`: one that an operator makes is in brackets."""
    match expression:
        case Name():
            return expression.name
        case Number():
            return f"{expression.value:g}"
        case Negated():
            return f"-{_text(expression.operand)}"
        case Call():
            arguments = ", ".join(_text(argument) for argument in expression.arguments)
            return f"{expression.function}({arguments})"
        case Binary():
            left, right = _text(expression.left), _text(expression.right)
            return f"({left} {expression.operator} {right})"
