"""Pairs of a source (tokens, frames or a vector) and a target of tokens: read, batched, trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from twins.data import POOL
from twins.seq2seq import END, PAD, START, UNKNOWN, Seq2Seq


def read_tsv(path: Path) -> list[tuple[str, str]]:
    """The two columns of a file with a heading."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [(line.split("\t")[0], line.split("\t")[1]) for line in lines]


@dataclass(frozen=True)
class Tokens:
    """Token numbers from training data, in code-point order after PAD, UNKNOWN, START and END."""

    ids: dict[str, int]

    @classmethod
    def of(cls, sequences: Iterable[Sequence[str]]) -> Tokens:
        known = sorted({token for sequence in sequences for token in sequence})
        return cls({token: index for index, token in enumerate(known, start=END + 1)})

    def __len__(self) -> int:
        return len(self.ids) + END + 1

    def encode(self, tokens: Sequence[str]) -> Tensor:
        """int64 [T]."""
        return torch.tensor([self.ids.get(token, UNKNOWN) for token in tokens], dtype=torch.int64)

    def decode(self, numbers: Sequence[int]) -> list[str]:
        names = {number: token for token, number in self.ids.items()}
        return [names.get(number, "?") for number in numbers]


@dataclass(frozen=True)
class PairBatch:
    """x: int64 [B, S], float32 [B, S, F] or, for vectors, float32 [B, F]; lengths: int64 [B];
    written: int64 [B, T], START and the target; wanted: int64 [B, T], the target and END."""

    x: Tensor
    lengths: Tensor
    written: Tensor
    wanted: Tensor


@dataclass(frozen=True)
class Pairs:
    """x: [S] tokens, [S, F] frames, or vectors [F] where ``vectors``; y: [T] target tokens."""

    x: list[Tensor]
    y: list[Tensor]
    vectors: bool = False

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows: Tensor) -> PairBatch:
        chosen = [self.x[row] for row in rows.tolist()]
        targets = [self.y[row] for row in rows.tolist()]
        lengths = torch.tensor([len(x) for x in chosen])
        x = torch.stack(chosen) if self.vectors else pad_sequence(chosen, batch_first=True)
        start, end = torch.tensor([START]), torch.tensor([END])
        written = pad_sequence([torch.cat([start, y]) for y in targets], batch_first=True)
        wanted = pad_sequence([torch.cat([y, end]) for y in targets], batch_first=True)
        return PairBatch(x, lengths, written, wanted)

    def shuffled(self, size: int, generator: torch.Generator) -> list[PairBatch]:
        """Batches of one epoch: rows shuffled, sorted by the source's and then the target's length
        inside pools, batches shuffled."""
        lengths = torch.tensor([(len(x), len(y)) for x, y in zip(self.x, self.y, strict=True)])
        keys = lengths[:, 1] if self.vectors else lengths[:, 0] * 10_000 + lengths[:, 1]
        batches: list[Tensor] = []
        for pool in torch.randperm(len(self), generator=generator).split(size * POOL):
            batches += pool[keys[pool].argsort(stable=True)].split(size)
        order = torch.randperm(len(batches), generator=generator).tolist()
        return [self.batch(batches[index]) for index in order]

    def in_order(self, size: int) -> list[PairBatch]:
        return [self.batch(rows) for rows in torch.arange(len(self)).split(size)]


def token_loss(model: Seq2Seq, batch: PairBatch, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over true tokens, END among them."""
    logits = model(batch.x, batch.lengths, batch.written)
    return nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.wanted.flatten(), ignore_index=PAD, label_smoothing=smoothing
    )


def edits(a: Sequence[object], b: Sequence[object]) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]
