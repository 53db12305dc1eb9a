"""Next character of plain text: LSTM layers, truncated back-propagation, carried state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from twins.data import data_folder
from twins.fitting import Fitted, Recipe, fit
from twins.report import Variant, main

State = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Shape:
    """window: steps between cuts of the gradient; the state is carried over every cut."""

    embed: int = 64
    units: int = 256
    layers: int = 2
    window: int = 64
    dropout: float = 0.0


SHAPE = Shape()
RECIPE = Recipe(epochs=6, batch=32, lr=4e-3, schedule="cosine", bf16=True)


def load() -> tuple[Tensor, Tensor, int]:
    """Character numbers of the training and the validation text, int64; and how many there are.

    Numbers start at 1 in code-point order; 0 is any character that training lacks.
    """
    folder = data_folder() / "tinyshakespeare"
    texts = [(folder / f"{part}.txt").read_text(encoding="utf-8") for part in ("train", "valid")]
    ids = {character: index for index, character in enumerate(sorted(set(texts[0])), start=1)}
    train, valid = (torch.tensor([ids.get(character, 0) for character in t]) for t in texts)
    return train, valid, len(ids) + 1


class Model(nn.Module):
    def __init__(self, shape: Shape, characters: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, shape.embed)
        widths = [shape.embed] + [shape.units] * (shape.layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(w, shape.units, batch_first=True) for w in widths)
        self.dropout = nn.Dropout(shape.dropout)
        self.head = nn.Linear(shape.units, characters)

    def forward(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """[B, T] characters and the state, or None for zeros, to logits [B, T, C] and state."""
        y: Tensor = self.embed(x)
        after: State = []
        for index, layer in enumerate(self.layers):
            y, state_of = layer(y, None if state is None else state[index])
            y = self.dropout(y)
            after.append(state_of)
        return self.head(y), after


def nats(model: Model, text: Tensor, chunk: int = 2000) -> float:
    """Mean nats per character of one stream: every character but the first, from all before."""
    state: State | None = None
    total = 0.0
    for start in range(0, len(text) - 1, chunk):
        piece = text[start : start + chunk + 1]
        logits, state = model(piece[None, :-1], state)
        total += nn.functional.cross_entropy(logits[0], piece[1:], reduction="sum").item()
    return total / (len(text) - 1)


def train(shape: Shape, recipe: Recipe, seed: int, *, show: bool = False) -> Fitted:
    torch.manual_seed(seed)
    text, valid, characters = load()
    model = Model(shape, characters)
    steps = (len(text) - 1) // recipe.batch
    x, y = (text[i : i + steps * recipe.batch].view(recipe.batch, steps) for i in (0, 1))
    windows = list(zip(x.split(shape.window, 1), y.split(shape.window, 1), strict=True))
    state: State | None = None

    def epoch_of() -> list[tuple[Tensor, Tensor]]:
        nonlocal state
        state = None  # every lane starts over
        return windows

    def loss_of(window: tuple[Tensor, Tensor]) -> Tensor:
        nonlocal state
        logits, after = model(window[0], state)
        state = [(h.detach(), c.detach()) for h, c in after]
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), window[1].flatten())

    return fit(
        model, recipe, epoch_of, loss_of, lambda: nats(model, valid), higher=False, show=show
    )


def run(seed: int) -> dict[str, float]:
    found = train(SHAPE, RECIPE, seed)
    return {"nats": found.score, "parameters": found.parameters, "CPU s": found.seconds}


if __name__ == "__main__":
    main(__doc__, {"tinyshakespeare": Variant("valid nats per character at most 1.65", run)})
