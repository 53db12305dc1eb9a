"""What each node between inputs and outputs makes of one row, as `rnnspec.plan.nodes.layers` says.

A sequence is an array `[T, W]`, a vector `[W]`; token numbers are `[T]`, or one number `[]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rnnspec.cells import Cell
from rnnspec.plan.nodes import (
    Dense,
    Dropout,
    Embed,
    FinalState,
    Highway,
    Join,
    Merge,
    MergeKind,
    Node,
    Normalize,
    Plan,
    Pool,
    Recurrent,
    Residual,
    directions_read,
)
from rnnspec.reference.functions import (
    FUNCTIONS,
    PRIMITIVES,
    Array,
    gelu,
    layer_norm,
    sigmoid,
    softmax,
)

Arrays = Mapping[str, Array]
States = dict[str, Array]

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "none": lambda v: v,
    "relu": FUNCTIONS["relu"],
    "tanh": np.tanh,
    "gelu": gelu,
}
_MERGES: dict[MergeKind, Callable[[Array, Array], Array]] = {
    "sum": lambda one, other: one + other,
    "mean": lambda one, other: (one + other) / 2,
    "mul": lambda one, other: one * other,
}


def value_of(plan: Plan, node: Node, weights: Arrays, values: Arrays) -> Array:
    """The value of a node that computes, from the `values` of the nodes it reads."""
    name = node.name
    match node:
        case Embed():
            return weights[f"{name}.table"][values[node.source].astype(np.int64)]
        case Dropout():
            return values[node.source]
        case Recurrent():
            return _layer_of(node, weights, values)[0]
        case FinalState():
            source = plan.node(node.source)
            assert isinstance(source, Recurrent)
            return _layer_of(source, weights, values)[1][node.state]
        case Merge():
            forward, reverse = np.split(values[node.source], 2, axis=-1)
            return _MERGES[node.kind](forward, reverse)
        case Normalize():
            normal = layer_norm(values[node.source])
            return weights[f"{name}.scale"] * normal + weights[f"{name}.shift"]
        case Residual():
            return values[node.source] + values[node.skip]
        case Highway():
            before = values[node.skip]
            gate = sigmoid(before @ weights[f"{name}.W"].T + weights[f"{name}.b"])
            return gate * values[node.source] + (1 - gate) * before
        case Pool():
            return _pool(plan, node, weights, values[node.source])
        case Dense():
            affine = values[node.source] @ weights[f"{name}.W"].T + weights[f"{name}.b"]
            return np.asarray(_ACTIVATIONS[node.activation](affine))
        case Join():
            return _join([values[source] for source in node.reads])
    raise AssertionError(f"{name} is no node that computes")


def _join(parts: Sequence[Array]) -> Array:
    """Side by side; a vector among sequences stands at every step."""
    steps = [len(part) for part in parts if part.ndim == 2]
    if steps:
        parts = [
            part if part.ndim == 2 else np.broadcast_to(part, (steps[0], len(part)))
            for part in parts
        ]
    return np.concatenate(parts, axis=-1)


def _layer_of(node: Recurrent, weights: Arrays, values: Arrays) -> tuple[Array, States]:
    elapsed = values[node.elapsed] if node.elapsed else None
    return run(node, weights, values[node.source], elapsed, [values.get(n) for n in node.given])


def layer(
    node: Recurrent,
    weights: Arrays,
    steps: Array,
    elapsed: Array | None = None,
    given: Sequence[Array | None] = (),
) -> Array:
    """One row through one layer: `[T, inputs]` to `[T, width]`, in time order; see `run`."""
    return run(node, weights, steps, elapsed, given)[0]


def run(
    node: Recurrent,
    weights: Arrays,
    steps: Array,
    elapsed: Array | None = None,
    given: Sequence[Array | None] = (),
) -> tuple[Array, States]:
    """One row through one layer: `[T, inputs]` to `[T, width]`, in time order, and the states
    after the last step that each direction read, forward first.

    `elapsed` `[T]` is the time since the step before, 1 if there is none; `given` the
    states before the first step, `[width]` each, 0 where there is None.
    """
    cell, outputs, finals = node.answering_cell, [], []
    dt = np.ones(len(steps)) if elapsed is None else elapsed
    for direction in node.directions:
        order = range(len(steps)) if direction == "forward" else reversed(range(len(steps)))
        out = np.zeros((len(steps), node.output_width))
        parameters = parameters_of(node, direction, weights)
        states = first_states(node, direction, weights, given)
        for t in order:
            states, out[t] = step(cell, parameters, {"x": steps[t], "dt": dt[t]}, states)
        outputs.append(out)
        finals.append(states)
    joined = {name: np.concatenate([states[name] for states in finals]) for name in cell.states}
    return np.concatenate(outputs, axis=-1), joined


def parameters_of(node: Recurrent, direction: str, weights: Arrays) -> States:
    """The parameters of one direction by the names of the cell's equations."""
    names = node.answering_cell.parameters
    return {name: weights[f"{node.name}.{direction}.{name}"] for name in names}


def first_states(
    node: Recurrent, direction: str, weights: Arrays, given: Sequence[Array | None] = ()
) -> States:
    """The states before the first step."""
    names = list(node.answering_cell.states)
    if node.initial == "learned":
        return {name: weights[f"{node.name}.{direction}.initial.{name}"] for name in names}
    states = {name: np.zeros(node.state_width(name)) for name in names}
    found = {n: v for n, v in zip(names, given, strict=False) if v is not None}
    return {**states, **found}


def step(cell: Cell, parameters: Arrays, inputs: Arrays, states: Arrays) -> tuple[States, Array]:
    """One step of a cell: its next states and its output, each node of the graph in order.

    `inputs` holds `x` `[inputs]` and the cell's further inputs, one number each.
    """
    values: list[Array] = []
    for node in cell.graph.nodes:
        match node.op:
            case "input":
                value = inputs[node.name]
            case "state":
                value = states[node.name]
            case "parameter":
                value = parameters[node.name]
            case "constant":
                value = np.asarray(node.value)
            case op:
                function = PRIMITIVES.get(op) or FUNCTIONS[op]
                value = function(*(values[arg] for arg in node.args))
        values.append(np.asarray(value))
    graph = cell.graph
    following = {
        name: np.broadcast_to(values[index], states[name].shape)
        for name, index in graph.next_states.items()
    }
    return following, values[graph.output]


def _pool(plan: Plan, node: Pool, weights: Arrays, steps: Array) -> Array:
    if len(steps) == 0:
        return np.zeros(node.inputs)
    match node.kind:
        case "mean":
            return np.asarray(steps.mean(axis=0))
        case "max":
            return np.asarray(steps.max(axis=0))
        case "attention":
            hidden = np.tanh(steps @ weights[f"{node.name}.W"].T + weights[f"{node.name}.b"])
            return np.asarray(softmax(hidden @ weights[f"{node.name}.v"]) @ steps)
        case "last":
            directions = directions_read(plan, node)
            ends = {"forward": len(steps) - 1, "reverse": 0}
            parts = np.split(steps, len(directions), axis=-1)
            last = [part[ends[d]] for part, d in zip(parts, directions, strict=True)]
            return np.concatenate(last)
