"""Connectionist temporal classification: what the steps of a sequence read as, and which steps each
token of it has. See `rnnspec.plan.nodes.CtcOutput` and `rnnspec.plan.nodes.search`.

Log-probabilities are `[B, T, size]`; past a row's length the blank is certain, so that padding
reads as nothing and costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.to_torch.search.task import Texts

BLANK = END_ID
NEVER = -torch.inf


@torch.no_grad()
def read(logs: Tensor, search: nodes.CtcSearch, aligned: bool = False) -> Texts:
    """The answers to rows with these log-probabilities; with `aligned`, also the steps of each
    token of the best one."""
    logs = logs.clone()
    logs[..., UNKNOWN_ID] = NEVER
    match search:
        case nodes.BestPath():
            return _best_path(logs, aligned)
        case nodes.PrefixBeam():
            found = _beam(logs, search)
        case _:
            assert_never(search)
    if not aligned:
        return found
    steps = spans(logs, found.numbers[:, 0], found.lengths[:, 0])
    return Texts(found.numbers, found.lengths, found.scores, alignment=steps)


def _best_path(logs: Tensor, aligned: bool) -> Texts:
    best, path = logs.max(dim=-1)
    tokens = path != BLANK
    first = tokens.clone()
    first[:, 1:] &= path[:, 1:] != path[:, :-1]
    places = first.cumsum(1) - 1
    lengths = first.sum(1)
    longest = max(1, int(lengths.max()) if len(lengths) else 0)
    numbers = path.new_full((len(path), longest + 1), END_ID)
    numbers.scatter_(1, torch.where(first, places, longest), torch.where(first, path, END_ID))
    numbers = numbers[:, :longest]
    steps = _spans(torch.where(tokens, places, -1), longest) if aligned else None
    return Texts(numbers[:, None], lengths[:, None], best.sum(1)[:, None], alignment=steps)


def _spans(tokens: Tensor, count: int) -> Tensor:
    """`[B, U, 2]`: the first and the last step of each of `count` tokens, -1 where there is none.
    `tokens` `[B, T]` are their places at each step, below 0 for the blank."""
    steps = torch.arange(tokens.shape[1], device=tokens.device)[:, None]
    own = tokens[..., None] == torch.arange(count, device=tokens.device)
    first = torch.where(own, steps, tokens.shape[1]).amin(1)
    last = torch.where(own, steps, -1).amax(1)
    return torch.stack([torch.where(last < 0, -1, first), last], dim=-1)


@dataclass(frozen=True)
class Prefixes:
    """The texts of a beam `[B, K]`, the best first.

    `texts` `[B, K, U]`: the tokens, `counts`: how many, `last`: the last one. `begins` `[B, K, K]`:
    whether prefix i is the beginning of prefix j, or all of it.
    """

    texts: Tensor
    counts: Tensor
    last: Tensor
    begins: Tensor

    @staticmethod
    def empty(rows: int, width: int, longest: int, device: torch.device) -> Prefixes:
        """The empty text, and others that no path reads as."""
        texts = torch.zeros((rows, width, max(1, longest)), dtype=torch.int64, device=device)
        none = texts.new_zeros((rows, width))
        begins = torch.zeros((rows, width, width), dtype=torch.bool, device=device)
        begins[:, :1, :1] = True
        return Prefixes(texts, none, none, begins)

    def parents(self) -> Tensor:
        """`[B, K, K]`: whether prefix i is prefix j without its last token."""
        return self.begins & (self.counts[:, :, None] + 1 == self.counts[:, None])

    def moved(self, origin: Tensor, longer: Tensor, number: Tensor) -> Prefixes:
        """Each prefix from its `origin`, `[B, K]`, and with `longer` one token `number` more."""
        texts = self.texts.gather(1, origin[..., None].expand_as(self.texts))
        counts = self.counts.gather(1, origin)
        ends = counts.clamp(max=texts.shape[2] - 1)[..., None]
        end = torch.where(longer[..., None], number[..., None], texts.gather(2, ends))
        texts = texts.scatter(2, ends, end)
        begins = self.begins.gather(1, origin[..., None].expand_as(self.begins))
        begins = begins.gather(2, origin[:, None].expand_as(self.begins))
        there = texts.gather(2, ends[..., 0][:, None].expand_as(begins)).transpose(1, 2)
        begins = begins & (~longer[..., None] | (there == number[..., None]))
        last = torch.where(longer, number, self.last.gather(1, origin))
        return Prefixes(texts, counts + longer, last, begins)


@dataclass(frozen=True)
class Ranked:
    """The best of the candidates: their log-probabilities `[B, K]`, the prefixes that they come
    from, whether they are longer, and by which token."""

    total: Tensor
    origin: Tensor
    longer: Tensor
    number: Tensor


def ranked(kept: Tensor, extended: Tensor) -> Ranked:
    """The best of prefixes that are not extended, `[B, K]`, and of extended ones, `[B, K, size]`;
    of equal ones the first."""
    width, size = extended.shape[1:]
    every = torch.cat([kept, extended.flatten(1)], dim=1)
    total, place = (v[:, :width] for v in every.sort(dim=1, descending=True, stable=True))
    longer = place >= width
    origin = torch.where(longer, (place - width) // size, place)
    number = torch.where(longer, (place - width) % size, END_ID)
    return Ranked(total, origin, longer, number)


def leave_out(extended: Tensor, parents: Tensor, last: Tensor) -> None:
    """Leaves out of `[B, K, size]` what reads as another prefix of the beam."""
    rows, shorter, longer = parents.nonzero(as_tuple=True)
    extended[rows, shorter, last[rows, longer]] = NEVER


@dataclass(frozen=True)
class _Beam:
    """`by_blank` and `by_token` `[B, K]`: log-probabilities of the paths so far that end in the
    blank and in the last token; `total`: of both."""

    by_blank: Tensor
    by_token: Tensor
    total: Tensor
    prefixes: Prefixes


def _beam(logs: Tensor, search: nodes.PrefixBeam) -> Texts:
    extending = logs.clone()
    extending[..., BLANK] = NEVER
    rows, steps = logs.shape[:2]
    nothing = logs.new_full((rows, search.width), NEVER)
    first = nothing.clone()
    first[:, :1] = 0.0
    kept = _Beam(first, nothing, first, Prefixes.empty(rows, search.width, steps, logs.device))
    for step in range(steps):
        kept = _next(kept, logs[:, step, BLANK, None], extending[:, step])
    return best_texts(kept.prefixes, kept.total, search.n_best)


def _next(kept: _Beam, by_blank: Tensor, by_token: Tensor) -> _Beam:
    """The beam after a step with the log-probabilities of the blank `[B, 1]` and of the tokens
    `[B, size]`."""
    last, parents = kept.prefixes.last, kept.prefixes.parents()
    again = by_token.gather(1, last)
    repeats = last[:, :, None] == last[:, None]
    before = torch.where(repeats, kept.by_blank[:, :, None], kept.total[:, :, None])
    before = before.masked_fill(~parents, NEVER).amax(1)
    blank, token = kept.total + by_blank, again + torch.logaddexp(kept.by_token, before)
    extended = kept.total[..., None] + by_token[:, None]
    extended.scatter_(2, last[..., None], (kept.by_blank + again)[..., None])
    leave_out(extended, parents, last)
    best = ranked(torch.logaddexp(blank, token), extended)
    return _Beam(
        torch.where(best.longer, NEVER, blank.gather(1, best.origin)),
        torch.where(best.longer, best.total, token.gather(1, best.origin)),
        best.total,
        kept.prefixes.moved(best.origin, best.longer, best.number),
    )


def best_texts(prefixes: Prefixes, total: Tensor, n_best: int) -> Texts:
    """The first `n_best` of a beam."""
    scores = total[:, :n_best]
    missing = scores == NEVER
    counts = prefixes.counts[:, :n_best].masked_fill(missing, 0)
    longest = max(1, int(counts.max()) if counts.numel() else 0)
    numbers = prefixes.texts[:, :n_best, :longest].masked_fill(missing[..., None], END_ID)
    return Texts(numbers, counts, scores)


def spans(logs: Tensor, numbers: Tensor, lengths: Tensor) -> Tensor:
    """`[B, U, 2]`: the first and the last step of each of the tokens `numbers` `[B, U]`, of which
    each row has `lengths` `[B]`, on the most probable path that reads as them; -1 past the end.

    Of equal paths the one that is further along at the last step where they differ (Viterbi 1967).
    """
    rows, steps, _ = logs.shape
    states = torch.full((rows, 2 * numbers.shape[1] + 1), BLANK, device=logs.device)
    states[:, 1::2] = numbers
    jumps = torch.zeros_like(states, dtype=torch.bool)
    jumps[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    best = logs.new_full(states.shape, NEVER)
    best[:, 0] = 0.0
    origins = []
    for step in range(steps):
        one = torch.nn.functional.pad(best[:, :-1], (1, 0), value=NEVER)
        two = torch.nn.functional.pad(best[:, :-2], (2, 0), value=NEVER)
        every = torch.stack([best, one, two.masked_fill(~jumps, NEVER)])
        value, origin = every.max(0)
        # Of equal ones the first: `max` does not say which it takes.
        origin = (every == value).byte().argmax(0)
        origins.append(origin)
        best = value + logs[:, step].gather(1, states)
    end = 2 * lengths[:, None]
    before = (end - 1).clamp(min=0)
    at = torch.where(best.gather(1, before) > best.gather(1, end), before, end)
    path = []
    for origin in reversed(origins):
        path.append(at)
        at = at - origin.gather(1, at)
    found = torch.cat(path[::-1], dim=1) if path else states.new_zeros((rows, 0))
    return _spans(torch.where(found % 2 == 1, found // 2, -1), numbers.shape[1])
