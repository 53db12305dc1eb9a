"""States as an answer: written by one model, read by another as frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet

import rnnspec
from rnnspec.run import Model as ModelFile
from rnnspec.source.emit import to_yaml
from tests.cli import right
from tests.data_rows import write_rows

LETTERS = "abcd"
ROWS: list[dict[str, Any]] = [
    {"text": [LETTERS[(n * k) % 4] for k in range(1, 3 + n % 4)], "row": n} for n in range(24)
]


def spec_of(folder: Path, name: str, train: str, given: object, wanted: object) -> Path:
    data = {
        "name": name,
        "cardinality": "N:N",
        "data": {"train": train, "input": given, "output": wanted},
        "encoder": {"layers": [{"cell": "gru", "units": 4, "name": "low"}, {"dense": 3}]},
        "train": {"epochs": 1},
    }
    path = folder / f"{name}.yaml"
    path.write_text(to_yaml(data))
    return path


def test_states_of_a_language_model_feed_a_tagger(tmp_path: Path) -> None:
    """A language model writes the states of its first layer into Parquet; a tagger reads them as
    frames, of the same values and as many steps."""
    tagged = [{**row, "tags": ["v" if c in "ab" else "w" for c in row["text"]]} for row in ROWS]
    write_rows(tmp_path / "rows.jsonl", tagged)
    outputs = [
        {"column": "text", "as": "next"},
        {"column": "states", "as": "states", "reads": ["low"]},
        {"column": "whole", "as": "states", "reads": ["low"], "pooling": "mean"},
    ]
    given: dict[str, object] = {"column": "text", "as": "tokens"}
    spec = spec_of(tmp_path, "lm", "rows.jsonl", given, outputs)
    build = rnnspec.load(spec).build(out=tmp_path / "lm")
    build.export(tmp_path / "lm.onnx")
    answers = list(ModelFile.load(tmp_path / "lm.onnx", threads=1).answer(tagged[:3]))
    for row, answer in zip(tagged, answers, strict=False):
        assert np.shape(answer["states"]) == (len(row["text"]), 4)
        np.testing.assert_allclose(np.mean(answer["states"], 0), answer["whole"], atol=1e-6)
    written = tmp_path / "states.parquet"
    rows = tmp_path / "rows.jsonl"
    right("run", tmp_path / "lm.onnx", "--data", rows, "--output", written)
    states = parquet.read_table(written).column("states").to_pylist()
    with (tmp_path / "joined.jsonl").open("w") as file:
        for row, each in zip(tagged, states, strict=True):
            print(json.dumps({**row, "states": each}), file=file)
    np.testing.assert_allclose(states[2], answers[2]["states"], atol=1e-6)
    given = {"column": "states", "as": "frames", "scale": "none"}
    spec = spec_of(tmp_path, "tagger", "joined.jsonl", given, {"column": "tags", "as": "tags"})
    tagger = rnnspec.load(spec).build(out=tmp_path / "tagger")
    (answer,) = tagger.predict([{"states": states[0]}])
    assert len(answer["tags"] if isinstance(answer, dict) else answer) == len(ROWS[0]["text"])
