"""TensorBoard, an extra: what its files hold, and what is said where it is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rnnspec.errors import BuildError
from rnnspec.store.folder import BuildFolder
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from rnnspec.train.tensorboard import TensorBoard
from tests.training import metrics_of, model_of, rows_data, settings_of


def test_every_number_of_an_epoch_is_on_the_board(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board, build = TensorBoard(), BuildFolder(tmp_path)
    board.begun(tmp_path)
    trainer = Trainer(model_of(), settings_of(), build, rows_data(), rows_data(seed=1), board)
    assert trainer.run(Interrupt())
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for name in metrics_of(build)[0].keys() - {"epoch", "best"}:
        points = events.Scalars(name.replace(".", "/", 1))
        assert [point.step for point in points] == [5, 10]  # of five steps an epoch
        expected = [record[name] for record in metrics_of(build)]
        assert [point.value for point in points] == pytest.approx(expected, rel=1e-6)


def test_a_board_that_is_not_installed_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BuildError, match=r"pip install 'rnnspec\[tensorboard\]'"):
        TensorBoard()
