"""Searches for the answer of a decoder over tokens: `STRATEGIES` lists the function of each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Beam, Greedy, Sample, Search, SearchedOutput
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.search.strategies import beam, greedy, sample
from rnnspec.to_torch.search.task import Rules, Task, Texts
from rnnspec.to_torch.sequences import PaddedSequence

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
    out: SearchedOutput,
    lengths: Tensor | None,
    prompt: PaddedSequence | None = None,
    seeds: Tensor | None = None,
) -> Texts:
    """The answers of `out` to the rows of `reads`.

    `lengths` `[B]` are the input's, if the limit of the answer depends on them; `prompt` `[T, B]`
    the numbers read first, if the output has one; `seeds` `[B]` the rows' own, 0 if None.
    """
    device = body.device
    rules = Rules(out.search, next((each.banned for each in reads.copied.values()), None))
    limits = rules.limits(lengths, reads.rows, device)
    seeds = torch.zeros_like(limits) if seeds is None else seeds.to(device)
    states, previous, numbers = body.first_states(reads), torch.zeros_like(limits), None
    if prompt is not None:
        numbers, prompt_lengths = prompt.values.t(), prompt.lengths.of_rows
        read, counts = begun(numbers, prompt_lengths, body.node.whole_prompt)
        states = body.after(reads, read.t(), counts - 1, states)
        previous = read.gather(1, (counts - 1)[:, None])[:, 0]
        numbers = torch.where(numbers < out.size, numbers, UNKNOWN_ID)
        numbers = aligned(numbers, prompt_lengths)
    if numbers is None:
        numbers = limits.new_zeros((reads.rows, 0))
    task = Task(body, reads, states, previous, rules, limits, numbers, seeds)
    return STRATEGIES[type(out.search)](task)


def begun(numbers: Tensor, lengths: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """The numbers read up to the first step of the search, `[B, P]`, and how many they are: the end
    mark and the prompt, or with `whole` the prompt alone unless it is empty."""
    marked = torch.nn.functional.pad(numbers, (1, 0), value=END_ID)
    if not whole:
        return marked, lengths + 1
    alone = torch.nn.functional.pad(numbers, (0, 1), value=END_ID)
    return torch.where((lengths > 0)[:, None], alone, marked), lengths.clamp(min=1)


def aligned(numbers: Tensor, lengths: Tensor) -> Tensor:
    """A padded batch `[B, P]` with each row's numbers moved to the right and -1 before them."""
    places = torch.arange(numbers.shape[1], device=numbers.device)
    places = places - (numbers.shape[1] - lengths)[:, None]
    return numbers.gather(1, places.clamp(min=0)).masked_fill(places < 0, -1)
