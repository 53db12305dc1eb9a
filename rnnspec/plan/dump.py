"""A plan as stable text: what `rnnspec show` prints and the golden tests hold."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from rnnspec.cells import Cell
from rnnspec.plan.nodes import Node, Plan
from rnnspec.plan.verify import shapes
from rnnspec.plan.weights import weights, weights_of


def dump(plan: Plan) -> str:
    """One line a node (name, operation, settings, shape, weights), then the cells' equations."""
    total = sum(weight.size for weight in weights(plan) if weight.trained)
    lines = [f"plan {plan.name} ({plan.cardinality}), {total:,} trained weights", ""]
    by_name = shapes(plan)
    rows = [
        (
            node.name,
            _operation(node),
            "[" + ", ".join(map(str, by_name[node.name])) + "]",
            _count(node),
        )
        for node in plan.nodes
    ]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, operation, shape, count in rows:
        line = f"  {name:<{wide[0]}} = {operation:<{wide[1]}}  : {shape:<{wide[2]}}  {count}"
        lines.append(line.rstrip())
    cells = {node.cell.name: node.cell for node in plan.nodes if hasattr(node, "cell")}
    for cell in cells.values():
        lines += ["", *_equations(cell)]
    return "\n".join(lines) + "\n"


def _operation(node: Node) -> str:
    """`Type(source, setting=value, …)`, without settings that are off."""
    parts = []
    for field in fields(node):
        value = getattr(node, field.name)
        if field.name == "name" or value == field.default:
            continue
        if field.name in ("source", "skip"):
            parts.append(str(value))
        else:
            parts.append(f"{field.name}={_setting(field.name, value)}")
    return f"{type(node).__name__}({', '.join(parts)})"


def _setting(name: str, value: object) -> str:
    match name, value:
        case _, Cell(name=of_cell):
            return of_cell
        case "elapsed", str():
            return value
        case (("sizes" | "starts"), tuple()):
            return "{" + ", ".join(f"{key}: {_start(one)}" for key, one in value) + "}"
    return repr(value)


def _start(value: object) -> str:
    """A number as it is, a start as `Uniform(0.5)`."""
    if isinstance(value, int):
        return str(value)
    numbers = ", ".join(str(getattr(value, f.name)) for f in fields(cast(Any, value)))
    return f"{type(value).__name__}({numbers})"


def _count(node: Node) -> str:
    found = list(weights_of(node))
    if not found:
        return ""
    trained = sum(weight.size for weight in found if weight.trained)
    return f"{trained:,} weights" if trained else f"{sum(w.size for w in found):,} from the data"


def _equations(cell: Cell) -> list[str]:
    lines = [f"cell {cell.name} (states {', '.join(cell.states)}; output {cell.output})"]
    return lines + [f"  {line}" for line in cell.equations.rstrip().splitlines()]
