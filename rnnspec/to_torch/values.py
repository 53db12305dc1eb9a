"""The values of a plan's nodes on a batch, except decoders and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import assert_never

import torch
from torch import Tensor, nn

from rnnspec.plan import Plan, nodes
from rnnspec.to_torch.attention import Attention, over_steps
from rnnspec.to_torch.convolution import Conv
from rnnspec.to_torch.inputs import Series
from rnnspec.to_torch.layers import Embed, Scores
from rnnspec.to_torch.length_groups import Inside, in_place, length_groups, of_rows
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.sequences import PaddedSequence, Value, sequence, vector

Inputs = Mapping[str, tuple[Tensor, Tensor]]
"""Values and lengths by the key of the input node, rows first: see `Model.forward`."""
Values = dict[str, Value]
Ends = dict[str, tuple[str, ...]]
"""The states whose final values are read, by layer."""


def ends_read(plan: Plan) -> Ends:
    """The states that the plan's `FinalState` nodes read."""
    read = [node for node in plan.nodes if isinstance(node, nodes.FinalState)]
    layers = dict.fromkeys(node.source for node in read)
    return {name: tuple(node.state for node in read if node.source == name) for name in layers}


def last_known(node: nodes.Node) -> str:
    """The name of the state with the last known value of each feature of `node`, if it replaces
    missing values after it; else ""."""
    if not isinstance(node, nodes.FramesInput | nodes.SeriesInput):
        return ""
    return f"{node.name}.last" if node.missing == "previous" else ""


def inputs_before(node: nodes.Node) -> str:
    """The name of the state with the last inputs of `node`, if it reads steps before; else ""."""
    return f"{node.name}.left" if isinstance(node, nodes.Conv) and node.carried() else ""


def spent_after(plan: Plan, kept: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """By node, the layers whose values nothing reads after it, but for the nodes `kept`. Inputs and
    what is read by decoders and outputs are never spent."""
    read_last = set(kept)
    last: dict[str, str] = {}
    for node in plan.nodes:
        if isinstance(node, nodes.Decoder | nodes.Output):
            read_last.update(node.sources())
        else:
            last |= dict.fromkeys(node.sources(), node.name)
    inputs = {n.name for n in plan.nodes if isinstance(n, nodes.Input | nodes.Derived)}
    found: dict[str, tuple[str, ...]] = {}
    for name, reader in last.items():
        if name not in read_last and name not in inputs:
            found[reader] = (*found.get(reader, ()), name)
    return found


def of_characters(plan: Plan) -> frozenset[str]:
    """The nodes that run over the characters of tokens, or over what is nested in steps, not over
    the steps of a row."""
    rows = {name: str(shape[:1]) for name, shape in nodes.shapes(plan).items()}
    return frozenset(node.name for node in plan.nodes if "W" in rows.get(node.name, ""))


def values_of(
    plan: Plan,
    module_of: Callable[[nodes.Node], nn.Module],
    ends: Ends,
    inputs: Inputs,
    states: Mapping[str, Tensor] | None,
    reset: Tensor | None = None,
    inside: Mapping[str, Inside] | None = None,
    spent: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Values, dict[str, Tensor]]:
    """The values by node and, if the states before the first step are given, those after the last
    step. In rows where `reset` `[B]` is set, states that the row itself gives replace them.
    Sequences of unlike lengths in the steps of a row are read in groups, by the nodes `inside`,
    which have no values then but for the last. Nor have the nodes `spent` after a node."""
    values: Values = {}
    after: dict[str, Tensor] = {}
    grouped: set[str] = set()
    run = partial(_add_values, plan, module_of, ends, inputs, states, reset)
    for node in plan.nodes:
        if node.name in grouped:
            continue
        run((node,), values, after)
        for name in (spent or {}).get(node.name, ()):
            values.pop(name, None)
        reads = (inside or {}).get(node.name)
        groups = length_groups(sequence(values[node.name])) if reads else ()
        if reads and groups:
            vectors = []
            for rows in groups:
                own: Values = {node.name: of_rows(sequence(values[node.name]), rows)}
                run(reads.nodes, own, after)
                vectors.append(vector(own[reads.last]))
            values[reads.last] = in_place(groups, vectors)
            grouped |= {each.name for each in reads.nodes}
    return values, after


def _add_values(
    plan: Plan,
    module_of: Callable[[nodes.Node], nn.Module],
    ends: Ends,
    inputs: Inputs,
    states: Mapping[str, Tensor] | None,
    reset: Tensor | None,
    of: Sequence[nodes.Node],
    values: Values,
    after: dict[str, Tensor],
) -> None:
    """Adds the values of some nodes to those of the nodes that they read."""
    for node in of:
        if isinstance(node, nodes.Decoder | nodes.Output):
            continue
        module = module_of(node)
        if isinstance(node, nodes.Recurrent):
            assert isinstance(module, RecurrentLayer)
            _layer(node, module, values, ends.get(node.name, ()), states, reset, after)
        elif isinstance(node, nodes.FinalState):
            values[node.name] = values[_end(node.source, node.state)]
        elif isinstance(node, nodes.Scores):
            assert isinstance(module, Scores)
            tied = module_of(plan.node(node.tied)) if node.tied else None
            assert tied is None or isinstance(tied, Embed)
            table = None if tied is None else tied.table
            values[node.name] = module(sequence(values[node.source]), table)
        elif isinstance(node, nodes.Attend):
            assert isinstance(module, Attention)
            query, memory = (sequence(values[name]) for name in node.sources())
            values[node.name] = over_steps(module, query, memory)
        elif states is not None and (left := inputs_before(node)) in states:
            assert isinstance(module, Conv)
            source = sequence(values[next(node.sources())])
            values[node.name], after[left] = module.carry(source, states[left])
        elif not isinstance(node, nodes.Input | nodes.Derived):
            values[node.name] = module(*(values[source] for source in node.sources()))
        elif states is not None and (last := last_known(node)):
            assert isinstance(module, Series)
            values[node.name], after[last] = module.carry(*inputs[node.key], states[last])
        else:
            values[node.name] = module(*inputs[node.key], *_read_with(node, values))


def _read_with(node: nodes.Input | nodes.Derived, values: Values) -> tuple[Value | None, ...]:
    """The values of other nodes that the module of an input takes."""
    match node:
        case nodes.CharactersInput():
            return (values[node.steps],)
        case nodes.SeriesInput():
            return (values.get(node.moments),)
        case nodes.FutureInput():
            past = last_value(sequence(values[node.past])) if node.past else None
            return (values.get(node.moments), past)
        case (
            nodes.TokensInput()
            | nodes.CopiesInput()
            | nodes.NestedInput()
            | nodes.CategoryInput()
            | nodes.FramesInput()
            | nodes.AudioInput()
            | nodes.ImageInput()
            | nodes.KeysInput()
            | nodes.VectorInput()
            | nodes.CalendarInput()
            | nodes.CalendarFuture()
            | nodes.CategoriesInput()
            | nodes.CategoriesFuture()
            | nodes.Elapsed()
            | nodes.Observed()
            | nodes.LastValues()
            | nodes.WindowMoments()
        ):
            return ()
        case _:
            assert_never(node)


def _layer(
    node: nodes.Recurrent,
    module: RecurrentLayer,
    values: Values,
    ends: tuple[str, ...],
    states: Mapping[str, Tensor] | None,
    reset: Tensor | None,
    after: dict[str, Tensor],
) -> None:
    """Adds the value of a layer, its final states in `ends`, and its states after the last step."""
    source, elapsed = sequence(values[node.source]), values.get(node.elapsed)
    assert not isinstance(elapsed, Tensor)
    given = [vector(values[name]) if name else None for name in node.given]
    names = {state: f"{node.name}.{state}" for state in node.cell.states}
    if states is not None and any(name in states for name in names.values()):
        before = {state: states[name] for state, name in names.items()}
        if reset is not None and given:
            before = _given(before, given, reset)
        values[node.name], found = module.carry(source, before, elapsed)
        after |= {names[state]: value for state, value in found.items()}
        return
    values[node.name], last = module.with_ends(source, ends, elapsed, given)
    values |= {_end(node.name, state): value for state, value in last.items()}


def _given(
    before: Mapping[str, Tensor], given: Sequence[Tensor | None], reset: Tensor
) -> dict[str, Tensor]:
    """The states `before`, replaced in the rows `reset` by those `given` (None: 0)."""
    pairs = zip(before.items(), given, strict=True)
    return {
        state: torch.where(
            reset[:, None], torch.zeros_like(carried) if first is None else first, carried
        )
        for (state, carried), first in pairs
    }


def last_value(past: PaddedSequence) -> Tensor:
    """The last step of each row of a series `[T, B, 1]`: `[B, 1]`, 0 for a row of no steps."""
    lengths = past.lengths.of_rows
    rows = torch.arange(len(lengths), device=lengths.device)
    last = past.values[(lengths - 1).clamp(min=0), rows]
    return last.masked_fill((lengths == 0)[:, None], 0.0)


def rows_of(inputs: Inputs) -> int:
    """The number of rows of a batch."""
    return len(next(iter(inputs.values()))[0])


def _end(layer: str, state: str) -> str:
    """The key of a layer's final state among the values; no node has such a name."""
    return f"{layer}:{state}"
