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
from twins.transducer import Joint, Predicting, greedy, transducer_loss
from twins.transduction import exact, token_errors

SHAPE = Hearing((Block(96, 5, 2), Block(96, 5, 2, dropout=0.1)), 64, dropout=0.2)
PREDICTING = Predicting(embed=16, units=32, hidden=64)
WIDTH = 2 * SHAPE.units


def recipe(epochs: int) -> Recipe:
    return Recipe(epochs=epochs, batch=32, lr=3e-3, schedule="cosine", clip_norm=5.0)


@dataclass(frozen=True)
class Reader:
    """A head over the listener: its loss summed over a batch, and the texts that it reads."""

    head: nn.Module
    loss: Callable[[Tensor, Tensor, PairBatch], Tensor]
    read: Callable[[Tensor, Tensor], list[list[int]]]


def ctc(size: int) -> Reader:
    head = nn.Linear(WIDTH, size)

    return Reader(
        head,
        lambda states, lengths, batch: ctc_loss(head(states), lengths, batch),
        lambda states, lengths: best_path(head(states), lengths),
    )


def transducer(size: int) -> Reader:
    joint = Joint(PREDICTING, WIDTH, size)

    def loss(states: Tensor, lengths: Tensor, batch: PairBatch) -> Tensor:
        texts, counts = texts_of(batch)
        logs = joint(states, F.pad(texts, (1, 0), value=PAD))
        return transducer_loss(logs, lengths, texts, counts).sum()

    return Reader(joint, loss, lambda states, lengths: greedy(joint, states, lengths))


def attention(size: int) -> Reader:
    speller = Speller(WIDTH, size, embed=16, units=96)

    def loss(states: Tensor, lengths: Tensor, batch: PairBatch) -> Tensor:
        logits = speller(states, lengths, batch.written)
        wanted = batch.wanted.flatten()
        return F.cross_entropy(logits.flatten(0, 1), wanted, ignore_index=PAD, reduction="sum")

    return Reader(speller, loss, lambda states, lengths: attended_greedy(speller, states, lengths))


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

    def answers() -> list[list[int]]:
        return [text for batch in valid.in_order(100) for text in reader.read(*model(batch))]

    found = fit(
        model,
        used,
        lambda: train.shuffled(used.batch, order),
        learner(train, model, reader, used).loss,
        lambda: token_errors(answers(), valid.y),
        higher=False,
        show=show,
    )
    model.eval()
    with torch.no_grad():
        right = exact(answers(), valid.y)
    return {
        "word errors": found.score,
        "exact": right,
        "parameters": found.parameters,
        "epoch s": found.epoch,
        "CPU s": found.seconds,
    }


VARIANTS = {
    "ctc": Variant("word errors at most 5 %", lambda seed: run(ctc, 6, seed)),
    "transducer": Variant("word errors at most 6 %", lambda seed: run(transducer, 10, seed)),
    "attention": Variant("reported beside them", lambda seed: run(attention, 6, seed)),
}

if __name__ == "__main__":
    main(__doc__, VARIANTS)
