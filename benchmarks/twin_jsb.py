"""The next chord of Bach chorales: 88 keys at each step, several at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from twins.data import data_folder, read_rows
from twins.fitting import Fitted, Recipe, fit
from twins.report import Variant, main

KEYS = 88
CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class Shape:
    cell: str = "lstm"
    units: int = 200
    layers: int = 1
    input_dropout: float = 0.0
    dropout: float = 0.3


SHAPE = Shape()
RECIPE = Recipe(epochs=40, batch=8, lr=3e-3, schedule="cosine")


def load(part: str) -> list[Tensor]:
    """Chorales as float32 [T, 88] of 0 and 1."""
    found = []
    for row in read_rows(data_folder() / "jsb" / f"{part}.jsonl"):
        chords = torch.zeros(len(row["keys"]), KEYS)
        for step, keys in enumerate(row["keys"]):
            chords[step, keys] = 1.0
        found.append(chords)
    return found


class Model(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = [KEYS] + [shape.units] * (shape.layers - 1)
        cell = CELLS[shape.cell]
        self.layers = nn.ModuleList(cell(w, shape.units, batch_first=True) for w in widths)
        self.input_dropout = nn.Dropout(shape.input_dropout)
        self.dropout = nn.Dropout(shape.dropout)
        self.head = nn.Linear(shape.units, KEYS)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, 88] chords to logits [B, T, 88] of the chords after each."""
        y: Tensor = self.input_dropout(x)
        for layer in self.layers:
            y = self.dropout(layer(y)[0])
        logits: Tensor = self.head(y)
        return logits


def step_nll(model: Model, chorales: list[Tensor]) -> tuple[Tensor, int]:
    """Nats summed over keys and over every step but the first of each; how many steps."""
    x = pad_sequence(chorales, batch_first=True)
    lengths = torch.tensor([len(chorale) - 1 for chorale in chorales])
    logits = model(x[:, :-1])  # one direction: padding at the end cannot reach a real step
    nats = nn.functional.binary_cross_entropy_with_logits(logits, x[:, 1:], reduction="none")
    real = torch.arange(logits.shape[1]) < lengths[:, None]
    return nats.sum(2)[real].sum(), int(lengths.sum())


def train(shape: Shape, recipe: Recipe, seed: int, *, show: bool = False) -> Fitted:
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    data, valid = load("train"), load("valid")
    model = Model(shape)

    def epoch_of() -> list[list[Tensor]]:
        rows = torch.randperm(len(data), generator=order).split(recipe.batch)
        return [[data[row] for row in some.tolist()] for some in rows]

    def loss_of(chorales: list[Tensor]) -> Tensor:
        nats, steps = step_nll(model, chorales)
        return nats / steps

    def score_of() -> float:
        nats, steps = step_nll(model, valid)
        return nats.item() / steps

    return fit(model, recipe, epoch_of, loss_of, score_of, higher=False, show=show)


def run(seed: int) -> dict[str, float]:
    found = train(SHAPE, RECIPE, seed)
    return {"nats": found.score, "parameters": found.parameters, "CPU s": found.seconds}


if __name__ == "__main__":
    main(__doc__, {"jsb": Variant("valid nats per step at most 8.9", run)})
