"""Sorting by a pointer network (Vinyals et al. 2015, section 4): random numbers of 5 to 15 a row.

    python benchmarks/sorting.py [--rows 10000] [--epochs 12]

Trains, exports, and prints how many new rows the exported file sorts, for each number of numbers.
A few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import rnnspec
from rnnspec.source.emit import to_yaml

LEAST, MOST = 5, 15
TEST = 1000
"""Rows that are drawn anew for the figures."""


def rows_of(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Numbers from 0 to 1, and their places in rising order."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        numbers = draw.random(draw.integers(LEAST, MOST + 1)).round(4)
        order = np.argsort(numbers, kind="stable")
        yield {"numbers": [[float(n)] for n in numbers], "order": order.tolist()}


def spec_of(epochs: int, strategy: Any) -> dict[str, Any]:
    return {
        "name": "sorting",
        "cardinality": "N:M",
        "data": {
            "train": "train.jsonl",
            "valid": 0.02,
            "input": {"column": "numbers", "as": "frames"},
            "output": {"column": "order", "as": "positions", "once": True},
        },
        "encoder": {"layers": [{"cell": "lstm", "units": 64, "direction": "bidirectional"}]},
        "decoder": {"layers": [{"cell": "lstm", "units": 128}], "strategy": strategy},
        "train": {
            "epochs": epochs,
            "batch": 128,
            "clip_norm": 2.0,
            "optimizer": {"adam": {"lr": 0.003}},
            "schedule": "cosine",
            "monitor": "exact_match",
        },
    }


def sorted_by(file: Path, rows: Sequence[dict[str, Any]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows the exported file sorts."""
    answers = rnnspec.open(file).predict([{"numbers": row["numbers"]} for row in rows])
    pairs = zip(answers, rows, strict=True)
    return np.array([answer["order"] == row["order"] for answer, row in pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (f"{json.dumps(row)}\n" for row in rows_of(asked.rows, seed=1))
        (folder / "train.jsonl").write_text("".join(lines))
        (folder / "sorting.yaml").write_text(to_yaml(spec_of(asked.epochs, "greedy")))
        start = perf_counter()
        build = rnnspec.load(folder / "sorting.yaml").build(folder / "builds")
        print(f"{asked.epochs} epochs of {asked.rows:,} rows: {perf_counter() - start:.0f} s")
        file = folder / "sorting.onnx"
        build.export(file)
        rows = list(rows_of(TEST, seed=2))
        right = sorted_by(file, rows)
        counts = np.array([len(row["numbers"]) for row in rows])
        print(f"{TEST:,} new rows by the exported file: {right.mean():.1%} sorted")
        figures = {"all": float(right.mean())}
        for count in range(LEAST, MOST + 1):
            of = right[counts == count]
            figures[str(count)] = float(of.mean())
            print(f"  {count:2d} numbers: {of.mean():6.1%} of {len(of)}")
        if asked.json is not None:
            asked.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
