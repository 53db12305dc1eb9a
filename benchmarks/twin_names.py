"""Which of 18 languages a surname comes from: a BiLSTM over its characters."""

from __future__ import annotations

import torch
from twins.data import Examples, Vocabulary, data_folder, read_rows
from twins.fitting import Fitted, Recipe, fit
from twins.model import Shape, Twin
from twins.report import Variant, main
from twins.train import accuracy, loss_of

SHAPE = Shape(outputs=18, embed=64, units=128, pooling="last", embed_dropout=0.2, layer_dropout=0.3)
RECIPE = Recipe(epochs=6, batch=32, lr=3e-3, schedule="cosine")


def load() -> tuple[Examples, Examples, int]:
    """Training and validation names, and the size of the vocabulary."""
    parts = [read_rows(data_folder() / "names" / f"{part}.jsonl") for part in ("train", "valid")]
    vocabulary = Vocabulary.of([row["name"] for row in parts[0]], 1)
    languages = sorted({row["language"] for row in parts[0]})
    train, valid = (
        Examples(
            [vocabulary.encode(row["name"]) for row in rows],
            torch.tensor([languages.index(row["language"]) for row in rows]),
        )
        for rows in parts
    )
    return train, valid, len(vocabulary)


def train(shape: Shape, recipe: Recipe, seed: int, *, show: bool = False) -> Fitted:
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    data, valid, size = load()
    model = Twin(Shape(**{**vars(shape), "vocabulary": size}))
    held_out = valid.in_order(200)
    return fit(
        model,
        recipe,
        lambda: data.shuffled(recipe.batch, order),
        lambda batch: loss_of(model(batch.x, batch.lengths), batch.y),
        lambda: accuracy(model, held_out),
        higher=True,
        show=show,
    )


def run(seed: int) -> dict[str, float]:
    found = train(SHAPE, RECIPE, seed)
    return {"accuracy": found.score, "parameters": found.parameters, "CPU s": found.seconds}


if __name__ == "__main__":
    main(__doc__, {"names": Variant("valid accuracy at least 78 %", run)})
