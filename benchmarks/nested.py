"""Sequences nested in steps beside the flat model of like size, on two tasks:

    python benchmarks/nested.py OUT [--rows N]

- tags: words of `ud_en_ewt` and their tags. Nested, each word is a sequence of characters with an
  encoder of its own (Ling et al. 2015); flat, it is an entry of a vocabulary.
- sessions: users of sessions of events, made up: does event a meet event b within one session? A
  session has 2 to 8 events of 40, a user 3 to 10 sessions. Nested, a session is a step; flat, a
  user is a sequence of events, with a mark between sessions.

Both have an exported file, whose answers on the validation rows are counted. Of 1,200 sentences
77.0 % of the tags are right nested and 72.6 % flat, in 17 and 4 seconds of a CPU; of 400 users
100 % and 87 %, in 4 and 6 seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from twins.data import data_folder, read_rows

Rows = list[dict[str, Any]]
LSTM = {"cell": "lstm", "units": 64, "direction": "bidirectional"}
EVENTS, SESSIONS, LENGTH = 40, (3, 11), (2, 9)
USERS = {"train": 400, "valid": 400}
EPOCHS = {"tags": 4, "sessions": 12}


def tags(out: Path, limit: int | None) -> dict[str, dict[str, Any]]:
    """The rows of the treebank, and what reads their words."""
    for part, name in (("train", "train"), ("valid", "dev")):
        rows = read_rows(data_folder() / "ud_en_ewt" / f"{name}.jsonl")
        write(out / f"tags-{part}.jsonl", rows[:limit])
    inner = {"embed": 32, "layers": [LSTM]}
    return {
        "nested": {"column": "tokens", "as": "nested", "of": {"as": "chars"}, "encoder": inner},
        "flat": {"column": "tokens", "as": "tokens", "min_count": 2},
    }


def sessions(out: Path, limit: int | None) -> dict[str, dict[str, Any]]:
    """Made-up users, and what reads their events."""
    for seed, (part, count) in enumerate(USERS.items()):
        write(out / f"sessions-{part}.jsonl", users(min(count, limit or count), seed))
    inner = {"embed": 32, "layers": [{"cell": "gru", "units": 32}], "pooling": "max"}
    return {
        "nested": {"column": "user", "as": "nested", "of": {"as": "tokens"}, "encoder": inner},
        "flat": {"column": "events", "as": "tokens"},
    }


def users(count: int, seed: int) -> Rows:
    """Both events are in most users, so that only their place in sessions tells."""
    draw, rows = np.random.default_rng(seed), Rows()
    for number in range(count):
        lengths = draw.integers(*LENGTH, draw.integers(*SESSIONS))
        user = [[f"e{each}" for each in draw.integers(2, EVENTS, n)] for n in lengths]
        one, other = draw.choice(len(user), 2, replace=False)
        meet = number % 2 == 0
        put(user[one], "a", draw)
        put(user[one if meet else other], "b", draw)
        flat = [event for session in user for event in (*session, "|")]
        rows.append({"user": user, "events": flat, "meet": "yes" if meet else "no"})
    return rows


def put(session: list[str], event: str, draw: np.random.Generator) -> None:
    session.insert(int(draw.integers(len(session) + 1)), event)


def write(file: Path, rows: Rows) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def built(out: Path, task: str, name: str, source: dict[str, Any], epochs: int) -> dict[str, float]:
    """The share of right answers of an exported file, and the seconds of its build."""
    import rnnspec
    from rnnspec.source.emit import to_yaml

    steps = task == "tags"
    column = "tags" if steps else "meet"
    embed = {} if source["as"] == "nested" else {"embed": 64}
    spec = {
        "name": f"{task}-{name}",
        "cardinality": "N:N" if steps else "N:1",
        "data": {
            "train": f"{task}-train.jsonl",
            "valid": f"{task}-valid.jsonl",
            "input": source,
            "output": {"column": column, "as": "tags" if steps else "class"},
        },
        "encoder": {**embed, "layers": [LSTM]},
        **({} if steps else {"pooling": "max"}),
        "train": {"epochs": epochs, "batch": 32, "optimizer": {"adam": {"lr": 0.002}}},
    }
    file = out / f"{task}-{name}.yaml"
    file.write_text(to_yaml(spec), encoding="utf-8")
    start = time.process_time()
    build = rnnspec.load(file).build(out / "builds")
    seconds = time.process_time() - start
    build.export(out / f"{task}-{name}.onnx")
    rows = read_rows(out / f"{task}-valid.jsonl")
    found = rnnspec.open(out / f"{task}-{name}.onnx").predict(rows)
    given = [row[column] if steps else [row[column]] for row in rows]
    got = [answer[column] if steps else [answer[column]] for answer in found]
    right = [a == b for x, y in zip(got, given, strict=True) for a, b in zip(x, y, strict=True)]
    return {"right": sum(right) / len(right), "CPU s": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, help="rows of each file; all by default")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for task, made in (("tags", tags), ("sessions", sessions)):
        for name, source in made(asked.out, asked.rows).items():
            figures = built(asked.out, task, name, source, EPOCHS[task])
            shown = "  ".join(f"{key} {value:.3f}" for key, value in figures.items())
            print(f"{task:10} {name:8} {shown}", flush=True)


if __name__ == "__main__":
    main()
