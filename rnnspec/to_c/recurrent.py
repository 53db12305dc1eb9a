"""Recurrent layers: a function for the cell of each, from its equations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnspec.plan.nodes import Recurrent
from rnnspec.to_c.equations import cell_function
from rnnspec.to_c.lowering import Lowering, Value
from rnnspec.to_c.text import loop

DIRECTION = "forward"


def lower_recurrent(low: Lowering, node: Recurrent) -> Value:
    """One step of a layer; its states are members of the state."""
    cell = node.answering_cell
    prefix = f"{node.name}.{DIRECTION}."
    parameters = {
        name: np.asarray(low.weights[prefix + name], np.float64) for name in cell.parameters
    }
    zoneout = [f"zoneout {node.zoneout:g}: each state keeps this share"] if node.zoneout else []
    title = [f"{node.name}: {cell.name}, {node.inputs} inputs, {node.units} units"]
    title += [*zoneout, *(f"    {line}" for line in cell.equations.rstrip().splitlines())]
    name = low.names.new(node.name)
    found = cell_function(name, title, cell, node.extents, parameters, bool(node.elapsed), low.int8)
    low.tables += found.tables
    low.functions.append(found.text)
    low.counts.functions += found.functions
    for each in found.products:
        low.add(each)
    low.counts.weights += 4 * sum(v.size for v in parameters.values() if v.ndim < 2)
    states = low.states(node)
    _initial(low, node, states)
    source = low.value(node.source)
    given = [source.name]
    if node.elapsed:
        given.append(low.value(node.elapsed).name)
    given += [states[state] for state in cell.states]
    if found.output:
        value = source.name if found.output == "x" else states[found.output]
        low.step.append(f"{name}({', '.join(given)});")
        return Value(value, (node.output_width,))
    out = low.buffer(node)
    return low.put(out, [f"{name}({', '.join([*given, out.name])});"])


def _initial(low: Lowering, node: Recurrent, states: Mapping[str, str]) -> None:
    """The statements that set the states before the first step, where they are not 0."""
    for place, state in enumerate(node.cell.states):
        width, value = node.state_width(state), ""
        if node.initial == "learned":
            name = f"{node.name}.{DIRECTION}.initial.{state}"
            value = low.table("float", name, np.asarray(low.weights[name]))
        elif node.given and node.given[place]:
            value = low.value(node.given[place]).name
        if value:
            low.begin += loop(width, [f"{states[state]}[j] = {value}[j];"])
