"""The values of a plan's nodes on a batch, but for its decoders and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from rnnspec.plan import Plan, nodes
from rnnspec.to_torch.inputs import Frames, Series
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.steps import Steps

Inputs = Mapping[str, tuple[Tensor, Tensor]]
"""By the key of an input node its values and lengths, rows first: see `Model.forward`."""
Values = dict[str, Steps | Tensor]
Ends = dict[str, tuple[str, ...]]
"""Layers of which final states are read, and those states."""


def ends_read(plan: Plan) -> Ends:
    """What the plan's `FinalState` nodes read: nothing else makes a layer give its last states."""
    read = [node for node in plan.nodes if isinstance(node, nodes.FinalState)]
    layers = dict.fromkeys(node.source for node in read)
    return {name: tuple(node.state for node in read if node.source == name) for name in layers}


def last_known(node: nodes.Node) -> str:
    """The name of the state that holds the last known value of each feature of `node`, where it
    stands for missing ones after it; "" if none does."""
    if not isinstance(node, nodes.FramesInput | nodes.SeriesInput):
        return ""
    return f"{node.name}.last" if node.missing == "previous" else ""


def of_characters(plan: Plan) -> frozenset[str]:
    """The nodes that run over the characters of single tokens, not over the steps of a row."""
    found: set[str] = set()
    for node in plan.nodes:
        inside = any(source in found for source in node.sources())
        if isinstance(node, nodes.CharactersInput) or (
            inside and not isinstance(node, nodes.PerStep)
        ):
            found.add(node.name)
    return frozenset(found)


def values_of(
    plan: Plan,
    part_of: Callable[[nodes.Node], nn.Module],
    ends: Ends,
    inputs: Inputs,
    states: Mapping[str, Tensor] | None,
    reset: Tensor | None = None,
) -> tuple[Values, dict[str, Tensor]]:
    """The values by node, and the states after the last step where those before the first are
    given. In rows that begin `reset` `[B]`, states that are made from the row take their place."""
    values: Values = {}
    after: dict[str, Tensor] = {}
    for node in plan.nodes:
        part = part_of(node)
        match node:
            case nodes.Decoder():
                continue
            case _ if isinstance(node, nodes.Output):
                continue
            case nodes.FramesInput() | nodes.SeriesInput() if states is not None and (
                last := last_known(node)
            ):
                assert isinstance(part, Frames | Series)
                values[node.name], after[last] = part.carry(*inputs[node.key], states[last])
            case nodes.CharactersInput():
                values[node.name] = part(*inputs[node.key], values[node.steps])
            case nodes.SeriesInput():
                values[node.name] = part(*inputs[node.key], values.get(node.moments))
            case nodes.FutureInput():
                before = last_value(sequence(values[node.past])) if node.past else None
                values[node.name] = part(*inputs[node.key], values.get(node.moments), before)
            case _ if isinstance(node, nodes.Input | nodes.Derived):
                values[node.name] = part(*inputs[node.key])
            case nodes.Recurrent():
                assert isinstance(part, RecurrentLayer)
                _layer(node, part, values, ends.get(node.name, ()), states, reset, after)
            case nodes.FinalState():
                values[node.name] = values[_end(node.source, node.state)]
            case _:
                values[node.name] = part(*(values[source] for source in node.sources()))
    return values, after


def _layer(
    node: nodes.Recurrent,
    part: RecurrentLayer,
    values: Values,
    ends: tuple[str, ...],
    states: Mapping[str, Tensor] | None,
    reset: Tensor | None,
    after: dict[str, Tensor],
) -> None:
    """The value of a layer, and the states that others ask for."""
    source, elapsed = sequence(values[node.source]), values.get(node.elapsed)
    assert not isinstance(elapsed, Tensor)
    given = [vector(values[name]) if name else None for name in node.given]
    names = {state: f"{node.name}.{state}" for state in node.cell.states}
    if states is not None and any(name in states for name in names.values()):
        before = {state: states[name] for state, name in names.items()}
        if reset is not None and given:
            before = _given(before, given, reset)
        values[node.name], found = part.carry(source, before, elapsed)
        after |= {names[state]: value for state, value in found.items()}
        return
    if not ends:
        values[node.name] = part(source, elapsed, given)
        return
    values[node.name], last = part.with_ends(source, ends, elapsed, given)
    values |= {_end(node.name, state): value for state, value in last.items()}


def _given(
    before: Mapping[str, Tensor], given: Sequence[Tensor | None], reset: Tensor
) -> dict[str, Tensor]:
    """The states `before`, but those that are `given` (0 where None) in the rows `reset`."""
    pairs = zip(before.items(), given, strict=True)
    return {
        state: torch.where(
            reset[:, None], torch.zeros_like(carried) if first is None else first, carried
        )
        for (state, carried), first in pairs
    }


def last_value(past: Steps) -> Tensor:
    """The last step of each row of a series `[T, B, 1]`: `[B, 1]`, 0 of a row of no steps."""
    lengths = past.lengths.of_rows
    rows = torch.arange(len(lengths), device=lengths.device)
    last = past.values[(lengths - 1).clamp(min=0), rows]
    return last.masked_fill((lengths == 0)[:, None], 0.0)


def rows_of(inputs: Inputs) -> int:
    """Rows of a batch."""
    return len(next(iter(inputs.values()))[0])


def sequence(value: Steps | Tensor) -> Steps:
    assert isinstance(value, Steps)
    return value


def vector(value: Steps | Tensor) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _end(layer: str, state: str) -> str:
    """Where the last states of a layer stand among the values; no node has such a name."""
    return f"{layer}:{state}"
