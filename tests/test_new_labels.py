"""Labels that only rows outside of training have: they count as wrong, and never end a build.

scikit-learn and seqeval, given the labels as the file has them and the answers by name, are the
oracles: of the union of the labels that are true and of those that are answered.
"""

from __future__ import annotations

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from seqeval.metrics import f1_score as f1_of_spans
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from rnnspec.data import Dataset, Reading, encode, survey
from rnnspec.errors import DataError
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.evaluate.examples import Rows
from rnnspec.evaluate.outputs import KINDS
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputScore
from rnnspec.objective.settings import LossSettings, loss_settings_of
from rnnspec.plan import ClassFacts, resolve
from rnnspec.report.model import Examples, Span, SpanExamples, TagExamples
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from tests.cli import right
from tests.data_rows import any_spec, write_rows
from tests.kinds import strong_weights
from tests.tiny import SPECS, rows, write_data

FLOAT64 = Precision(name="float64")
TOKENS = {"column": "tokens", "as": "tokens"}
KEYS = {"column": "keys", "as": "keys"}
TRAINED, UNSEEN = ("p", "q", "r"), ("new", "alt")
TAGS_TRAINED, TAGS_UNSEEN = ("O", "B-x", "I-x", "B-y"), ("I-y", "B-z")


def rows_of(seed: int, unseen: bool) -> list[dict[str, Any]]:
    """Rows of every kind of answer; some answers are missing, and if `unseen` some are new."""
    draw = np.random.default_rng(seed)
    labels = TRAINED + (UNSEEN if unseen else ())
    tags = TAGS_TRAINED + (TAGS_UNSEEN if unseen else ())

    def some() -> list[str]:
        return [label for label in labels if draw.random() < 0.3]

    found = []
    for _ in range(60):
        length = int(draw.integers(1, 6))
        found.append(
            {
                "tokens": draw.choice(["a", "b", "c"], length).tolist(),
                "class": None if draw.random() < 0.2 else str(draw.choice(labels)),
                "labels": None if draw.random() < 0.2 else some(),
                "tags": [
                    None if draw.random() < 0.2 else str(t) for t in draw.choice(tags, length)
                ],
                "keys": [some() for _ in range(length)],
            }
        )
    return found


class Case:
    """A model with random weights, measured on rows of which some have new labels."""

    def __init__(self, cardinality: str, inputs: Any, output: dict[str, Any], folder: Path) -> None:
        self.spec = any_spec(cardinality, inputs, output)
        train = write_rows(folder / "train.jsonl", rows_of(0, unseen=False))
        self.raw = rows_of(1, unseen=True)
        other = write_rows(folder / "other.jsonl", self.raw)
        self.facts = survey(self.spec, train)
        self.plan = resolve(self.spec, self.facts)
        cache = folder / "cache"
        self.data = encode(self.plan, self.facts, other, Reading.of(self.spec), cache)
        (self.node,) = self.plan.outputs
        self.model = Model(self.plan)
        self.model.load_canonical(strong_weights(self.plan, size=1.5))
        self.model.to(torch.float64)
        self.goals = loss_settings_of(self.spec, self.facts)
        self.seen: list[MeasuredBatch] = []
        self.metrics, sums = evaluate(
            self.model, self.data, Train(), self.goals, precision=FLOAT64, see=self.seen.append
        )
        known = self.facts.outputs[self.node.column]
        assert isinstance(known, ClassFacts)
        self.labels = known.labels
        new = self.data.new.get(self.node.column, {})
        kind = KINDS[type(self.node)]
        examples = kind.examples(
            self.node,
            known,
            Rows(self.plan, self.facts, self.data.lines, "line", ("other.jsonl",)),
            self.model,
            tuple(new),
            self.goals.of(self.node.column),
        )
        for seen in self.seen:
            examples.see(seen)
        self.score: OutputScore = kind.score(
            self.node, known, sums[self.node.column], examples, new
        )

    def shares(self) -> list[Any]:
        """The probabilities answered to each row, in the order of the file."""
        found: dict[int, Any] = {}
        for seen in self.seen:
            assert seen.rows is not None
            answers = seen.answers[self.node.column]
            assert isinstance(answers, torch.Tensor)
            found |= dict(zip(seen.rows.tolist(), answers.numpy(), strict=True))
        return [found[row] for row in range(len(self.raw))]

    def loss_of_known(self, shares: list[Any], true: list[Any]) -> float:
        """The mean of -ln p of the true labels that training has."""
        known = [
            -log(share[self.labels.index(label)])
            for share, label in zip(shares, true, strict=True)
            if label in self.labels
        ]
        return sum(known) / len(known)

    def check_classes(self, true: list[str], answered: list[str]) -> None:
        assert self.metrics["accuracy"] == pytest.approx(accuracy_score(true, answered))
        macro = f1_score(true, answered, average="macro")
        assert self.metrics["macro_f1"] == pytest.approx(macro)
        names = [each.label for each in self.score.classes]
        assert set(names) >= {*true, *answered}
        assert np.array(self.score.confusion).tolist() == (
            confusion_matrix(true, answered, labels=names).tolist()
        )

    def check_sets(self, true: list[set[str]], answered: list[set[str]]) -> None:
        union = sorted(set().union(*true, *answered))
        binary = MultiLabelBinarizer(classes=union)
        pair = binary.fit_transform(true), binary.transform(answered)
        for average in ("micro", "macro"):
            expected = f1_score(*pair, average=average)
            assert self.metrics[f"{average}_f1"] == pytest.approx(expected)
        assert self.metrics["exact_match"] == pytest.approx(accuracy_score(*pair))
        for each in self.score.classes:
            assert each.rows == sum(each.label in labels for labels in true)

    def sets(self, shares: Any) -> set[str]:
        return {label for label, share in zip(self.labels, shares, strict=True) if share > 0.5}


def test_of_classes(tmp_path: Path) -> None:
    case = Case("N:1", TOKENS, {"column": "class", "as": "class", "missing": "skip"}, tmp_path)
    pairs = [(r["class"], s) for r, s in zip(case.raw, case.shares(), strict=True) if r["class"]]
    true, shares = [label for label, _ in pairs], [share for _, share in pairs]
    assert set(UNSEEN) <= set(true)
    assert case.data.new == {"class": {name: true.count(name) for name in case.data.new["class"]}}
    assert set(case.data.new["class"]) == set(UNSEEN)
    case.check_classes(true, [case.labels[share.argmax()] for share in shares])
    assert case.metrics["loss"] == pytest.approx(case.loss_of_known(shares, true))
    (section,) = case.score.sections
    assert isinstance(section, Examples)
    assert {e.expected for e in section.examples} & set(UNSEEN)
    for example in section.examples:
        row = case.raw[int(example.place.removeprefix("line ")) - 1]
        assert example.expected == row["class"]


@pytest.mark.parametrize("scheme", ["none", "bio"])
def test_of_tags_and_spans(scheme: str, tmp_path: Path) -> None:
    output = {"column": "tags", "as": "tags", "scheme": scheme}
    case = Case("N:N", TOKENS, output, tmp_path)
    true, found, shares = [], [], []
    for row, of_row in zip(case.raw, case.shares(), strict=True):
        steps = [(t, s) for t, s in zip(row["tags"], of_row, strict=False) if t is not None]
        true.append([tag for tag, _ in steps])
        found.append([case.labels[share.argmax()] for _, share in steps])
        shares += [share for _, share in steps]
    flat = [tag for tags in true for tag in tags]
    assert set(TAGS_UNSEEN) <= set(flat)
    case.check_classes(flat, [tag for tags in found for tag in tags])
    assert case.metrics["loss"] == pytest.approx(case.loss_of_known(shares, flat))
    if scheme == "bio":
        assert case.metrics["span_f1"] == pytest.approx(f1_of_spans(true, found))
        assert {each.label for each in case.score.spans} == {"x", "y", "z"}
        check_spans(case, found)
    else:
        check_examples(case, "tags", lambda tag: tag)


def check_spans(case: Case, found: list[list[str]]) -> None:
    """Those that are shown are seqeval's, over the steps with a true label."""
    (section,) = case.score.sections
    assert isinstance(section, SpanExamples)
    assert any(span.kind == "z" for each in section.examples for span in each.true)
    for example in section.examples:
        line = int(example.place.removeprefix("line ")) - 1
        tags = case.raw[line]["tags"]
        known = [step for step, tag in enumerate(tags) if tag is not None]
        for spans, labels in (
            (example.true, [tags[step] for step in known]),
            (example.answered, found[line]),
        ):
            entities = get_entities(labels)
            expected = [Span(known[a], known[b] + 1, kind) for kind, a, b in entities]
            assert sorted(spans, key=str) == sorted(expected, key=str)


def check_examples(case: Case, column: str, named: Any) -> None:
    (section,) = case.score.sections
    assert isinstance(section, TagExamples)
    assert any(set(TAGS_UNSEEN + UNSEEN) & set(" ".join(e.true).split()) for e in section.examples)
    for example in section.examples:
        row = case.raw[int(example.place.removeprefix("line ")) - 1]
        expected = [None if tag is None else named(tag) for tag in row[column]]
        assert [tag or None for tag in example.true] == [tag or None for tag in expected]


def test_of_several_labels(tmp_path: Path) -> None:
    output = {"column": "labels", "as": "labels", "missing": "skip"}
    case = Case("N:1", TOKENS, output, tmp_path)
    pairs = [
        (row["labels"], share)
        for row, share in zip(case.raw, case.shares(), strict=True)
        if row["labels"] is not None
    ]
    case.check_sets([{*labels} for labels, _ in pairs], [case.sets(s) for _, s in pairs])
    surprise = [surprise_of(case.labels, labels, share) for labels, share in pairs]
    assert case.metrics["nll"] == pytest.approx(sum(surprise) / len(surprise))
    assert case.metrics["loss"] == pytest.approx(case.metrics["nll"])
    (section,) = case.score.sections
    assert isinstance(section, Examples)
    for example in section.examples:
        row = case.raw[int(example.place.removeprefix("line ")) - 1]
        assert {*example.expected.split(", ")} == ({*row["labels"]} or {"(none)"})


def surprise_of(known: tuple[str, ...], true: list[str], shares: Any) -> float:
    """The sum of -ln p of what is true of each label that training has."""
    return -sum(
        log(share if label in true else 1 - share)
        for label, share in zip(known, shares, strict=True)
    )


@pytest.mark.parametrize("ahead", [False, True])
def test_of_several_labels_at_each_step(ahead: bool, tmp_path: Path) -> None:
    output = {"column": "keys", "as": "next"} if ahead else KEYS
    case = Case("N:N", KEYS if ahead else TOKENS, output, tmp_path)
    true, answered = [], []
    for row, of_row in zip(case.raw, case.shares(), strict=True):
        for labels, share in zip(row["keys"][ahead:], of_row, strict=False):
            true.append({*labels})
            answered.append(case.sets(share))
    assert any(labels & {*UNSEEN} for labels in true)
    case.check_sets(true, answered)
    if not ahead:
        check_examples(case, "keys", lambda labels: " ".join(sorted_as(case, labels)) or "(none)")


def sorted_as(case: Case, labels: list[str]) -> list[str]:
    order = [each.label for each in case.score.classes]
    return sorted(labels, key=order.index)


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (TOKENS, {"column": "tags", "as": "tags", "scheme": "bio"}),
        (TOKENS, KEYS),
        (KEYS, {"column": "keys", "as": "next"}),
    ],
)
def test_windows_measure_what_whole_rows_do(inputs: Any, output: Any, tmp_path: Path) -> None:
    case = Case("N:N", inputs, output, tmp_path)
    for batch, window in ((1, 1), (3, 2), (70, 4)):
        settings = Train(batch=batch, window=window)
        found, _ = evaluate(case.model, case.data, settings, case.goals, precision=FLOAT64)
        assert found == pytest.approx(case.metrics, rel=1e-9), (batch, window)


def test_of_steps_of_series(tmp_path: Path) -> None:
    """The last fifth of one series has a label that the rest has not."""
    tags = [["up", "down"][n % 2] for n in range(40)] + ["up", None, "flat", "flat", "down"] * 2
    table = [{"x": float(n % 3), "tag": tag} for n, tag in enumerate(tags)]
    file = write_rows(tmp_path / "table.jsonl", table)
    spec = any_spec(
        "N:N",
        {"column": "x", "as": "series"},
        {"column": "tag", "as": "tags"},
        series={},
        valid=0.2,
    )
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    data = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", "valid", 0.2)
    assert data.new == {"tag": {"flat": 4}}
    model = Model(plan)
    model.load_canonical(strong_weights(plan))
    found, sums = evaluate(model, data, Train(), LossSettings())
    assert sums["tag"].true.tolist() == [2, 2, 4]  # type: ignore[union-attr]
    assert found["accuracy"] <= 4 / 8


def test_windows_without_any_answer_do_not_join_two_documents(tmp_path: Path) -> None:
    """B-x ends a document, the next begins with a window of nothing to answer and goes on with
    I-x: two spans. By hand: both are answered rightly."""
    spec = any_spec("N:N", TOKENS, {"column": "tags", "as": "tags", "scheme": "bio"})
    found: list[dict[str, Any]] = [
        {"tokens": ["a", "b"], "tags": ["O", "B-x"]},
        {"tokens": ["c", "c", "d"], "tags": [None, None, "I-x"]},
    ]
    file = write_rows(tmp_path / "rows.jsonl", found)
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    data: Dataset = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache")
    model = Model(plan)
    model.load_canonical(strong_weights(plan))
    settings = Train(batch=1, window=2)
    _, sums = evaluate(model, data, settings, loss_settings_of(spec, facts))
    assert sums["tags"].spans.true == {"x": 2}  # type: ignore[union-attr]


# ---------------------------------------------------------------- what is told


WITH_NEW: dict[str, tuple[str, Any, Any]] = {
    "class": ("first", "purple", "rad"),
    "labels": ("kinds", ["shape", "colour"], ["color"]),
    "tags": ("tags", ["B-z"], ["I-c"]),
    "keys": ("chords", [["!"]], [["?", "!"]]),
    "chords": ("chords", [[], ["!"]], [[], ["?", "!"]]),
}


@pytest.mark.parametrize("kind", WITH_NEW)
def test_a_build_says_so_and_goes_on(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    column, *cells = WITH_NEW[kind]
    with open("valid.jsonl", "a") as file:
        for row, cell in zip(rows(2, 9), cells, strict=True):
            steps = len(cell) if kind in ("tags", "keys", "chords") else len(row["tokens"])
            row["tokens"] = (row["tokens"] * steps)[:steps]
            file.write(json.dumps({**row, column: cell}) + "\n")
    (tmp_path / "tiny.yaml").write_text(json.dumps({**SPECS[kind], "name": kind}))
    right("build", "tiny.yaml", "--set", "train.epochs=1")
    (told,) = json.loads(Path(f"builds/{kind}/001/build.json").read_text())["warnings"]
    found = json.loads(right("evaluate", f"builds/{kind}", "--json"))
    (new,) = found["new_labels"].values()
    assert told.startswith(f"valid.jsonl has {len(new)} label")
    assert f"of column {column!r} that no training row has: " in told
    for label, count in new.items():
        assert f"{label!r} ({count} time" in told
    assert told in right("evaluate", f"builds/{kind}", "--report", "other.html")
    for report in ("other.html", f"builds/{kind}/001/report.html"):
        assert Path(report).read_text().count("that no training row has") == 1
    assert all(value is not None for value in found["metrics"].values())


def test_a_near_label_is_named_in_what_is_told(tmp_path: Path) -> None:
    from rnnspec.data.columns.new_labels import new_labels_note
    from rnnspec.data.shards import Shards

    files = Shards.of(tmp_path / "valid.csv")
    found = {"positve": 3, **{f"x{n}": 1 for n in range(7)}}
    assert new_labels_note("y", found, ("negative", "positive"), files, 0.0) == (
        "valid.csv has 8 labels of column 'y' that no training row has: 'positve' (3 times, did "
        "you mean 'positive'?), 'x0' (1 time), 'x1' (1 time), 'x2' (1 time), 'x3' (1 time) and 3 "
        "more; they count as wrong, and the loss leaves them out"
    )
    assert new_labels_note("y", {"z": 1}, ("a", "b"), files, 0.2) == (
        "the validation rows of valid.csv have 1 label of column 'y' that no training row has: "
        "'z' (1 time); it counts as wrong, and the loss leaves it out"
    )


def test_marks_that_the_scheme_has_not_are_refused_here_too(tmp_path: Path) -> None:
    spec = any_spec("N:N", TOKENS, {"column": "tags", "as": "tags", "scheme": "bio"})
    train = write_rows(tmp_path / "train.jsonl", rows_of(0, unseen=False))
    other = write_rows(tmp_path / "other.jsonl", [{"tokens": ["a", "a"], "tags": ["O", "S-x"]}])
    facts = survey(spec, train)
    with pytest.raises(DataError, match=r"other\.jsonl:1: .* step 2 .*'S-x'.*set scheme: bioes"):
        encode(resolve(spec, facts), facts, other, Reading.of(spec), tmp_path / "cache")
