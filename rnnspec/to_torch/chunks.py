"""Linear recurrences of matrices over a whole sequence, in chunks of steps.

`S_t = S_{t-1} A_t + u_t k_t^T` with `u_t = w_t + c_t S_{t-1} z_t` (`rnnspec.cells.chunks`). Within
a chunk that begins with S, and with D(t, s) the product of the decays after step s up to step t,

    S_{t-1} q = S D(t-1, 0) q + sum_{s < t} u_s (k_s^T D(t-1, s) q)

so that what is read of all steps of a chunk is a product with S and one with the lower triangle of
`k_s^T D q_t` (Yang et al. 2024, Gated Linear Attention Transformers, section 3). For `z` in the
place of q, the u of a chunk solve a system with a unit lower triangle, which is the WY form of the
products of Householder matrices (Yang et al. 2024, Parallelizing Linear Transformers with the Delta
Rule, section 3). Only the matrices between chunks are computed one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

CHUNK = 64
"""Steps of a chunk with one decay for all keys."""
CHUNK_OF_KEYS = 16
"""Steps of a chunk with a decay for each key, which is `[steps, steps, keys]`."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`decay` `[T, B, H, 1 or keys]`, `w` `[T, B, H, values]`, `c` `[T, B, H, 1]` (None: 0), `z`
    and `k` `[T, B, H, keys]`, and the matrix before the first step, `[B, H, values, keys]`."""

    decay: Tensor
    w: Tensor
    c: Tensor | None
    z: Tensor
    k: Tensor
    before: Tensor


def in_chunks(of: Recurrence, queries: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """`S_{t-1} q_t` `[T, B, H, values]` for each of the queries `[T, B, H, keys]`, and the matrix
    after the last step."""
    length = len(of.k)
    size = min(length, CHUNK if of.decay.shape[-1] == 1 else CHUNK_OF_KEYS)
    w, k = _cut(of.w, size), _cut(of.k, size)
    decays = _Decays.of(_cut(of.decay, size, 1.0))  # past the end nothing decays or is added
    if of.c is None:
        u, entering, after = _sums(decays, w, k, of.before)
    else:
        z, c = _cut(of.z, size), _cut(of.c, size)
        u, entering, after = _solved(decays, w, c * decays.since(z), c * decays.within(z, k), k, of)
    found = []
    for query in queries:
        q = _cut(query, size)
        read = decays.since(q) @ entering.transpose(-1, -2) + decays.within(q, k) @ u
        found.append(read.permute(0, 3, 1, 2, 4).flatten(0, 1)[:length])
    return found, after


def _cut(value: Tensor, size: int, behind: float = 0.0) -> Tensor:
    """`[T, B, H, width]` as `[chunks, B, H, size, width]`, with `behind` after the last step."""
    rest = -len(value) % size
    whole = pad(value, (0, 0, 0, 0, 0, 0, 0, rest), value=behind) if rest else value
    chunks: Tensor = whole.unflatten(0, (-1, size))
    return chunks.permute(0, 2, 3, 1, 4).contiguous()


@dataclass(frozen=True, slots=True)
class _Decays:
    """Products of decays within chunks: `first` of those before each step, `last` of those after
    it, `all` of the chunk; `between[t, s]` of those after s and before t, 0 unless s < t."""

    first: Tensor
    last: Tensor
    all: Tensor
    between: Tensor

    @staticmethod
    def of(decay: Tensor) -> _Decays:
        """No product is divided by another: they may be 0."""
        size = decay.shape[-2]
        ones = torch.ones_like(decay[..., :1, :])
        first = torch.cat([ones, decay[..., :-1, :].cumprod(-2)], -2)
        last = torch.cat([decay[..., 1:, :].flip(-2).cumprod(-2).flip(-2), ones], -2)
        step = torch.arange(size, device=decay.device)
        # Row t has the decay of step t - 1 where that comes after column s.
        late = (step[:, None] - 1 > step)[..., None]
        before = torch.cat([ones, decay[..., :-1, :]], -2).unsqueeze(-2)
        between = torch.where(late, before, ones.unsqueeze(-2)).cumprod(-3)
        between = between.masked_fill(~(step[:, None] > step)[..., None], 0.0)
        return _Decays(first, last, first[..., -1, :] * decay[..., -1, :], between)

    def since(self, q: Tensor) -> Tensor:
        """Vectors of each step, decayed from the begin of the chunk."""
        return q * self.first

    def within(self, q: Tensor, k: Tensor) -> Tensor:
        """`k_s^T D q_t` in row t and column s, of earlier steps s."""
        if self.between.shape[-1] == 1:
            return (q @ k.transpose(-1, -2)) * self.between.squeeze(-1)
        return ((q.unsqueeze(-2) * self.between) * k.unsqueeze(-3)).sum(-1)


def _sums(decays: _Decays, w: Tensor, k: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """w, the matrices that enter the chunks, and the one that leaves the last."""
    added = w.transpose(-1, -2) @ (k * decays.last)
    kept = decays.all.unsqueeze(-2)
    held, entering = before, []
    for number in range(len(w)):
        entering.append(held)
        held = torch.addcmul(added[number], kept[number], held)
    return w, torch.stack(entering), held


def _solved(
    decays: _Decays, w: Tensor, since: Tensor, within: Tensor, k: Tensor, of: Recurrence
) -> tuple[Tensor, Tensor, Tensor]:
    """The u of each step, where `u = w + since S^T + within u`, and the matrices as in `_sums`."""
    lower = torch.eye(within.shape[-1], dtype=within.dtype, device=within.device) - within
    both = torch.linalg.solve_triangular(
        lower, torch.cat([w, since], -1), upper=False, unitriangular=True
    )
    own, of_entering = both.split([w.shape[-1], since.shape[-1]], -1)
    keys, kept = k * decays.last, decays.all.unsqueeze(-2)
    held, entering, found = of.before, [], []
    for number in range(len(w)):
        entering.append(held)
        found.append(own[number] + of_entering[number] @ held.transpose(-1, -2))
        held = kept[number] * held + found[-1].transpose(-1, -2) @ keys[number]
    return torch.stack(found), torch.stack(entering), held
