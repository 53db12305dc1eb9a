"""Searches for the answer of a decoder over tokens: one function a strategy, in `STRATEGIES`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import Beam, Greedy, Sample, Search, TextOutput
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.search.beam import beam
from rnnspec.to_torch.search.greedy import greedy
from rnnspec.to_torch.search.rules import Rules
from rnnspec.to_torch.search.sample import sample
from rnnspec.to_torch.search.task import Task
from rnnspec.to_torch.search.texts import Texts
from rnnspec.to_torch.steps import Steps

__all__ = ["STRATEGIES", "Texts", "search"]

STRATEGIES: dict[type[Search], Callable[[Task], Texts]] = {
    Greedy: greedy,
    Beam: beam,
    Sample: sample,
}


@torch.no_grad()
def search(
    body: Body,
    reads: Reads,
    out: TextOutput,
    lengths: Tensor | None,
    prompt: Steps | None = None,
    seeds: Tensor | None = None,
) -> Texts:
    """The answers of `out` to the rows of `reads`.

    `lengths` `[B]` are those of the input, where the answer's limit depends on them; `prompt` the
    numbers `[T, B]` read first, where the output has one; `seeds` `[B]` those of the rows, 0 if
    None.
    """
    device = body.device
    rules = Rules(out.search, next((each.shut for each in reads.copied.values()), None))
    limits = rules.limits(lengths, reads.rows, device)
    seeds = torch.zeros_like(limits) if seeds is None else seeds.to(device)
    states, previous, numbers = body.first_states(reads), torch.zeros_like(limits), None
    if prompt is not None:
        numbers, of_prompt = prompt.values.t(), prompt.lengths.of_rows
        read, counts = begun(numbers, of_prompt, body.node.whole_prompt)
        states = body.after(reads, read.t(), counts - 1, states)
        previous = read.gather(1, (counts - 1)[:, None])[:, 0]
        numbers = aligned(numbers, of_prompt)
    if numbers is None:
        numbers = limits.new_zeros((reads.rows, 0))
    task = Task(body, reads, states, previous, rules, limits, numbers, seeds)
    return STRATEGIES[type(out.search)](task)


def begun(numbers: Tensor, lengths: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """What is read before the first step of the search and by it, `[B, P]`, and how many numbers.

    That is the mark and then the prompt, or with `whole` the prompt alone, unless it is empty.
    """
    marked = torch.nn.functional.pad(numbers, (1, 0), value=END_ID)
    if not whole:
        return marked, lengths + 1
    alone = torch.nn.functional.pad(numbers, (0, 1), value=END_ID)
    return torch.where((lengths > 0)[:, None], alone, marked), lengths.clamp(min=1)


def aligned(numbers: Tensor, lengths: Tensor) -> Tensor:
    """A padded batch `[B, P]` with every row's numbers at the right and -1 before them."""
    places = torch.arange(numbers.shape[1], device=numbers.device)
    places = places - (numbers.shape[1] - lengths)[:, None]
    return numbers.gather(1, places.clamp(min=0)).masked_fill(places < 0, -1)
