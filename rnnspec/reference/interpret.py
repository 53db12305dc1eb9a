"""The oracle: a plan computed row by row, step by step, in NumPy and float64.

No padding, no batch, no fused kernel: what each node's definition in `rnnspec.plan.nodes` says,
and nothing to make it fast. Every other back end is held against this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnspec.cells import Cell
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Elapsed,
    Embed,
    Highway,
    Input,
    Merge,
    MergeKind,
    Node,
    Normalize,
    NumericOutput,
    Plan,
    Pool,
    Recurrent,
    Residual,
    TokensInput,
    VectorInput,
    directions_read,
)
from rnnspec.reference.functions import FUNCTIONS, PRIMITIVES, gelu, layer_norm, sigmoid, softmax

Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.floating]]

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


def answers(
    plan: Plan, weights: Weights, rows: Sequence[Mapping[str, ArrayLike]]
) -> dict[str, Array]:
    """The answer to each row, by output column.

    A row maps each input column to its token numbers `[T]`, frames `[T, width]` or vector
    `[width]`; T may be 0.
    A class is answered by its probabilities `[B, classes]`, numbers by `[B, width]` in the units
    of the data.
    """
    exact = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    found = [_answer(plan, exact, row) for row in rows]
    return {out.column: np.stack([one[out.column] for one in found]) for out in plan.outputs}


def _answer(
    plan: Plan, weights: dict[str, Array], row: Mapping[str, ArrayLike]
) -> dict[str, Array]:
    values: dict[str, Array] = {}
    for node in plan.nodes:
        if isinstance(node, Input | Elapsed):
            values[node.name] = _input(node, weights, np.asarray(row[node.column], np.float64))
        else:
            values[node.name] = _value(plan, node, weights, values)
    return {out.column: values[out.name] for out in plan.outputs}


def _input(node: Input | Elapsed, weights: dict[str, Array], cell: Array) -> Array:
    if isinstance(node, TokensInput | VectorInput):
        return cell.reshape(-1)
    if isinstance(node, Elapsed):
        return cell[:, node.index] if len(cell) else np.zeros(0)
    frames = cell.reshape(-1, node.width)
    if node.elapsed is not None:
        frames = np.delete(frames, node.elapsed, axis=-1)
    if node.scaled:
        frames = (frames - weights[f"{node.name}.mean"]) / weights[f"{node.name}.deviation"]
    return frames


def _value(plan: Plan, node: Node, weights: dict[str, Array], values: dict[str, Array]) -> Array:
    assert not isinstance(node, Input | Elapsed), f"{node.name} has no source"
    source = values[node.source]
    match node:
        case Embed():
            return weights[f"{node.name}.table"][source.astype(np.int64)]
        case Dropout():
            return source
        case Recurrent():
            elapsed = values[node.elapsed] if node.elapsed else None
            given = [values.get(name) for name in node.given]
            return layer(node, weights, source, elapsed, given)
        case Merge():
            forward, reverse = np.split(source, 2, axis=-1)
            return _MERGES[node.kind](forward, reverse)
        case Normalize():
            scale, shift = weights[f"{node.name}.scale"], weights[f"{node.name}.shift"]
            return scale * layer_norm(source) + shift
        case Residual():
            return source + values[node.skip]
        case Highway():
            before = values[node.skip]
            gate = sigmoid(before @ weights[f"{node.name}.W"].T + weights[f"{node.name}.b"])
            return gate * source + (1 - gate) * before
        case Pool():
            return _pool(plan, node, weights, source)
        case Dense():
            affine = weights[f"{node.name}.W"] @ source + weights[f"{node.name}.b"]
            return np.asarray(_ACTIVATIONS[node.activation](affine))
        case ClassOutput():
            return softmax(source)
        case NumericOutput():
            if not node.scaled:
                return source
            return source * weights[f"{node.name}.deviation"] + weights[f"{node.name}.mean"]


def layer(
    node: Recurrent,
    weights: Mapping[str, Array],
    steps: Array,
    elapsed: Array | None = None,
    given: Sequence[Array | None] = (),
) -> Array:
    """One row through one layer: `[T, inputs]` to `[T, width]`, in time order.

    `elapsed` `[T]` is the time since the step before, 1 if there is none; `given` the
    states before the first step, `[width]` each, 0 where there is None.
    """
    cell, outputs = node.answering_cell, []
    dt = np.ones(len(steps)) if elapsed is None else elapsed
    for direction in node.directions:
        prefix = f"{node.name}.{direction}."
        parameters = {name: weights[prefix + name] for name in cell.parameters}
        order = range(len(steps)) if direction == "forward" else reversed(range(len(steps)))
        out = np.zeros((len(steps), node.output_width))
        states = {name: np.zeros(node.state_width(name)) for name in cell.states}
        if node.initial == "learned":
            states = {name: weights[f"{prefix}initial.{name}"] for name in cell.states}
        for name, value in zip(states, given, strict=False):
            if value is not None:
                states[name] = value
        for t in order:
            states, out[t] = step(cell, parameters, {"x": steps[t], "dt": dt[t]}, states)
        outputs.append(out)
    return np.concatenate(outputs, axis=-1)


def step(
    cell: Cell,
    parameters: Mapping[str, Array],
    inputs: Mapping[str, Array],
    states: Mapping[str, Array],
) -> tuple[dict[str, Array], Array]:
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


def _pool(plan: Plan, node: Pool, weights: dict[str, Array], steps: Array) -> Array:
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
