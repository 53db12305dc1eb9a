"""Spoken digits from 13 MFCC a frame, read from Parquet."""

from __future__ import annotations

import torch
from twins.data import Examples, data_folder, read_rows
from twins.model import Shape
from twins.train import Budget, fit, parse, report

BUDGET = Budget(epochs=12, batch=32, lr=2e-3, patience=4)
SHAPE = Shape(outputs=10, features=13, cell="lstm", units=96, pooling="max", layer_dropout=0.2)


def load(part: str) -> Examples:
    rows = read_rows(data_folder() / "fsdd" / f"{part}.parquet")
    return Examples(
        [torch.tensor(row["frames"]) for row in rows], torch.tensor([row["digit"] for row in rows])
    )


def main() -> None:
    options = parse(__doc__)
    train, valid = load("train"), load("valid")
    results = {seed: [fit(SHAPE, BUDGET, train, valid, seed)] for seed in options.seeds}
    report("fsdd", 0.98, results, options.json)


if __name__ == "__main__":
    main()
