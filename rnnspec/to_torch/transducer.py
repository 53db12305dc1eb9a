"""Texts along the steps of a sequence: see `rnnspec.plan.nodes.TransducerOutput`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.to_torch.alignment import Prefixes, Ranked, best_texts, leave_out, ranked
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


def read(
    module: TransducerOutput,
    body: Body,
    reads: Reads,
    steps: PaddedSequence,
    search: nodes.TransducerSearch,
    aligned: bool,
) -> Texts:
    """The texts that a search finds; `aligned` ones have the steps of their tokens."""
    if isinstance(search, nodes.TransducerBeam):
        return beam(module, body, reads, steps, search, aligned)
    return greedy(module, body, reads, steps, search, aligned)


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


@dataclass
class _Paths:
    """The most probable path of each text of a beam, `[B, K]`: its log-probability, and of each
    round so far the place in the beam before it, and the step of the token that it wrote, -1 for
    none."""

    path: Tensor
    origins: list[Tensor]
    places: list[Tensor]

    def spans(self, counts: Tensor, longest: int) -> Tensor:
        """`[B, U, 2]`: the step of each token of the first text, of which it has `counts` `[B]`."""
        place, left = torch.zeros_like(counts)[:, None], counts.clone()
        found = counts.new_full((len(counts), longest + 1), -1)
        for origin, written in zip(reversed(self.origins), reversed(self.places), strict=True):
            step = written.gather(1, place)
            is_token = step[:, 0] >= 0
            left = left - is_token.long()
            found.scatter_(1, torch.where(is_token, left, longest)[:, None], step)
            place = origin.gather(1, place)
        return found[:, :longest, None].expand(-1, -1, 2)


@torch.no_grad()
def beam(
    module: TransducerOutput,
    body: Body,
    reads: Reads,
    steps: PaddedSequence,
    search: nodes.TransducerBeam,
    aligned: bool,
) -> Texts:
    """One round for all texts of all rows, until all are finished."""
    rows, width, lengths = reads.rows, search.width, steps.lengths.of_rows[:, None]
    owners = torch.arange(rows, device=body.device)[:, None]
    limits, longest = search.symbols * lengths, search.symbols * steps.lengths.longest
    prefixes = Prefixes.empty(rows, width, longest, body.device)
    total = steps.values.new_full((rows, width), NEVER)
    total[:, :1] = 0.0
    paths = _Paths(total, [], [])
    reads, at = reads.in_beams(width), torch.zeros_like(prefixes.counts)
    predicted, states = _after(body, reads, at.flatten(), body.first_states(reads))
    while bool(((at < lengths) & (total > NEVER)).any()):
        going = at < lengths
        vector = steps.values[at.clamp(max=len(steps.values) - 1), owners]
        logs = module.logs(vector + predicted.view(rows, width, -1))
        blank = torch.where(going, logs[..., BLANK], 0.0)
        logs[..., [BLANK, UNKNOWN_ID]] = NEVER
        room = (going & (prefixes.counts < limits))[..., None]
        logs = logs.masked_fill(~room, NEVER)
        extended = total[..., None] + logs
        parents, last = prefixes.parents(), prefixes.last
        merged = extended.gather(2, last[:, None].expand(-1, width, -1))
        kept = torch.logaddexp(total + blank, merged.masked_fill(~parents, NEVER).amax(1))
        leave_out(extended, parents, last)
        best = ranked(kept, extended)
        if aligned:
            _follow(paths, best, blank, logs, parents, last, at)
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
    found = best_texts(prefixes, total, search.n_best)
    if not aligned:
        return found
    spans = paths.spans(found.lengths[:, 0], found.numbers.shape[2])
    return Texts(found.numbers, found.lengths, found.scores, alignment=spans)


def _follow(
    paths: _Paths,
    best: Ranked,
    blank: Tensor,
    logs: Tensor,
    parents: Tensor,
    last: Tensor,
    at: Tensor,
) -> None:
    """Adds a round to the paths. `blank` `[B, K]` and `logs` `[B, K, size]` are the
    log-probabilities of what followed, `at` the steps that the texts were at."""
    by_blank = paths.path + blank
    tokens = paths.path[..., None] + logs
    merged = tokens.gather(2, last[:, None].expand(-1, last.shape[1], -1))
    by_token, parent = merged.masked_fill(~parents, NEVER).max(1)
    wrote = by_token > by_blank
    kept = torch.maximum(by_blank, by_token)
    longer = tokens.flatten(1).gather(1, best.origin * logs.shape[2] + best.number)
    paths.path = torch.where(best.longer, longer, kept.gather(1, best.origin))
    origin = torch.where(wrote, parent, torch.arange(last.shape[1], device=at.device))
    origin = torch.where(best.longer, best.origin, origin.gather(1, best.origin))
    wrote = best.longer | wrote.gather(1, best.origin)
    paths.origins.append(origin)
    paths.places.append(torch.where(wrote, at.gather(1, origin), -1))
