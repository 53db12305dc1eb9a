"""Spans that labels mark, by scheme: seqeval 1.2.2 is the oracle, conlleval's rules another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOBES, Entities

from rnnspec.data import Reading, encode, survey
from rnnspec.data.schemes import MARKS, SchemeCheck, spans
from rnnspec.errors import DataError
from rnnspec.evaluate.metrics import Lanes, TagMetrics
from rnnspec.evaluate.outputs.classes import spans_of
from rnnspec.evaluate.outputs.kind import ClassScore
from rnnspec.plan import resolve
from rnnspec.spec.outputs import Scheme
from tests.data_rows import any_spec, write_rows

CASES: list[tuple[Scheme, str, set[tuple[int, int, str]]]] = [
    # scheme, labels, spans (first step, step after the last, kind): by hand
    ("bio", "O O", set()),
    ("bio", "B-PER", {(0, 1, "PER")}),
    ("bio", "B-PER I-PER O", {(0, 2, "PER")}),
    ("bio", "B-PER B-PER", {(0, 1, "PER"), (1, 2, "PER")}),
    ("bio", "I-PER I-PER", {(0, 2, "PER")}),
    ("bio", "O I-LOC O", {(1, 2, "LOC")}),
    ("bio", "B-PER I-LOC", {(0, 1, "PER"), (1, 2, "LOC")}),
    ("bio", "I-PER B-PER I-PER", {(0, 1, "PER"), (1, 3, "PER")}),
    ("bio", "B-PER O I-PER", {(0, 1, "PER"), (2, 3, "PER")}),
    ("bio", "B-a-b I-a-b I-a", {(0, 2, "a-b"), (2, 3, "a")}),
    ("bio", "B I I O B", {(0, 3, ""), (4, 5, "")}),
    ("bio", "I O I I", {(0, 1, ""), (2, 4, "")}),
    ("io", "I-PER I-PER O I-PER", {(0, 2, "PER"), (3, 4, "PER")}),
    ("io", "I-PER I-LOC", {(0, 1, "PER"), (1, 2, "LOC")}),
    ("bioes", "S-PER B-PER E-PER", {(0, 1, "PER"), (1, 3, "PER")}),
    ("bioes", "B-PER I-PER I-PER E-PER O", {(0, 4, "PER")}),
    ("bioes", "B-PER I-PER O", set()),  # not ended
    ("bioes", "O I-PER E-PER", set()),  # not begun
    ("bioes", "B-PER E-LOC", set()),
    ("bioes", "B-PER B-PER E-PER", {(1, 3, "PER")}),
    ("bioes", "B-PER E-PER E-PER", {(0, 2, "PER")}),
    ("bioes", "S-PER I-PER S-PER", {(0, 1, "PER"), (2, 3, "PER")}),
    ("bioes", "B E S", {(0, 2, ""), (2, 3, "")}),
]
SCHEMES = tuple(MARKS)
STRICT: dict[Scheme, dict[str, Any]] = {"bioes": {"mode": "strict", "scheme": IOBES}}
"""How seqeval is called; the others by its default mode."""


def labels_of(scheme: Scheme, kinds: Sequence[str]) -> tuple[str, ...]:
    return ("O", *(f"{mark}-{kind}" for mark in MARKS[scheme] for kind in kinds))


@pytest.mark.parametrize(("scheme", "labels", "expected"), CASES)
def test_spans(scheme: Scheme, labels: str, expected: set[tuple[int, int, str]]) -> None:
    assert set(spans(labels.split(), scheme)) == expected


@given(st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"]), max_size=9))
def test_spans_are_those_of_the_rules_of_conlleval(labels: list[str]) -> None:
    """Its rules state where a span starts and where one ends, by the label before."""
    starts, ends = [], []
    for at in range(len(labels) + 1):
        before, now = ([*labels, "O"][at - 1] if at else "O"), [*labels, "O"][at]
        other = before[2:] != now[2:]
        if before != "O" and (now[0] in "BO" or other):
            ends.append((at, before[2:]))
        if now[0] == "B" or (now[0] == "I" and (before == "O" or other)):
            starts.append(at)
    expected = [(start, end, kind) for start, (end, kind) in zip(starts, ends, strict=True)]
    assert list(spans(labels, "bio")) == expected


def one_hot(rows: list[list[int]], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(rows).clamp(min=0), classes).float()


def measured(
    scheme: Scheme, labels: tuple[str, ...], true: list[list[str]], answers: list[list[str]]
) -> TagMetrics:
    """Of the true and the answered labels of some rows, as one padded batch."""
    number, longest = {label: at for at, label in enumerate(labels)}, max(map(len, true))

    def padded(rows: list[list[str]], pad: int) -> list[list[int]]:
        return [[number[label] for label in row] + [pad] * (longest - len(row)) for row in rows]

    metrics = TagMetrics(labels, scheme)
    metrics.add(one_hot(padded(answers, 0), len(labels)), torch.tensor(padded(true, -1)))
    return metrics


def of_seqeval(labels: list[str], scheme: Scheme) -> list[tuple[int, int, str]]:
    """What seqeval finds in one list: its places of last steps are inclusive in default mode."""
    if scheme == "bioes":
        (found,) = Entities([labels], IOBES).entities
        return [(each.start, each.end, each.tag) for each in found]
    return [(start, last + 1, kind) for kind, start, last in get_entities(labels)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_f1_is_that_of_seqeval(scheme: Scheme) -> None:
    """3,000 random pairs of label lists: the spans of each, F1 of every ten, and by kind of all."""
    draw = random.Random(11)
    labels = labels_of(scheme, ("PER", "LOC", "a-b"))
    true, answers = [], []
    for _ in range(3000):
        true.append(draw.choices(labels, k=draw.randint(1, 12)))
        answers.append([draw.choice(labels) if draw.random() < 0.3 else t for t in true[-1]])
        for each in (true[-1], answers[-1]):
            assert list(spans(each, scheme)) == of_seqeval(each, scheme)
    more = STRICT.get(scheme, {})
    for at in range(0, 3000, 10):
        ten = true[at : at + 10], answers[at : at + 10]
        assert measured(scheme, labels, *ten).spans.f1 == pytest.approx(f1_score(*ten, **more))
    metrics = measured(scheme, labels, true, answers)
    assert metrics.values()["span_f1"] == pytest.approx(f1_score(true, answers, **more))
    report = classification_report(true, answers, output_dict=True, **more)
    scores = spans_of(metrics.spans)
    assert {score.label for score in scores} == {"PER", "LOC", "a-b"}
    for score in scores:
        of_kind = report[score.label]
        assert score.rows == of_kind["support"]
        assert score.precision == pytest.approx(of_kind["precision"])
        assert score.recall == pytest.approx(of_kind["recall"])
        assert score.f1 == pytest.approx(of_kind["f1-score"])


def test_f1_of_no_span_at_all_is_no_number() -> None:
    assert isnan(measured("bio", ("B-x", "O"), [["O"]], [["O"]]).values()["span_f1"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_windows_of_lanes_count_what_whole_rows_do(scheme: Scheme) -> None:
    """Rows in two lanes, cut into windows at random, some true labels missing."""
    draw = random.Random(5)
    labels = labels_of(scheme, ("x", "y"))
    for _ in range(60):
        rows = []
        for _ in range(draw.randint(1, 6)):
            length = draw.randint(1, 15)
            true = [draw.randrange(-1, len(labels)) for _ in range(length)]
            answer = [
                draw.randrange(len(labels)) if t < 0 or draw.random() < 0.2 else t for t in true
            ]
            rows.append((true, answer))
        whole, cut = TagMetrics(labels, scheme), TagMetrics(labels, scheme)
        for number, (true, answer) in enumerate(rows):
            whole.add(one_hot([answer], len(labels)), torch.tensor([true]))
            at = 0
            while at < len(true):
                end = at + draw.randint(1, 4)
                piece = one_hot([answer[at:end]], len(labels)), torch.tensor([true[at:end]])
                cut.add(*piece, Lanes([number % 2], [at == 0]))
                at = end
        assert whole.values() == pytest.approx(cut.values(), nan_ok=True)
        assert whole.spans == cut.spans


def test_f1_over_rows_and_missing_tags() -> None:
    metrics = TagMetrics(("B-x", "I-x", "O"), "bio")
    true = torch.tensor([[0, 1, 2, 0], [2, 0, -1, -1]])
    metrics.add(one_hot([[0, 1, 2, 2], [2, 0, 0, 0]], 3), true)
    assert spans_of(metrics.spans) == (ClassScore("x", rows=3, answered=2, hits=2),)
    assert metrics.values()["span_f1"] == pytest.approx(2 * 2 / 5)
    assert metrics.values()["accuracy"] == pytest.approx(5 / 6)


def test_a_step_without_a_true_label_is_as_if_it_were_not_there() -> None:
    """Hand-written: B-x (missing) I-x is one span of two steps, answered rightly."""
    metrics = TagMetrics(("B-x", "I-x", "O"), "bio")
    metrics.add(one_hot([[0, 2, 1]], 3), torch.tensor([[0, -1, 1]]))
    assert spans_of(metrics.spans) == (ClassScore("x", rows=1, answered=1, hits=1),)


# ---------------------------------------------------------------- marks that a scheme has not

TAGS: list[tuple[Scheme, list[list[str | None]], str]] = [
    (
        "bio",
        [["B-x", "I-x", "O"], ["O", "S-x", "O"]],
        "LINE:2: column 'tags' step 2 has the label 'S-x', and scheme bio has O, B- and I- only; "
        "set scheme: bioes",
    ),
    (
        "io",
        [["I-x", "O"], ["B-x", "I-x"]],
        "LINE:2: column 'tags' step 1 has the label 'B-x', and scheme io has O and I- only; "
        "set scheme: bio",
    ),
    (
        "bioes",
        [["B-x", "E-x"], ["O", "person"]],
        "LINE:2: column 'tags' step 2 has the label 'person', and scheme bioes has O, B-, I-, E- "
        "and S- only; set scheme: none, or leave the step out with null",
    ),
    (
        "bioes",
        [["B-x", "E-x"], ["U-x", None]],
        "LINE:2: column 'tags' step 1 has the label 'U-x', and scheme bioes has O, B-, I-, E- "
        "and S- only; write E- for L- and S- for U-, and set scheme: bioes",
    ),
    (
        "bioes",
        [["B-x", "I-x"], ["O", "B-x"]],
        "LINE: column 'tags' has no label with E or S, without which scheme bioes has no span; "
        "set scheme: bio",
    ),
]


@pytest.mark.parametrize(("scheme", "tags", "message"), TAGS)
def test_other_marks_are_refused(
    scheme: Scheme, tags: list[list[str | None]], message: str, tmp_path: Path
) -> None:
    file = write_rows(
        tmp_path / "rows.jsonl", [{"tokens": ["a"] * len(row), "tags": row} for row in tags]
    )
    spec = tagging(scheme)
    with pytest.raises(DataError) as caught:
        survey(spec, file)
    assert str(caught.value) == message.replace("LINE", str(file))


def test_other_marks_are_refused_in_a_table_of_series(tmp_path: Path) -> None:
    tags_of_rows = ["B-x", None, "E-x"]
    rows = [{"x": at, "tag": tag} for at, tag in enumerate(tags_of_rows)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    tags = {"column": "tag", "as": "tags", "scheme": "bio"}
    spec = any_spec("N:N", {"column": "x", "as": "series"}, tags, series={})
    with pytest.raises(DataError, match=r"rows\.jsonl:3: .*'E-x'.*; set scheme: bioes"):
        survey(spec, file)


def test_the_cures_are_taken(tmp_path: Path) -> None:
    """Each scheme that a message names reads the rows that the message was about."""
    for scheme, tags, message in TAGS:
        cure = message.rsplit("scheme: ")[-1].partition(",")[0]
        if "write" in message:
            tags = [[t.replace("U-", "S-") if t else t for t in row] for row in tags]
        rows: list[dict[str, Any]] = [{"tokens": ["a"] * len(r), "tags": r} for r in tags]
        file = write_rows(tmp_path / f"{scheme}.jsonl", rows)
        spec = tagging(cure)  # type: ignore[arg-type]
        facts = survey(spec, file)
        encode(resolve(spec, facts), facts, file, Reading.of(spec), tmp_path / "cache")


def tagging(scheme: Scheme) -> Any:
    tokens = {"column": "tokens", "as": "tokens"}
    tags = {"column": "tags", "as": "tags", "scheme": scheme}
    return any_spec("N:N", tokens, tags)


@given(st.lists(st.sampled_from(labels_of("bioes", ("x",))), min_size=1))
def test_every_label_of_a_scheme_passes(labels: list[str]) -> None:
    SchemeCheck("bioes").check_steps(labels)
    for scheme in SCHEMES:
        fits = all(label in labels_of(scheme, ("x",)) for label in labels)
        if fits:
            SchemeCheck(scheme).check_steps(labels)
        else:
            with pytest.raises(DataError, match="set scheme: "):
                SchemeCheck(scheme).check_steps(labels)
