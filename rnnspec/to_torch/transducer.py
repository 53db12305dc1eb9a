"""Texts along the steps of a sequence: see `rnnspec.plan.nodes.TransducerOutput`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.to_torch.alignment import Prefixes, best_texts, leave_out, ranked
from rnnspec.to_torch.decoder import Body, States
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.outputs import TransducerOutput
from rnnspec.to_torch.search.task import Texts
from rnnspec.to_torch.sequences import PaddedSequence

BLANK = END_ID
NEVER = -torch.inf


def arc_logs(
    module: TransducerOutput, body: Body, reads: Reads, steps: PaddedSequence, truth: Tensor
) -> Tensor:
    """`[B, T, U + 1, 2]`: the log-probabilities of the blank and of the next of the true numbers
    `[B, U + 1]`. Past a row's steps the blank is certain."""
    numbers = truth.clamp(min=BLANK)
    before = torch.nn.functional.pad(numbers.t()[:-1], (0, 0, 1, 0), value=BLANK)
    lengths = (truth >= 0).sum(1)
    predicted = body.teacher_forced(reads, before, lengths).values.transpose(0, 1)
    logs = module.logs(steps.values.transpose(0, 1)[:, :, None] + predicted[:, None])
    following = numbers[:, None, :, None].expand(-1, logs.shape[1], -1, -1)
    tokens = logs.gather(3, following)[..., 0].masked_fill(numbers[:, None] == BLANK, NEVER)
    arcs = torch.stack([logs[..., BLANK], tokens], dim=-1)
    own = steps.lengths.mask.t()[..., None, None]
    return torch.where(own, arcs, arcs.new_tensor([0.0, NEVER]))


@dataclass
class _Found:
    """A greedy search so far. `at` `[B]` is each row's step, `count` the tokens written at it;
    `numbers` and `places` hold of each round the number chosen and its step."""

    at: Tensor
    count: Tensor
    score: Tensor
    numbers: list[Tensor]
    places: list[Tensor]


@torch.no_grad()
def greedy(
    module: TransducerOutput,
    body: Body,
    reads: Reads,
    steps: PaddedSequence,
    search: nodes.TransducerGreedy,
    aligned: bool,
) -> Texts:
    """One number a round for each row, until every row is past its last step."""
    lengths, rows = steps.lengths.of_rows, torch.arange(reads.rows, device=body.device)
    zero = torch.zeros_like(lengths)
    predicted, states = _after(body, reads, zero, body.first_states(reads))
    found = _Found(zero, zero, steps.values.new_zeros(len(zero)), [], [])
    while bool((found.at < lengths).any()):
        active = found.at < lengths
        vector = steps.values[found.at.clamp(max=len(steps.values) - 1), rows]
        logs = module.logs(vector + predicted)
        allowed = logs.clone()
        allowed[:, UNKNOWN_ID] = NEVER
        number = torch.where(found.count < search.symbols, allowed.argmax(1), BLANK)
        number = torch.where(active, number, BLANK)
        gained = logs.gather(1, number[:, None])[:, 0]
        written = number != BLANK
        found.score = found.score + torch.where(active, gained, 0.0)
        found.numbers.append(number)
        found.places.append(found.at)
        found.at = found.at + (active & ~written)
        found.count = torch.where(written, found.count + 1, 0)
        if bool(written.any()):
            after, later = _after(body, reads, number, states)
            on = written[:, None]
            predicted = torch.where(on, after, predicted)
            states = {name: torch.where(on, later[name], value) for name, value in states.items()}
    return _texts(found, len(zero), aligned)


def _after(body: Body, reads: Reads, number: Tensor, states: States) -> tuple[Tensor, States]:
    step = body.step(reads, number, states, 0)
    return step.logits, step.states


def _texts(found: _Found, rows: int, aligned: bool) -> Texts:
    """The tokens of all rounds one after the other."""
    if not found.numbers:
        found.numbers, found.places = [found.at], [found.at]
    numbers, steps = torch.stack(found.numbers, 1), torch.stack(found.places, 1)
    written = numbers != BLANK
    lengths = written.sum(1)
    longest = max(1, int(lengths.max()) if rows else 0)
    places = torch.where(written, written.cumsum(1) - 1, longest)
    tokens = numbers.new_full((rows, longest + 1), END_ID).scatter(1, places, numbers)
    spans = None
    if aligned:
        at = numbers.new_full((rows, longest + 1), -1).scatter(1, places, steps)[:, :longest]
        real = torch.arange(longest, device=at.device) < lengths[:, None]
        spans = torch.where(real, at, -1)[..., None].expand(-1, -1, 2)
    tokens = tokens[:, :longest] * (torch.arange(longest, device=tokens.device) < lengths[:, None])
    return Texts(tokens[:, None], lengths[:, None], found.score[:, None], alignment=spans)


@torch.no_grad()
def beam(
    module: TransducerOutput,
    body: Body,
    reads: Reads,
    steps: PaddedSequence,
    search: nodes.TransducerBeam,
) -> Texts:
    """One round for all texts of all rows, until all are finished."""
    rows, width, lengths = reads.rows, search.width, steps.lengths.of_rows[:, None]
    owners = torch.arange(rows, device=body.device)[:, None]
    limits, longest = search.symbols * lengths, search.symbols * steps.lengths.longest
    prefixes = Prefixes.empty(rows, width, longest, body.device)
    total = steps.values.new_full((rows, width), NEVER)
    total[:, :1] = 0.0
    reads, at = reads.in_beams(width), torch.zeros_like(prefixes.counts)
    predicted, states = _after(body, reads, at.flatten(), body.first_states(reads))
    while bool(((at < lengths) & (total > NEVER)).any()):
        going = at < lengths
        vector = steps.values[at.clamp(max=len(steps.values) - 1), owners]
        logs = module.logs(vector + predicted.view(rows, width, -1))
        kept = total + torch.where(going, logs[..., BLANK], 0.0)
        logs[..., [BLANK, UNKNOWN_ID]] = NEVER
        room = (going & (prefixes.counts < limits))[..., None]
        extended = (total[..., None] + logs).masked_fill(~room, NEVER)
        parents, last = prefixes.parents(), prefixes.last
        merged = extended.gather(2, last[:, None].expand(-1, width, -1))
        kept = torch.logaddexp(kept, merged.masked_fill(~parents, NEVER).amax(1))
        leave_out(extended, parents, last)
        best = ranked(kept, extended)
        total, prefixes = best.total, prefixes.moved(best.origin, best.longer, best.number)
        at = torch.where(
            best.longer, at.gather(1, best.origin), (at + going).gather(1, best.origin)
        )
        places = (best.origin + width * owners).flatten()
        predicted, states = predicted[places], {n: v[places] for n, v in states.items()}
        after, later = _after(body, reads, best.number.flatten(), states)
        on = best.longer.flatten()[:, None]
        predicted = torch.where(on, after, predicted)
        states = {name: torch.where(on, later[name], value) for name, value in states.items()}
    return best_texts(prefixes, total, search.n_best)
