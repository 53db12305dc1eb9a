"""Streams that live: a policy that keeps a pole upright, and spoken digits frame by frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnspec
from tests import cartpole
from tests.test_streams import quick as quick

POLICY: dict[str, Any] = {
    "name": "cartpole",
    "cardinality": "N:N",
    "data": {
        "input": {"column": "seen", "as": "frames", "scale": "standard"},
        "output": {"column": "push", "as": "tags"},
    },
    "encoder": {"layers": [{"cell": "gru", "units": 16}]},
    "train": {
        "epochs": 16,
        "batch": 4,
        "threads": 1,
        "optimizer": {"adam": {"lr": 0.02}},
        "schedule": "cosine",
    },
}


def test_a_policy_keeps_a_pole_upright_for_500_steps(tmp_path: Path) -> None:
    """It sees each state once, and answers as the whole file does to all that it has seen."""
    draw = np.random.default_rng(0)
    rows = [cartpole.episode(draw, "all", 100) for _ in range(12)]
    build = rnnspec.load(POLICY).build(tmp_path, data={"train": rows})
    build.export(tmp_path / "stream.onnx", stream=True, step=True)
    build.export(tmp_path / "whole.onnx")
    stream = rnnspec.open(tmp_path / "stream.onnx").stream()
    state = np.random.default_rng(1).uniform(-0.05, 0.05, 4)
    seen: list[list[float]] = []
    pushes: list[str] = []
    while len(seen) < cartpole.MOST and not cartpole.fallen(state):
        seen.append(cartpole.looked_at(state, "all"))
        pushes += stream.answer({"seen": seen[-1:]})["push"]
        state = cartpole.moved(state, cartpole.pushed(pushes[-1]))
    assert len(seen) == cartpole.MOST == 500
    (whole,) = rnnspec.open(tmp_path / "whole.onnx").answer([{"seen": seen}])
    assert pushes == whole["push"]


DIGITS: dict[str, Any] = {
    "name": "digits",
    "cardinality": "N:1",
    "data": {
        "input": {"column": "frames", "as": "frames", "scale": "standard"},
        "output": {"column": "digit", "as": "class"},
    },
    "encoder": {"layers": [{"conv": 16, "size": 5}, {"cell": "lstm", "units": 16}]},
    "pooling": "mean",
}
CHUNK = 25


def test_spoken_digits_frame_by_frame(real_data: Path, tmp_path: Path) -> None:
    """Recordings of unequal lengths side by side, in chunks; one that has ended waits."""
    parquet = pytest.importorskip("pyarrow.parquet")
    spoken = parquet.read_table(real_data / "fsdd" / "valid.parquet").to_pylist()
    rows = [{"frames": row["frames"], "digit": str(row["digit"])} for row in spoken]
    build = rnnspec.load(DIGITS).build(tmp_path, data={"train": rows[::5]}, train=False)
    build.export(tmp_path / "stream.onnx", stream=True)
    build.export(tmp_path / "whole.onnx")
    frames = [row["frames"] for row in rows[::50]]
    whole = list(rnnspec.open(tmp_path / "whole.onnx").answer([{"frames": f} for f in frames]))
    stream = rnnspec.open(tmp_path / "stream.onnx").stream()
    longest = max(map(len, frames))
    assert longest > 2 * min(map(len, frames))
    for begin in range(0, longest, CHUNK):
        last = begin + CHUNK >= longest
        chunks = [{"frames": each[begin : begin + CHUNK]} for each in frames]
        found = stream.answers(chunks, [last] * len(frames))
    for answer, expected in zip(found, whole, strict=True):
        assert answer["digit"] == expected["digit"]
        one, other = (list(each["digit.probabilities"].values()) for each in (answer, expected))
        np.testing.assert_allclose(one, other, atol=1e-5)
    first, *others = (answer["digit.probabilities"]["0"] for answer in found)
    assert all(abs(first - other) > 1e-4 for other in others)
