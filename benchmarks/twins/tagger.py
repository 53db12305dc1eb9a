"""Labels of words: vectors and spelling, a BiLSTM, and a linear chain of labels or none.

The chain is that of pytorch-crf. Spans are scored by seqeval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from seqeval.metrics import f1_score
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torchcrf import CRF

from twins.data import POOL, Vocabulary
from twins.fitting import Fitted, Learner, Recipe, fit

IGNORED = -100


@dataclass(frozen=True)
class Shape:
    """units, character_units: of each direction. chain: labels of a row together, as a CRF."""

    embed: int = 128
    units: int = 128
    character_embed: int = 24
    character_units: int = 24
    embed_dropout: float = 0.5
    layer_dropout: float = 0.5
    min_count: int = 2
    chain: bool = True


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
class Sentences:
    """Words and their labels, as texts."""

    words: list[list[str]]
    tags: list[list[str]]


@dataclass(frozen=True)
class Known:
    """Vocabularies of a training part; vectors [words, embed] of another source, where given."""

    words: Vocabulary
    characters: Vocabulary
    labels: list[str]
    vectors: Tensor | None = None

    @classmethod
    def of(cls, train: Sentences, min_count: int) -> Known:
        spelled = [word for sentence in train.words for word in sentence]
        labels = sorted({tag for tags in train.tags for tag in tags})
        return cls(Vocabulary.of(train.words, min_count), Vocabulary.of(spelled, 1), labels)

    def batch(self, sentences: Sentences, rows: Sequence[int]) -> Batch:
        chosen = [sentences.words[row] for row in rows]
        distinct = sorted({word for sentence in chosen for word in sentence})
        place = {word: index for index, word in enumerate(distinct)}
        number = {label: index for index, label in enumerate(self.labels)}
        which = [torch.tensor([place[word] for word in sentence]) for sentence in chosen]
        tags = [torch.tensor([number.get(t, 0) for t in sentences.tags[row]]) for row in rows]
        spelled = [self.characters.encode(word) for word in distinct]
        return Batch(
            pad_sequence([self.words.encode(sentence) for sentence in chosen], batch_first=True),
            torch.tensor([len(sentence) for sentence in chosen]),
            pad_sequence(spelled, batch_first=True),
            torch.tensor([len(word) for word in distinct]),
            pad_sequence(which, batch_first=True),
            pad_sequence(tags, batch_first=True, padding_value=IGNORED),
        )

    def shuffled(self, of: Sentences, size: int, generator: torch.Generator) -> list[Batch]:
        lengths = torch.tensor([len(sentence) for sentence in of.words])
        batches: list[Tensor] = []
        for pool in torch.randperm(len(lengths), generator=generator).split(size * POOL):
            batches += pool[lengths[pool].argsort(stable=True)].split(size)
        order = torch.randperm(len(batches), generator=generator).tolist()
        return [self.batch(of, batches[index].tolist()) for index in order]

    def in_order(self, of: Sentences, size: int) -> list[Batch]:
        return [self.batch(of, rows.tolist()) for rows in torch.arange(len(of.words)).split(size)]


class Both(nn.Module):
    """A bidirectional LSTM over packed rows."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(inputs, units, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs [B, T, 2 units] and the last states of both directions [B, 2 units]."""
        packed = pack_padded_sequence(x, lengths, True, enforce_sorted=False)
        y, (last, _) = self.cell(packed)
        return pad_packed_sequence(y, batch_first=True)[0], torch.cat([last[0], last[1]], 1)


class Tagger(nn.Module):
    def __init__(self, shape: Shape, known: Known) -> None:
        super().__init__()
        self.words = nn.Embedding(len(known.words), shape.embed)
        if known.vectors is not None:
            self.words.weight.data.copy_(known.vectors)
        self.characters = nn.Embedding(len(known.characters), shape.character_embed)
        self.spelling = Both(shape.character_embed, shape.character_units)
        self.layer = Both(shape.embed + 2 * shape.character_units, shape.units)
        self.embed_dropout = nn.Dropout(shape.embed_dropout)
        self.layer_dropout = nn.Dropout(shape.layer_dropout)
        self.answer = nn.Linear(2 * shape.units, len(known.labels))
        self.chain = CRF(len(known.labels), batch_first=True) if shape.chain else None

    def forward(self, batch: Batch) -> Tensor:
        """Scores [B, T, labels]."""
        _, spelled = self.spelling(self.characters(batch.spelling), batch.spelling_lengths)
        x = self.embed_dropout(torch.cat([self.words(batch.words), spelled[batch.which]], 2))
        scores: Tensor = self.answer(self.layer_dropout(self.layer(x, batch.lengths)[0]))
        return scores

    def loss(self, batch: Batch) -> Tensor:
        """Mean over words of -ln p of their labels."""
        scores, own = self(batch), batch.tags != IGNORED
        if self.chain is None:
            return nn.functional.cross_entropy(scores.flatten(0, 1), batch.tags.flatten())
        found: Tensor = self.chain(scores, batch.tags.clamp(min=0), mask=own, reduction="sum")
        return -found / own.sum()

    def best(self, batch: Batch) -> list[list[int]]:
        scores = self(batch)
        if self.chain is not None:
            paths: list[list[int]] = self.chain.decode(scores, mask=batch.tags != IGNORED)
            return paths
        pairs = zip(scores.argmax(2), batch.lengths.tolist(), strict=True)
        return [row[:length].tolist() for row, length in pairs]


def span_f1(model: Tagger, known: Known, batches: list[Batch], wanted: list[list[str]]) -> float:
    found = [path for batch in batches for path in model.best(batch)]
    return float(f1_score(wanted, [[known.labels[each] for each in path] for path in found]))


@dataclass(frozen=True)
class Setting:
    shape: Shape
    recipe: Recipe


def learner(
    setting: Setting, known: Known, data: Sentences, seed: int
) -> tuple[Tagger, Learner[Batch]]:
    torch.manual_seed(seed)
    model = Tagger(setting.shape, known)

    def batch(rows: Tensor) -> Batch:
        return known.batch(data, rows.tolist())

    return model, Learner(model, setting.recipe, batch, model.loss)


def train(
    setting: Setting, known: Known, data: Sentences, dev: Sentences, seed: int, *, show: bool
) -> Fitted:
    """Keeps the epoch with the best F1 of spans."""
    order = torch.Generator().manual_seed(seed)
    model, learning = learner(setting, known, data, seed)
    recipe = setting.recipe
    held_out = known.in_order(dev, 100)
    return fit(
        model,
        recipe,
        lambda: known.shuffled(data, recipe.batch, order),
        learning.loss,
        lambda: span_f1(model, known, held_out, dev.tags),
        higher=True,
        show=show,
    )
