"""Metrics that are measured where they are named, on random answers, beside scikit-learn's."""

from __future__ import annotations

import json
from math import isnan, log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    ndcg_score,
    r2_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from rnnspec.errors import RnnspecError, SpecError
from rnnspec.evaluate.metrics.calibration import BINS, Brier, Calibration
from rnnspec.evaluate.metrics.crps import crps
from rnnspec.evaluate.metrics.determination import Determination
from rnnspec.evaluate.metrics.places import PlaceMetrics, RankMetrics, ranks
from rnnspec.evaluate.metrics.ranking import ScoreCounts
from rnnspec.evaluate.score import evaluate_build
from rnnspec.plan.nodes import Law
from rnnspec.run.session import Session
from rnnspec.spec.load import load_spec
from rnnspec.spec.named_metrics import is_measurable
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.train.build import build
from tests.tiny import SPECS, write_data

SEEDS = range(10)


def drawn(seed: int, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of classes, many of them equal, and true classes, each of which occurs."""
    draw = np.random.default_rng(seed)
    classes, rows = int(draw.integers(2, 6)), int(draw.integers(12, 60))
    shares = draw.dirichlet(np.ones(classes), rows).astype(np.float32)
    if ties:
        shares[: rows // 2] = shares[draw.integers(0, 3, rows // 2)]
    true = np.concatenate([np.arange(classes), draw.integers(0, classes, rows - classes)])
    return shares, true


def batches(*arrays: np.ndarray) -> list[tuple[torch.Tensor, ...]]:
    parts = zip(*(np.array_split(each, 3) for each in arrays), strict=True)
    return [tuple(torch.from_numpy(each) for each in part) for part in parts]


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_tell_classes_apart(seed: int) -> None:
    shares, true = drawn(seed)
    classes = shares.shape[1]
    on = true[:, None] == np.arange(classes)
    sums = ScoreCounts(classes, most=10)  # merged again and again
    exact = ScoreCounts(classes)
    for scores, labels in zip(np.array_split(shares, 4), np.array_split(on, 4), strict=True):
        sums.add(scores, labels)
        exact.add(scores, labels)
    each = [roc_auc_score(on[:, c], shares[:, c]) for c in range(classes)]
    assert exact.auroc() == pytest.approx(np.mean(each))
    if classes > 2:
        wanted = roc_auc_score(true, shares / shares.sum(1, keepdims=True), multi_class="ovr")
        assert exact.auroc() == pytest.approx(wanted, abs=1e-6)
    wanted = average_precision_score(on, shares, average="macro")
    assert exact.average_precision() == pytest.approx(wanted)
    assert len(sums.keys) <= 10 + shares.size and sums.dropped > 0
    assert sums.auroc() == pytest.approx(exact.auroc(), abs=0.2)


def test_scores_of_many_rows_are_rounded_only_as_far_as_memory_asks() -> None:
    draw = np.random.default_rng(0)
    true = draw.random(40_000) < 0.3
    shares = (1 / (1 + np.exp(-draw.normal(true, 1.0)))).astype(np.float32)
    sums = ScoreCounts(1, most=3_000)
    for scores, labels in zip(np.array_split(shares, 50), np.array_split(true, 50), strict=True):
        sums.add(scores[:, None], labels[:, None])
    assert sums.auroc() == pytest.approx(roc_auc_score(true, shares), abs=1e-5)
    wanted = average_precision_score(true, shares)
    assert sums.average_precision() == pytest.approx(wanted, abs=1e-3)
    assert len(sums.keys) <= 3_000


def test_labels_without_both_cases_are_left_out() -> None:
    sums = ScoreCounts(3)
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.5]], np.float32)
    sums.add(scores, np.array([[True, True, False], [False, True, False]]))
    assert sums.auroc() == 1.0
    assert sums.average_precision() == 1.0
    assert isnan(ScoreCounts(2).auroc()) and isnan(ScoreCounts(2).average_precision())


@pytest.mark.parametrize("seed", SEEDS)
def test_places_of_the_true_class(seed: int) -> None:
    shares, true = drawn(seed, ties=False)
    classes = shares.shape[1]
    names = [f"{name}@{k}" for k in (1, 2, 9) for name in ("accuracy", "recall", "mrr", "ndcg")]
    sums = RankMetrics([*names, "mrr"])
    for scores, numbers in batches(shares, true):
        sums.add(ranks(scores, numbers))
    found = sums.values()
    on = (true[:, None] == np.arange(classes)).astype(float)
    place = 1 + (shares > shares[np.arange(len(true)), true][:, None]).sum(1)
    assert found["mrr"] == pytest.approx((1 / place).mean())
    for k in (1, 2, 9):
        if k < classes and classes > 2:
            wanted = top_k_accuracy_score(true, shares, k=k, labels=range(classes))
            assert found[f"accuracy@{k}"] == found[f"recall@{k}"] == pytest.approx(wanted)
        assert found[f"ndcg@{k}"] == pytest.approx(ndcg_score(on, shares, k=k))
        assert found[f"mrr@{k}"] == pytest.approx(np.where(place <= k, 1 / place, 0).mean())


def test_the_place_of_equal_scores_is_that_of_the_answer() -> None:
    scores = torch.tensor([[0.2, 0.4, 0.4], [0.2, 0.4, 0.4], [0.3, 0.3, 0.4]])
    assert ranks(scores, torch.tensor([1, 2, 0])).tolist() == [1, 2, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_places_of_true_labels(seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels, rows = int(draw.integers(2, 7)), int(draw.integers(3, 30))
    shares = draw.random((rows, labels)).astype(np.float32)
    true = draw.random((rows, labels)) < 0.4
    true[0] = True
    names = [f"{name}@{k}" for k in (1, 3, 9) for name in ("precision", "recall", "ndcg")]
    sums = PlaceMetrics(names)
    for scores, on in batches(shares, true):
        sums.add(scores, on, torch.zeros(len(on)))
    found, some = sums.values(), true.any(1)
    order = np.argsort(-shares, axis=1)
    hits = np.take_along_axis(true, order, axis=1)
    for k in (1, 3, 9):
        wanted = ndcg_score(true[some].astype(float), shares[some], k=k)
        assert found[f"ndcg@{k}"] == pytest.approx(wanted)
        assert found[f"precision@{k}"] == pytest.approx((hits[:, :k].sum(1) / k).mean())
        recall = hits[some, :k].sum(1) / true[some].sum(1)
        assert found[f"recall@{k}"] == pytest.approx(recall.mean())


def test_labels_that_cannot_be_answered_are_missed() -> None:
    sums = PlaceMetrics(["recall@2", "ndcg@2"])
    shares = torch.tensor([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1]])
    true = torch.tensor([[True, False, False], [False, False, False]])
    sums.add(shares, true, torch.tensor([1.0, 1.0]))
    assert sums.values()["recall@2"] == pytest.approx((1 / 2 + 0) / 2)
    assert sums.values()["ndcg@2"] == pytest.approx(1 / (1 + 1 / log2(3)) / 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration(seed: int) -> None:
    shares, true = drawn(seed)
    sums, brier = Calibration(), Brier()
    for scores, numbers in batches(shares, true):
        best = scores.max(1)
        sums.add(best.values, best.indices == numbers)
        brier.add_classes(scores, numbers)
    sure, right = shares.max(1), shares.argmax(1) == true
    of_true, of_shares = calibration_curve(right, sure, n_bins=BINS)
    there = sums.counts > 0
    np.testing.assert_allclose((sums.hits / sums.counts)[there], of_true)
    np.testing.assert_allclose((sums.shares / sums.counts)[there], of_shares, rtol=1e-6)
    apart = np.abs(of_true - of_shares) * sums.counts[there].numpy()
    assert sums.ece == pytest.approx(apart.sum() / len(true), rel=1e-6)
    even = shares.astype(np.float64) / shares.sum(1, keepdims=True, dtype=np.float64)
    wanted = brier_score_loss(true, even if shares.shape[1] > 2 else even[:, 1])
    assert brier.value == pytest.approx(wanted, rel=1e-5)


def test_brier_of_labels_and_of_a_class_that_is_new() -> None:
    brier = Brier()
    shares, true = np.array([[0.2, 0.9], [0.6, 0.4]]), np.array([[0, 1], [1, 1]])
    brier.add_labels(torch.from_numpy(shares), torch.from_numpy(true))
    assert brier.value == pytest.approx(brier_score_loss(true.ravel(), shares.ravel()))
    new = Brier()
    new.add_classes(torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([3]))
    assert new.value == pytest.approx(0.25 + 0.09 + 0.04 + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_determination(seed: int) -> None:
    draw = np.random.default_rng(seed)
    width, rows = int(draw.integers(1, 4)), int(draw.integers(4, 40))
    true = draw.normal(1e6, 1.0, (rows, width))
    answers = true + draw.normal(0, 0.5, (rows, width))
    sums = Determination(width)
    for found, of in zip(np.array_split(answers, 3), np.array_split(true, 3), strict=True):
        sums.add(found, of)
        sums.add(np.ones_like(found), np.full_like(of, np.nan))  # unknown
    assert sums.r2 == pytest.approx(r2_score(true, answers), rel=1e-6)


# ---------------------------------------------------------------- of builds


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("further")
    write_data(folder)
    return folder


def written(world: Path, kind: str, **train: Any) -> Path:
    spec = SPECS[kind]
    file = world / "spec.yaml"
    file.write_text(json.dumps({**spec, "train": {**spec["train"], **train}}))
    return file


OF_KINDS = {
    "class": ("auroc", "average_precision", "accuracy@3", "brier", "ece"),
    "tags": ("auroc", "average_precision", "accuracy@2", "brier", "ece"),
    "labels": ("auroc", "average_precision", "precision@1", "recall@1", "ndcg@2", "brier", "ece"),
    "keys": ("auroc", "recall@3", "brier"),
    "chords": ("ndcg@3", "ece"),
    "stream": ("recall@5", "mrr", "mrr@5", "ndcg@5", "ece"),
    "two": ("first.auroc", "length.r2"),
    "vector": ("r2",),
    "frames": ("r2",),
    "point": ("r2", "rmsse"),
    "gaussian": ("r2", "rmsse", "coverage@97.5", "crps"),
}


@pytest.mark.parametrize("kind", OF_KINDS)
def test_they_are_measured_after_each_epoch_and_of_a_file(world: Path, kind: str) -> None:
    names = OF_KINDS[kind]
    loaded = load_spec(written(world, kind, metrics=names[:-1], monitor=names[-1]))
    assert all(is_measurable(loaded.spec, name) for name in names)
    result = build(loaded, world / "builds", Silent())
    record = list(result.folder.records())[result.best_epoch - 1]
    measured = evaluate_build(read_build(result.folder)).metrics
    for name in names:
        assert measured[name] == pytest.approx(record[f"valid.{name}"], rel=1e-4, abs=1e-5)


def test_intervals_are_measured_as_the_exported_file_tells_them(world: Path) -> None:
    """Without being named, and named ones beside them."""
    from rnnspec.export import export_onnx

    spec = json.loads(written(world, "number").read_text())
    spec["data"]["output"] |= {"distribution": "gaussian", "intervals": [0.5, 0.9]}
    file = world / "intervals.yaml"
    file.write_text(json.dumps(spec))
    trained = read_build(build(load_spec(file), world / "builds", Silent()).folder)
    found = evaluate_build(trained, metrics=["crps"]).metrics
    rows = [json.loads(line) for line in (world / "valid.jsonl").read_text().splitlines()]
    export_onnx(trained, path := world / "intervals.onnx")
    texts = np.array([row["text"] for row in rows], object)
    answers = Session(path.read_bytes()).run({"text": texts})
    true = np.array([row["length"] for row in rows], np.float64)
    inside = (answers["length.lower"] <= true[:, None]) & (true[:, None] <= answers["length.upper"])
    assert found["coverage@50"] == pytest.approx(inside[:, 0].mean())
    assert found["coverage@90"] == pytest.approx(inside[:, 1].mean())
    parameters = np.stack([answers["length"], answers["length.deviation"]], -1)
    scores = crps(Law("gaussian"), parameters.astype(np.float64), true[:, None])
    assert found["crps"] == pytest.approx(scores.mean(), rel=1e-4)


def test_they_are_those_of_the_answers_of_the_exported_file(world: Path) -> None:
    """By scikit-learn, of what the file answers to the rows of a file."""
    from rnnspec.export import export_onnx

    result = build(load_spec(written(world, "class")), world / "builds", Silent())
    trained = read_build(result.folder)
    found = evaluate_build(trained, metrics=["auroc", "accuracy@2", "accuracy@1"]).metrics
    rows = [json.loads(line) for line in (world / "valid.jsonl").read_text().splitlines()]
    path = world / "model.onnx"
    export_onnx(trained, path)
    answers = Session(path.read_bytes()).run({"text": np.array([r["text"] for r in rows], object)})
    shares = answers["first.probabilities"]
    labels = trained.facts.outputs["first"].labels  # type: ignore[union-attr]
    true = np.array([labels.index(row["first"]) for row in rows])
    on = true[:, None] == np.arange(len(labels))
    there = [c for c in range(len(labels)) if on[:, c].any()]
    each = [roc_auc_score(on[:, c], shares[:, c]) for c in there]
    assert found["auroc"] == pytest.approx(np.mean(each), abs=1e-5)
    wanted = top_k_accuracy_score(true, shares, k=2, labels=range(len(labels)))
    assert found["accuracy@2"] == pytest.approx(wanted)
    assert found["accuracy@1"] == found["accuracy"]
    of_report = evaluate_build(trained, metrics=["ece"])
    diagram = of_report.outputs["first"].calibration
    assert diagram is not None and sum(each.count for each in diagram.bins) == len(rows)
    of_true, of_shares = calibration_curve(shares.argmax(1) == true, shares.max(1), n_bins=BINS)
    assert [each.right for each in diagram.bins] == pytest.approx(of_true)
    assert [each.probability for each in diagram.bins] == pytest.approx(of_shares, abs=1e-5)
    assert diagram.error == of_report.metrics["ece"]


@pytest.mark.parametrize(
    ("kind", "train", "said"),
    [
        ("class", {"metrics": ["aurox"]}, "did you mean 'auroc'?"),
        ("class", {"metrics": ["accuracy"]}, "accuracy is always measured; leave it out"),
        ("class", {"metrics": ["auroc", "auroc"]}, "auroc stands here twice"),
        ("class", {"metrics": ["accuracy@0"]}, "'accuracy@0' is not measured"),
        ("class", {"metrics": ["accuracy@k"]}, "a number of places, as in accuracy@5"),
        ("number", {"monitor": "auroc"}, "'auroc' is not measured for 'as: number'"),
        ("two", {"metrics": ["auroc"]}, "first.auroc"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    world: Path, kind: str, train: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(written(world, kind, **train))
    assert said in str(caught.value)


def test_a_command_names_what_it_can_measure(world: Path) -> None:
    trained = read_build(build(load_spec(written(world, "number")), world / "b", Silent()).folder)
    with pytest.raises(RnnspecError, match="use one of loss, mae, rmse, r2"):
        evaluate_build(trained, metrics=["auroc"])


# ---------------------------------------------------------------- slots of delexicalised texts


def test_slots_that_are_missing_and_too_many() -> None:
    """By hand, as Wen et al. 2015 count them."""
    from rnnspec.evaluate.outputs.named_metrics import SlotErrors
    from rnnspec.objective.settings import Slots
    from rnnspec.plan.nodes import TextOutput

    sums = SlotErrors(TextOutput("o", "s", "text", "words", 9), Slots("SLOT_", ()))
    sums.add(["SLOT_NAME", "is", "in", "SLOT_AREA"], ["SLOT_NAME", "is", "in", "SLOT_AREA"])
    assert sums.values() == {"slot_error": 0.0}
    sums.add(["SLOT_NAME", "SLOT_NAME", "is", "nice"], ["SLOT_NAME", "serves", "SLOT_FOOD"])
    assert sums.values() == {"slot_error": (1 + 1) / 4}


def test_slot_errors_are_measured_where_a_text_has_slots(world: Path) -> None:
    spec = SPECS["text"]
    output = {**spec["data"]["output"], "slots": "t"}  # two, three
    file = world / "slots.yaml"
    data = {**spec["data"], "output": output}
    train = {**spec["train"], "epochs": 1, "monitor": "slot_error"}
    decoder = {**spec["decoder"], "strategy": "greedy"}
    file.write_text(json.dumps({**spec, "data": data, "train": train, "decoder": decoder}))
    result = build(load_spec(file), world / "builds", Silent())
    (record,) = result.folder.records()
    assert record["valid.slot_error"] > 0
    found = evaluate_build(read_build(result.folder))
    assert found.metrics["slot_error"] == pytest.approx(record["valid.slot_error"])
