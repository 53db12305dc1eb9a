"""Metrics of labels on random answers, beside scikit-learn's: missing true labels and labels that
training does not have included. (Spans beside seqeval's: `test_metrics_spans.py`.)"""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss
from sklearn.metrics import precision_recall_fscore_support as by_class

from rnnspec.data.collate import NEW, SKIPPED
from rnnspec.evaluate.metrics import ClassMetrics, LabelsMetrics, TagMetrics
from rnnspec.evaluate.outputs.classes import class_scores
from rnnspec.evaluate.outputs.kind import ClassScore

SEEDS = range(60)


def numbers_of(sums: ClassMetrics | LabelsMetrics) -> list[ClassScore]:
    counts = zip(sums.true.tolist(), sums.answered.tolist(), sums.hits.tolist(), strict=True)
    return [ClassScore(str(number), *each) for number, each in enumerate(counts)]


def check_each(scores: list[ClassScore], true: object, answered: object, labels: object) -> None:
    """Precision, recall, F1 and rows of each class; what is no number here is 0 there."""
    found = by_class(true, answered, labels=labels, zero_division=0.0)
    for score, precision, recall, f1, rows in zip(scores, *found, strict=True):
        assert (score.precision or 0.0) == pytest.approx(precision)
        assert (score.recall or 0.0) == pytest.approx(recall)
        assert (score.f1 or 0.0) == pytest.approx(f1)
        assert score.rows == rows


@pytest.mark.parametrize("steps", [False, True])
def test_classes(steps: bool) -> None:
    for seed in SEEDS:
        check_classes(seed, steps)


def check_classes(seed: int, steps: bool) -> None:
    draw = np.random.default_rng(seed)
    known, new = int(draw.integers(2, 7)), int(draw.integers(0, 4))
    shape = (int(draw.integers(1, 9)), *([int(draw.integers(1, 7))] if steps else []))
    shares = draw.dirichlet(np.ones(known), shape)
    names = draw.integers(-1, known + new, shape)  # -1: missing; from `known` on: new
    targets = np.where(names >= known, NEW - (names - known), np.where(names < 0, SKIPPED, names))
    labels = [f"B-{n}" for n in range(known + new)]
    sums = (
        TagMetrics(labels[:known], "bio", labels[known:]) if steps else ClassMetrics(known, new=new)
    )
    for at in range(len(shares)):  # batches of one
        sums.add(torch.from_numpy(shares[at : at + 1]), torch.from_numpy(targets[at : at + 1]))
    kept = names >= 0
    true, answered = names[kept], shares.argmax(-1)[kept]
    values = sums.values()
    if not len(true):
        assert isnan(values["accuracy"]) and isnan(values["macro_f1"])
        return
    assert values["accuracy"] == pytest.approx(accuracy_score(true, answered))
    # without `labels`, scikit-learn averages over those that are true or answered
    assert values["macro_f1"] == pytest.approx(f1_score(true, answered, average="macro"))
    every = range(known + new)
    assert sums.confusion.tolist() == confusion_matrix(true, answered, labels=every).tolist()
    check_each(numbers_of(sums), true, answered, list(every))
    check_each(list(class_scores(labels, sums)), true, answered, list(every))


@pytest.mark.parametrize("steps", [False, True])
def test_several_labels(steps: bool) -> None:
    for seed in SEEDS:
        check_several_labels(seed, steps)


def check_several_labels(seed: int, steps: bool) -> None:
    draw = np.random.default_rng(seed)
    known, new = int(draw.integers(1, 6)), int(draw.integers(0, 4))
    shape = (int(draw.integers(1, 9)), *([int(draw.integers(1, 7))] if steps else []))
    threshold = float(draw.choice([0.3, 0.5, 0.8]))
    shares = draw.random((*shape, known))
    missing = draw.random(shape) < 0.2
    on = (draw.random((*shape, known + new)) < 0.4) & ~missing[..., None]
    targets = np.where(missing[..., None], np.nan, on[..., :known]).astype(np.float32)
    sums = LabelsMetrics(known, threshold, new)
    scores = np.log(shares) - np.log1p(-shares)  # of which the shares are the sigmoid
    sums.add_logits(torch.from_numpy(scores), torch.from_numpy(targets))
    sums.add(torch.from_numpy(shares), torch.from_numpy(targets), np.argwhere(on[..., known:]))
    true = on[~missing].astype(int)
    answered = np.pad(shares[~missing] > threshold, [(0, 0), (0, new)]).astype(int)
    values = sums.values()
    if not len(true):
        assert all(map(isnan, values.values()))
        return
    if known + new > 1:  # of one label scikit-learn takes 0 for a label too
        assert values["exact_match"] == pytest.approx(accuracy_score(true, answered))
        check_each(numbers_of(sums), true, answered, list(range(known + new)))
    flat = true.ravel(), answered.ravel()
    assert values["micro_f1"] == pytest.approx(f1_score(*flat, zero_division=0.0))
    seen = [n for n in range(known + new) if true[:, n].any() or answered[:, n].any()]
    each = [f1_score(true[:, n], answered[:, n]) for n in seen]
    assert values["macro_f1"] == pytest.approx(float(np.mean(each)) if each else 0.0)
    of_known = [log_loss(true[:, n], shares[~missing][:, n], labels=[0, 1]) for n in range(known)]
    assert values["nll"] == pytest.approx(sum(of_known), rel=1e-6)
