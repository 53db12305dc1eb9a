"""A plan as stable text: what `rnnspec show` prints and the golden tests hold."""

from __future__ import annotations

from dataclasses import fields

from rnnspec.cells import Cell
from rnnspec.cells.initializers import Initializer
from rnnspec.plan import nodes
from rnnspec.plan.text_rule import TextRule


def dump(plan: nodes.Plan) -> str:
    """One line a node (name, operation, settings, shape, weights), then the cells' equations."""
    total = sum(weight.size for weight in nodes.weights(plan) if weight.trained)
    lines = [f"plan {plan.name} ({plan.cardinality}), {total:,} trained weights", ""]
    by_name = nodes.shapes(plan)
    body = {n.name for each in plan.nodes if isinstance(each, nodes.Decoder) for n in each.body}
    rows = [
        (
            f"  {node.name}" if node.name in body else node.name,
            _operation(node),
            "[" + ", ".join(map(str, by_name[node.name])) + "]",
            "" if isinstance(node, nodes.Decoder) else _count(node),
        )
        for node in plan.every_node()
    ]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, operation, shape, count in rows:
        line = f"  {name:<{wide[0]}} = {operation:<{wide[1]}}  : {shape:<{wide[2]}}  {count}"
        lines.append(line.rstrip())
    layers = [node for node in plan.every_node() if isinstance(node, nodes.Recurrent)]
    initializers = [line for node in plan.every_node() for line in _initializers(node)]
    if plan.init is not None:
        initializers.append(f"  all else that is drawn starts by {_initializer(plan.init)}")
    lines += ["", *initializers] if initializers else []
    cells = {layer.cell.name: layer.cell for layer in layers}
    for cell in cells.values():
        lines += ["", *_equations(cell)]
    return "\n".join(lines) + "\n"


def _operation(node: nodes.Node) -> str:
    """`Type(source, setting=value, …)`, without settings that are off."""
    parts = []
    for field in fields(node):
        value = getattr(node, field.name)
        if field.name in ("name", "initializers", "body") or value == field.default:
            continue
        if field.name in ("source", "skip"):
            parts.append(str(value))
        elif field.name == "reads":
            parts += value
        else:
            parts.append(f"{field.name}={_setting(field.name, value)}")
    return f"{type(node).__name__}({', '.join(parts)})"


def _setting(name: str, value: object) -> str:
    match name, value:
        case _, Cell(name=of_cell):
            return of_cell
        case "elapsed", str():
            return value
        case _, TextRule() | nodes.Calendar():
            return f"({value})"
        case "given", tuple():
            return ", ".join(each or "0" for each in value)
        case _, nodes.Greedy() | nodes.Sample() | nodes.Beam():
            return _search(value)
        case (
            _,
            nodes.BestPath()
            | nodes.PrefixBeam()
            | nodes.TransducerGreedy()
            | nodes.TransducerBeam(),
        ):
            return _alignment_search(value)
        case _, nodes.Picture():
            sides = f"{value.width or '?'} x {value.height or '?'} x {value.channels}"
            return f"{sides} by {value.steps}"
        case "sizes", tuple():
            return "{" + ", ".join(f"{key}: {number}" for key, number in value) + "}"
    return repr(value)


def _search(search: nodes.Search) -> str:
    """`beam(limit=30, width=4)`, without settings that are off."""
    shared = {field.name for field in fields(nodes.Constraints)}
    own = [field for field in fields(search) if field.name not in shared]
    lengths, rules = fields(nodes.Constraints)[:3], fields(nodes.Constraints)[3:]
    values = ((field, getattr(search, field.name)) for field in (*lengths, *own, *rules))
    parts = (f"{f.name}={v!r}" for f, v in values if f.name == "limit" or v != f.default)
    return f"{search.strategy}({', '.join(parts)})"


def _alignment_search(search: nodes.CtcSearch | nodes.TransducerSearch) -> str:
    """`beam(width=4)`, without settings that are off."""
    values = ((field, getattr(search, field.name)) for field in fields(search))
    return f"{search.strategy}({', '.join(f'{f.name}={v!r}' for f, v in values if v != f.default)})"


def _initializers(node: nodes.Node) -> list[str]:
    """The initializers a node chooses, a line each: `layers.0 starts U, V by Orthogonal(1.0)`."""
    names: dict[Initializer, list[str]] = {}
    stated: nodes.Initializers = () if node.same_as else getattr(node, "initializers", ())
    for name, initializer in stated:
        names.setdefault(initializer, []).append(name)
    return [
        f"  {node.name} starts {', '.join(parameters)} by {_initializer(initializer)}"
        for initializer, parameters in names.items()
    ]


def _initializer(initializer: Initializer) -> str:
    numbers = ", ".join(str(getattr(initializer, f.name)) for f in fields(initializer))
    return f"{type(initializer).__name__}({numbers})"


def _count(node: nodes.Node) -> str:
    found = list(node.weights())
    if not found or node.same_as:
        return ""
    trained = sum(weight.size for weight in found if weight.trained)
    given = sum(weight.size for weight in found if isinstance(weight.initializer, nodes.FromData))
    fixed = sum(weight.size for weight in found) - trained - given
    counts = {"weights": trained, "not trained": fixed, "from the data": given}
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _equations(cell: Cell) -> list[str]:
    lines = [f"cell {cell.name} (states {', '.join(cell.states)}; output {cell.output})"]
    return lines + [f"  {line}" for line in cell.equations.rstrip().splitlines()]
