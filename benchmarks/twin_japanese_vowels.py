"""Japanese vowels, nine speakers from 12 coefficients: 5-fold cross-validation.

A fold is a fifth of a seeded permutation of the rows. Every epoch is run and the last weights
are kept, so that no fold chooses its own stopping point.
"""

from __future__ import annotations

import torch
from twins.data import Examples, data_folder, read_rows
from twins.model import Shape
from twins.train import Budget, Result, fit, parse, report

FOLDS = 5
BUDGET = Budget(epochs=20, batch=16, lr=3e-3)
SHAPE = Shape(outputs=9, features=12, cell="lstm", units=64, pooling="max", layer_dropout=0.3)


def load() -> Examples:
    rows = read_rows(data_folder() / "japanese_vowels" / "train.jsonl")
    labels = sorted({str(row["speaker"]) for row in rows})
    return Examples(
        [torch.tensor(row["frames"]) for row in rows],
        torch.tensor([labels.index(str(row["speaker"])) for row in rows]),
    )


def cross_validate(seed: int, shape: Shape = SHAPE, budget: Budget = BUDGET) -> list[Result]:
    examples = load()
    rows = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    folds = rows.tensor_split(FOLDS)
    results = []
    for index, fold in enumerate(folds):
        others = torch.cat([other for other in folds if other is not fold])
        train, valid = examples.subset(others), examples.subset(fold)
        results.append(fit(shape, budget, train, valid, seed * FOLDS + index))
    return results


def main() -> None:
    options = parse(__doc__)
    results = {seed: cross_validate(seed) for seed in options.seeds}
    report("japanese_vowels", 0.92, results, options.json)


if __name__ == "__main__":
    main()
