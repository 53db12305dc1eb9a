"""Data and specs of every kind of output, tiny: a build takes a moment."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Data = Mapping[str, Any]
GRU = {"encoder": {"layers": [{"cell": "gru", "units": 6}]}}
SHORT: Data = {"epochs": 2, "batch": 12, "threads": 1, "optimizer": {"adam": {"lr": 0.01}}}
NOTHING: Data = {}
WORDS = ["red", "green", "blue", "one", "two", "three"]


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows with a column for every kind, all about the same words."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        tokens = draw.choices(WORDS, k=draw.randint(2, 5))
        found.append(
            {
                "text": " ".join(tokens),
                "tokens": tokens,
                "first": tokens[0],
                "kinds": sorted({"colour" if t in WORDS[:3] else "number" for t in tokens}),
                "tags": ["B-c" if t in WORDS[:3] else "O" for t in tokens],
                "length": len(tokens),
                "sizes": [float(len(tokens)), float(sum(map(len, tokens)))],
                "chords": [[t[0], t[-1]] for t in tokens],
                "frames": [[float(len(t)), 1.0] for t in tokens],
                "back": " ".join(reversed(tokens)),
                "place": tokens.index(max(tokens)),
                "stretch": sorted((tokens.index(max(tokens)), tokens.index(min(tokens)))),
                "order": sorted(range(len(tokens)), key=tokens.__getitem__),
                "grade": ("low", "mid", "high")[(len(tokens) - 1) // 2],
            }
        )
    return found


POINTER: Data = {**GRU, "decoder": {"layers": [{"cell": "gru", "units": 6}]}}
"""Of answers that are steps of the input."""
TOKENS: Data = {"column": "tokens", "as": "tokens"}


def pointing() -> dict[str, Data]:
    """Specs of answers that are steps of the input, and of labels that have an order."""
    grades = {"column": "grade", "as": "ordinal", "labels": ["low", "mid", "high"]}
    return {
        "position": spec_of("N:1", TOKENS, {"column": "place", "as": "position"}),
        "span": spec_of("N:1", TOKENS, {"column": "stretch", "as": "span"}),
        "positions": spec_of("N:M", TOKENS, {"column": "order", "as": "positions"}, POINTER),
        "ordinal": spec_of("N:1", TOKENS, grades),
    }


def write_data(folder: Path) -> None:
    for name, count, seed in (("train", 60, 0), ("valid", 24, 1)):
        lines = [json.dumps(row) for row in rows(count, seed)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        text = "\n".join(row["text"] for row in rows(count, seed))
        (folder / f"{name}.txt").write_text(text + "\n")
    steps = [10 + 5 * math.sin(n / 2) + (n * 7) % 3 for n in range(160)]
    table = ["n,load"] + [f"{n},{value:.2f}" for n, value in enumerate(steps)]
    (folder / "load.csv").write_text("\n".join(table) + "\n")
    table = ["n,load"] + [f"{n},{max(0, round(value))}" for n, value in enumerate(steps)]
    (folder / "counts.csv").write_text("\n".join(table) + "\n")


def spec_of(
    cardinality: str,
    input: Data,
    output: Any,
    more: Data = GRU,
    train: Data = NOTHING,
    ending: str = "jsonl",
) -> Data:
    data: dict[str, Any] = {"train": f"train.{ending}", "valid": f"valid.{ending}"}
    embed = more.get("encoder", {}) and input["as"] in ("words", "chars", "tokens")
    if embed:
        more = {**more, "encoder": {"embed": 4, **more["encoder"]}}
    return {
        "name": "tiny",
        "cardinality": cardinality,
        "data": {**data, "input": input, "output": output},
        **more,
        "train": {
            "epochs": 2,
            "batch": 12,
            "threads": 1,
            "optimizer": {"adam": {"lr": 0.01}},
            **train,
        },
    }


def forecast(distribution: Any, scale: str = "window") -> Data:
    spec = dict(spec_of("N:M", {"column": "load", "as": "series", "scale": scale}, {}))
    output = {
        "column": "load",
        "as": "forecast",
        "horizon": 4,
        "season": 12,
        "distribution": distribution,
    }
    spec["data"] = {
        "train": "counts.csv" if distribution == "negative_binomial" else "load.csv",
        "valid": 0.3,
        "series": {"time": "n", "history": 12},
        "input": {"column": "load", "as": "series", "scale": scale},
        "output": output,
    }
    return spec


TEXT = {"column": "text", "as": "words"}
WRITER = {
    **GRU,
    "decoder": {
        "embed": 4,
        "layers": [{"cell": "gru", "units": 6}],
        "attention": "dot",
        "strategy": {"beam": {"width": 3, "n_best": 2}},
    },
}
SPECS: dict[str, Data] = {
    "class": spec_of("N:1", TEXT, {"column": "first", "as": "class"}),
    "labels": spec_of("N:1", TEXT, {"column": "kinds", "as": "labels"}),
    "number": spec_of("N:1", TEXT, {"column": "length", "as": "number"}),
    "vector": spec_of("N:1", TEXT, {"column": "sizes", "as": "vector"}),
    "tags": spec_of(
        "N:N",
        {"column": "tokens", "as": "tokens"},
        {"column": "tags", "as": "tags", "scheme": "bio"},
    ),
    "chords": spec_of(
        "N:N", {"column": "chords", "as": "keys"}, {"column": "chords", "as": "next"}
    ),
    "keys": spec_of(
        "N:N", {"column": "tokens", "as": "tokens"}, {"column": "chords", "as": "keys"}
    ),
    "frames": spec_of("N:N", TEXT, {"column": "frames", "as": "frames"}),
    "text": spec_of("N:M", TEXT, {"column": "back", "as": "words"}, WRITER),
    "next": spec_of("N:N", {"column": "text", "as": "chars"}, {"column": "text", "as": "next"}),
    "stream": spec_of(
        "N:N",
        {"column": "text", "as": "chars"},
        {"column": "text", "as": "next"},
        train={"window": 8, "batch": 3},
        ending="txt",
    ),
    "two": spec_of(
        "N:1", TEXT, [{"column": "first", "as": "class"}, {"column": "length", "as": "number"}]
    ),
    "point": forecast("point"),
    "quantiles": forecast({"quantiles": [0.1, 0.5, 0.9]}),
    "gaussian": forecast("gaussian"),
    "counts": forecast("negative_binomial", "mean"),
}
