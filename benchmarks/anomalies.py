"""Anomalous days of electricity demand, found by how badly an autoencoder writes them again.

Half-hours of Victoria's demand and temperature, a row a local day of 48 (the days on which clocks
are put on or back have 46 or 50 and are left out). Training reads clean days of 2012 and 2013. In
2014 every fourth day is spoilt, in turn by one of four faults, drawn with a fixed seed: its halves
swapped, its demand scaled, flattened towards its mean, or with noise. The score of a day is the
mean squared error of its reconstruction. The twin is the same network written by hand in PyTorch,
with the same days, steps and optimizer. Both are measured by scikit-learn.

    python benchmarks/anomalies.py [--epochs 120] [--seeds 0]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import rnnspec

FILE = Path(__file__).parents[2] / "shared" / "data" / "electricity" / "half_hours.csv"
ZONE = ZoneInfo("Australia/Melbourne")
UNITS, BATCH, RATE = 24, 32, 5e-3
Day = NDArray[np.float64]
SPEC = """
name: days
cardinality: N:M
data:
  train: train.jsonl
  input: {{column: day, as: frames}}
  output: {{column: day, as: frames, anomaly: spoilt}}
encoder:
  layers: [{{cell: lstm, units: {units}}}]
decoder:
  layers: [{{cell: lstm, units: {units}}}]
  length: input
  reverse: true
  feedback: none
train:
  epochs: {epochs}
  batch: {batch}
  seed: {seed}
  optimizer: {{adam: {{lr: {rate}}}}}
  schedule: cosine
  clip_norm: 1.0
"""


def days() -> dict[str, Day]:
    """The days of 48 half-hours, `[48, 2]`: demand and temperature, by local date."""
    found: dict[str, list[list[float]]] = {}
    with FILE.open() as file:
        for row in csv.DictReader(file):
            utc = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC)
            values = [float(row["demand"]), float(row["temperature"])]
            found.setdefault(utc.astimezone(ZONE).date().isoformat(), []).append(values)
    return {date: np.array(steps) for date, steps in found.items() if len(steps) == 48}


def swapped(day: Day, draw: np.random.Generator) -> Day:
    return np.roll(day, 24, axis=0)


def scaled(day: Day, draw: np.random.Generator) -> Day:
    return day * float(draw.choice([0.7, 1.4]))


def flattened(day: Day, draw: np.random.Generator) -> Day:
    mean = float(day.mean())
    return mean + 0.2 * (day - mean)


def noisy(day: Day, draw: np.random.Generator) -> Day:
    return day + draw.normal(0, 0.1 * day.mean(), day.shape)


FAULTS: tuple[Callable[[Day, np.random.Generator], Day], ...] = (swapped, scaled, flattened, noisy)


def split() -> tuple[list[Day], list[Day], list[str]]:
    """Training days, days to be judged, and the fault of each of these, "" for none."""
    draw, every = np.random.default_rng(7), days()
    train = [day for date, day in every.items() if date < "2014"]
    judged, faults = [], []
    for number, date in enumerate(sorted(date for date in every if date >= "2014")):
        day, fault = every[date].copy(), ""
        if number % 4 == 3:
            function = FAULTS[number // 4 % 4]
            day[:, 0], fault = function(day[:, 0], draw), function.__name__
        judged.append(day)
        faults.append(fault)
    return train, judged, faults


# ---------------------------------------------------------------- rnnspec


def by_rnnspec(
    train: list[Day], judged: list[Day], faults: list[str], epochs: int, seed: int
) -> tuple[NDArray[np.float64], float]:
    """The scores of the exported file, and what `evaluate` says of them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, rows, labels in (("train", train, [""] * len(train)), ("test", judged, faults)):
            with Path(f"{name}.jsonl").open("w") as file:
                for day, fault in zip(rows, labels, strict=True):
                    file.write(json.dumps({"day": day.tolist(), "spoilt": int(bool(fault))}) + "\n")
        text = SPEC.format(units=UNITS, batch=BATCH, rate=RATE, epochs=epochs, seed=seed)
        Path("days.yaml").write_text(text)
        build = rnnspec.load("days.yaml").build()
        measured = build.evaluate("test.jsonl").metrics["auroc"]
        build.export("days.onnx")
        model = rnnspec.open("days.onnx")
        answers = model.predict([{"day": day.tolist()} for day in judged])
        return np.array([answer["day.score"] for answer in answers]), measured


# ---------------------------------------------------------------- the twin


class Twin(torch.nn.Module):
    """The autoencoder of Srivastava et al. 2015 with an unconditioned decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.LSTM(2, UNITS, batch_first=True)
        self.decoder = torch.nn.LSTM(1, UNITS, batch_first=True)
        self.answer = torch.nn.Linear(UNITS, 2)

    def forward(self, day: torch.Tensor) -> torch.Tensor:
        _, state = self.encoder(day)
        nothing = day.new_zeros((*day.shape[:2], 1))
        turned: torch.Tensor = self.answer(self.decoder(nothing, state)[0])
        return turned.flip(1)


def by_twin(train: list[Day], judged: list[Day], epochs: int, seed: int) -> NDArray[np.float64]:
    torch.manual_seed(seed)
    known = np.concatenate(train)
    mean, deviation = known.mean(0), known.std(0)
    rows, test = (
        torch.tensor((np.array(each) - mean) / deviation, dtype=torch.float32)
        for each in (train, judged)
    )
    model = Twin()
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    steps = epochs * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for some in torch.randperm(len(rows)).split(BATCH):
            optimizer.zero_grad()
            (model(rows[some]) - rows[some]).square().mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        far: torch.Tensor = model(test) - test
    errors: NDArray[np.float64] = far.square().mean((1, 2)).double().numpy()
    return errors


def tell(name: str, scores: NDArray[np.float64], faults: list[str]) -> None:
    """AUROC of all faults, and of each against the clean days."""
    on = np.array([bool(fault) for fault in faults])
    print(f"{name:8} all {roc_auc_score(on, scores):.4f}", end="")
    for fault in dict.fromkeys(filter(None, faults)):
        some = np.array([each in ("", fault) for each in faults])
        print(f"  {fault} {roc_auc_score(on[some], scores[some]):.4f}", end="")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    train, judged, faults = split()
    print(f"{len(train)} clean days to train on, {sum(map(bool, faults))} of {len(judged)} spoilt")
    for seed in options.seeds:
        begin = time.process_time()
        scores, measured = by_rnnspec(train, judged, faults, options.epochs, seed)
        tell("rnnspec", scores, faults)
        print(f"         evaluate says {measured:.4f}; {time.process_time() - begin:.0f} s of CPU")
        begin = time.process_time()
        tell("twin", by_twin(train, judged, options.epochs, seed), faults)
        print(f"         {time.process_time() - begin:.0f} s of CPU")


if __name__ == "__main__":
    main()
