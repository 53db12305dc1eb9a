"""What an epoch costs beside its steps: checkpoints and statistics of short ones."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_statistics_are_measured_where_enough_steps_were_made(tmp_path: Path) -> None:
    """5 steps an epoch: the 20th comes to another multiple of 100."""
    build = trained_in_pieces(tmp_path / "build", settings_of(epochs=22))
    found = [any(name.startswith("rms.") for name in each) for each in metrics_of(build)]
    assert [epoch for epoch, has in enumerate(found, 1) if has] == [1, 2, 20, 22]
