"""Which layer of a file is which layer of a plan: by kind, by shapes, and by order.

A layer of the plan takes the first layer of the file that is of its kind, has its shapes and was
not taken. Where several would do, their order decides, and that is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rnnspec.cells.library import identify
from rnnspec.errors import ModelFileError
from rnnspec.imports.groups import Foreign, Group
from rnnspec.imports.terms import Orders, Sum, Tensors, Term, unknown_order
from rnnspec.plan import Facts, Plan, nodes, weights
from rnnspec.plan.facts import TextFacts
from rnnspec.plan.nodes import Node, Weight
from rnnspec.plan.nodes.node import FromData

BEFORE = ".before"
"""Behind the column of a text answered: of its tokens as they are read, where number 0 is the mark
before the first one; without it, number 0 is the end, or the blank of CTC."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Weights of the plan that one layer of a file has: by the names of its parameters there.
    `column` is the one whose vocabulary the rows are of, "" for none."""

    name: str
    kind: str
    weights: Mapping[str, Weight]
    column: str = ""


@dataclass(frozen=True, slots=True)
class Matched:
    """`sums` by the name of a weight; `missing` are the slots that found no layer, `unused` the
    tensors that none took."""

    sums: Mapping[str, Sum]
    missing: tuple[Slot, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]


def wanted_weights(plan: Plan) -> dict[str, Weight]:
    """The weights that a file must give: all but those that are facts of the data."""
    return {each.name: each for each in weights(plan) if not isinstance(each.initializer, FromData)}


def slots_of(plan: Plan, facts: Facts) -> Iterator[Slot]:
    """The layers of a plan that have weights, each direction of a recurrent one for itself."""
    answered = {
        getattr(out, "source", ""): out.column
        for out in plan.outputs
        if isinstance(facts.outputs[out.column], TextFacts)
    }
    every = {node.name: node for node in plan.every_node()}
    for node in every.values():
        if isinstance(node, nodes.Decoder) or node.same_as:
            continue
        wanted = [w for w in node.weights() if not isinstance(w.initializer, FromData)]
        if isinstance(node, nodes.Recurrent):
            yield from _recurrent_slots(node, wanted)
        elif wanted:
            column = answered.get(node.name) or _column_of(plan, every, node)
            own = {weight.name.removeprefix(f"{node.name}."): weight for weight in wanted}
            yield Slot(node.name, KINDS.get(type(node), ""), own, column)


KINDS: Mapping[type[Node], str] = {
    nodes.Embed: "table",
    nodes.Dense: "dense",
    nodes.Scores: "dense",
    nodes.Conv: "conv",
    nodes.Normalize: "layer_norm",
    nodes.BatchNorm: "batch_norm",
}
"""Node type to the kind of layer; the weights of others come by a written map alone."""


def _recurrent_slots(node: nodes.Recurrent, wanted: list[Weight]) -> Iterator[Slot]:
    found = identify(node.cell)
    own_name = {} if found is None else {own: name for name, own in found.parameters.items()}
    for direction in node.directions:
        start = f"{node.name}.{direction}."
        own = {w.name.removeprefix(start): w for w in wanted if w.name.startswith(start)}
        states = {name: own.pop(name) for name in list(own) if name not in node.cell.parameters}
        named = {own_name.get(name, name): weight for name, weight in own.items()}
        yield Slot(start.rstrip("."), "" if found is None else found.pattern, named)
        if states:
            yield Slot(f"{start}initial", "", states)


def _column_of(plan: Plan, every: Mapping[str, Node], node: Node) -> str:
    """The column whose tokens the rows of a table or of scores are."""
    if isinstance(node, nodes.Scores):
        return plan.outputs[0].column
    if not isinstance(node, nodes.Embed):
        return ""
    source = every[node.source]
    if isinstance(source, nodes.Previous):
        return f"{plan.outputs[0].column}{BEFORE}"
    return getattr(source, "column", "")


def match(plan: Plan, facts: Facts, foreign: Foreign, orders: Orders) -> Matched:
    """The weights of `plan` from the layers of a file."""
    free, sums = list(foreign.groups), dict[str, Sum]()
    missing, notes = list[Slot](), list[str]()
    for slot in slots_of(plan, facts):
        if slot.column and slot.column not in orders:
            raise ModelFileError(unknown_order(slot.column.removesuffix(BEFORE)))
        fitting = [group for group in free if _fits(slot, group, foreign, orders)]
        if not fitting:
            missing.append(slot)
            continue
        taken, alike = fitting[0], [g.name for g in fitting[1:]]
        if alike and not _ordered(fitting):
            notes.append(
                f"{slot.name} takes {taken.name}, the first of its shapes; {', '.join(alike)} would"
                " do as well"
            )
        free.remove(taken)
        notes.extend(taken.notes)
        sums |= {slot.weights[n].name: _part(slot, taken, n) for n in slot.weights}
    used = {term.tensor for each in sums.values() for term in each.terms}
    return Matched(
        sums,
        tuple(missing),
        tuple(
            name
            for name in foreign.tensors
            if name not in used | foreign.ignored and not _is_copy(name, used, foreign.tensors)
        ),
        tuple(notes),
    )


def _is_copy(name: str, used: set[str], tensors: Tensors) -> bool:
    """Whether a tensor is one that was taken under another name, as tied weights are."""
    tensor = tensors[name]
    return any(np.array_equal(tensor, tensors[other]) for other in used)


def _ordered(fitting: list[Group]) -> bool:
    """Whether the names of layers alike tell their order: they differ by numbers alone, or are the
    two directions of one layer."""
    bare = {"".join(c for c in g.name.replace("reverse", "") if c.isalpha()) for g in fitting}
    return len(bare) == 1


def _part(slot: Slot, group: Group, parameter: str) -> Sum:
    found = group.parts[parameter]
    if not slot.column:
        return found
    terms = tuple(Term(t.tensor, t.index, t.axes, slot.column) for t in found.terms)
    return Sum(terms, found.number)


def _fits(slot: Slot, group: Group, foreign: Foreign, orders: Orders) -> bool:
    if slot.kind not in group.kinds or not slot.weights.keys() <= group.parts.keys():
        return False
    try:
        for parameter, weight in slot.weights.items():
            part = _part(slot, group, parameter)
            part.value(foreign.tensors, orders, weight.shape)
    except ModelFileError:
        return False
    return True
