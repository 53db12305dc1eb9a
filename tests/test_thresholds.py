"""Thresholds of labels that are chosen on validation rows, by F1, and kept wherever they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from rnnspec.errors import SpecError
from rnnspec.evaluate.metrics.ranking import ScoreCounts
from rnnspec.evaluate.metrics.thresholds import best_threshold
from rnnspec.evaluate.score import evaluate_build
from rnnspec.export import export_onnx
from rnnspec.plan.facts import ClassFacts
from rnnspec.plan.nodes import LabelsOutput
from rnnspec.run.session import Session
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Heard
from rnnspec.store.folder import Trained, read_build
from rnnspec.train.build import build
from tests.tiny import SPECS, write_data


@pytest.mark.parametrize("seed", range(20))
def test_the_best_threshold_is_that_of_all(seed: int) -> None:
    """Of every threshold that answers differently, none has a larger F1."""
    draw = np.random.default_rng(seed)
    shares = draw.choice(draw.random(8), (30, 2)).astype(np.float32)
    true = draw.random((30, 2)) < shares
    true[0] = True
    counts = ScoreCounts(2)
    counts.add(shares, true)
    tried = np.unique([0.0, *(shares - 1e-7).ravel(), *shares.ravel()])
    chosen = best_threshold(counts.together())
    every = [f1_score(true, shares > t, average="micro", zero_division=0.0) for t in tried]
    assert f1_score(true, shares > np.float32(chosen), average="micro") == pytest.approx(max(every))
    for label, found in enumerate(counts.by_label()):
        own = [f1_score(true[:, label], shares[:, label] > t, zero_division=0.0) for t in tried]
        at = best_threshold(found)
        assert f1_score(true[:, label], shares[:, label] > np.float32(at)) == max(own)


def test_it_lies_between_scores_and_is_short() -> None:
    counts = ScoreCounts(1)
    counts.add(np.array([[0.1], [0.4], [0.8]], np.float32), np.array([[False], [False], [True]]))
    assert best_threshold(counts.together()) == pytest.approx(0.6)
    counts.add(np.array([[np.nextafter(np.float32(0.8), np.float32(0))]]), np.array([[False]]))
    at = best_threshold(counts.together())
    assert at is not None and np.float32(at) == np.nextafter(np.float32(0.8), np.float32(0))


def test_without_a_true_case_there_is_none() -> None:
    counts = ScoreCounts(1)
    counts.add(np.array([[0.1]], np.float32), np.array([[False]]))
    assert best_threshold(counts.together()) is None


# ---------------------------------------------------------------- of builds


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thresholds")
    write_data(folder)
    return folder


def written(world: Path, threshold: Any, kind: str = "labels", **data: Any) -> Path:
    spec = dict(SPECS[kind])
    output = {**spec["data"]["output"], "threshold": threshold}
    file = world / "spec.yaml"
    file.write_text(json.dumps({**spec, "data": {**spec["data"], "output": output, **data}}))
    return file


@pytest.fixture(scope="module", params=["auto", "label"])
def built(world: Path, request: pytest.FixtureRequest) -> tuple[Trained, list[str]]:
    threshold = "auto" if request.param == "auto" else {"auto": "label"}
    heard = Heard()
    result = build(load_spec(written(world, threshold)), world / "builds", heard)
    return read_build(result.folder), heard.notes


def test_what_is_chosen_is_a_fact_of_the_build(built: tuple[Trained, list[str]]) -> None:
    trained, notes = built
    known = trained.facts.outputs["kinds"]
    assert isinstance(known, ClassFacts)
    (node,) = (n for n in trained.plan.outputs if isinstance(n, LabelsOutput))
    apart = trained.spec.data.outputs[0].threshold != "auto"  # type: ignore[union-attr]
    assert len(known.thresholds) == (len(known.labels) if apart else 1)
    assert node.above == (known.thresholds if apart else known.thresholds[0])
    assert any("chosen by F1 on the validation rows" in note for note in notes)


def test_the_file_and_the_metrics_answer_by_it(
    built: tuple[Trained, list[str]], world: Path
) -> None:
    trained, _ = built
    rows = [json.loads(line) for line in (world / "valid.jsonl").read_text().splitlines()]
    path = world / "labels.onnx"
    export_onnx(trained, path)
    texts = np.array([row["text"] for row in rows], object)
    answers = Session(path.read_bytes()).run({"text": texts})
    known = trained.facts.outputs["kinds"]
    assert isinstance(known, ClassFacts)
    on, shares = answers["kinds"] != "", answers["kinds.probabilities"]
    assert np.array_equal(on, shares > np.array(known.thresholds, np.float32))
    true = np.array([[label in row["kinds"] for label in known.labels] for row in rows])
    found = evaluate_build(trained).metrics
    assert found["micro_f1"] == pytest.approx(f1_score(true, on, average="micro"))
    assert found["micro_f1"] >= f1_score(true, shares > 0.5, average="micro", zero_division=0.0)
    state = trained.folder.read_state()["valid"]
    assert state["micro_f1"] == pytest.approx(found["micro_f1"])


def test_without_validation_rows_none_can_be_chosen(world: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(written(world, "auto", valid=None))
    said = str(caught.value)
    assert "a threshold is chosen on validation rows" in said and "as in 0.5" in said


@pytest.mark.parametrize("threshold", ["best", {"auto": "row"}, 1.5])
def test_other_thresholds_are_refused(world: Path, threshold: Any) -> None:
    with pytest.raises(SpecError, match="threshold"):
        load_spec(written(world, threshold))
