"""Models of other libraries, and their import into a build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnspec.imports.facts import Told
from rnnspec.imports.importing import Imported, Wanted, import_weights
from rnnspec.spec.load import load_spec

ROWS, STEPS, FEATURES, UNITS, LABELS = 3, 6, 5, 4, 3
Arrays = Mapping[str, NDArray[Any]]


def spec_of(layers: str, cardinality: str = "N:1", kind: str = "class", extra: str = "") -> str:
    return f"""
name: model
cardinality: {cardinality}
data:
  train: rows.jsonl
  input: {{column: frames, as: frames}}
  output: {{column: kind, as: {kind}}}
encoder:
  layers:
    - {layers}
{extra}"""


def imported(
    folder: Path, spec: str, file: Path, expected: Arrays, map_: Path | None = None, **more: str
) -> Imported:
    """Import with labels a, b, c of `kind`, and with the vocabularies in `more`, one text each."""
    (folder / "spec.yaml").write_text(spec)
    (folder / "labels.txt").write_text("c\na\nb\n")
    np.savez(folder / "answers.npz", allow_pickle=False, **expected)
    for column, text in more.items():
        (folder / f"{column}.txt").write_text(text)
    told = Told(
        {column: folder / f"{column}.txt" for column in more},
        {"kind": folder / "labels.txt"} if "kind" in spec else {},
    )
    wanted = Wanted(told, map_, folder / "answers.npz")
    return import_weights(load_spec(folder / "spec.yaml"), file, folder / "builds", wanted)


def frames(seed: int = 0) -> Tensor:
    return torch.randn(ROWS, STEPS, FEATURES, generator=torch.Generator().manual_seed(seed))


class Layers(nn.Module):
    """A recurrent layer and a class of its last outputs, forward and backward."""

    def __init__(self, recurrent: nn.Module, width: int) -> None:
        super().__init__()
        self.answer = nn.Linear(width, LABELS)
        self.recurrent = recurrent

    def forward(self, steps: Tensor) -> Tensor:
        outputs, _ = self.recurrent(steps)
        half = outputs.shape[-1] // 2
        if self.recurrent.bidirectional:
            outputs = torch.cat([outputs[:, -1:, :half], outputs[:, :1, half:]], -1)
        found: Tensor = self.answer(outputs[:, -1])
        return found


TORCH: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "lstm": (lambda: nn.LSTM(FEATURES, UNITS, batch_first=True), UNITS, "{cell: lstm, units: 4}"),
    "gru": (lambda: nn.GRU(FEATURES, UNITS, batch_first=True), UNITS, "{cell: gru, units: 4}"),
    "rnn": (lambda: nn.RNN(FEATURES, UNITS, batch_first=True), UNITS, "{cell: rnn, units: 4}"),
    "relu": (
        lambda: nn.RNN(FEATURES, UNITS, batch_first=True, nonlinearity="relu"),
        UNITS,
        "{cell: rnn_relu, units: 4}",
    ),
    "no bias": (
        lambda: nn.GRU(FEATURES, UNITS, batch_first=True, bias=False),
        UNITS,
        "{cell: gru, units: 4}",
    ),
    "projected": (
        lambda: nn.LSTM(FEATURES, UNITS, batch_first=True, proj_size=2),
        2,
        "{cell: lstm_projected, units: 4, sizes: {projection: 2}}",
    ),
    "stack": (
        lambda: nn.LSTM(FEATURES, UNITS, num_layers=2, batch_first=True, bidirectional=True),
        2 * UNITS,
        "{cell: lstm, units: 4, direction: bidirectional, repeat: 2}",
    ),
    "both ways": (
        lambda: nn.GRU(FEATURES, UNITS, batch_first=True, bidirectional=True),
        2 * UNITS,
        "{cell: gru, units: 4, direction: bidirectional}",
    ),
}


def torch_model(name: str) -> Layers:
    torch.manual_seed(1)
    make, width, _ = TORCH[name]
    return Layers(make(), width).eval()


steps0 = np.zeros((1, 2, FEATURES), np.float32)
