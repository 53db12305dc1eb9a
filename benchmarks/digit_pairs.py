"""Pairs of handwritten digits, the same or another one: does a model with two encoders see it?

    python benchmarks/digit_pairs.py OUT [--twin]

The lines of `digit_lines` are cut at their columns without ink; a line whose pieces are not as many
as its digits is left out. Half of the pairs have equal digits, always of two pictures, and no
picture is in both parts, as none of the lines is. OUT gets train.jsonl and valid.jsonl and a build
of `specs/digit-pairs.yaml`; the accuracy printed is that of its exported file, from pixels to the
word. With --twin a module by hand, of the same layers, learns from the same pairs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from twins.data import data_folder, read_rows

Pixels = NDArray[np.uint8]
Digits = dict[str, list[Pixels]]
PAIRS = {"train": 12_000, "valid": 2_000}
EPOCHS, BATCH, RATE, UNITS, HIDDEN, DROPOUT = 8, 64, 3e-3, 48, 64, 0.2


def digits_of(part: str) -> Digits:
    """The pictures of each digit, `[16, width]` each."""
    folder = data_folder() / "digit_lines"
    found: Digits = {}
    for row in read_rows(folder / f"{part}.jsonl"):
        with Image.open(folder / row["image"]) as picture:
            pieces = pieces_of(np.array(picture.convert("L")))
        if len(pieces) == len(row["text"]):
            for digit, piece in zip(row["text"], pieces, strict=True):
                found.setdefault(digit, []).append(piece)
    return found


def pieces_of(line: Pixels) -> list[Pixels]:
    """The parts of a line between its columns without ink."""
    runs = groupby(range(line.shape[1]), key=lambda column: bool(line[:, column].any()))
    return [line[:, np.fromiter(columns, int)] for ink, columns in runs if ink]


def pairs_of(digits: Digits, count: int, seed: int) -> list[dict[str, Any]]:
    draw, names = np.random.default_rng(seed), sorted(digits)
    rows = []
    for number in range(count):
        one, other = draw.choice(len(names), 2, replace=False)
        same = number % 2 == 0
        left, right = names[one], names[one if same else other]
        first, second = draw.choice(len(digits[left]), 2, replace=False)
        second = second if same else draw.integers(len(digits[right]))
        pictures = digits[left][first], digits[right][second]
        sides = {side: p.tolist() for side, p in zip(("left", "right"), pictures, strict=True)}
        rows.append({**sides, "same": "same" if same else "other"})
    return rows


def write(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for seed, (part, count) in enumerate(PAIRS.items()):
        rows = pairs_of(digits_of(part), count, seed)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (out / f"{part}.jsonl").write_text(text, encoding="utf-8")


def ours(out: Path) -> dict[str, float]:
    """The accuracy of an exported file on the validation pairs."""
    import rnnspec

    spec = out / "digit-pairs.yaml"
    shutil.copy(Path(__file__).parent / "specs" / spec.name, spec)
    start = time.process_time()
    build = rnnspec.load(spec).build(out / "builds")
    seconds = time.process_time() - start
    build.export(out / "pairs.onnx")
    rows = read_rows(out / "valid.jsonl")
    answers = rnnspec.open(out / "pairs.onnx").predict(rows)
    right = sum(answer["same"] == row["same"] for answer, row in zip(answers, rows, strict=True))
    return {"accuracy": right / len(rows), "CPU s": seconds}


class Twin(nn.Module):
    """Two pictures `[B, columns, 16]` between 0 and 1, each with its columns, to `[B, 2]`."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(given, filters, 3, padding=1) for given, filters in ((1, 16), (16, 32))
        )
        self.norms = nn.ModuleList(map(nn.BatchNorm2d, (16, 32)))
        self.cell = nn.GRU(32 * 4, UNITS, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.hidden, self.answer = nn.Linear(4 * UNITS, HIDDEN), nn.Linear(HIDDEN, 2)

    def encoded(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = x[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            inside = torch.arange(x.shape[2]) < lengths[:, None]
            x = F.relu(norm(convolution(x * inside[:, None, :, None])))
            x = F.max_pool2d(x * inside[:, None, :, None], 2, ceil_mode=True)
            lengths = (lengths + 1) // 2
        steps = x.permute(0, 2, 3, 1).flatten(2)
        packed = pack_padded_sequence(steps, lengths, True, enforce_sorted=False)
        states = self.dropout(pad_packed_sequence(self.cell(packed)[0], True)[0])
        past = torch.arange(states.shape[1]) >= lengths[:, None]
        largest: Tensor = states.masked_fill(past[..., None], -torch.inf).max(dim=1).values
        return largest

    def forward(self, left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Tensor:
        u, v = self.encoded(*left), self.encoded(*right)
        met = self.dropout(torch.cat([(u - v).abs(), u * v], dim=1))
        scores: Tensor = self.answer(self.dropout(F.relu(self.hidden(met))))
        return scores


def batch_of(rows: Sequence[dict[str, Any]], side: str) -> tuple[Tensor, Tensor]:
    columns = [torch.tensor(row[side], dtype=torch.float32).T / 255 for row in rows]
    lengths = torch.tensor([len(each) for each in columns])
    return nn.utils.rnn.pad_sequence(columns, batch_first=True), lengths


def twin(out: Path) -> dict[str, float]:
    torch.manual_seed(0)
    parts = {part: read_rows(out / f"{part}.jsonl") for part in PAIRS}
    model, train = Twin(), parts["train"]
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, EPOCHS * -(-len(train) // BATCH)
    )
    best, start = 0.0, time.process_time()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train)).split(BATCH):
            chosen = [train[row] for row in rows.tolist()]
            wanted = torch.tensor([row["same"] == "same" for row in chosen]).long()
            scores = model.train()(batch_of(chosen, "left"), batch_of(chosen, "right"))
            optimizer.zero_grad()
            F.cross_entropy(scores, wanted).backward()
            optimizer.step()
            schedule.step()
        best = max(best, accuracy(model.eval(), parts["valid"]))
    return {"accuracy": best, "CPU s": time.process_time() - start}


@torch.no_grad()
def accuracy(model: Twin, rows: list[dict[str, Any]]) -> float:
    scores = model(batch_of(rows, "left"), batch_of(rows, "right"))
    wanted = torch.tensor([row["same"] == "same" for row in rows]).long()
    return float((scores.argmax(dim=1) == wanted).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--twin", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    write(options.out)
    contestants = {"rnnspec": ours} | ({"by hand": twin} if options.twin else {})
    for name, run in contestants.items():
        figures = run(options.out)
        print(
            f"{name:8} accuracy {figures['accuracy']:.4f}, {figures['CPU s']:.0f} CPU s", flush=True
        )


if __name__ == "__main__":
    main()
