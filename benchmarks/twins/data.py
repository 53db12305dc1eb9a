"""Rows from JSONL or Parquet, a vocabulary, and length-bucketed batches."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

PAD, UNKNOWN = 0, 1
POOL = 50
"""Batches per pool: rows are sorted by length inside a pool only, so order stays random."""


def data_folder() -> Path:
    """The folder of the real data sets: RNNSPEC_DATA, else the one beside the repository."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("RNNSPEC_DATA", beside))
    if not folder.is_dir():
        raise SystemExit(f"no data folder at {folder}: set RNNSPEC_DATA")
    return folder


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Every row of a .jsonl or .parquet file, as dictionaries."""
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class Vocabulary:
    """Word ids from the training data: 0 pads, 1 is any unknown word."""

    ids: dict[str, int]

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], min_count: int) -> Vocabulary:
        counts = Counter(word for sentence in sentences for word in sentence)
        kept = sorted(word for word, count in counts.items() if count >= min_count)
        return cls({word: index for index, word in enumerate(kept, start=2)})

    def __len__(self) -> int:
        return len(self.ids) + 2

    def encode(self, words: Sequence[str]) -> Tensor:
        """int64 [T]."""
        return torch.tensor([self.ids.get(word, UNKNOWN) for word in words])


@dataclass(frozen=True)
class Batch:
    """x: int64 [B, T] or float32 [B, T, F]; lengths: int64 [B]; y: int64 [B] or float32 [B, C]."""

    x: Tensor
    lengths: Tensor
    y: Tensor


@dataclass(frozen=True)
class Examples:
    """Sequences x of shape [T] (ids) or [T, F] (frames), with a target for each."""

    x: list[Tensor]
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, rows: Tensor) -> Examples:
        return Examples([self.x[row] for row in rows.tolist()], self.y[rows])

    def batch(self, rows: Tensor) -> Batch:
        chosen = [self.x[row] for row in rows.tolist()]
        lengths = torch.tensor([len(x) for x in chosen])
        padded = pad_sequence(chosen, batch_first=True, padding_value=PAD)
        return Batch(padded, lengths, self.y[rows])

    def shuffled(self, size: int, generator: torch.Generator) -> list[Batch]:
        """Batches of one epoch: rows shuffled, sorted by length inside pools, batches shuffled."""
        lengths = torch.tensor([len(x) for x in self.x])
        batches: list[Tensor] = []
        for pool in torch.randperm(len(self), generator=generator).split(size * POOL):
            batches += pool[lengths[pool].argsort(stable=True)].split(size)
        order = torch.randperm(len(batches), generator=generator).tolist()
        return [self.batch(batches[index]) for index in order]

    def in_order(self, size: int) -> list[Batch]:
        return [self.batch(rows) for rows in torch.arange(len(self)).split(size)]
