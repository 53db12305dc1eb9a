"""Part-of-speech tags of English: each word's embedding and a BiLSTM over its characters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from twins.data import POOL, Vocabulary, data_folder, read_rows
from twins.fitting import Fitted, Recipe, fit
from twins.model import PaddedLayer
from twins.model import Shape as LayerShape
from twins.report import Variant, main

IGNORED = -100


@dataclass(frozen=True)
class Shape:
    """units and character_units: of each direction."""

    embed: int = 100
    units: int = 128
    character_embed: int = 32
    character_units: int = 32
    embed_dropout: float = 0.3
    layer_dropout: float = 0.3
    min_count: int = 2


SHAPE = Shape()
RECIPE = Recipe(epochs=4, batch=32, lr=3e-3, schedule="cosine")


@dataclass(frozen=True)
class Batch:
    """words: [B, T]; lengths: [B]; spelling: [U, C], the characters of the batch's distinct words;
    spelling_lengths: [U]; which: [B, T], rows of spelling; tags: [B, T], IGNORED past the end."""

    words: Tensor
    lengths: Tensor
    spelling: Tensor
    spelling_lengths: Tensor
    which: Tensor
    tags: Tensor


@dataclass(frozen=True)
class Data:
    """Sentences with tags, and the vocabularies of the training part."""

    sentences: list[list[str]]
    tags: list[Tensor]
    words: Vocabulary
    characters: Vocabulary

    def batch(self, rows: list[int]) -> Batch:
        chosen = [self.sentences[row] for row in rows]
        distinct = sorted({word for sentence in chosen for word in sentence})
        place = {word: index for index, word in enumerate(distinct)}
        spelled = [self.characters.encode(word) for word in distinct]
        which = [torch.tensor([place[word] for word in sentence]) for sentence in chosen]
        return Batch(
            pad_sequence([self.words.encode(sentence) for sentence in chosen], batch_first=True),
            torch.tensor([len(sentence) for sentence in chosen]),
            pad_sequence(spelled, batch_first=True),
            torch.tensor([len(word) for word in distinct]),
            pad_sequence(which, batch_first=True),
            pad_sequence([self.tags[row] for row in rows], batch_first=True, padding_value=IGNORED),
        )

    def shuffled(self, size: int, generator: torch.Generator) -> list[Batch]:
        lengths = torch.tensor([len(sentence) for sentence in self.sentences])
        batches: list[Tensor] = []
        for pool in torch.randperm(len(lengths), generator=generator).split(size * POOL):
            batches += pool[lengths[pool].argsort(stable=True)].split(size)
        order = torch.randperm(len(batches), generator=generator).tolist()
        return [self.batch(batches[index].tolist()) for index in order]

    def in_order(self, size: int) -> list[Batch]:
        return [self.batch(rows.tolist()) for rows in torch.arange(len(self.tags)).split(size)]


class Model(nn.Module):
    def __init__(self, shape: Shape, words: int, characters: int, tags: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, shape.embed)
        self.characters = nn.Embedding(characters, shape.character_embed)
        spelled = LayerShape(0, units=shape.character_units)
        self.spelling = PaddedLayer(spelled, shape.character_embed)
        width = shape.embed + 2 * shape.character_units
        self.layer = PaddedLayer(LayerShape(0, units=shape.units), width)
        self.embed_dropout = nn.Dropout(shape.embed_dropout)
        self.layer_dropout = nn.Dropout(shape.layer_dropout)
        self.head = nn.Linear(2 * shape.units, tags)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T, tags]."""
        y = self.spelling(self.characters(batch.spelling), batch.spelling_lengths)
        half = y.shape[2] // 2
        last = y[torch.arange(len(y)), batch.spelling_lengths - 1, :half]
        spelled = torch.cat([last, y[:, 0, half:]], 1)  # backwards, step 0 has read everything
        x = self.embed_dropout(torch.cat([self.words(batch.words), spelled[batch.which]], 2))
        logits: Tensor = self.head(self.layer_dropout(self.layer(x, batch.lengths)))
        return logits


def load(min_count: int) -> tuple[Data, Data, int]:
    """Training and dev sentences, and the number of tags."""
    parts = [read_rows(data_folder() / "ud_en_ewt" / f"{part}.jsonl") for part in ("train", "dev")]
    sentences = [[row["tokens"] for row in rows] for rows in parts]
    tags = sorted({tag for row in parts[0] for tag in row["tags"]})
    words = Vocabulary.of(sentences[0], min_count)
    characters = Vocabulary.of([word for sentence in sentences[0] for word in sentence], 1)
    train, dev = (
        Data(
            given,
            [torch.tensor([tags.index(tag) for tag in row["tags"]]) for row in rows],
            words,
            characters,
        )
        for given, rows in zip(sentences, parts, strict=True)
    )
    return train, dev, len(tags)


def accuracy(model: Model, batches: list[Batch]) -> float:
    right = sum(int((model(batch).argmax(2) == batch.tags).sum()) for batch in batches)
    return right / sum(int(batch.lengths.sum()) for batch in batches)


def train(shape: Shape, recipe: Recipe, seed: int, *, show: bool = False) -> Fitted:
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    data, dev, tags = load(shape.min_count)
    model = Model(shape, len(data.words), len(data.characters), tags)
    held_out = dev.in_order(100)

    def loss_of(batch: Batch) -> Tensor:
        logits = model(batch).flatten(0, 1)
        return nn.functional.cross_entropy(logits, batch.tags.flatten(), ignore_index=IGNORED)

    return fit(
        model,
        recipe,
        lambda: data.shuffled(recipe.batch, order),
        loss_of,
        lambda: accuracy(model, held_out),
        higher=True,
        show=show,
    )


def run(seed: int) -> dict[str, float]:
    found = train(SHAPE, RECIPE, seed)
    return {"accuracy": found.score, "parameters": found.parameters, "CPU s": found.seconds}


if __name__ == "__main__":
    main(__doc__, {"ud_en_ewt": Variant("dev accuracy at least 90 %", run)})
