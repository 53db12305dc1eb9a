"""The training loop and the report shared by the twins."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from twins.data import Batch, Examples
from twins.model import Shape, Twin


@dataclass(frozen=True)
class Budget:
    """How a twin is trained. ``patience`` 0 runs every epoch and keeps the last weights;
    otherwise the weights of the epoch with the best validation accuracy are kept."""

    epochs: int
    batch: int = 32
    lr: float = 1e-3
    clip_norm: float = 1.0
    patience: int = 0


@dataclass(frozen=True)
class Result:
    """accuracy: of the kept weights; history: accuracy after each epoch; seconds: CPU time."""

    accuracy: float
    history: list[float]
    seconds: float
    parameters: int


def loss_of(output: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy for class indices, mean squared error for values."""
    if y.dtype == torch.int64:
        return nn.functional.cross_entropy(output, y)
    return nn.functional.mse_loss(output, y)


def step(model: Twin, optimizer: torch.optim.Optimizer, batch: Batch, clip_norm: float) -> float:
    """One optimiser step; returns the loss."""
    optimizer.zero_grad()
    loss = loss_of(model(batch.x, batch.lengths), batch.y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(model: Twin, batches: list[Batch]) -> float:
    model.eval()
    right = sum(int((model(b.x, b.lengths).argmax(1) == b.y).sum()) for b in batches)
    model.train()
    return right / sum(len(b.y) for b in batches)


def fit(shape: Shape, budget: Budget, train: Examples, valid: Examples, seed: int) -> Result:
    """Trains one twin; frames are standardised by the training mean and deviation."""
    started = time.process_time()
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    mean = std = None
    if not shape.vocabulary:
        frames = torch.cat(train.x)
        mean, std = frames.mean(0), frames.std(0, correction=0)
    model = Twin(shape, mean=mean, std=std)
    optimizer = torch.optim.Adam(model.parameters(), lr=budget.lr)
    held_out = valid.in_order(100)
    history: list[float] = []
    best = 0
    for epoch in range(budget.epochs):
        for batch in train.shuffled(budget.batch, order):
            step(model, optimizer, batch, budget.clip_norm)
        history.append(accuracy(model, held_out))
        if history[epoch] > history[best]:
            best = epoch
        if budget.patience and epoch - best >= budget.patience:
            break
    kept = history[best if budget.patience else -1]
    size = sum(weight.numel() for weight in model.parameters())
    return Result(kept, history, time.process_time() - started, size)


def parse(description: str | None) -> argparse.Namespace:
    """The options of every twin script; also pins torch to one thread."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    torch.set_num_threads(1)
    return parser.parse_args()


def report(name: str, target: float, results: dict[int, list[Result]], to: Path | None) -> None:
    """Prints one line per seed (the mean over its folds) and the mean; writes JSON."""
    rows: list[dict[str, Any]] = []
    print(f"{name}: target {target:.1%}")
    print(f"{'seed':>4}  {'accuracy':>8}  {'last epoch':>10}  {'epochs':>6}  {'CPU s':>6}")
    for seed, folds in results.items():
        row = {
            "seed": seed,
            "accuracy": statistics.mean(fold.accuracy for fold in folds),
            "last_epoch_accuracy": statistics.mean(fold.history[-1] for fold in folds),
            "epochs": statistics.mean(len(fold.history) for fold in folds),
            "cpu_seconds": sum(fold.seconds for fold in folds),
            "folds": [vars(fold) for fold in folds],
        }
        rows.append(row)
        print(
            f"{seed:>4}  {row['accuracy']:>8.2%}  {row['last_epoch_accuracy']:>10.2%}"
            f"  {row['epochs']:>6.1f}  {row['cpu_seconds']:>6.1f}"
        )
    accuracies = [float(row["accuracy"]) for row in rows]
    mean, worst = statistics.mean(accuracies), min(accuracies)
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    print(f"mean  {mean:.2%} ± {spread:.2%} (standard deviation), worst {worst:.2%}")
    if to:
        summary = {"mean": mean, "std": spread, "worst": worst, "target": target, "seeds": rows}
        to.write_text(json.dumps({name: summary}, indent=1) + "\n", encoding="utf-8")
