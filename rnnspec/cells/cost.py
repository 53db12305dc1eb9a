"""The cost of a cell's schedule in words: its products, scans and loops, and when they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from rnnspec.cells.graph import Cell, Shape
from rnnspec.cells.schedule import (
    Chunks,
    Delay,
    Entry,
    JoinedProduct,
    Loop,
    Scan,
    Schedule,
    Whole,
    schedule,
)
from rnnspec.cells.syntax import Binary, Call, Expression, Name, Negated, Number, Slice, parse

ALL_AT_ONCE = "all steps at once"
STEP_BY_STEP = "step after step"


@dataclass(frozen=True, slots=True)
class Cost:
    """One computation: `when` it runs, `what` it computes, and the `shapes` of its matrices."""

    when: str
    what: str
    shapes: tuple[Shape, ...] = ()


def costs(cell: Cell) -> Iterator[Cost]:
    """The computations that run `cell` over a sequence from its equations, in order."""
    plan = schedule(cell.graph)
    for phase in plan.phases:
        match phase:
            case Whole():
                yield from _products(cell, plan, phase.entries, ALL_AT_ONCE)
            case Loop():
                products = list(_products(cell, plan, phase.entries, STEP_BY_STEP))
                what = f"{', '.join(phase.states)}, element by element"
                yield from products or [Cost(STEP_BY_STEP, what)]
            case Scan():
                what = f"{phase.state} = a * {phase.state} + b, a and b known (ONNX: in steps)"
                yield Cost("parallel scan", what)
            case Chunks():
                what = f"{phase.state} = a * {phase.state} + outer(u, k)"
                what += f", u of {phase.state} @ z" if plan.is_delta(phase) else ""
                yield Cost("products of chunks", f"{what} (ONNX: in steps)")
            case Delay():
                yield Cost(ALL_AT_ONCE, f"{phase.state} from known values, read a step late")
            case _:
                assert_never(phase)


def _products(cell: Cell, plan: Schedule, entries: tuple[Entry, ...], when: str) -> Iterator[Cost]:
    for entry in entries:
        if isinstance(entry, JoinedProduct):
            shapes = tuple(cell.parameters[name] for name in entry.matrices)
            yield Cost(when, _product(cell, plan, entry), shapes)


def _product(cell: Cell, plan: Schedule, product: JoinedProduct) -> str:
    """`[W_r; W_z] @ x`: matrices one above the other, and what they are applied to."""
    names = product.matrices
    joined = names[0] if len(names) == 1 else f"[{'; '.join(names)}]"
    node = plan.graph.nodes[product.operand]
    operand = node.name if node.op in ("input", "state") else ""
    return f"{joined} @ {operand or _operand(cell, names)}"


def _operand(cell: Cell, names: tuple[str, ...]) -> str:
    """The operand of all these matrices, as the equations write it."""
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
        case Slice():
            yield from _parts(expression.operand)
        case Name() | Number():
            pass
        case _:
            assert_never(expression)


def _text(expression: Expression) -> str:
    """An expression as the right side of `@`: operations are in brackets."""
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
        case Slice():
            return f"{_text(expression.operand)}[{expression.start}:{expression.stop}]"
        case Binary():
            left, right = _text(expression.left), _text(expression.right)
            return f"({left} {expression.operator} {right})"
        case _:
            assert_never(expression)
