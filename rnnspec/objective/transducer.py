"""The loss of a transducer (Graves 2012, section 2.3): log-space forward and backward variables,
computed diagonal by diagonal for all rows and all places of a diagonal at once, and from them the
gradient (equation 20)."""

from __future__ import annotations

import torch
from torch import Tensor

NEVER = -torch.inf


def transducer_loss(arcs: Tensor, targets: Tensor) -> Tensor:
    """-ln p of the true texts, `[B]`, from log-probabilities `[B, T, U + 1, 2]` of the blank and of
    the next token, and targets `[B, U + 1]`: numbers, 0, then -1. Past a row's steps the blank is
    certain.

    Rows without a target are left out, as are texts of rows that have no steps.
    """
    counts = (targets > 0).sum(1)
    each: Tensor = _Loss.apply(arcs, counts)  # type: ignore[no-untyped-call]
    return each.masked_fill((targets < 0).all(1), 0.0)


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, arcs: Tensor, counts: Tensor) -> Tensor:
        """-ln p of each row, `[B]`."""
        blanks, tokens = (_skewed(arcs[..., arc]) for arc in (0, 1))
        onwards = _forward(blanks, tokens)
        rest = _backward(blanks, tokens, counts, arcs.shape[1])
        total = rest[0][:, 0]
        fits = total > NEVER
        ctx.save_for_backward(arcs, blanks, tokens, onwards, rest, total)
        return torch.where(fits, -total, 0.0)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        """The share of paths that take each arc."""
        arcs, blanks, tokens, onwards, rest, total = ctx.saved_tensors  # type: ignore[attr-defined]
        shifted = torch.nn.functional.pad(rest[1:, :, 1:], (0, 1), value=NEVER)
        total = torch.where(total > NEVER, total, torch.inf)[:, None]
        by_blank = (onwards[:-1] + blanks[:-1] + rest[1:] - total).exp()
        by_token = (onwards[:-1] + tokens[:-1] + shifted - total).exp()
        shares = torch.stack([_straight(each, arcs.shape[1]) for each in (by_blank, by_token)], -1)
        return -shares * gradient[:, None, None, None], None


def _skewed(values: Tensor) -> Tensor:
    """`[D, B, U + 1]` of `[B, T, U + 1]`: the values at t = d - u, -inf where there is no such
    step; D = T + U + 1 diagonals, and on the last one all end."""
    rows, steps, width = values.shape
    diagonals = torch.arange(steps + width, device=values.device)[:, None]
    times = diagonals - torch.arange(width, device=values.device)
    there = (times >= 0) & (times < steps)
    places = times.clamp(0, max(0, steps - 1))
    found = values.gather(1, places.expand(rows, -1, -1))
    return found.masked_fill(~there, NEVER).transpose(0, 1)


def _straight(values: Tensor, steps: int) -> Tensor:
    """`[B, T, U + 1]` of `[D, B, U + 1]`."""
    _, rows, width = values.shape
    times = torch.arange(steps, device=values.device)[:, None]
    places = times + torch.arange(width, device=values.device)
    return values.transpose(0, 1).gather(1, places.expand(rows, -1, -1))


def _forward(blanks: Tensor, tokens: Tensor) -> Tensor:
    """`[D, B, U + 1]`: ln of the sum over all paths from (0, 0) to each place."""
    now = torch.full_like(blanks[0], NEVER)
    now[:, 0] = 0.0
    found = [now]
    for by_blank, by_token in zip(blanks[:-1], tokens[:-1], strict=True):
        more = torch.nn.functional.pad((now + by_token)[:, :-1], (1, 0), value=NEVER)
        now = torch.logaddexp(now + by_blank, more)
        found.append(now)
    return torch.stack(found)


def _backward(blanks: Tensor, tokens: Tensor, counts: Tensor, steps: int) -> Tensor:
    """`[D, B, U + 1]`: ln of the sum over all paths from each place to (T, U); each row has its own
    U, `counts` `[B]`."""
    width = blanks.shape[2]
    ends = torch.arange(width, device=blanks.device) == counts[:, None]
    now = torch.full_like(blanks[0], NEVER)
    found = []
    for diagonal in range(len(blanks) - 1, -1, -1):
        here = ends & (counts[:, None] + steps == diagonal)
        more = torch.nn.functional.pad(now[:, 1:], (0, 1), value=NEVER)
        now = torch.logaddexp(now + blanks[diagonal], more + tokens[diagonal])
        now = now.masked_fill(here, 0.0)
        found.append(now)
    return torch.stack(found[::-1])
