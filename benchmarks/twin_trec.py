"""TREC questions, six classes: a BiLSTM over words split at spaces, random embeddings."""

from __future__ import annotations

import torch
from twins.data import Examples, Vocabulary, data_folder, read_rows
from twins.model import Shape
from twins.train import Budget, fit, parse, report

MIN_COUNT = 2
BUDGET = Budget(epochs=10, batch=50, lr=3e-3, patience=3)


def load(min_count: int = MIN_COUNT) -> tuple[Examples, Examples, int]:
    """Training and validation questions, and the size of the vocabulary."""
    parts = [read_rows(data_folder() / "trec" / f"{part}.jsonl") for part in ("train", "valid")]
    words = [[row["question"].split() for row in rows] for rows in parts]
    vocabulary = Vocabulary.of(words[0], min_count)
    labels = sorted({row["label"] for row in parts[0]})
    train, valid = (
        Examples(
            [vocabulary.encode(sentence) for sentence in sentences],
            torch.tensor([labels.index(row["label"]) for row in rows]),
        )
        for sentences, rows in zip(words, parts, strict=True)
    )
    return train, valid, len(vocabulary)


def shape(vocabulary: int) -> Shape:
    return Shape(
        outputs=6,
        vocabulary=vocabulary,
        embed=100,
        units=100,
        pooling="max",
        embed_dropout=0.3,
        layer_dropout=0.3,
    )


def main() -> None:
    options = parse(__doc__)
    train, valid, vocabulary = load()
    results = {seed: [fit(shape(vocabulary), BUDGET, train, valid, seed)] for seed in options.seeds}
    report("trec", 0.85, results, options.json)


if __name__ == "__main__":
    main()
