"""`rnnspec evaluate`: what it prints of every kind of output, as text, as JSON and as a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import right, wrong
from tests.tiny import SPECS, rows, write_data

KINDS = ("tags", "labels", "text", "next", "quantiles", "two", "frames")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A build of some kinds, in the current folder."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data(folder)
        for kind in KINDS:
            (folder / f"{kind}.yaml").write_text(json.dumps({**SPECS[kind], "name": kind}))
            said = right("build", f"{kind}.yaml", "--set", "train.epochs=1")
            report = f"builds/{kind}/001/report.html"
            assert f"report: {report}" in said and Path(report).exists()
        yield folder


pytestmark = pytest.mark.usefixtures("world")


def of(kind: str, *arguments: object) -> Any:
    return json.loads(right("evaluate", f"builds/{kind}", "--json", *arguments))


def test_tags() -> None:
    text = right("evaluate", "builds/tags")
    assert text.startswith("builds/tags/001 on valid.jsonl (24 rows with 86 steps)")
    assert "span_f1" in text and "the most frequent label" in text
    assert "tags  precision  recall" in text and "steps" in text
    found = of("tags")
    assert {each["label"] for each in found["classes"]["tags"]} == {"B-c", "O"}
    assert sum(each["rows"] for each in found["classes"]["tags"]) == sum(
        len(row["tags"]) for row in rows(24, 1)
    )
    assert set(found["examples"]["tags"][0]) == {"tokens", "true", "answered", "place"}
    (span,) = found["spans"]["tags"]
    assert set(span) == {"kind", "precision", "recall", "f1", "answered", "spans"}
    # each B-c is a span of its own: there are no I-c
    assert (span["kind"], span["spans"]) == ("c", sum(r["tags"].count("B-c") for r in rows(24, 1)))
    assert "spans of tags  precision" in text


def test_labels() -> None:
    assert "micro_f1" in right("evaluate", "builds/labels")
    found = of("labels")
    true = [label for row in rows(24, 1) for label in row["kinds"]]
    for each in found["classes"]["kinds"]:
        assert each["rows"] == true.count(each["label"])
    assert "kinds" not in found["mistakes"]


def test_texts_show_what_the_strategy_gains() -> None:
    text = right("evaluate", "builds/text")
    head = next(line for line in text.splitlines() if line.startswith("metric"))
    assert head.split() == ["metric", "value", "greedy"]
    found = of("text")
    assert set(found["greedy"]["back"]) <= set(found["metrics"])
    assert {"exact_match", "error_rate", "chrf", "perplexity"} <= set(found["metrics"])
    examples = found["examples"]["back"]
    by_place = {f"line {n}": row for n, row in enumerate(rows(24, 1), start=1)}
    for one in examples:
        assert one["input"] == by_place[one["place"]]["text"]
        assert one["expected"] == by_place[one["place"]]["back"]


def test_next_tokens_have_no_table_of_classes_in_text() -> None:
    text = right("evaluate", "builds/next")
    assert "perplexity" in text and "precision" not in text
    assert of("next")["classes"]["text"]


def test_forecasts_by_step_ahead() -> None:
    text = right("evaluate", "builds/quantiles")
    assert "seasonal-naive" in text and "steps ahead of load" in text
    found = of("quantiles")
    assert [row["step"] for row in found["horizon"]["load"]] == [1, 2, 3, 4]
    assert found["baseline"]["load"]["name"] == "seasonal-naive"
    assert found["share"] == 0.3
    skill = 1 - found["metrics"]["mae"] / found["baseline"]["load"]["metrics"]["mae"]
    assert found["metrics"]["skill"] == pytest.approx(skill)


def test_several_outputs() -> None:
    text = right("evaluate", "builds/two")
    assert "first.accuracy" in text and "length.mae" in text
    assert "mean of the training rows" in text and "the most frequent label" in text
    assert set(of("two")["examples"]) == {"first", "length"}


def test_json_has_no_nan(world: Path) -> None:
    other = world / "untagged.jsonl"
    row = {"tokens": ["red"], "tags": [None]}
    other.write_text(json.dumps(row) + "\n")
    found = of("tags", "--data", other)
    assert found["metrics"]["accuracy"] is None and found["rows"] == 1


def test_a_report_of_other_data(world: Path) -> None:
    other = world / "other.jsonl"
    other.write_text("\n".join(json.dumps(row) for row in rows(5, 9)) + "\n")
    said = right("evaluate", "builds/two", "--data", other, "--report", "other.html")
    assert said.rstrip().endswith("wrote other.html")
    page = Path("other.html").read_text(encoding="utf-8")
    assert "other.jsonl" in page and "5 rows" in page
    json.loads(right("evaluate", "builds/two", "--report", "again.html", "--json"))
    assert Path("again.html").exists()
    assert "cannot be written" in wrong("evaluate", "builds/two", "--report", "no/such/a.html")
