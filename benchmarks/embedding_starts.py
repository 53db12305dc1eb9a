"""How embeddings should start: four initializers on three sets, several seeds.

  python benchmarks/embedding_starts.py [SET ...] [--seeds 0 1] [--epochs 3] [--rows 3000]

The next word of tinyshakespeare, the kind of a question (trec), the tags of words (ud_en_ewt):
small models, all else as rnnspec has it. A table of the best validation figure of each build: mean
and spread over the seeds, and the first epoch's beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from twins.data import data_folder

from rnnspec.data import survey
from rnnspec.plan import resolve
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.train.build import datasets
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer

WIDTH = 64
STARTS: dict[str, Any] = {
    "normal 1 (torch's)": {"normal": 1.0},
    "uniform 0.1": {"uniform": 0.1},
    "normal 1/sqrt(width)": {"normal": WIDTH**-0.5},
    "glorot": "glorot",
}


@dataclass(frozen=True)
class Task:
    """`metric` is the figure of the validation rows, `larger` whether it is good where large."""

    metric: str
    larger: bool
    write: Callable[[Path, int], None]
    spec: dict[str, Any]


def _rows(source: str, valid: str) -> Callable[[Path, int], None]:
    def write(folder: Path, rows: int) -> None:
        for name, of, count in (("train", source, rows), ("valid", valid, rows // 4)):
            with (data_folder() / of).open(encoding="utf-8") as lines:
                (folder / f"{name}.jsonl").write_text("".join(islice(lines, count)), "utf-8")

    return write


def _shakespeare(folder: Path, rows: int) -> None:
    """Ten words count as a row."""
    for name, count in (("train", 10 * rows), ("valid", 3 * rows)):
        text = (data_folder() / "tinyshakespeare" / f"{name}.txt").read_text("utf-8")
        row = {"text": " ".join(text.split()[:count])}
        (folder / f"{name}.jsonl").write_text(json.dumps(row) + "\n", "utf-8")


def _spec(cardinality: str, read: dict[str, Any], answer: dict[str, Any], **train: Any) -> Any:
    direction = "forward" if answer["as"] == "next" else "bidirectional"
    layer = {"cell": "lstm", "units": WIDTH, "direction": direction}
    return {
        "name": "starts",
        "cardinality": cardinality,
        "data": {"train": "train.jsonl", "valid": "valid.jsonl", "input": read, "output": answer},
        "encoder": {"embed": WIDTH, "layers": [layer]},
        "train": {"optimizer": {"adam": {"lr": 3e-3}}, **train},
    }


TASKS = {
    "next word": Task(
        "perplexity", False, _shakespeare,
        _spec("N:N", {"column": "text", "as": "words", "max_size": 3000},
              {"column": "text", "as": "next"}, batch=20, window=20),
    ),
    "trec": Task(
        "accuracy", True, _rows("trec/train.jsonl", "trec/valid.jsonl"),
        _spec("N:1", {"column": "question", "as": "words"}, {"column": "label", "as": "class"}),
    ),
    "ud_en_ewt": Task(
        "accuracy", True, _rows("ud_en_ewt/train.jsonl", "ud_en_ewt/dev.jsonl"),
        _spec("N:N", {"column": "tokens", "as": "tokens"}, {"column": "tags", "as": "tags"}),
    ),
}  # fmt: skip


def figures(task: Task, start: Any, seed: int, epochs: int, rows: int) -> list[float]:
    """The figure after each epoch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task.write(folder, rows)
        spec = json.loads(json.dumps(task.spec))
        spec["encoder"]["embed_init"] = start
        spec["train"] |= {"seed": seed, "epochs": epochs}
        (folder / "spec.yaml").write_text(json.dumps(spec))
        loaded = load_spec(folder / "spec.yaml")
        facts = survey(loaded.spec, folder / "train.jsonl")
        plan = resolve(loaded.spec, facts)
        train, valid = datasets(loaded, plan, facts, folder / "cache")
        model = Model(plan)
        model.start(facts, seed)
        build = BuildFolder(folder)
        assert Trainer(model, loaded.spec.train, build, train, valid, Silent()).run(Interrupt())
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return [float(json.loads(line)[f"valid.{task.metric}"]) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", help=f"of {', '.join(TASKS)}; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="default: 0 1")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000, help="of training, a quarter beside them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.sets or TASKS:
        task = TASKS[name]
        print(f"{name}: {task.metric}", flush=True)
        for called, start in STARTS.items():
            runs = [
                figures(task, start, seed, options.epochs, options.rows) for seed in options.seeds
            ]
            best = [max(run) if task.larger else min(run) for run in runs]
            first = statistics.mean(run[0] for run in runs)
            spread = max(best) - min(best)
            print(
                f"  {called:<22} {statistics.mean(best):9.4f} +- {spread / 2:.4f}"
                f"   after one epoch {first:9.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
