"""The value of each node between inputs and outputs for one row: see `rnnspec.plan.nodes.layers`.

A sequence is an array `[T, W]`, a vector `[W]`; token numbers are `[T]`, or one number `[]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rnnspec.cells import Cell
from rnnspec.cells.heads import HEADS
from rnnspec.cells.sizes import Numbers
from rnnspec.plan import Plan, nodes
from rnnspec.plan.nodes.comparison import LEAST_SQUARE
from rnnspec.reference import convolution, lags, seasonal
from rnnspec.reference.attention import attend, initial_attention
from rnnspec.reference.functions import OPERATIONS, Array, Arrays, layer_norm, sigmoid, softmax

States = dict[str, Array]


def activated(activation: nodes.Activation, values: Array) -> Array:
    return values if activation == "none" else np.asarray(OPERATIONS[activation](values))


_MERGES: dict[nodes.MergeKind, Callable[[Array, Array], Array]] = {
    "sum": lambda one, other: one + other,
    "mean": lambda one, other: (one + other) / 2,
    "mul": lambda one, other: one * other,
}


def _embed(plan: Plan, node: nodes.Embed, weights: Arrays, values: Arrays) -> Array:
    table = weights[f"{node.name}.table"]
    if node.frozen:
        table = np.concatenate([table, weights[f"{node.name}.vectors"]])
    return table[values[node.source].astype(np.int64)]


def _calendar_embed(
    plan: Plan, node: nodes.CalendarEmbed, weights: Arrays, values: Arrays
) -> Array:
    numbers = values[node.source].astype(np.int64)
    tables = (weights[f"{node.name}.{feature}"] for feature in node.features)
    return np.concatenate([table[numbers[..., at]] for at, table in enumerate(tables)], axis=-1)


def _compare(plan: Plan, node: nodes.Compare, weights: Arrays, values: Arrays) -> Array:
    u, v = (values[name] for name in node.reads)
    if node.kind == "difference":
        return np.abs(u - v)
    if node.kind == "manhattan":
        return np.asarray(np.exp(-np.abs(u - v).sum(axis=-1, keepdims=True)))
    square, other = (np.maximum((w * w).sum(axis=-1, keepdims=True), LEAST_SQUARE) for w in (u, v))
    return np.asarray((u * v).sum(axis=-1, keepdims=True) / np.sqrt(square * other))


def _final_state(plan: Plan, node: nodes.FinalState, weights: Arrays, values: Arrays) -> Array:
    layer = plan.node(node.source)
    assert isinstance(layer, nodes.Recurrent)
    return _run(layer, weights, values)[1][node.state]


def _run(node: nodes.Recurrent, weights: Arrays, values: Arrays) -> tuple[Array, States]:
    elapsed = values[node.elapsed] if node.elapsed else None
    return run(node, weights, values[node.source], elapsed, [values.get(n) for n in node.given])


def _merge(plan: Plan, node: nodes.Merge, weights: Arrays, values: Arrays) -> Array:
    forward, reverse = np.split(values[node.source], 2, axis=-1)
    return _MERGES[node.kind](forward, reverse)


def _normalize(plan: Plan, node: nodes.Normalize, weights: Arrays, values: Arrays) -> Array:
    normal = layer_norm(values[node.source])
    return weights[f"{node.name}.scale"] * normal + weights[f"{node.name}.shift"]


def _highway(plan: Plan, node: nodes.Highway, weights: Arrays, values: Arrays) -> Array:
    before = values[node.skip]
    gate = sigmoid(before @ weights[f"{node.name}.W"].T + weights[f"{node.name}.b"])
    return gate * values[node.source] + (1 - gate) * before


def _pool(plan: Plan, node: nodes.Pool, weights: Arrays, values: Arrays) -> Array:
    steps = values[node.source]
    return POOLINGS[node.kind](plan, node, weights, steps) if len(steps) else np.zeros(node.inputs)


def _pool_attention(plan: Plan, node: nodes.Pool, weights: Arrays, steps: Array) -> Array:
    hidden = np.tanh(steps @ weights[f"{node.name}.W"].T + weights[f"{node.name}.b"])
    return np.asarray(softmax(hidden @ weights[f"{node.name}.v"]) @ steps)


def _pool_last(plan: Plan, node: nodes.Pool, weights: Arrays, steps: Array) -> Array:
    directions = nodes.directions_read(plan, node)
    ends = {"forward": len(steps) - 1, "reverse": 0}
    parts = np.split(steps, len(directions), axis=-1)
    last = [part[ends[d]] for part, d in zip(parts, directions, strict=True)]
    return np.concatenate(last)


POOLINGS: dict[nodes.PoolKind, Callable[[Plan, nodes.Pool, Arrays, Array], Array]] = {
    "mean": lambda plan, node, weights, steps: np.asarray(steps.mean(axis=0)),
    "max": lambda plan, node, weights, steps: np.asarray(steps.max(axis=0)),
    "attention": _pool_attention,
    "last": _pool_last,
}


def _dense(plan: Plan, node: nodes.Dense, weights: Arrays, values: Arrays) -> Array:
    affine = values[node.source] @ weights[f"{node.name}.W"].T + weights[f"{node.name}.b"]
    return activated(node.activation, affine)


def _scores(plan: Plan, node: nodes.Scores, weights: Arrays, values: Arrays) -> Array:
    table = f"{node.tied}.table" if node.tied else f"{node.name}.W"
    return np.asarray(values[node.source] @ weights[table].T + weights[f"{node.name}.b"])


def _ordinal(plan: Plan, node: nodes.Ordinal, weights: Arrays, values: Arrays) -> Array:
    """The differences of the probabilities of what is at most each class."""
    gaps = weights[f"{node.name}.gaps"] if node.classes > 2 else np.zeros(0)
    cuts = np.concatenate([[0.0], np.cumsum(np.logaddexp(0, gaps))])
    at_most = sigmoid(cuts - values[node.source])
    ends = (*at_most.shape[:-1], 1)
    return np.log(np.diff(np.concatenate([np.zeros(ends), at_most, np.ones(ends)], -1)))


def _join(plan: Plan, node: nodes.Join, weights: Arrays, values: Arrays) -> Array:
    """Side by side; a vector among sequences is repeated at every step."""
    parts = [values[source] for source in node.reads]
    steps = [len(part) for part in parts if part.ndim >= 2]
    if steps:
        parts = [
            part if part.ndim >= 2 else np.broadcast_to(part, (steps[0], len(part)))
            for part in parts
        ]
    return np.concatenate(parts, axis=-1)


def _attend(plan: Plan, node: nodes.Attend, weights: Arrays, values: Arrays) -> Array:
    """The context of each step, one after the other: none remembers those before."""
    memory = values[node.memory]
    before = initial_attention(node, len(memory))
    found = [attend(node, weights, query, memory, before)[0] for query in values[node.source]]
    return np.array(found).reshape(-1, node.memory_width)


LAYERS: dict[type[nodes.Node], Callable[[Plan, Any, Arrays, Arrays], Array]] = {
    nodes.Attend: _attend,
    nodes.Embed: _embed,
    nodes.CalendarEmbed: _calendar_embed,
    nodes.AheadFlat: lambda plan, node, weights, values: values[node.source].reshape(-1),
    nodes.Dropout: lambda plan, node, weights, values: values[node.source],
    nodes.Recurrent: lambda plan, node, weights, values: _run(node, weights, values)[0],
    nodes.FinalState: _final_state,
    nodes.Merge: _merge,
    nodes.Normalize: _normalize,
    nodes.Residual: lambda plan, node, weights, values: values[node.source] + values[node.skip],
    nodes.Highway: _highway,
    nodes.Pool: _pool,
    nodes.Dense: _dense,
    nodes.Scores: _scores,
    nodes.Ordinal: _ordinal,
    nodes.Join: _join,
    nodes.Activate: lambda plan, node, weights, values: activated(
        node.activation, values[node.source]
    ),
    nodes.SeasonAgo: seasonal.season_ago,
    nodes.AddBase: seasonal.add_base,
    nodes.Lags: lags.lags,
    nodes.LagsAhead: lags.lags_ahead,
    nodes.Latest: lags.latest,
    nodes.Combine: convolution.combine,
    nodes.Compare: _compare,
    nodes.Conv: convolution.conv,
    nodes.LocalPool: convolution.local_pool,
    nodes.StackSteps: convolution.stack_steps,
    nodes.BatchNorm: convolution.batch_norm,
    nodes.Grid: convolution.grid,
    nodes.Unflatten: convolution.unflatten,
    nodes.Squeeze: convolution.squeeze,
    nodes.Places: convolution.places,
}
"""The function of each type of node that computes: from the plan, the node, all weights and the
values of the nodes before it."""


def run(
    node: nodes.Recurrent,
    weights: Arrays,
    steps: Array,
    elapsed: Array | None = None,
    given: Sequence[Array | None] = (),
) -> tuple[Array, States]:
    """One row through one layer: `[T, inputs]` to `[T, width]`, in time order, and the states after
    the last step that each direction read, forward first.

    `elapsed` `[T]` is the time since the step before (None: 1), `given` the states before the first
    step, `[width]` each (None: 0).
    """
    cell, outputs, finals = node.answering_cell, [], []
    dt = np.ones(len(steps)) if elapsed is None else elapsed
    for direction in node.directions:
        order = range(len(steps)) if direction == "forward" else reversed(range(len(steps)))
        out = np.zeros((len(steps), node.output_width))
        parameters = parameters_of(node, direction, weights)
        states = first_states(node, direction, weights, given)
        for t in order:
            inputs = {"x": steps[t], "dt": dt[t]}
            states, out[t] = step(cell, parameters, inputs, states, node.extents)
        outputs.append(out)
        finals.append(states)
    joined = {name: np.concatenate([states[name] for states in finals]) for name in cell.states}
    return np.concatenate(outputs, axis=-1), joined


def parameters_of(node: nodes.Recurrent, direction: str, weights: Arrays) -> States:
    """The parameters of one direction by the names of the cell's equations."""
    names = node.answering_cell.parameters
    return {name: weights[f"{node.name}.{direction}.{name}"] for name in names}


def first_states(
    node: nodes.Recurrent, direction: str, weights: Arrays, given: Sequence[Array | None] = ()
) -> States:
    """The states before the first step."""
    names = list(node.answering_cell.states)
    if node.initial == "learned":
        return {name: weights[f"{node.name}.{direction}.initial.{name}"] for name in names}
    states = {name: np.zeros(node.state_width(name)) for name in names}
    found = {n: v for n, v in zip(names, given, strict=False) if v is not None}
    return {**states, **found}


def step(
    cell: Cell,
    parameters: Arrays,
    inputs: Arrays,
    states: Arrays,
    sizes: Mapping[str, int] | None = None,
) -> tuple[States, Array]:
    """One step of a cell: its next states and its output.

    `inputs` holds `x` `[inputs]` and the cell's further inputs, one number each. A matrix among the
    states is the vector of its rows, one behind the other. `sizes`, the number of each size, are
    needed where values are no vectors.
    """
    if cell.head is None:
        return _step(cell, parameters, inputs, states, sizes or {})
    assert sizes is not None, "heads have sizes"
    found = [
        _step(cell.head, _part(parameters, h, sizes), inputs, _part(states, h, sizes), sizes)
        for h in range(sizes[HEADS])
    ]
    following = {s: np.concatenate([after[s] for after, _ in found]) for s in cell.states}
    return following, np.concatenate([out for _, out in found])


def _part(values: Arrays, head: int, sizes: Mapping[str, int]) -> States:
    """What belongs to one head of several, whose values stand one behind the other."""
    parts = {name: np.split(value, sizes[HEADS])[head] for name, value in values.items()}
    return parts


def _step(
    cell: Cell, parameters: Arrays, inputs: Arrays, states: Arrays, sizes: Mapping[str, int]
) -> tuple[States, Array]:
    values: list[Array] = []
    for node in cell.graph.nodes:
        args = [values[arg] for arg in node.args]
        match node.op:
            case "input":
                value = inputs[node.name]
            case "state":
                value = _shaped(states[node.name], node.shape, sizes)
            case "parameter":
                value = _shaped(parameters[node.name], node.shape, sizes)
            case "constant":
                value = np.asarray(node.value)
            case "size":
                value = np.asarray(float(sizes[node.name]))
            case "rows":
                value = np.tile(args[0], (sizes[node.shape[0]], 1))
            case "columns":
                value = np.tile(args[0], (sizes[node.shape[1]], 1)).T
            case "slice":
                start = Numbers(sizes)[f"{node.name} + 1"] - 1
                value = args[0][start : start + sizes[node.shape[0]]]
            case "every":
                start, stride = map(int, node.name.split("::"))
                value = args[0][start::stride]
            case op:
                value = OPERATIONS[op](*args)
        values.append(np.asarray(value))
    graph = cell.graph
    following = {
        name: np.broadcast_to(values[index].ravel(), states[name].shape)
        for name, index in graph.next_states.items()
    }
    return following, values[graph.output]


def _shaped(value: Array, shape: tuple[str, ...], sizes: Mapping[str, int]) -> Array:
    """A vector as it is; one number, or a matrix, of the elements of a vector."""
    if len(shape) == 1 or value.ndim == len(shape):
        return value
    return value.reshape([sizes[size] for size in shape])
