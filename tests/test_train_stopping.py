"""Early stopping and the best weights, on any metric that is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnspec.evaluate.metrics import METRICS
from rnnspec.evaluate.monitor import monitor_of
from rnnspec.spec import Spec
from rnnspec.spec.metrics import reported_metrics
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.train.loop import Trainer
from tests.models import frames_plan
from tests.training import metrics_of, model_of, rows_data, settings_of, trained_in_pieces


def watching(values: list[float], folder: Path, **stopping: object) -> Trainer:
    """A trainer that has seen these values of its metric."""
    settings = settings_of(early_stopping={"metric": "accuracy", "patience": 2, **stopping})
    trainer = Trainer(model_of(), settings, BuildFolder(folder), rows_data(), rows_data(), Silent())
    for value in values:
        trainer._is_best({trainer.monitor.key: value})
        trainer.position.epoch += 1
    return trainer


def test_patience_counts_epochs_without_a_better_one(tmp_path: Path) -> None:
    rising = watching([0.5, 0.6, 0.7], tmp_path)
    assert (rising.position.best_epoch, rising.position.stale) == (3, 0)
    assert not rising._stops_early()
    falling = watching([0.5, 0.7, 0.6, 0.7], tmp_path)
    assert (falling.position.best_epoch, falling.position.stale) == (2, 2)
    assert falling._stops_early()


def test_a_gain_below_min_delta_is_kept_and_does_not_count(tmp_path: Path) -> None:
    trainer = watching([0.5, 0.51, 0.52], tmp_path, min_delta=0.1)
    assert (trainer.position.best_epoch, trainer.position.best) == (3, 0.52)
    assert trainer._stops_early()


@pytest.mark.parametrize(
    ("values", "stale"),
    [
        ([0.5, 0.5625, 0.625], 0),
        ([0.5, 0.625, 0.6875, 0.75], 0),
        ([0.5, 0.6875, 0.75, 0.78], 2),
        ([0.5, 0.625, 0.6875, 0.8125, 0.8125], 1),
    ],
)
def test_small_gains_add_up_to_an_improvement(
    values: list[float], stale: int, tmp_path: Path
) -> None:
    """`wait` of `keras.callbacks.EarlyStopping(mode="max", patience=9, min_delta=0.1)` of Keras
    3.15 after these values; the best weights are the last ones' all the same."""
    found = watching(values, tmp_path, min_delta=0.1, patience=9).position
    assert (found.stale, found.best) == (stale, max(values))


def test_a_metric_of_one_output_of_several_is_told_by_its_name() -> None:
    plan = frames_plan("lstm")
    assert monitor_of("label.accuracy", plan).larger and monitor_of("accuracy", plan).larger
    assert not monitor_of("label.loss", plan).larger and not monitor_of("loss", plan).larger
    assert monitor_of("a.b.bleu", plan).key == "valid.a.b.bleu"


@pytest.mark.parametrize("metric", ["loss", "accuracy", "macro_f1"])
def test_every_reported_metric_of_a_class_can_be_watched(metric: str, tmp_path: Path) -> None:
    settings = settings_of(early_stopping={"metric": metric}, epochs=3)
    build = trained_in_pieces(tmp_path / "build", settings)
    sign = -1 if METRICS[metric].larger_is_better else 1
    costs = [(sign * r[f"valid.{metric}"], r["valid.loss"]) for r in metrics_of(build)]
    best = [record["best"] for record in metrics_of(build)]
    for epoch, cost in enumerate(costs):
        assert best[epoch] == (cost not in costs[:epoch] and cost == min(costs[: epoch + 1]))


@pytest.mark.parametrize("kind", ["class", "number"])
def test_reported_metrics_are_those_that_are_measured(kind: str, tmp_path: Path) -> None:
    spec = Spec.model_validate(
        {
            "name": "test",
            "cardinality": "N:1",
            "data": {
                "train": "a.jsonl",
                "input": {"column": "frames", "as": "frames"},
                "output": {"column": "label", "as": kind},
            },
            "encoder": {"layers": [{"cell": "gru", "units": 4}]},
        }
    )
    names = set(reported_metrics(spec))
    if kind == "class":
        (record, *_) = metrics_of(trained_in_pieces(tmp_path / "build", settings_of()))
        assert names == {k.removeprefix("valid.") for k in record if k.startswith("valid.")}
    else:
        assert names == {"loss", "mae", "rmse"}
