"""Metrics against their definitions, computed another way."""

from __future__ import annotations

from collections import Counter
from math import exp, isnan, log, log2

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.evaluate.metrics import (
    ClassMetrics,
    ForecastMetrics,
    LabelsMetrics,
    Metrics,
    NumericMetrics,
    TagMetrics,
    TextMetrics,
)
from rnnspec.evaluate.metrics.classes import MOST_CONFUSED
from rnnspec.evaluate.metrics.texts import distance
from rnnspec.evaluate.outputs import metrics_of
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    TextOutput,
)

CLASSES = 4
SPANS = OutputLoss(span_labels=("B-x", "O"), scheme="bio")
rows = st.lists(
    st.tuples(st.integers(-1, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=40
)


def probabilities(answers: list[int], sure: float = 0.7) -> torch.Tensor:
    """Rows of probabilities of which that of `answers` is the largest."""
    found = torch.full((len(answers), CLASSES), (1 - sure) / (CLASSES - 1))
    found[torch.arange(len(answers)), answers] = sure
    return found


# ---------------------------------------------------------------- classes


@given(rows, st.integers(1, 3))
def test_accuracy_macro_f1_and_confusion(pairs: list[tuple[int, int]], parts: int) -> None:
    metrics = ClassMetrics(CLASSES)
    for part in range(parts):  # in pieces, as batches come
        piece = pairs[part::parts]
        if piece:
            metrics.add(probabilities([a for _, a in piece]), torch.tensor([t for t, _ in piece]))
    known = [(t, a) for t, a in pairs if t >= 0]
    values = metrics.values()
    if not known:
        assert isnan(values["accuracy"]) and isnan(values["macro_f1"])
        return
    assert values["accuracy"] == pytest.approx(sum(t == a for t, a in known) / len(known))
    scores = []
    for label in range(CLASSES):
        hits = sum(t == a == label for t, a in known)
        answered, rows_ = sum(a == label for _, a in known), sum(t == label for t, _ in known)
        if answered or rows_:
            precision, recall = hits / max(1, answered), hits / max(1, rows_)
            total = precision + recall
            scores.append(2 * precision * recall / total if total else 0.0)
    assert values["macro_f1"] == pytest.approx(sum(scores) / len(scores))
    for (true_class, answer), number in Counter(known).items():
        assert metrics.confusion[true_class, answer] == number
    assert int(metrics.confusion.sum()) == len(known)


def test_perplexity_and_bits_of_next_tokens() -> None:
    draw = np.random.default_rng(0)
    answers = torch.softmax(torch.from_numpy(draw.normal(size=(3, 5, CLASSES))), -1)
    targets = torch.from_numpy(draw.integers(-1, CLASSES, (3, 5)))
    metrics = ClassMetrics(CLASSES, perplexity=True)
    for piece in (slice(2), slice(2, None)):
        metrics.add(answers[piece], targets[piece])
        metrics.add_logits(answers[piece].log(), targets[piece])
    ps = [
        answers[b, t, targets[b, t]].item()
        for b in range(3)
        for t in range(5)
        if targets[b, t] >= 0
    ]
    values = metrics.values()
    assert values["bits"] == pytest.approx(-sum(map(log2, ps)) / len(ps))
    assert values["perplexity"] == pytest.approx(exp(-sum(map(log, ps)) / len(ps)))
    assert set(values) == set(metrics.names())


def test_classes_without_number_are_counted_without_a_table_of_their_square() -> None:
    many = MOST_CONFUSED + 1
    metrics = ClassMetrics(many)
    answers = torch.zeros(3, many)
    answers[torch.arange(3), torch.tensor([5, 6, many - 1])] = 1.0
    metrics.add(answers, torch.tensor([5, 7, many - 1]))
    assert metrics.confusion.numel() == 0
    assert metrics.values()["accuracy"] == pytest.approx(2 / 3)
    assert metrics.values()["macro_f1"] == pytest.approx(2 / 4)  # 5, 6, 7 and the last


def test_an_impossible_token_is_no_crash() -> None:
    """Its probability is 0 in float32, and its logarithm is -ln(1 + exp(120))."""
    metrics = ClassMetrics(2, perplexity=True)
    scores = torch.tensor([[60.0, -60.0]])
    metrics.add(torch.softmax(scores, -1), torch.tensor([1]))
    metrics.add_logits(scores, torch.tensor([1]))
    assert metrics.values()["bits"] == pytest.approx(120 / log(2))
    metrics.add_logits(torch.tensor([[1e5, -1e5]]), torch.tensor([1]))
    assert metrics.values()["perplexity"] > 1e30


def test_sure_labels_that_are_wrong_cost_what_their_scores_say() -> None:
    """p is 1 in float32: -ln(1 - p) is 20, and not that of the smallest number there is."""
    metrics = LabelsMetrics(2, 0.5)
    scores, true = torch.tensor([[20.0, -60.0]]), torch.tensor([[0.0, 0.0]])
    metrics.add(torch.sigmoid(scores), true)
    metrics.add_logits(scores, true)
    assert metrics.values()["nll"] == pytest.approx(20.0)


# ---------------------------------------------------------------- several labels


label_rows = st.lists(
    st.tuples(
        st.lists(st.booleans(), min_size=3, max_size=3),
        st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(label_rows, st.sampled_from([0.3, 0.5]))
def test_labels(drawn: list[tuple[list[bool], list[float], bool]], threshold: float) -> None:
    targets = torch.tensor([[float(on) for on in true] for true, _, _ in drawn])
    answers = torch.tensor([shares for _, shares, _ in drawn], dtype=torch.float64)
    for row, (_, _, known) in zip(targets, drawn, strict=True):
        row[:] = row if known else float("nan")
    metrics = LabelsMetrics(3, threshold)
    metrics.add(answers, targets)
    metrics.add_logits(torch.logit(answers), targets)
    values = metrics.values()
    kept = [(true, [s > threshold for s in shares], shares) for true, shares, k in drawn if k]
    if not kept:
        assert all(map(isnan, values.values()))
        return
    hits = sum(t and a for true, on, _ in kept for t, a in zip(true, on, strict=True))
    wrong = sum(t != a for true, on, _ in kept for t, a in zip(true, on, strict=True))
    expected = 2 * hits / (2 * hits + wrong) if hits or wrong else 0.0
    assert values["micro_f1"] == pytest.approx(expected)
    assert values["exact_match"] == sum(true == on for true, on, _ in kept) / len(kept)
    surprise = -sum(
        log(s if t else 1 - s)
        for true, _, shares in kept
        for t, s in zip(true, shares, strict=True)
    )
    assert values["nll"] == pytest.approx(surprise / len(kept))
    scores = []
    for label in range(3):
        tp = sum(true[label] and on[label] for true, on, _ in kept)
        fp_fn = sum(true[label] != on[label] for true, on, _ in kept)
        if tp or fp_fn:
            scores.append(2 * tp / (2 * tp + fp_fn))
    assert values["macro_f1"] == pytest.approx(sum(scores) / len(scores) if scores else 0.0)


def test_labels_of_steps_leave_out_what_is_past_the_length() -> None:
    answers = torch.full((2, 3, 2), 0.9)
    targets = torch.tensor([[[1.0, 1.0]] * 3, [[1.0, 0.0]] + [[float("nan")] * 2] * 2])
    metrics = LabelsMetrics(2, 0.5)
    metrics.add(answers, targets)
    assert metrics.rows == 4
    assert metrics.values()["exact_match"] == 0.75
    assert metrics.values()["micro_f1"] == pytest.approx(2 * 7 / (2 * 7 + 1))


# ---------------------------------------------------------------- texts


def table_distance(one: list[int], other: list[int]) -> int:
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) + 1):
        for j in range(len(other) + 1):
            if not i or not j:
                table[i][j] = i + j
                continue
            change = table[i - 1][j - 1] + (one[i - 1] != other[j - 1])
            table[i][j] = min(change, table[i - 1][j] + 1, table[i][j - 1] + 1)
    return table[-1][-1]


short = st.lists(st.integers(2, 4), max_size=9)


@given(short, short)
def test_distance_is_that_of_the_whole_table(one: list[int], other: list[int]) -> None:
    assert distance(one, other) == table_distance(one, other)


@given(st.lists(st.tuples(short, short), min_size=1, max_size=6))
def test_exact_match_and_error_rate(pairs: list[tuple[list[int], list[int]]]) -> None:
    longest = max(len(true) for _, true in pairs) + 1
    targets = torch.full((len(pairs), longest), -1)
    for row, (_, true) in zip(targets, pairs, strict=True):
        row[: len(true) + 1] = torch.tensor([*true, END_ID])
    metrics = TextMetrics()
    metrics.add_texts([answer for answer, _ in pairs], targets)
    edits = sum(table_distance(answer, true) for answer, true in pairs)
    values = metrics.values()
    assert values["exact_match"] == sum(a == t for a, t in pairs) / len(pairs)
    assert values["error_rate"] == edits / max(1, sum(len(true) for _, true in pairs))


def test_scores_of_tokens_count_the_end_and_not_what_follows() -> None:
    draw = np.random.default_rng(1)
    scores = torch.from_numpy(draw.normal(size=(2, 3, 5)))
    targets = torch.tensor([[3, 4, END_ID], [2, END_ID, -1]])
    metrics = TextMetrics()
    metrics.add_logits(scores, targets)
    logs = torch.log_softmax(scores, -1)
    each = [logs[b, u, targets[b, u]].item() for b in range(2) for u in range(3 - b)]
    best = scores.argmax(-1)
    hits = sum(int(best[b, u] == targets[b, u]) for b in range(2) for u in range(3 - b))
    assert metrics.values()["perplexity"] == pytest.approx(exp(-sum(each) / 5))
    assert metrics.values()["token_accuracy"] == hits / 5


@pytest.mark.parametrize(
    ("node", "goal", "kind"),
    [
        (ClassOutput("o", "s", "c", 3), None, ClassMetrics),
        (ClassOutput("o", "s", "c", 2, steps=True), SPANS, TagMetrics),
        (ClassOutput("o", "s", "c", 3, steps=True, ahead=True), None, ClassMetrics),
        (LabelsOutput("o", "s", "c", 3), None, LabelsMetrics),
        (NumericOutput("o", "s", "c", 1, True, True), None, NumericMetrics),
        (TextOutput("o", "s", "c", "words", 9), None, TextMetrics),
        (ForecastOutput("o", "s", "c", 4, "point"), None, ForecastMetrics),
    ],
)
def test_each_output_has_its_metrics(
    node: Output, goal: OutputLoss | None, kind: type[Metrics]
) -> None:
    found = metrics_of(node, goal)
    assert type(found) is kind
    if isinstance(node, ClassOutput) and isinstance(found, ClassMetrics):
        assert found.perplexity == node.ahead
