"""ETTh1, the next 24 hours of the oil temperature from its own past, one direct answer.

Rows 0-8640 train, 8640-11520 validate, 11520-14400 test (12, 4 and 4 months of 30 days), all
standardised by the training part. Every window whose 24 hours lie inside a part counts; its
history may reach back into the part before. Errors are mean squared errors of standardised
values, beside those of the last value and of the value 24 hours before on the same windows.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from twins.data import data_folder
from twins.fitting import Fitted, Recipe, fit
from twins.report import Variant, main

PARTS = {"train": (0, 8640), "valid": (8640, 11520), "test": (11520, 14400)}
HORIZON = 24
CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class Shape:
    """centre: what is taken from a window's history and given back to its answer: ``last`` (its
    last value), ``mean`` or ``none``."""

    cell: str = "lstm"
    units: int = 64
    layers: int = 1
    history: int = 96
    dropout: float = 0.1
    centre: str = "mean"


SHAPE = Shape()
RECIPE = Recipe(epochs=6, batch=64, lr=1e-3, schedule="cosine")


def load() -> Tensor:
    """The column OT, standardised by the training part: float32 [14400]."""
    with (data_folder() / "series" / "ETTh1.csv").open(encoding="utf-8") as file:
        values = torch.tensor([float(row["OT"]) for row in csv.DictReader(file)])
    known = values[: PARTS["train"][1]]
    return ((values - known.mean()) / known.std(correction=0))[: PARTS["test"][1]]


def windows(series: Tensor, part: str, history: int) -> tuple[Tensor, Tensor]:
    """Histories [W, history] and what follows each [W, 24]."""
    first, end = PARTS[part]
    first = max(first, history)
    cut = series[first - history : end].unfold(0, history + HORIZON, 1)
    return cut[:, :history], cut[:, history:]


def last_value(x: Tensor) -> Tensor:
    return x[:, -1:].expand(-1, HORIZON)


def seasonal_naive(x: Tensor) -> Tensor:
    """Each hour as 24 hours before."""
    return x[:, -HORIZON:]


class Model(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.centre = shape.centre
        dropout = shape.dropout if shape.layers > 1 else 0.0
        cell = CELLS[shape.cell]
        self.layers = cell(1, shape.units, shape.layers, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(shape.dropout)
        self.head = nn.Linear(shape.units, HORIZON)

    def forward(self, x: Tensor) -> Tensor:
        """[W, history] to [W, 24]."""
        centre = x.new_zeros(len(x), 1)
        if self.centre != "none":
            centre = x[:, -1:] if self.centre == "last" else x.mean(1, keepdim=True)
        y = self.layers((x - centre)[:, :, None])[0][:, -1]
        answer: Tensor = self.head(self.dropout(y)) + centre
        return answer


def train(shape: Shape, recipe: Recipe, seed: int, *, show: bool = False) -> tuple[Fitted, float]:
    """The fit by validation error, and the test error of the weights it chose."""
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    series = load()
    (x, y), valid, test = (windows(series, part, shape.history) for part in PARTS)
    model = Model(shape)

    def epoch_of() -> list[Tensor]:
        return list(torch.randperm(len(x), generator=order).split(recipe.batch))

    def error(part: tuple[Tensor, Tensor]) -> float:
        return nn.functional.mse_loss(model(part[0]), part[1]).item()

    found = fit(
        model,
        recipe,
        epoch_of,
        lambda rows: nn.functional.mse_loss(model(x[rows]), y[rows]),
        lambda: error(valid),
        higher=False,
        show=show,
    )
    model.eval()
    with torch.no_grad():
        return found, error(test)


def run(seed: int) -> dict[str, float]:
    found, test = train(SHAPE, RECIPE, seed)
    x, y = windows(load(), "test", SHAPE.history)
    naive = {"last value": last_value(x), "seasonal naive": seasonal_naive(x)}
    errors = {name: nn.functional.mse_loss(answer, y).item() for name, answer in naive.items()}
    sizes = {"parameters": found.parameters, "CPU s": found.seconds}
    return {"test MSE": test, **errors, "valid MSE": found.score, **sizes}


if __name__ == "__main__":
    main(__doc__, {"etth1": Variant("test MSE below last value and seasonal naive", run)})
