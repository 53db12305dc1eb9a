"""Questions about flights: slots by a BiLSTM-CRF, and what is asked for by a BiLSTM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from twins.data import Batch, Examples, Vocabulary, data_folder, read_rows
from twins.fitting import Fitted, Learner, Recipe, fit
from twins.model import Shape, Twin
from twins.report import Variant, main
from twins.tagger import Known, Sentences, Setting, learner, train
from twins.tagger import Shape as TaggerShape
from twins.train import accuracy, loss_of

SLOTS = Setting(
    TaggerShape(), Recipe(epochs=20, batch=16, lr=3e-3, schedule="cosine", clip_norm=5.0)
)
INTENTS = Shape(
    outputs=0, embed=128, units=128, pooling="max", embed_dropout=0.3, layer_dropout=0.3
)
INTENTS_RECIPE = Recipe(epochs=10, batch=16, lr=2e-3, schedule="cosine")


def parts() -> list[list[dict[str, Any]]]:
    return [read_rows(data_folder() / "atis" / f"{part}.jsonl") for part in ("train", "dev")]


def sentences() -> tuple[Sentences, Sentences]:
    data, dev = (
        Sentences([row["tokens"] for row in rows], [row["slots"] for row in rows])
        for rows in parts()
    )
    return data, dev


def slots_step() -> Callable[[Tensor], None]:
    data, _ = sentences()
    return learner(SLOTS, Known.of(data, SLOTS.shape.min_count), data, 0)[1].stepping()


def slots(seed: int, *, show: bool = False) -> dict[str, float]:
    data, dev = sentences()
    known = Known.of(data, SLOTS.shape.min_count)
    found = train(SLOTS, known, data, dev, seed, show=show)
    return figures("F1", found)


def questions() -> tuple[Examples, Examples, Shape]:
    """Both parts, and the shape with its sizes."""
    train, _ = both = parts()
    words = Vocabulary.of([row["tokens"] for row in train], 2)
    labels = sorted({row["intent"] for row in train})
    number = {label: index for index, label in enumerate(labels)}
    data, dev = (
        Examples(
            [words.encode(row["tokens"]) for row in rows],
            torch.tensor([number.get(row["intent"], -1) for row in rows]),
        )
        for rows in both
    )
    return data, dev, replace(INTENTS, outputs=len(labels), vocabulary=len(words))


def intents_step() -> Callable[[Tensor], None]:
    data, _, shape = questions()
    return intents_learner(data, shape)[1].stepping()


def intents_learner(data: Examples, shape: Shape) -> tuple[Twin, Learner[Batch]]:
    model = Twin(shape, packed=True)

    def loss(batch: Batch) -> Tensor:
        return loss_of(model(batch.x, batch.lengths), batch.y)

    return model, Learner(model, INTENTS_RECIPE, data.batch, loss)


def intents(seed: int, *, show: bool = False) -> dict[str, float]:
    data, dev, shape = questions()
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    model, learning = intents_learner(data, shape)
    held_out = dev.in_order(100)
    found = fit(
        model,
        INTENTS_RECIPE,
        lambda: data.shuffled(INTENTS_RECIPE.batch, order),
        learning.loss,
        lambda: accuracy(model, held_out),
        higher=True,
        show=show,
    )
    return figures("accuracy", found)


def figures(name: str, found: Fitted) -> dict[str, float]:
    return {
        name: found.score,
        "parameters": found.parameters,
        "epoch s": found.epoch,
        "CPU s": found.seconds,
    }


VARIANTS = {
    "slots": Variant("F1 of spans at least 97 %", slots),
    "intents": Variant("accuracy at least 97 %", intents),
}

if __name__ == "__main__":
    main(__doc__, VARIANTS)
