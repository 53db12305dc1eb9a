"""What an epoch costs beside its steps: checkpoints and statistics of short ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.train import checkpoint
from rnnspec.train.checkpoint import Position
from rnnspec.train.loop import Trainer
from tests.training import metrics_of, settings_of, trained_in_pieces


def test_short_epochs_are_saved_together_and_the_last_one_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint for each of many epochs of a moment would take longer than they do."""
    saved: list[int] = []
    save = Trainer.save

    def counted(trainer: Trainer) -> None:
        saved.append(trainer.position.epoch)
        save(trainer)

    monkeypatch.setattr(Trainer, "save", counted)
    monkeypatch.setattr("rnnspec.train.loop.EPOCH_SECONDS", 1e9)
    trained_in_pieces(tmp_path / "late", settings_of(epochs=5))
    assert saved == [0, 1, 5]
    saved.clear()
    monkeypatch.setattr("rnnspec.train.loop.EPOCH_SECONDS", 0.0)
    trained_in_pieces(tmp_path / "each", settings_of(epochs=5))
    assert saved == [0, 1, 2, 3, 4, 5]


def test_the_best_weights_are_on_the_disk_whenever_a_checkpoint_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of short epochs without validation rows, each of which is the best so far, two writes."""
    written: list[tuple[int, int]] = []
    save = checkpoint.save

    def seen(path: Path, position: Position, *others: Any) -> None:
        weights = BuildFolder(path.parent).weights
        on_disk = int(read_arrays(weights)[1]["epoch"]) if weights.exists() else 0
        written.append((position.best_epoch, on_disk))
        save(path, position, *others)

    monkeypatch.setattr(checkpoint, "save", seen)
    monkeypatch.setattr("rnnspec.train.loop.EPOCH_SECONDS", 1e9)
    trained_in_pieces(tmp_path / "build", settings_of(epochs=4))
    assert written == [(0, 0), (1, 1), (4, 4)]


def test_statistics_are_measured_where_enough_steps_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 steps an epoch: the 4th and the 8th come to another multiple of 20."""
    monkeypatch.setattr("rnnspec.train.loop.MEASURED_STEPS", 20)
    build = trained_in_pieces(tmp_path / "build", settings_of(epochs=10))
    found = [any(name.startswith("rms.") for name in each) for each in metrics_of(build)]
    assert [epoch for epoch, has in enumerate(found, 1) if has] == [1, 2, 4, 8, 10]
