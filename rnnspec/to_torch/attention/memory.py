"""What an attention reads and gives, and the additive scores of queries and keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.to_torch.gathered import bmm, gathered
from rnnspec.to_torch.sequences import PaddedSequence

States = dict[str, Tensor]
"""What an attention keeps from step to step, `[B * N, T]` each."""


@dataclass(frozen=True)
class Attended:
    """Contexts `[B, N, width]`, weights `[B, N, T]` and the states after the step.

    `log_weights` `[B, N, T]`, arbitrary past a row's length, if the memory is `logged`.
    """

    context: Tensor
    weights: Tensor
    states: States
    log_weights: Tensor | None = None


@dataclass(frozen=True)
class Memory:
    """The steps that are attended to, prepared once for many queries.

    Of B rows: `values` `[B, T, width]`; `keys` `[B, T, units]`, which scores are computed from;
    `mask` `[B, T]`, the steps that belong to their rows; `empty`, whether a row has none; `logged`,
    whether the logarithms of the weights are read as well: some weights are too small for a number.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor
    empty: bool
    logged: bool = False

    def weights(self, scores: Tensor) -> Tensor:
        """Softmax of `[B, N, T]` over the steps of each row; 0 past its length."""
        weights = torch.softmax(self._masked(scores), dim=-1)
        return weights.masked_fill(~self.mask[:, None], 0.0) if self.empty else weights

    def log_weights(self, scores: Tensor) -> Tensor | None:
        """The logarithms of `weights`, if the memory is `logged`."""
        return torch.log_softmax(self._masked(scores), dim=-1) if self.logged else None

    def _masked(self, scores: Tensor) -> Tensor:
        return scores.masked_fill(~self.mask[:, None], torch.finfo(scores.dtype).min)

    def context(self, weights: Tensor) -> Tensor:
        """The weighted means `[B, N, width]`."""
        return bmm(weights.to(self.values.dtype), self.values)

    def attended(self, scores: Tensor, states: States) -> Attended:
        """By softmax of the scores `[B, N, T]`, with `states` after the step."""
        weights = self.weights(scores)
        return Attended(self.context(weights), weights, states, self.log_weights(scores))

    def zeros(self, beams: int) -> Tensor:
        """A state of 0, `[B * beams, T]`."""
        rows, steps = self.mask.shape
        return self.values.new_zeros((rows * beams, steps))


def memory_of(source: PaddedSequence, keys: Tensor) -> Memory:
    """The memory of a sequence, with keys `[T, B, units]`."""
    lengths = source.lengths
    return Memory(
        source.values.transpose(0, 1),
        keys.transpose(0, 1),
        lengths.mask.t(),
        bool((lengths.of_rows == 0).any()),
    )


PIECE = 1 << 18
"""Elements of the hidden layer that are computed at once, few enough for the processor's cache.

Forward and backward on one thread take, whole by autograd and in pieces: 9.8 and 6.2 ms at B=64,
N=15, T=14, 128 units; 28 and 11 ms at N=21, T=20; 292 and 102 ms at B=32, N=T=60, 256 units.
"""
MOST_FACTORED = 40.0
"""The largest absolute value of queries and keys whose tanh is computed from products of their
exponentials: beyond it e^(4 v) leaves the range of float32. A third to a quarter of the time of
`torch.tanh` (`benchmarks/attention_scores.py`), and as near to float64."""


def additive_scores(query: Tensor, keys: Tensor, v: Tensor, extra: Tensor | None = None) -> Tensor:
    """v · tanh(query + key) `[B, N, T]` of queries `[B, N, units]`, keys `[B, T, units]` and v
    `[units]`; `extra` `[B, N, T, units]` is added inside the tanh."""
    if extra is not None:
        return torch.tanh(query[:, :, None] + keys[:, None] + extra) @ v
    keys, v = keys.to(query.dtype), v.to(query.dtype)
    factors = _factors(query, keys)
    if factors is None:
        found: Tensor = _AdditiveScores.apply(query, keys, v)  # type: ignore[no-untyped-call]
    else:
        found = _FactoredScores.apply(query, keys, v, *factors)  # type: ignore[no-untyped-call]
    return found


def _factors(query: Tensor, keys: Tensor) -> tuple[Tensor, Tensor] | None:
    """The exponentials of `_FactoredScores`; None where it would lack digits of its type. Answers
    keep `torch.tanh`, which a file is compared with."""
    if query.device.type != "cpu" or query.dtype != torch.float32 or not query.requires_grad:
        return None
    if not query.numel() or not keys.numel():
        return None
    loop = gathered(keys)  # whose steps all have the same keys
    of_keys = loop.once((keys,), lambda: _exponentials(keys)) if loop else _exponentials(keys)
    of_query = None if of_keys is None else _exponentials(query)
    return None if of_keys is None or of_query is None else (of_query, of_keys)


def _exponentials(values: Tensor) -> Tensor | None:
    """e^(2 v), if no value is too large for it."""
    values = values.detach()
    return values.mul(2).exp_() if bool(values.abs().amax() <= MOST_FACTORED) else None


class _FactoredScores(torch.autograd.Function):
    """With r = 1 / (1 + e^(2q) e^(2k)), tanh(q + k) = 1 - 2 r and its derivative is 4 (r - r²): an
    exponential for each query and each key, and a quotient for each of the B · N · T · units
    numbers, which are computed again in the backward pass."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        query: Tensor,
        keys: Tensor,
        v: Tensor,
        of_query: Tensor,
        of_keys: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(of_query, of_keys, v)
        scores = query.new_empty((*query.shape[:2], keys.shape[1]))
        for rows, shares in _shares(of_query, of_keys):
            torch.matmul(shares, v, out=scores[rows])
        return scores.mul_(-2).add_(v.sum())

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, keys, v = ctx.saved_tensors  # type: ignore[attr-defined]
        grad_query, grad_keys = torch.empty_like(query), keys.new_empty(keys.shape)
        grad_v = torch.zeros_like(v)
        for rows, shares in _shares(query, keys):
            above = gradient[rows]
            grad_v.addmv_(shares.view(-1, len(v)).t(), above.reshape(-1))
            inner = shares.addcmul_(shares, shares, value=-1).mul_(above[..., None])
            torch.sum(inner, 2, out=grad_query[rows])
            torch.sum(inner, 1, out=grad_keys[rows])
        factor = 4 * v
        grad_v = grad_v.mul_(-2).add_(gradient.sum())
        return grad_query.mul_(factor), grad_keys.mul_(factor), grad_v, None, None


def _shares(query: Tensor, keys: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """1 / (1 + query · key) of exponentials, a piece of the rows at a time."""
    one = query.new_ones(())
    for rows, into in _pieces(query, keys):
        torch.addcmul(one, query[rows, :, None], keys[rows, None], out=into)
        yield rows, into.reciprocal_()


class _AdditiveScores(torch.autograd.Function):
    """Saves none of the B · N · T · units numbers of the hidden layer: computing them again is
    faster than reading them from memory."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, query: Tensor, keys: Tensor, v: Tensor
    ) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        scores = query.new_empty((*query.shape[:2], keys.shape[1]))
        for rows, hidden in _hidden(query, keys):
            torch.matmul(hidden, v, out=scores[rows])
        return scores

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, v = ctx.saved_tensors  # type: ignore[attr-defined]
        grad_query, grad_keys = torch.empty_like(query), keys.new_empty(keys.shape)
        grad_v = torch.zeros_like(v)
        for rows, hidden in _hidden(query, keys):
            above = gradient[rows]
            grad_v.addmv_(hidden.view(-1, len(v)).t(), above.reshape(-1))
            inner = hidden.square_().sub_(1).mul_(above[..., None])
            torch.sum(inner, 2, out=grad_query[rows])
            torch.sum(inner, 1, out=grad_keys[rows])
        return grad_query.mul_(-v), grad_keys.mul_(-v), grad_v


def _hidden(query: Tensor, keys: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """tanh(query + key), a piece of the rows at a time."""
    for rows, into in _pieces(query, keys):
        torch.add(query[rows, :, None], keys[rows, None], out=into)
        yield rows, into.tanh_()


def _pieces(query: Tensor, keys: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The rows of each piece, and the buffer `[rows, N, T, units]` that all share."""
    rows, queries, units = query.shape
    shape = (queries, keys.shape[1], units)
    piece = max(1, PIECE // max(1, shape[0] * shape[1] * shape[2]))
    buffer = query.new_empty((min(piece, rows), *shape))
    for start in range(0, rows, piece):
        some = slice(start, min(start + piece, rows))
        yield some, buffer[: some.stop - start]
