"""What an epoch costs beside its steps: checkpoints, weights that are kept, statistics, metrics.

The questions of trec, so many batches of 32 an epoch, by `specs/trec.yaml` on one thread, in CPU
time: shares of the time of the steps, with the 64 validation rows apart.

  python benchmarks/epochs.py --batches 16 --epochs 30
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from twins.data import data_folder

import rnnspec
from rnnspec.train import loop
from rnnspec.train.step import TrainStep

PARTS = {
    "steps": (TrainStep, "step"),
    "end of the epoch": (loop.Trainer, "_end_of_epoch"),
    "validation": (loop.Trainer, "validate"),
    "statistics": (loop, "gradient_statistics"),
    "checkpoint": (loop.Trainer, "save"),
    "weights kept": (loop.Trainer, "_write_best"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    taken = timed()
    spec = yaml.safe_load((Path(__file__).parents[1] / "specs" / "trec.yaml").read_text())
    spec["data"] |= {"train": "train.jsonl", "valid": "valid.jsonl"}
    spec["train"] |= {"epochs": options.epochs, "threads": 1, "batch": 32}
    spec["train"].pop("early_stopping", None)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, rows in (("train", 32 * options.batches), ("valid", 64)):
            lines = (data_folder() / "trec" / f"{name}.jsonl").read_text().splitlines()[:rows]
            Path(f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        Path("trec.yaml").write_text(yaml.safe_dump(spec))
        rnnspec.load("trec.yaml").build()
    for part, seconds in taken.items():
        print(f"{part:<17} {seconds:7.3f} s   {seconds / taken['steps']:6.1%} of the steps")
    beside = (taken["end of the epoch"] - taken["validation"]) / taken["steps"]
    print(f"beside the steps, without validation: {beside:.1%}")


def timed() -> dict[str, float]:
    """CPU seconds of each part, from now on."""
    taken: dict[str, float] = defaultdict(float)

    def wrapped(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return call(*given, **named)
            finally:
                taken[part] += time.process_time() - began

        return instead

    for part, (owner, name) in PARTS.items():
        setattr(owner, name, wrapped(part, getattr(owner, name)))
    return taken


if __name__ == "__main__":
    main()
