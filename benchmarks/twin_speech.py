"""Which digit is spoken, from wav files: log-mel, two convolutions, a GRU and its mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from twins.data import Batch, Examples, data_folder, read_rows
from twins.fitting import Fitted, Learner, Recipe, fit
from twins.report import Variant, main
from twins.speech import HOP, Block, Hearing, Listener, LogMel, below, changed, masked, read_wav

SHAPE = Hearing((Block(64, 5, 2), Block(96, 3, dropout=0.1)), 96)
RECIPE = Recipe(epochs=12, batch=64, lr=3e-3, optimizer="adamw", weight_decay=0.01,
                schedule="cosine")  # fmt: skip


class Model(nn.Module):
    def __init__(self, mean: Tensor, std: Tensor, words: int) -> None:
        super().__init__()
        self.features = LogMel()
        self.listener = Listener(SHAPE, mean, std)
        self.answer = nn.Linear(2 * SHAPE.units, words)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, words]."""
        samples, lengths = batch.x, batch.lengths
        if self.training:
            samples, lengths = changed(samples, lengths)
        frames = self.listener.scaled(self.features(samples))
        lengths = (lengths + HOP - 1) // HOP
        if self.training:
            frames = masked(frames, lengths)
        states, lengths = self.listener(frames, lengths)
        states = states * below(lengths, states.shape[1])[:, :, None]
        logits: Tensor = self.answer(states.sum(1) / lengths[:, None])
        return logits


def load() -> tuple[Examples, Examples, list[str]]:
    """Samples of the training and the validation part, and the words by their numbers."""
    folder = data_folder() / "speech"
    parts = [read_rows(folder / f"{part}.jsonl") for part in ("train", "valid")]
    words = sorted({row["word"] for row in parts[0]})
    train, valid = (
        Examples(
            [read_wav(folder / row["audio"]) for row in rows],
            torch.tensor([words.index(row["word"]) for row in rows]),
        )
        for rows in parts
    )
    return train, valid, words


def accuracy(model: Model, batches: list[Batch]) -> float:
    right = sum(int((model(batch).argmax(1) == batch.y).sum()) for batch in batches)
    return right / sum(len(batch.y) for batch in batches)


def learner(data: Examples, words: int, seed: int) -> tuple[Model, Learner[Batch]]:
    torch.manual_seed(seed)
    features = LogMel()
    frames = torch.cat([features(samples[None])[0] for samples in data.x])
    model = Model(frames.mean(0), frames.std(0, correction=0), words)

    def loss_of(batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(model(batch), batch.y)

    return model, Learner(model, RECIPE, data.batch, loss_of)


def train(seed: int, *, show: bool = False) -> Fitted:
    data, valid, words = load()
    model, learning = learner(data, len(words), seed)
    order = torch.Generator().manual_seed(seed)
    held_out = valid.in_order(100)
    return fit(
        model,
        RECIPE,
        lambda: data.shuffled(RECIPE.batch, order),
        learning.loss,
        lambda: accuracy(model, held_out),
        higher=True,
        show=show,
    )


def run(seed: int) -> dict[str, float]:
    found = train(seed)
    return {
        "accuracy": found.score,
        "parameters": found.parameters,
        "epoch s": found.epoch,
        "CPU s": found.seconds,
    }


if __name__ == "__main__":
    main(__doc__, {"speech": Variant("accuracy at least 98 %", run)})
