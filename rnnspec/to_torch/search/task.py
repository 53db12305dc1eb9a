"""A search: what it is given, which tokens a step may choose, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Search
from rnnspec.to_torch.decoder import Body, States
from rnnspec.to_torch.decoder_stages import Reads


@dataclass(frozen=True)
class Texts:
    """Of B rows the N best answers, the best first.

    `numbers` `[B, N, U]` of tokens, END_ID past the end, copied ones from the size of the
    vocabulary on; `lengths` `[B, N]` without the end mark; `scores` `[B, N]`, the log-probability
    (natural logarithm) of all tokens and of the end mark where it was reached. A missing answer has
    no tokens and -inf. `attention` `[B, U, T]`, the weights behind each token of the best answer, 0
    past its end, or None; of several sources of the first, `more_attention` those of the others.
    `alignment` `[B, U, 2]`, the first and the last step of each token of the
    best answer, -1 past its end, or None.
    """

    numbers: Tensor
    lengths: Tensor
    scores: Tensor
    attention: Tensor | None = None
    alignment: Tensor | None = None
    more_attention: tuple[Tensor, ...] = ()

    @property
    def of_sources(self) -> tuple[Tensor, ...]:
        """The weights of each source."""
        return () if self.attention is None else (self.attention, *self.more_attention)

    def in_order_of_text(self) -> Texts:
        """Of texts that were written from their ends: the token written last first."""
        steps = torch.arange(self.numbers.shape[-1], device=self.numbers.device)
        lengths = self.lengths[..., None]
        places = torch.where(steps < lengths, lengths - 1 - steps, steps)
        return replace(self, numbers=self.numbers.gather(-1, places))


@dataclass(frozen=True)
class Rules:
    """The rules of a search, in the order of `rnnspec.plan.nodes.Search`. `banned` `[B, size]` are
    further numbers that may not be answered to a row, if there are any."""

    search: Search
    banned: Tensor | None = None

    @property
    def history(self) -> bool:
        """Whether the rules depend on the tokens answered before."""
        return self.search.repetition_penalty != 1.0 or self.search.no_repeat > 0

    def limits(self, lengths: Tensor | None, rows: int, device: torch.device) -> Tensor:
        """The most steps of each row, `[B]`, by the lengths of the input."""
        limits = torch.full((rows,), self.search.limit, device=device)
        if not self.search.factor:
            return limits
        assert lengths is not None, "a limit by the length of the input needs an input of steps"
        return limits + (self.search.factor * lengths.double()).floor().long()

    def log_probabilities(self, logits: Tensor, history: Tensor | None) -> Tensor:
        """Of logits `[R, size]`, after the repetition penalty; `history` `[R, steps]` are the
        numbers before, -1 or the end mark where there is none."""
        penalty = self.search.repetition_penalty
        if penalty != 1.0 and history is not None and history.shape[1]:
            places = history.clamp(min=0)
            before = logits.gather(1, places)
            penalised = torch.where(before > 0, before / penalty, before * penalty)
            # The end mark stands for no token, and is not penalised.
            penalised = torch.where(places == END_ID, before, penalised)
            logits = logits.scatter(1, places, penalised)
        return torch.log_softmax(logits.float() if logits.dtype.itemsize < 4 else logits, dim=-1)

    def allowed(self, log_probabilities: Tensor, history: Tensor | None, step: int) -> Tensor:
        """The log-probabilities `[R, size]`, -inf where a number may not be answered."""
        if step < len(self.search.prefix):
            only = torch.full_like(log_probabilities, -torch.inf)
            number = self.search.prefix[step]
            only[:, number] = log_probabilities[:, number]
            return only
        allowed = log_probabilities.clone()
        allowed[:, [UNKNOWN_ID, *self.search.banned]] = -torch.inf
        if self.banned is not None:
            beams = len(allowed) // max(1, len(self.banned))
            allowed.masked_fill_(self.banned.repeat_interleave(beams, dim=0), -torch.inf)
        if step < self.search.min_steps:
            allowed[:, END_ID] = -torch.inf
        if self.search.no_repeat and history is not None:
            self._exclude_repeats(allowed, history)
        nothing = (allowed == -torch.inf).all(dim=-1)
        allowed[:, END_ID] = torch.where(nothing, log_probabilities[:, END_ID], allowed[:, END_ID])
        return allowed

    def _exclude_repeats(self, allowed: Tensor, history: Tensor) -> None:
        """Excludes each number that would repeat a run of `no_repeat` numbers."""
        size = self.search.no_repeat
        if history.shape[1] < size:
            return
        runs = history.unfold(1, size, 1)
        tail = history[:, history.shape[1] - size + 1 :]
        again = (runs[..., :-1] == tail[:, None]).all(-1)
        rows, places = (again & (runs[..., -1] > END_ID)).nonzero(as_tuple=True)
        allowed[rows, runs[rows, places, -1]] = -torch.inf


@dataclass(frozen=True)
class Task:
    """A search over B rows: the decoder's states after the prompt, the number `previous` `[B]` that
    the first step reads, the most steps `limits` `[B]`, the numbers of `prompt` `[B, P]` at the
    right with -1 before them, and the rows' `seeds` `[B]`."""

    body: Body
    reads: Reads
    states: States
    previous: Tensor
    rules: Rules
    limits: Tensor
    prompt: Tensor
    seeds: Tensor

    @property
    def rows(self) -> int:
        return self.reads.rows
