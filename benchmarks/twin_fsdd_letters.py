"""Spoken digits to the letters of the word, from the encoder's final state alone."""

from __future__ import annotations

import torch
from twins.data import data_folder, read_rows
from twins.fitting import Recipe
from twins.pairs import Pairs, Tokens
from twins.report import Variant, main
from twins.seq2seq import Shape
from twins.transduction import Setting, Task, figures

SETTING = Setting(
    Shape(target=0, features=13, encoder=64, decoder=128, target_embed=16, layer_dropout=0.2),
    Recipe(epochs=10, batch=32, lr=2e-3, schedule="cosine"),
)


def load() -> Task:
    parts = [read_rows(data_folder() / "fsdd" / f"{part}.parquet") for part in ("train", "valid")]
    target = Tokens.of(row["word"] for row in parts[0])
    train, valid = (
        Pairs(
            [torch.tensor(row["frames"]) for row in rows],
            [target.encode(row["word"]) for row in rows],
        )
        for rows in parts
    )
    frames = torch.cat(train.x)
    return Task(train, valid, target, mean=frames.mean(0), std=frames.std(0, correction=0))


def run(seed: int) -> dict[str, float]:
    return figures(SETTING, load(), seed)


if __name__ == "__main__":
    main(__doc__, {"fsdd-letters": Variant("exact at least 95 %", run)})
