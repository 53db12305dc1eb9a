"""Two processes under torchrun: the numbers of one, and those of an undisturbed run when killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.data import Batch
from rnnspec.store.files import read_arrays
from rnnspec.train.checkpoint import _joined
from rnnspec.train.distributed import Processes
from rnnspec.train.feed import StreamFeed, rows_of
from tests.data_rows import write_letters
from tests.forked import Forked, forked
from tests.training import Stream, settings_of

ROOT = Path(__file__).parent.parent
SPEC = """
name: pair
cardinality: N:1
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {column: text, as: chars}
  output: {column: label, as: class}
encoder:
  embed: 8
  layers: [{cell: lstm, units: 12, direction: bidirectional}]
train: {epochs: EPOCHS, batch: 16, optimizer: {adam: {lr: 1e-2}}}
"""
STREAM = """
name: pair
cardinality: N:N
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {column: text, as: chars}
  output: {column: text, as: next}
encoder:
  embed: 8
  layers: [{cell: lstm, units: 12}]
train: {epochs: 3, batch: 5, window: 6, optimizer: {adam: {lr: 1e-2}}}
"""
"""Five lanes for two processes."""
TAGGED = """
name: pair
cardinality: N:N
data:
  train: train.jsonl
  valid: valid.jsonl
  input:
    - {column: text, as: chars}
    - {column: label, as: category, embed: 2, join: state}
  output: {column: tags, as: tags}
encoder:
  embed: 8
  layers: [{cell: gru, units: 12}]
train: {epochs: 2, batch: 1, window: 40, accumulate: 2, optimizer: {adam: {lr: 1e-2}}}
"""
"""One lane for two processes, of which one has none."""
SETTINGS = (
    "{cell: lstm, units: 12, norm: layer, dropout: 0.2, dropout_per: sequence, "
    "recurrent_dropout: 0.2, zoneout: 0.2, init: {recurrent: orthogonal}, forget_bias: 1.0, "
    "l2: 0.01, skip: SKIP}"
)
"""A layer with the settings that a stack, a stream and a decoder may have."""
WRITER = f"""
name: pair
cardinality: N:M
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {{column: text, as: chars}}
  output: {{column: label, as: chars}}
encoder:
  embed: 8
  layers: [{SETTINGS.replace("SKIP", "none")}, {SETTINGS.replace("SKIP", "highway")}]
decoder:
  embed: 8
  attention: additive
  layers: [{SETTINGS.replace("SKIP", "none")}, {SETTINGS.replace("SKIP", "residual")}]
train: {{epochs: 2, batch: 64}}
"""
WINDOWED = f"""
name: pair
cardinality: N:N
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {{column: text, as: chars}}
  output: {{column: text, as: next}}
encoder:
  embed: 8
  layers: [{SETTINGS.replace("SKIP", "none")}, {SETTINGS.replace("SKIP", "residual")}]
train: {{epochs: 2, batch: 5, window: 6}}
"""
ROWS = 193
"""One row in the last batch, so that one of two processes has none."""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Texts of a, b and c; the label is the letter that stands first."""
    write_letters(tmp_path, train=ROWS, valid=40)
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.replace("EPOCHS", "3"))
    return path


def by_torchrun(spec: Path, builds: str) -> subprocess.Popen[str]:
    """Two processes that are started again when one of them ends."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--max-restarts", "3"]
    launcher += ["--nproc-per-node", "2"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "rnnspec", "build", spec.name, "--builds", builds],
        cwd=spec.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def started(spec: Path, builds: str, processes: int) -> Forked:
    """As torchrun would start them, without its time to load torch in each of them."""
    return forked(["build", spec.name, "--builds", builds], spec.parent, processes)


def trained(spec: Path, builds: str, processes: int) -> Mapping[str, Any]:
    """The weights of a build by so many processes."""
    code, said = started(spec, builds, processes).ended()
    return finished(code, said, spec.parent / builds / "pair" / "001")


def finished(code: int, said: str, build: Path) -> Mapping[str, Any]:
    """The weights, once the processes have ended well."""
    assert code == 0, said
    assert said.count("built ") == 1, said  # one process speaks
    assert json.loads((build / "build.json").read_text())["state"] == "finished"
    return read_arrays(build / "weights.safetensors")[0]


@pytest.mark.parametrize(
    "text", [SPEC.replace("EPOCHS", "3"), STREAM, TAGGED], ids=["rows", "stream", "one lane"]
)
def test_two_processes_give_the_numbers_of_one(spec: Path, text: str) -> None:
    spec.write_text(text)
    alone, both = trained(spec, "one", 1), trained(spec, "two", 2)
    for name, value in alone.items():
        np.testing.assert_allclose(both[name], value, atol=1e-6, err_msg=name)
    assert [path.name for path in (spec.parent / "two" / "pair").iterdir()] == ["001"]
    losses = [
        [json.loads(line)["valid.loss"] for line in path.open()]
        for path in sorted(spec.parent.glob("*/pair/001/metrics.jsonl"))
    ]
    assert len(losses[0]) >= 2
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-6)


@pytest.mark.parametrize("text", [WRITER, WINDOWED], ids=["decoder", "stream"])
def test_two_processes_train_layers_of_all_settings(spec: Path, text: str) -> None:
    """What is drawn differs between processes; the weights stay one."""
    spec.write_text(text)
    weights = trained(spec, "two", 2)
    assert all(np.isfinite(value).all() for value in weights.values())
    told = [
        json.loads(line) for line in (spec.parent / "two" / "pair" / "001" / "metrics.jsonl").open()
    ]
    assert len(told) == 2
    assert all(np.isfinite(each["valid.loss"]) for each in told)


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("train.jsonl", "nowhere.jsonl", "error: nowhere.jsonl: no such file"),
        ("layers: [", "layers: [{conv: 8, norm: batch}, ", "'norm: batch' takes its moments"),
    ],
)
def test_one_process_says_what_is_wrong(spec: Path, right: str, wrong: str, error: str) -> None:
    spec.write_text(SPEC.replace("EPOCHS", "3").replace(right, wrong))
    code, said = started(spec, "none", 2).ended()
    assert code != 0
    assert said.count(error) == 1, said


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_killed_process_is_started_again_and_ends_the_same(spec: Path) -> None:
    spec.write_text(SPEC.replace("EPOCHS", "6"))
    whole = trained(spec, "whole", 2)
    process = by_torchrun(spec, "killed")
    build = spec.parent / "killed" / "pair" / "001"
    while not (build / "metrics.jsonl").exists():
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said, _ = process.communicate(timeout=500)
    killed = finished(process.returncode, said, build)
    assert [path.name for path in build.parent.iterdir()] == ["001"]
    for name, value in whole.items():
        np.testing.assert_array_equal(killed[name], value, err_msg=name)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_lanes_are_shared_out_and_joined_again(count: int) -> None:
    """Also where there are more processes than lanes."""
    settings = settings_of(batch=3, window=4)
    whole = next(StreamFeed(Stream(), settings).micro_batches(0, 0))
    parts = [
        next(StreamFeed(Stream(), settings, Processes(rank, count)).micro_batches(0, 0))
        for rank in range(count)
    ]
    frames = [part.batch.inputs["frames"][0] for part in parts]
    joined = _joined([{"frames": lanes} for lanes in frames])["frames"]
    np.testing.assert_array_equal(joined, whole.batch.inputs["frames"][0])
    assert whole.reset is not None
    for rank, part in enumerate(parts):
        assert part.reset is not None
        assert part.reset.tolist() == whole.reset[rank::count].tolist()
        assert (part.rows, part.real, part.padded) == (whole.rows, whole.real, whole.padded)


def test_rows_of_a_batch_are_picked_from_all_its_columns() -> None:
    batch = Batch({"x": (np.arange(6).reshape(3, 2), np.array([2, 1, 2]))}, {"y": np.arange(3)})
    picked = rows_of(batch, np.array([2, 0]))
    assert picked.inputs["x"][0].tolist() == [[4, 5], [0, 1]]
    assert picked.inputs["x"][1].tolist() == [2, 2]
    assert picked.targets["y"].tolist() == [2, 0]


def shares(count: int, rows: Sequence[int]) -> list[list[int]]:
    return [Processes(rank, count).share(np.array(rows)).tolist() for rank in range(count)]


def test_shares_of_few_rows() -> None:
    assert shares(2, [5, 6, 7]) == [[5, 7], [6]]
    assert shares(3, [5]) == [[5], [], []]
