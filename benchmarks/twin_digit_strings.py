"""Strings of spoken digits to words: CTC, a transducer, and a decoder with location attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from twins.ctc import answers_in, best_path, ctc_loss, texts_of
from twins.data import read_rows
from twins.fitting import Learner, Recipe, fit
from twins.joined import strings_folder
from twins.listen_attend import Speller, attended_greedy
from twins.pairs import PairBatch, Pairs, Tokens
from twins.report import Variant, main
from twins.seq2seq import PAD
from twins.speech import Block, Hearing, Listener, LogMel, frames_of
from twins.transducer import Joint, Predicting, beam, greedy, transducer_loss
from twins.transduction import exact, token_errors

SHAPE = Hearing((Block(96, 5, 2), Block(96, 5, 2, dropout=0.1)), 64, dropout=0.2)
PREDICTING = Predicting(embed=16, units=32, hidden=64)
WIDTH = 2 * SHAPE.units
WIDEST = 5
"""Texts in the transducer's beam."""


def recipe(epochs: int) -> Recipe:
    return Recipe(epochs=epochs, batch=32, lr=3e-3, schedule="cosine", clip_norm=5.0)


Read = Callable[[Tensor, Tensor], list[list[int]]]


@dataclass(frozen=True)
class Reader:
    """A head over the listener: its loss summed over a batch, the texts that it reads to choose
    the best epoch, and those that are scored in the end."""

    head: nn.Module
    loss: Callable[[Tensor, Tensor, PairBatch], Tensor]
    read: Read
    scored: Read


def ctc(size: int) -> Reader:
    head = nn.Linear(WIDTH, size)

    def read(states: Tensor, lengths: Tensor) -> list[list[int]]:
        return best_path(head(states), lengths)

    def loss(states: Tensor, lengths: Tensor, batch: PairBatch) -> Tensor:
        return ctc_loss(head(states), lengths, batch)

    return Reader(head, loss, read, read)


def transducer(size: int) -> Reader:
    joint = Joint(PREDICTING, WIDTH, size)

    def loss(states: Tensor, lengths: Tensor, batch: PairBatch) -> Tensor:
        texts, counts = texts_of(batch)
        logs = joint(states, F.pad(texts, (1, 0), value=PAD))
        return transducer_loss(logs, lengths, texts, counts).sum()

    return Reader(
        joint,
        loss,
        lambda states, lengths: greedy(joint, states, lengths),
        lambda states, lengths: beam(joint, states, lengths, WIDEST),
    )


def attention(size: int) -> Reader:
    speller = Speller(WIDTH, size, embed=16, units=96)

    def loss(states: Tensor, lengths: Tensor, batch: PairBatch) -> Tensor:
        logits = speller(states, lengths, batch.written)
        wanted = batch.wanted.flatten()
        return F.cross_entropy(logits.flatten(0, 1), wanted, ignore_index=PAD, reduction="sum")

    def read(states: Tensor, lengths: Tensor) -> list[list[int]]:
        return attended_greedy(speller, states, lengths)

    return Reader(speller, loss, read, read)


class Model(nn.Module):
    """Frames to the states and lengths that the reader takes."""

    def __init__(self, train: Pairs, reader: Reader) -> None:
        super().__init__()
        frames = torch.cat(train.x)
        self.listener = Listener(SHAPE, frames.mean(0), frames.std(0, correction=0))
        self.head = reader.head

    def forward(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.listener(self.listener.scaled(batch.x), batch.lengths)
        return found


def load() -> tuple[Pairs, Pairs, Tokens]:
    folder, listen = strings_folder(), LogMel()
    parts = [read_rows(folder / f"{part}.jsonl") for part in ("train", "valid")]
    target = Tokens.of(row["words"] for row in parts[0])
    train, valid = (
        Pairs(
            [frames_of(folder / row["audio"], listen) for row in rows],
            [target.encode(row["words"]) for row in rows],
        )
        for rows in parts
    )
    return train, valid, target


def learner(train: Pairs, model: Model, reader: Reader, used: Recipe) -> Learner[PairBatch]:
    def loss_of(batch: PairBatch) -> Tensor:
        states, lengths = model(batch)
        return reader.loss(states, lengths, batch) / answers_in(batch)

    return Learner(model, used, train.batch, loss_of)


def run(
    kind: Callable[[int], Reader], epochs: int, seed: int, *, show: bool = False
) -> dict[str, float]:
    train, valid, target = load()
    order = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    reader = kind(len(target))
    model, used = Model(train, reader), recipe(epochs)

    def answers(read: Read) -> list[list[int]]:
        return [text for batch in valid.in_order(100) for text in read(*model(batch))]

    found = fit(
        model,
        used,
        lambda: train.shuffled(used.batch, order),
        learner(train, model, reader, used).loss,
        lambda: token_errors(answers(reader.read), valid.y),
        higher=False,
        show=show,
    )
    model.eval()
    with torch.no_grad():
        texts = answers(reader.scored)
    return {
        "word errors": token_errors(texts, valid.y),
        "exact": exact(texts, valid.y),
        "word errors, greedy": found.score,
        "parameters": found.parameters,
        "epoch s": found.epoch,
        "CPU s": found.seconds,
    }


VARIANTS = {
    "ctc": Variant("word errors at most 5 %", lambda seed: run(ctc, 12, seed)),
    "transducer": Variant("word errors at most 6 %", lambda seed: run(transducer, 30, seed)),
    "attention": Variant("reported beside them", lambda seed: run(attention, 16, seed)),
}

if __name__ == "__main__":
    main(__doc__, VARIANTS)
