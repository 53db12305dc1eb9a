"""Lines of handwritten digits from their pictures: convolutions, a BiLSTM over columns, CTC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from twins.ctc import answers_in, best_path, ctc_loss
from twins.data import data_folder, read_rows
from twins.fitting import Learner, Recipe, fit
from twins.pairs import PairBatch, Pairs, Tokens
from twins.report import Variant, main
from twins.speech import below
from twins.transduction import exact, token_errors

HEIGHT, UNITS, DROPOUT = 16, 64, 0.2
RECIPE = Recipe(epochs=12, batch=16, lr=3e-3, schedule="cosine")


class Model(nn.Module):
    """[B, columns, HEIGHT] pixels between 0 and 1 to logits [B, T, size] and lengths [B]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(given, filters, 3, padding=1) for given, filters in ((1, 16), (16, 32))
        )
        self.norms = nn.ModuleList(map(nn.BatchNorm2d, (16, 32)))
        self.cell = nn.LSTM(32 * HEIGHT // 4, UNITS, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.answer = nn.Linear(2 * UNITS, size)

    def forward(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        x, lengths = batch.x[:, None], batch.lengths
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
            x = F.max_pool2d(x * below(lengths, x.shape[2])[:, None, :, None], 2, ceil_mode=True)
            lengths = (lengths + 1) // 2
        steps = x.permute(0, 2, 3, 1).flatten(2)
        packed = pack_padded_sequence(steps, lengths, True, enforce_sorted=False)
        states = pad_packed_sequence(self.cell(packed)[0], batch_first=True)[0]
        return self.answer(self.dropout(states)), lengths


def columns_of(path: Path) -> Tensor:
    """float32 [columns, rows] of a grey picture."""
    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("L"), np.float32).T / 255)


def load() -> tuple[Pairs, Pairs, Tokens]:
    folder = data_folder() / "digit_lines"
    parts = [read_rows(folder / f"{part}.jsonl") for part in ("train", "valid")]
    target = Tokens.of(row["text"] for row in parts[0])
    train, valid = (
        Pairs(
            [columns_of(folder / row["image"]) for row in rows],
            [target.encode(row["text"]) for row in rows],
        )
        for rows in parts
    )
    return train, valid, target


def learner(train: Pairs, size: int, seed: int) -> tuple[Model, Learner[PairBatch]]:
    torch.manual_seed(seed)
    model = Model(size)

    def loss_of(batch: PairBatch) -> Tensor:
        logits, lengths = model(batch)
        return ctc_loss(logits, lengths, batch) / answers_in(batch)

    return model, Learner(model, RECIPE, train.batch, loss_of)


def run(seed: int, *, show: bool = False) -> dict[str, float]:
    train, valid, target = load()
    model, learning = learner(train, len(target), seed)
    order = torch.Generator().manual_seed(seed)

    def answers() -> list[list[int]]:
        return [text for batch in valid.in_order(100) for text in best_path(*model(batch))]

    found = fit(
        model,
        RECIPE,
        lambda: train.shuffled(RECIPE.batch, order),
        learning.loss,
        lambda: token_errors(answers(), valid.y),
        higher=False,
        show=show,
    )
    model.eval()
    with torch.no_grad():
        right = exact(answers(), valid.y)
    return {
        "exact": right,
        "character errors": found.score,
        "parameters": found.parameters,
        "epoch s": found.epoch,
        "CPU s": found.seconds,
    }


if __name__ == "__main__":
    main(__doc__, {"digit_lines": Variant("exact lines at least 90 %", run)})
