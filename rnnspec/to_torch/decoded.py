"""What decoders answer, and what they are told of the rows of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from rnnspec.plan import Plan, nodes
from rnnspec.plan.names import first_sequences, steps_in
from rnnspec.plan.nodes.quantiles import SEED_STRIDE
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.search import Texts, search
from rnnspec.to_torch.sequences import sequence, vector
from rnnspec.to_torch.values import Inputs, Values, last_value, rows_of


def text_of(
    body: Body,
    out: nodes.SearchedOutput,
    values: Values,
    rows: int,
    steps: Tensor | None,
    seeds: Tensor | None,
) -> Texts:
    """The text of each of so many rows, in its own order, with the weights of attention apart for
    each memory. `steps` and `seeds`, `[B]`, are those of the rows."""
    prompt = sequence(values[out.prompt]) if out.prompt else None
    found = search(body, body.reads(values, rows), out, steps, prompt, seeds)
    memories = [sequence(values[memory]) for memory in body.attends.values()]
    if found.attention is not None and len(memories) > 1:
        sizes = [len(memory.values) for memory in memories]
        first, *others = found.attention.split(sizes, dim=-1)
        found = replace(found, attention=first, more_attention=tuple(others))
    reverse = isinstance(out, nodes.TextOutput) and out.reverse
    return found.in_order_of_text() if reverse else found


def seeds_of(
    plan: Plan, inputs: Inputs, seeds: Tensor | None, device: torch.device
) -> Iterator[Tensor]:
    """The seeds `[B]` of each output, by those of the rows, 0 if None."""
    if seeds is None:
        seeds = torch.zeros(rows_of(inputs), dtype=torch.int64)
    seeds = seeds.to(device)
    yield from (seeds + (at + 1) * SEED_STRIDE for at in range(len(plan.outputs)))


def last_values(body: Body, values: Values) -> Tensor:
    """The last value of each series that a forecast begins after, `[B, K]`."""
    past = body.first_node
    assert isinstance(past, nodes.PreviousNumber)
    return torch.cat([last_value(sequence(values[name])) for name in past.series], dim=-1)


def moments_of(out: nodes.Output, values: Values) -> Tensor | None:
    """Centre and scale `[B, 2]` of the windows that a forecast is scaled by, if it is."""
    name = out.moments if isinstance(out, nodes.ForecastOutput) else ""
    return vector(values[name]) if name else None


def steps_of(plan: Plan, inputs: Inputs) -> Tensor | None:
    """The steps `[B]` of the input of each row, of several encoders together; None of an input
    without steps."""
    firsts = first_sequences(plan).values()
    counts: list[Tensor] = [steps_in(first, inputs[first.key][1]) for first in firsts]
    return torch.stack(counts).sum(0) if counts else None


def lengths_of(
    plan: Plan, out: nodes.FramesOutput, inputs: Inputs, device: torch.device
) -> tuple[Tensor | None, Tensor]:
    """The frames `[B]` that rows are to have, None if these are learned, and the most."""
    steps = steps_of(plan, inputs)
    limits = torch.full((rows_of(inputs),), out.limit, device=device)
    lengths = None
    match out.length:
        case "input":
            lengths = steps
        case "fixed":
            lengths = limits
        case "column":
            numbers = inputs[input_of(plan, out.counted).key][0][:, 0]
            lengths = numbers.round().clamp(0, nodes.MOST_COUNTED).long()
        case "learned" if steps is not None:
            limits = limits + (steps.double() * out.factor).floor().long()
    return lengths, limits


def input_of(plan: Plan, name: str) -> nodes.FramesInput | nodes.VectorInput:
    """The input of numbers with a name."""
    node = plan.node(name)
    assert isinstance(node, nodes.FramesInput | nodes.VectorInput)
    return node
