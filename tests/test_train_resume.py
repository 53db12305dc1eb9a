"""A run that is interrupted anywhere and resumed ends like one that is not, whatever is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import BuildError
from rnnspec.store.events import Silent
from rnnspec.train.loop import Trainer
from tests.models import layers_plan
from tests.test_data_batches import shrink
from tests.training import (
    Stream,
    assert_same_training,
    model_of,
    rows_data,
    settings_of,
    trained_in_pieces,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "cosine": {"schedule": {"cosine": {"warmup": 3}}},
    "linear": {"schedule": {"linear": {"floor": 0.1}}},
    "inverse_sqrt": {"schedule": {"inverse_sqrt": {"warmup": 4}}},
    "step": {"schedule": {"step": {"factor": 0.3}}, "epochs": 3},
    "plateau": {"schedule": {"plateau": {"patience": 1, "min_delta": 10.0}}, "epochs": 4},
    "warm-up": {"schedule": {"plateau": {"warmup": 7}}},
    "accumulate": {"accumulate": 3, "epochs": 4},
    "tokens": {"batch": {"tokens": 60}},
    "moving average": {"ema": 0.9, "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9}}},
    "last epochs": {"average_last": 2, "epochs": 4},
    "a stale epoch": {"average_when_stale": 1, "epochs": 5, "optimizer": {"sgd": {"lr": 30.0}}},
    "groups": {"optimizer": {"adamw": {"weight_decay_on": "matrices"}}, "clip_value": 0.01},
    "float64": {"precision": "float64"},
}


def _layer(**settings: Any) -> dict[str, Any]:
    return {"cell": "gru", "units": 4, **settings}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_resumes_exactly(name: str, tmp_path: Path) -> None:
    settings = settings_of(**SETTINGS[name])
    """Also where it stops at the end of an epoch, which has five batches of most settings."""
    plan = layers_plan(_layer(dropout=0.2), _layer())  # the random state counts too
    whole = trained_in_pieces(tmp_path / "whole", settings, plan=plan)
    broken = trained_in_pieces(tmp_path / "broken", settings, [1, 2, 2, 3], plan=plan)
    assert_same_training(whole, broken)


@pytest.mark.parametrize("batch", [8, {"tokens": 60}], ids=["rows", "tokens"])
def test_rows_beyond_the_buffer_resume_exactly(
    batch: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted within buffers and between them: an epoch has three and a part of a fourth."""
    shrink(monkeypatch, 32, 4)
    settings, data = settings_of(batch=batch), rows_data(rows=111)
    plan = layers_plan(_layer(dropout=0.2))
    whole = trained_in_pieces(tmp_path / "whole", settings, [], data, plan=plan)
    broken = trained_in_pieces(tmp_path / "broken", settings, [1, 3, 5, 4], data, plan=plan)
    assert_same_training(whole, broken)


@pytest.mark.parametrize("keys", [{}, {"ema": 0.9}, {"accumulate": 2}])
def test_windows_of_streams_resume_exactly(keys: dict[str, Any], tmp_path: Path) -> None:
    settings = settings_of(batch=3, window=4, epochs=3, **keys)
    train, valid = Stream(), Stream((9, 14, 3, 8), seed=1)
    plan = layers_plan(_layer(cell="lstm", dropout=0.2), _layer(initial_state="learned"))
    whole = trained_in_pieces(tmp_path / "whole", settings, [], train, valid, plan)
    broken = trained_in_pieces(tmp_path / "broken", settings, [1, 2, 2, 4], train, valid, plan)
    assert_same_training(whole, broken)


def test_documents_in_a_drawn_order_resume_exactly(tmp_path: Path) -> None:
    """Interrupted between the windows of documents that each epoch reads in another order."""
    settings = settings_of(batch=4, window=3, epochs=3)
    data = rows_data(rows=30, longest=17), rows_data(rows=20, seed=1)
    plan = layers_plan(_layer(cell="lstm", dropout=0.2), _layer(initial_state="learned"))
    whole = trained_in_pieces(tmp_path / "whole", settings, [], *data, plan)
    broken = trained_in_pieces(tmp_path / "broken", settings, [1, 12, 17, 9], *data, plan)
    assert_same_training(whole, broken)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    build = trained_in_pieces(tmp_path / "build", settings_of(), plan=layers_plan(_layer()))
    wider = model_of(layers_plan(_layer(units=5)))
    trainer = Trainer(wider, settings_of(), build, rows_data(), None, Silent())
    with pytest.raises(BuildError, match="does not fit this build"):
        trainer.resume()


def test_a_checkpoint_with_another_average_is_refused(tmp_path: Path) -> None:
    build = trained_in_pieces(tmp_path / "build", settings_of())
    trainer = Trainer(model_of(), settings_of(ema=0.9), build, rows_data(), None, Silent())
    with pytest.raises(BuildError, match="does not fit this build"):
        trainer.resume()
