"""Training: the same numbers as a hand-written loop, exact resumption, an honest build folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnspec.errors import BuildError
from rnnspec.plan.nodes import weights
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder, find_build, read_build
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import tensors
from rnnspec.train.build import build, datasets
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from tests.data_rows import write_letters

SPEC = """
name: parity
cardinality: N:1
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {column: text, as: chars}
  output: {column: label, as: class}
encoder:
  embed: 8
  embed_dropout: DROPOUT
  layers: [{cell: lstm, units: 12, direction: bidirectional}]
train: {epochs: 4, batch: 16, optimizer: {adam: {lr: 1e-2}}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Texts of a, b and c; the label is the letter that stands first."""
    write_letters(tmp_path, train=200, valid=60)
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.replace("DROPOUT", "0.0"))
    return path


def weights_of(folder: BuildFolder) -> Mapping[str, object]:
    return read_arrays(folder.weights)[0]


def test_a_build_learns_and_its_folder_reads_back(spec: Path, tmp_path: Path) -> None:
    result = build(load_spec(spec), tmp_path / "builds", Silent())
    assert result.finished
    assert result.metrics["accuracy"] > 0.9
    trained = read_build(find_build(None, tmp_path / "builds"))
    assert trained.folder == result.folder
    assert set(trained.weights) == {weight.name for weight in weights(trained.plan)}
    lines = [json.loads(line) for line in result.folder.metrics.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    best = min(lines, key=lambda line: (-line["valid.accuracy"], line["valid.loss"]))
    assert best["epoch"] == result.best_epoch
    assert best["valid.accuracy"] == result.metrics["accuracy"]
    assert trained.folder.read_state()["state"] == "finished"
    assert result.folder.checkpoint.exists()


class Twin(nn.Module):
    """The spec's model by hand: packed, so that padding cannot matter."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, 8)
        self.lstm = nn.LSTM(8, 12, bidirectional=True)
        self.answer = nn.Linear(24, classes)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = pack_padded_sequence(self.embed(ids.T), lengths, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        scores: torch.Tensor = self.answer(torch.cat([h[0], h[1]], dim=-1))
        return scores

    @torch.no_grad()
    def take(self, model: Model) -> None:
        held = dict(model.canonical())
        self.embed.weight.copy_(held["embed.table"])
        self.answer.weight.copy_(held["answer.W"])
        self.answer.bias.copy_(held["answer.b"])
        for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
            for part, letter in (("weight_ih", "W"), ("weight_hh", "U"), ("bias_ih", "b")):
                gates = [held[f"layers.0.{direction}.{letter}_{gate}"] for gate in "ifgo"]
                getattr(self.lstm, f"{part}_l0{suffix}").copy_(torch.cat(gates))
            getattr(self.lstm, f"bias_hh_l0{suffix}").zero_().requires_grad_(False)


def test_steps_equal_those_of_a_hand_written_twin(spec: Path, tmp_path: Path) -> None:
    loaded = load_spec(spec)
    trained = read_build(build(loaded, tmp_path / "builds", Silent(), train=False).folder)
    data, _ = datasets(loaded, trained.plan, trained.facts, tmp_path / "cache")
    model = Model(trained.plan)
    model.load_canonical(trained.weights)
    trainer = Trainer(model, loaded.spec.train, trained.folder, data, None, Silent())
    twin = Twin(len(trained.facts.inputs["text"].vocabulary), 3)  # type: ignore[union-attr]
    twin.take(model)
    optimizer = torch.optim.Adam([p for p in twin.parameters() if p.requires_grad], lr=1e-2)
    for start in range(0, 192, 16):
        rows = np.arange(start, start + 16)
        inputs, targets = tensors(data.collate(rows))
        loss = nn.functional.cross_entropy(twin(*inputs["text"]), targets["label"])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        optimizer.step()
        assert trainer.step(rows) == pytest.approx(loss.item(), abs=2e-5)


class StopAfter(Silent):
    """Asks the trainer to stop after a number of batches."""

    def __init__(self, batches: int, interrupt: Interrupt) -> None:
        self.left, self.interrupt = batches, interrupt

    def batch(self, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            self.interrupt.set()


def run_in_pieces(loaded: LoadedSpec, folder: Path, pieces: list[int]) -> BuildFolder:
    """Train with a stop after each number of batches, every time from a fresh process' state."""
    start = build(loaded, folder, Silent(), train=False).folder
    trained = read_build(start)
    train, valid = datasets(loaded, trained.plan, trained.facts, folder / "cache")
    for piece in [*pieces, 0]:
        torch.manual_seed(99)  # what happens to be in memory must not matter
        interrupt = Interrupt()
        model = Model(trained.plan)
        model.start(trained.facts, loaded.spec.train.seed)
        listener = StopAfter(piece, interrupt)
        trainer = Trainer(model, loaded.spec.train, start, train, valid, listener)
        if start.checkpoint.exists():
            trainer.resume()
        finished = trainer.run(interrupt)
        assert finished == (piece == 0)
    return start


def test_an_interrupted_run_ends_with_the_same_weights(spec: Path, tmp_path: Path) -> None:
    spec.write_text(SPEC.replace("DROPOUT", "0.3"))  # the random state counts too
    loaded = load_spec(spec)
    whole = run_in_pieces(loaded, tmp_path / "whole", [])
    broken = run_in_pieces(loaded, tmp_path / "broken", [3, 10, 13, 5])
    expected = weights_of(whole)
    for name, value in weights_of(broken).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    records = [
        [{k: v for k, v in json.loads(line).items() if "per_second" not in k} for line in lines]
        for lines in (whole.metrics.open(), broken.metrics.open())
    ]
    assert records[0] == records[1]


def test_resume_refuses_other_spec_other_data_and_a_finished_build(
    spec: Path, tmp_path: Path
) -> None:
    builds = tmp_path / "builds"
    with pytest.raises(BuildError, match="no build was ever begun"):
        build(load_spec(spec), builds, Silent(), resume=True)
    folder = build(load_spec(spec), builds, Silent()).folder
    with pytest.raises(BuildError, match="finished already"):
        build(load_spec(spec), builds, Silent(), resume=True)
    folder.write_state({**folder.read_state(), "state": "stopped"})
    with pytest.raises(BuildError, match="seed: 1"):
        build(load_spec(spec, ["train.seed=1"]), builds, Silent(), resume=True)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"text": "abc", "label": "a"}\n')
    with pytest.raises(BuildError, match="the data files have changed"):
        build(load_spec(spec), builds, Silent(), resume=True)


def test_a_loss_that_explodes_says_what_to_do(spec: Path, tmp_path: Path) -> None:
    overrides = ["train.optimizer={sgd: {lr: 1e38}}", "train.clip_norm=null"]
    with pytest.raises(BuildError, match=r"set train.optimizer.sgd.lr lower than 1e\+38"):
        build(load_spec(spec, overrides), tmp_path / "builds", Silent())


def test_a_label_of_validation_rows_alone_is_wrong_and_not_in_the_loss(
    spec: Path, tmp_path: Path
) -> None:
    """60 rows, and a 61st whose label training does not have: with the same weights the accuracy is
    60/61 of what it was, the loss as it was."""
    without = build(load_spec(spec), tmp_path / "builds", Silent())
    with (tmp_path / "valid.jsonl").open("a") as file:
        file.write('{"text": "abc", "label": "z"}\n')
    found = build(load_spec(spec), tmp_path / "builds", Silent())
    assert found.metrics["accuracy"] == pytest.approx(without.metrics["accuracy"] * 60 / 61)
    assert found.metrics["loss"] == pytest.approx(without.metrics["loss"])


def test_early_stopping_ends_before_the_last_epoch(spec: Path, tmp_path: Path) -> None:
    stop = "train.early_stopping={metric: accuracy, patience: 2}"
    loaded = load_spec(spec, ["train.epochs=200", stop])
    result = build(loaded, tmp_path / "builds", Silent())
    lines = [json.loads(line) for line in result.folder.metrics.read_text().splitlines()]
    assert len(lines) < 200
    best = max(line["valid.accuracy"] for line in lines)
    assert result.metrics["accuracy"] == best
    assert all(line["valid.accuracy"] <= best for line in lines[-2:])
