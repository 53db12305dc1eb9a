"""What is reported and what can be watched are the same metrics, of every kind of output."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from rnnspec.errors import DataError
from rnnspec.evaluate.monitor import Monitor
from rnnspec.evaluate.outputs.texts import as_greedy
from rnnspec.evaluate.score import evaluate_build
from rnnspec.plan.nodes import Beam, Greedy, Sample
from rnnspec.spec import Output
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.spec.metrics import TRAIN_LOSS, reported_metrics
from rnnspec.store.events import Heard, Silent
from rnnspec.store.folder import read_build
from rnnspec.train.build import Result, build
from tests.decoders import with_strategy
from tests.tiny import SPECS, forecast, pointing, spec_of, write_data


def writing(column: str, kind: str) -> Mapping[str, Any]:
    """The spec of texts, with another column of them."""
    spec = SPECS["text"]
    return {**spec, "data": {**spec["data"], "output": {"column": column, "as": kind}}}


KINDS: dict[str, Mapping[str, Any]] = {
    **SPECS,
    "tokens": writing("tokens", "tokens"),
    "chars": writing("back", "chars"),
    "plain tags": spec_of(
        "N:N", {"column": "tokens", "as": "tokens"}, {"column": "tags", "as": "tags"}
    ),
    "next frames": spec_of(
        "N:N", {"column": "frames", "as": "frames"}, {"column": "frames", "as": "next"}
    ),
    "student_t": forecast("student_t"),
    **pointing(),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of `tiny`, with texts long enough for BLEU."""
    folder = tmp_path_factory.mktemp("watching")
    write_data(folder)
    for name in ("train", "valid"):
        file = folder / f"{name}.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            for column in ("text", "back"):
                line[column] = f"{line[column]} {line[column]}"
            for column in ("tokens", "tags", "chords", "frames"):
                line[column] = line[column] * 2
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def loaded(world: Path, kind: str, **train: Any) -> LoadedSpec:
    spec = {**KINDS[kind], "name": kind.replace(" ", "-")}
    spec["train"] = {**spec["train"], **train}
    file = world / f"{spec['name']}.yaml"
    file.write_text(json.dumps(spec))  # JSON is YAML
    return load_spec(file)


def records(result: Result) -> list[dict[str, float]]:
    return [json.loads(line) for line in result.folder.metrics.read_text().splitlines()]


def test_every_kind_of_output_is_walked() -> None:
    kinds = {each for option in get_args(get_args(Output)[0]) for each in _kinds(option)}
    outputs = [spec["data"]["output"] for spec in KINDS.values()]
    walked = {each["as"] for of in outputs for each in (of if isinstance(of, list) else [of])}
    assert walked == kinds - {"states"}, "which have no true values"


def _kinds(option: type) -> tuple[str, ...]:
    return get_args(option.model_fields["as_"].annotation)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_every_reported_metric_can_be_watched_and_no_other(world: Path, kind: str) -> None:
    """The costly ones are measured in each epoch where one of them is watched: then all are."""
    names = reported_metrics(loaded(world, kind).spec)
    spec = loaded(world, kind, early_stopping={"metric": names[-1]}, epochs=1)
    result = build(spec, world / "builds" / "watched", Silent())
    (record,) = records(result)
    measured = {key.removeprefix("valid.") for key in record if key.startswith("valid.")}
    scores = evaluate_build(read_build(result.folder))
    assert set(names) == measured == set(scores.metrics)


@pytest.mark.parametrize("kind", ["text", "student_t"])
def test_what_is_costly_is_measured_where_it_is_watched(world: Path, kind: str) -> None:
    spec = loaded(world, kind, epochs=1)
    (record,) = records(build(spec, world / "builds" / "unwatched", Silent()))
    missing = {n for n in reported_metrics(spec.spec) if f"valid.{n}" not in record}
    assert missing == ({"bleu", "chrf"} if kind == "text" else {"coverage"})


def test_a_watched_metric_is_that_of_the_report(world: Path) -> None:
    """Of greedy texts, and of the epoch that was kept."""
    spec = loaded(world, "text", early_stopping={"metric": "chrf"}, epochs=3)
    greedy = {"decoder": {**KINDS["text"]["decoder"], "strategy": "greedy"}}
    file = world / "greedy.yaml"
    file.write_text(json.dumps({**json.loads(spec.path.read_text()), **greedy}))
    result = build(load_spec(file), world / "builds" / "greedy", Silent())
    found = records(result)
    best = max(range(3), key=lambda epoch: (found[epoch]["valid.chrf"], -epoch))
    assert result.best_epoch == best + 1
    assert result.metrics["chrf"] == pytest.approx(found[best]["valid.chrf"])
    assert result.metrics["bleu"] == pytest.approx(found[best]["valid.bleu"])


def test_the_coverage_of_a_band_should_be_what_it_promises(world: Path) -> None:
    spec = loaded(world, "quantiles", early_stopping={"metric": "coverage"}, epochs=4)
    result = build(spec, world / "builds" / "coverage", Silent())
    misses = [abs(record["valid.coverage"] - 0.8) for record in records(result)]
    assert result.best_epoch == 1 + misses.index(min(misses))


def test_bleu_of_short_texts_is_refused_before_training(tmp_path: Path) -> None:
    write_data(tmp_path)
    for kind in ("text", "chars"):
        with pytest.raises(DataError, match=r"3\.\d words on average .* watch chrf"):
            build(
                loaded(tmp_path, kind, early_stopping={"metric": "bleu"}),
                tmp_path / "builds",
                Silent(),
            )
    assert not (tmp_path / "builds" / "text").exists()


def test_the_training_loss_needs_no_validation_rows(world: Path) -> None:
    stopping = {"metric": TRAIN_LOSS, "patience": 2, "min_delta": 100.0}
    schedule = {"plateau": {"patience": 1, "factor": 0.1, "min_delta": 100.0}}
    spec = dict(KINDS["class"])
    spec["data"] = {key: value for key, value in spec["data"].items() if key != "valid"}
    spec["train"] = {**spec["train"], "epochs": 9, "early_stopping": stopping, "schedule": schedule}
    file = world / "train-loss.yaml"
    file.write_text(json.dumps({**spec, "name": "train-loss"}))
    result = build(load_spec(file), world / "builds", Silent())
    found = records(result)
    losses = [record["train.loss"] for record in found]
    assert len(found) == 3, "no epoch is better by 100 than the first"
    assert result.best_epoch == 1 + losses.index(min(losses))
    assert [record["lr"] for record in found] == pytest.approx([0.01, 0.01, 0.001])


def test_a_plateau_may_watch_another_metric(world: Path) -> None:
    """The best epoch is told by the error rate all the same, by which it is of texts."""
    schedule = {"plateau": {"metric": "chrf", "patience": 1, "min_delta": 2.0}}
    spec = loaded(world, "text", schedule=schedule, epochs=3)
    result = build(spec, world / "builds" / "plateau", Silent())
    found = records(result)
    assert all("valid.chrf" in record for record in found)
    assert [record["lr"] for record in found] == pytest.approx([0.01, 0.01, 0.005])
    costs = [(record["valid.error_rate"], record["valid.loss"]) for record in found]
    assert result.best_epoch == 1 + costs.index(min(costs))


def test_a_metric_that_is_no_number_is_told_and_any_number_is_better() -> None:
    for watched in (Monitor("valid.mase"), Monitor("valid.bleu", True), Monitor("c", aim=0.8)):
        assert watched.cost(math.nan) == math.inf
        assert watched.cost(0.5) < math.inf
    assert Monitor("valid.coverage", aim=0.8).cost(0.7) == pytest.approx(0.1)
    assert Monitor("valid.bleu", larger=True).cost(0.7) == -0.7


def test_a_series_that_never_changes_has_no_scaled_error(world: Path, tmp_path: Path) -> None:
    """`mase` is then nothing to go by: the build says so, and keeps the weights of the lowest loss
    until its patience ends."""
    table = ["n,load"] + [f"{n},5.0" for n in range(160)]
    (tmp_path / "load.csv").write_text("\n".join(table) + "\n")
    heard = Heard()
    spec = loaded(tmp_path, "point", early_stopping={"metric": "mase", "patience": 1}, epochs=4)
    result = build(spec, tmp_path / "builds", heard)
    losses = [record["valid.loss"] for record in records(result)]
    assert len(losses) == 2 and result.best_epoch == 1 + losses.index(min(losses))
    (warning,) = heard.warnings
    assert "valid.mase is nan" in warning and "train.monitor" in warning
    assert read_build(result.folder).weights


def test_texts_of_an_epoch_keep_all_rules_of_the_search() -> None:
    """They are those that 'evaluate' measures of a greedy search, whatever it may not answer."""
    rules = Greedy(9, 0.5, 2, repetition_penalty=1.5, no_repeat=3, prefix=(4,), banned=(5, 6))
    assert as_greedy(rules) == rules
    for kind, own in ((Beam, {"width": 3, "length_norm": "average"}), (Sample, {"top_k": 2})):
        assert as_greedy(with_strategy(kind, rules, **own)) == rules
