"""What a step of a search may choose: log-probabilities, and what is excluded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Search


@dataclass(frozen=True)
class Rules:
    """The rules of a search, in the order of `rnnspec.plan.nodes.Search`. `shut` `[B, size]` are
    further numbers that may not be answered to a row, if there are any."""

    search: Search
    shut: Tensor | None = None

    @property
    def history(self) -> bool:
        """Whether the rules look at the tokens that were answered before."""
        return self.search.repetition_penalty != 1.0 or self.search.no_repeat > 0

    def limits(self, lengths: Tensor | None, rows: int, device: torch.device) -> Tensor:
        """Most steps of each row, `[B]`; `lengths` are those of the input."""
        limits = torch.full((rows,), self.search.limit, device=device)
        if not self.search.factor:
            return limits
        assert lengths is not None, "a limit by the length of the input needs an input of steps"
        return limits + (self.search.factor * lengths.double()).floor().long()

    def log_probabilities(self, scores: Tensor, history: Tensor | None) -> Tensor:
        """The true ones `[R, size]`, of scores; `history` `[R, steps]` are the numbers before, with
        -1 or the end mark where there is none."""
        penalty = self.search.repetition_penalty
        if penalty != 1.0 and history is not None and history.shape[1]:
            places = history.clamp(min=0)
            before = scores.gather(1, places)
            penalised = torch.where(before > 0, before / penalty, before * penalty)
            # The end mark stands for no token, and is not penalised.
            penalised = torch.where(places == END_ID, before, penalised)
            scores = scores.scatter(1, places, penalised)
        return torch.log_softmax(scores.float() if scores.dtype.itemsize < 4 else scores, dim=-1)

    def choice(self, true: Tensor, history: Tensor | None, step: int) -> Tensor:
        """What is chosen by: the true log-probabilities, -inf where a number is excluded."""
        if step < len(self.search.prefix):
            only = torch.full_like(true, -torch.inf)
            number = self.search.prefix[step]
            only[:, number] = true[:, number]
            return only
        open_to = true.clone()
        open_to[:, [UNKNOWN_ID, *self.search.banned]] = -torch.inf
        if self.shut is not None:
            beams = len(open_to) // max(1, len(self.shut))
            open_to.masked_fill_(self.shut.repeat_interleave(beams, dim=0), -torch.inf)
        if step < self.search.min_steps:
            open_to[:, END_ID] = -torch.inf
        if self.search.no_repeat and history is not None:
            self._exclude_repeats(open_to, history)
        nothing = (open_to == -torch.inf).all(dim=-1)
        open_to[:, END_ID] = torch.where(nothing, true[:, END_ID], open_to[:, END_ID])
        return open_to

    def _exclude_repeats(self, open_to: Tensor, history: Tensor) -> None:
        """Excludes each number that would make the last `no_repeat` numbers come twice."""
        size = self.search.no_repeat
        if history.shape[1] < size:
            return
        runs = history.unfold(1, size, 1)
        tail = history[:, history.shape[1] - size + 1 :]
        again = (runs[..., :-1] == tail[:, None]).all(-1)
        rows, places = (again & (runs[..., -1] > END_ID)).nonzero(as_tuple=True)
        open_to[rows, runs[rows, places, -1]] = -torch.inf
