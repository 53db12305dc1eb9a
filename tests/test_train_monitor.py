"""By which metric an epoch is the best: of each kind of output that which its users care for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from rnnspec.errors import SpecError
from rnnspec.evaluate.metrics import METRICS
from rnnspec.evaluate.score import evaluate_build
from rnnspec.spec import Output
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.spec.metrics import default_metric, monitored, monitored_metrics, reported_metrics
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder, read_build
from rnnspec.train.build import Result, build
from rnnspec.train.checkpoint import Position
from rnnspec.train.loop import Trainer
from tests.tiny import SPECS, TEXT, forecast, pointing, spec_of, write_data
from tests.training import model_of, rows_data, settings_of

TAGS = {"column": "tags", "as": "tags"}
TOKENS = {"column": "tokens", "as": "tokens"}
CHARS = {"column": "back", "as": "chars"}
EXPECTED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "class": (SPECS["class"], "accuracy"),
    "class, weighted": (
        spec_of("N:1", TEXT, {"column": "first", "as": "class", "class_weights": "balanced"}),
        "macro_f1",
    ),
    "tags": (spec_of("N:N", TOKENS, TAGS), "accuracy"),
    "tags, weighted": (spec_of("N:N", TOKENS, {**TAGS, "class_weights": "balanced"}), "macro_f1"),
    "tags of spans": (SPECS["tags"], "span_f1"),
    "labels": (SPECS["labels"], "micro_f1"),
    "keys": (SPECS["keys"], "micro_f1"),
    "number": (SPECS["number"], "mae"),
    "vector": (SPECS["vector"], "loss"),
    "frames": (SPECS["frames"], "loss"),
    "words": (SPECS["text"], "error_rate"),
    "chars": (
        {**SPECS["text"], "data": {**SPECS["text"]["data"], "output": CHARS}},
        "error_rate",
    ),
    "tokens": (
        {**SPECS["text"], "data": {**SPECS["text"]["data"], "output": TOKENS}},
        "error_rate",
    ),
    "next": (SPECS["next"], "perplexity"),
    "next of a stream": (SPECS["stream"], "perplexity"),
    "next keys": (SPECS["chords"], "nll"),
    "next frames": (
        spec_of("N:N", {"column": "frames", "as": "frames"}, {"column": "frames", "as": "next"}),
        "loss",
    ),
    "forecast": (SPECS["point"], "mase"),
    "quantiles": (SPECS["quantiles"], "loss"),
    "student_t": (forecast("student_t"), "loss"),
    "several": (SPECS["two"], "loss"),
    "position": (pointing()["position"], "accuracy"),
    "span": (pointing()["span"], "token_f1"),
    "positions": (pointing()["positions"], "place_accuracy"),
    "ordinal": (pointing()["ordinal"], "rank_error"),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monitor")
    write_data(folder)
    return folder


def loaded(world: Path, spec: Mapping[str, Any], **train: Any) -> LoadedSpec:
    file = world / "spec.yaml"
    file.write_text(json.dumps({**spec, "train": {**spec["train"], **train}}))  # JSON is YAML
    return load_spec(file)


def records(result: Result) -> list[dict[str, float]]:
    return [json.loads(line) for line in result.folder.metrics.read_text().splitlines()]


def test_every_kind_of_output_is_walked() -> None:
    kinds = {
        each
        for option in get_args(get_args(Output)[0])
        for each in get_args(option.model_fields["as_"].annotation)
    }
    outputs = [spec["data"]["output"] for spec, _ in EXPECTED.values()]
    walked = {each["as"] for of in outputs for each in (of if isinstance(of, list) else [of])}
    assert walked == kinds - {"states"}, "which have no true values"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_best_epoch_is_that_of_the_metric_of_its_kind(world: Path, name: str) -> None:
    """In training, in the weights that are kept, and in what `evaluate` measures."""
    spec, metric = EXPECTED[name]
    found = loaded(world, spec, epochs=4)
    assert monitored(found.spec) == default_metric(found.spec) == metric
    assert metric in reported_metrics(found.spec)
    result = build(found, world / "builds", Silent())
    sign = -1 if METRICS[metric].larger_is_better else 1
    costs = [(sign * r[f"valid.{metric}"], r["valid.loss"]) for r in records(result)]
    assert result.best_epoch == 1 + costs.index(min(costs))
    assert read_arrays(result.folder.weights)[1]["epoch"] == str(result.best_epoch)
    if metric != "error_rate":  # that of a beam, which only the report searches with
        measured = evaluate_build(read_build(result.folder)).metrics[metric]
        assert measured == pytest.approx(sign * min(costs)[0], rel=1e-5)


def test_a_metric_that_is_named_goes_first(world: Path) -> None:
    spec = SPECS["class"]
    for train in ({"monitor": "loss"}, {"early_stopping": {"metric": "loss"}}):
        found = loaded(world, spec, **train)
        assert monitored(found.spec) == "loss"
        losses = [r["valid.loss"] for r in records(build(found, world / "builds", Silent()))]
        assert min(losses) == losses[-1]
    assert monitored(loaded(world, spec, early_stopping={"patience": 2}).spec) == "accuracy"
    both = {"monitor": "macro_f1", "early_stopping": {"patience": 2}}
    assert monitored(loaded(world, spec, **both).spec) == "macro_f1"
    assert loaded(world, spec, monitor="train.loss").spec.train.monitor == "train.loss"
    with pytest.raises(SpecError, match="name the metric in one of the two places"):
        loaded(world, spec, monitor="loss", early_stopping={"metric": "accuracy"})


def test_a_plateau_goes_by_the_metric_that_is_named_and_else_by_the_loss() -> None:
    plateau: dict[str, Any] = {"schedule": {"plateau": {}}}
    for keys, expected in (
        (plateau, ("accuracy", "loss")),
        ({**plateau, "monitor": "macro_f1"}, ("macro_f1", "macro_f1")),
        ({**plateau, "early_stopping": {"metric": "macro_f1"}}, ("macro_f1", "macro_f1")),
        ({"schedule": {"plateau": {"metric": "macro_f1"}}}, ("accuracy", "macro_f1")),
        ({}, ("accuracy",)),
    ):
        assert monitored_metrics(settings_of(**keys), "accuracy") == expected


def watching(folder: Path, values: list[tuple[float, float]]) -> tuple[Trainer, list[bool]]:
    """A trainer that has seen these values of its metric and of the loss; what it kept."""
    settings = settings_of(early_stopping={"metric": "accuracy", "patience": 3})
    trainer = Trainer(model_of(), settings, BuildFolder(folder), rows_data(), rows_data(), Silent())
    kept = []
    for value, loss in values:
        kept.append(trainer._is_best({"valid.accuracy": value, "valid.loss": loss}))
        trainer.position = trainer.position.next_epoch()
    return trainer, kept


def test_of_equal_epochs_the_lower_loss_is_kept_and_is_no_improvement(tmp_path: Path) -> None:
    seen = [(0.5, 1.0), (0.5, 0.9), (0.5, 0.95), (0.4, 0.1), (0.5, 0.8)]
    trainer, kept = watching(tmp_path, seen)
    assert kept == [True, True, False, False, True]
    assert (trainer.position.best_epoch, trainer.position.best) == (5, 0.5)
    assert trainer._stops_early()


def test_of_epochs_without_a_number_the_lower_loss_is_kept(tmp_path: Path) -> None:
    nan = math.nan
    seen = [(nan, nan), (nan, 1.0), (nan, 2.0), (nan, 0.5), (nan, nan), (0.1, 9.0), (nan, 0.1)]
    assert watching(tmp_path, seen)[1] == [True, True, False, True, False, True, False]


def test_a_checkpoint_has_the_loss_of_the_best_epoch() -> None:
    assert Position(best=0.5, best_loss=1.5, best_epoch=2).next_epoch().best_loss == 1.5
