"""Builds of every kind of output, tiny: what is measured, and what their reports show."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import BuildError
from rnnspec.evaluate.outputs.kind import OutputScore
from rnnspec.evaluate.report import report_of
from rnnspec.evaluate.score import Scores, evaluate_build
from rnnspec.report.model import (
    Attention,
    Calibration,
    ClassTable,
    ConfusionMatrix,
    Curves,
    Examples,
    ForecastPlot,
    ForecastTable,
    Generated,
    MetricTable,
    Note,
    Scatter,
    Span,
    SpanExamples,
    TagExamples,
)
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Heard, Silent
from rnnspec.store.folder import read_build
from rnnspec.train import build as training
from rnnspec.train.build import Result, build
from tests.reports import parsed, words
from tests.tiny import SPECS, rows, write_data

SHOWN: dict[str, set[type]] = {
    "class": {ConfusionMatrix, ClassTable, Calibration, Examples},
    "labels": {ClassTable, Calibration, Examples},
    "number": {Scatter, Examples},
    "vector": {Scatter, Examples},
    "tags": {ConfusionMatrix, ClassTable, Calibration, SpanExamples},
    "chords": {ClassTable, TagExamples},
    "keys": {ClassTable, Calibration, TagExamples},
    "frames": {Scatter},
    "text": {Examples, Attention, Note},
    "next": {ClassTable, Generated},
    "stream": {ClassTable, Generated},
    "two": {ConfusionMatrix, Calibration, Scatter, Examples},
    "point": {ForecastPlot, ForecastTable},
    "quantiles": {ForecastPlot, ForecastTable},
    "gaussian": {ForecastPlot, ForecastTable},
    "counts": {ForecastPlot, ForecastTable},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_data(folder)
    return folder


_built: dict[str, Result] = {}


def built(world: Path, kind: str) -> Result:
    """The build of a kind, made once."""
    if kind not in _built:
        spec = world / f"{kind}.yaml"
        spec.write_text(json.dumps({**SPECS[kind], "name": kind}))  # JSON is YAML
        _built[kind] = build(load_spec(spec), world / "builds", Silent())
    return _built[kind]


def scores_of(world: Path, kind: str) -> Scores:
    return evaluate_build(read_build(built(world, kind).folder))


def only(scores: Scores) -> OutputScore:
    (score,) = scores.outputs.values()
    return score


@pytest.mark.parametrize("kind", SPECS)
def test_a_build_of_each_kind_has_a_report_that_shows_it(world: Path, kind: str) -> None:
    result = built(world, kind)
    assert result.report == result.folder.report
    trained = read_build(result.folder)
    scores = evaluate_build(trained)
    assert scores.metrics == result.metrics == result.folder.read_state()["valid"]
    report = report_of(trained, scores)
    sections = {type(section) for section in report.sections}
    assert sections >= SHOWN[kind] | {MetricTable, Curves}
    page = result.folder.report.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    text = words(parsed(page))
    for section in report.sections:
        assert section.title in text
    tables = [s for s in report.sections if isinstance(s, MetricTable)]
    assert all(metric.explanation for one in tables for metric in one.metrics)
    assert not report.warnings


@pytest.mark.parametrize("kind", ["class", "labels", "number", "tags", "stream", "quantiles"])
def test_metrics_are_those_of_the_epoch_that_was_kept(world: Path, kind: str) -> None:
    result = built(world, kind)
    measured = result.folder.measured(result.best_epoch)
    assert measured
    for name, value in measured.items():
        assert result.metrics[name] == pytest.approx(value, rel=1e-5)


def test_texts_are_also_written_greedily_and_their_other_answers_kept(world: Path) -> None:
    scores = scores_of(world, "text")
    score = only(scores)
    assert set(score.greedy) == {"exact_match", "error_rate", "chrf"} | (
        {"bleu"} & set(score.metrics)
    )
    measured = built(world, "text").folder.measured(built(world, "text").best_epoch)
    assert score.greedy["error_rate"] == pytest.approx(measured["error_rate"])
    (examples,) = (s for s in score.sections if isinstance(s, Examples))
    assert examples.differ == "words"
    assert all(one.score is not None and one.score <= 0 for one in examples.examples)
    (attention,) = (s for s in score.sections if isinstance(s, Attention))
    for one in attention.maps:
        assert len(one.weights) == len(one.target)
        for weights in one.weights:
            assert len(weights) == len(one.source)
            assert sum(weights) == pytest.approx(1.0, abs=1e-4)


def test_a_forecast_is_beside_the_seasonal_naive_one(world: Path) -> None:
    score = only(scores_of(world, "quantiles"))
    values = [10 + 5 * math.sin(n / 2) + (n * 7) % 3 for n in range(160)]
    assert [row.step for row in score.horizon] == [1, 2, 3, 4]
    assert score.metrics["mae"] == pytest.approx(
        sum(row.error or 0.0 for row in score.horizon) / 4, rel=1e-4
    )
    (plot,) = (s for s in score.sections if isinstance(s, ForecastPlot))
    assert plot.band == "80 % band"
    for window in plot.windows:
        line = int(window.name.split()[1].rstrip(",").replace(",", ""))
        first = line - 2  # line 2 of the file is step 0
        truth = [round(values[n], 2) for n in range(first, first + 4)]
        naive = [round(values[n - 12], 2) for n in range(first, first + 4)]
        assert window.truth == pytest.approx(truth, abs=1e-4)
        assert window.baseline == pytest.approx(naive, abs=1e-4)
        assert window.history[-1] == pytest.approx(round(values[first - 1], 2), abs=1e-4)
        for lower, middle, upper in zip(window.lower, window.forecast, window.upper, strict=True):
            assert lower is not None and middle is not None and upper is not None
            assert lower <= middle <= upper


def test_a_distribution_tells_how_often_its_band_held(world: Path) -> None:
    assert 0 <= only(scores_of(world, "gaussian")).metrics["coverage"] <= 1
    assert 0 <= only(scores_of(world, "counts")).metrics["coverage"] <= 1
    assert "coverage" not in only(scores_of(world, "point")).metrics


def test_baselines(world: Path) -> None:
    train = rows(60, 0)
    score = only(scores_of(world, "class"))
    firsts = [row["first"] for row in train]
    common = max(sorted(set(firsts)), key=firsts.count)
    valid = [row["first"] for row in rows(24, 1)]
    assert score.baseline["accuracy"] == pytest.approx(valid.count(common) / 24)
    f1 = 2 * valid.count(common) / (24 + valid.count(common)) / len({*valid, common})
    assert score.baseline["macro_f1"] == pytest.approx(f1)
    number = only(scores_of(world, "number"))
    mean = sum(row["length"] for row in train) / 60
    errors = [abs(row["length"] - mean) for row in rows(24, 1)]
    assert number.baseline["mae"] == pytest.approx(sum(errors) / 24, rel=1e-5)


def test_tags_are_shown_with_their_tokens(world: Path) -> None:
    score = only(scores_of(world, "tags"))
    (examples,) = (s for s in score.sections if isinstance(s, SpanExamples))
    by_place = {f"line {n}": row for n, row in enumerate(rows(24, 1), start=1)}
    for one in examples.examples:
        assert list(one.tokens) == by_place[one.place]["tokens"]
        tags = by_place[one.place]["tags"]  # B-c or O: every span is one token
        assert one.true == tuple(Span(n, n + 1, "c") for n, t in enumerate(tags) if t != "O")
        assert one.joint == " "
    assert score.of == "steps"
    assert sum(each.rows for each in score.classes) == sum(len(r["tags"]) for r in rows(24, 1))


def test_generated_text_goes_on_from_a_prompt_of_the_rows(world: Path) -> None:
    texts = (world / "valid.txt").read_text()
    for kind in ("next", "stream"):
        (found,) = (s for s in only(scores_of(world, kind)).sections if isinstance(s, Generated))
        assert len(found.generations) == 6
        for one in found.generations:
            assert one.prompt and one.prompt in texts
            assert set(one.text) <= set(texts) | set("<end><unknown>")
        again = only(scores_of(world, kind)).sections
        assert found in again  # the same draws in every run


def test_several_outputs_are_told_apart(world: Path) -> None:
    scores = scores_of(world, "two")
    assert {"first.accuracy", "length.mae", "loss"} <= set(scores.metrics)
    titles = [s.title for s in report_of(read_build(built(world, "two").folder), scores).sections]
    assert "first: Confusion" in titles and "length: Answered against true" in titles


def test_a_report_of_another_file(world: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps(row) for row in rows(7, 5)) + "\n")
    trained = read_build(built(world, "class").folder)
    scores = evaluate_build(trained, other)
    assert scores.rows == 7
    assert any("other.jsonl, 7 rows" in part for part in report_of(trained, scores).subtitle)


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BuildError("no space left"), ZeroDivisionError("a defect")]
)
def test_a_build_outlives_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    write_data(tmp_path)
    spec = tmp_path / "tiny.yaml"
    spec.write_text(json.dumps({**SPECS["class"]}))

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(training, "write_report", fails)
    heard = Heard()
    result = build(load_spec(spec), tmp_path / "builds", heard)
    assert result.finished and result.report is None
    assert result.metrics["accuracy"] > 0
    assert result.folder.read_state()["state"] == "finished"
    assert not result.folder.report.exists()
    (said,) = heard.warnings
    assert "the build is finished" in said and "--resume" in said
    assert (str(error) or "KeyboardInterrupt") in said


def test_warnings_of_a_build_are_in_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path)
    spec = tmp_path / "tiny.yaml"
    spec.write_text(json.dumps(SPECS["class"]))
    monkeypatch.setattr("rnnspec.train.loop.precision_for", _numbers_with_a_warning)
    result = build(load_spec(spec), tmp_path / "builds", Silent())
    assert result.folder.read_state()["warnings"] == ["slow today"]
    assert "slow today" in result.folder.report.read_text(encoding="utf-8")


def _numbers_with_a_warning(*_: object) -> tuple[Any, str]:
    from rnnspec.to_torch.devices import Precision

    return Precision(), "slow today"


def test_without_validation_rows_the_report_says_what_to_do(tmp_path: Path) -> None:
    write_data(tmp_path)
    spec = tmp_path / "tiny.yaml"
    data = {**SPECS["class"], "data": {**SPECS["class"]["data"], "valid": None}}
    spec.write_text(json.dumps(data))
    result = build(load_spec(spec), tmp_path / "builds", Silent())
    assert result.metrics == {}
    assert "rnnspec evaluate --data FILE --report" in result.folder.report.read_text("utf-8")


def test_steps_of_several_labels_are_shown_as_they_are(world: Path) -> None:
    by_place = {f"line {n}": row for n, row in enumerate(rows(24, 1), start=1)}
    for kind, ahead in (("keys", 0), ("chords", 1)):
        score = only(scores_of(world, kind))
        (examples,) = (s for s in score.sections if isinstance(s, TagExamples))
        for one in examples.examples:
            chords = [" ".join(sorted(set(chord))) for chord in by_place[one.place]["chords"]]
            assert list(one.true) == chords[ahead:] + [""] * ahead
            assert len(one.answered) == len(one.tokens) == len(chords)
            assert not ahead or one.answered[-1] == ""
