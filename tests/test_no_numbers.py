"""Answers that are no numbers: metrics that are none either, a failed proof, and a sentence.

What is missing is told by the truth alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnspec.cli.evaluate import _json
from rnnspec.errors import ExportError
from rnnspec.evaluate.metrics import (
    ClassMetrics,
    ForecastMetrics,
    FramesMetrics,
    LabelsMetrics,
    Metrics,
    NumericMetrics,
    PointerMetrics,
    PositionMetrics,
    TextMetrics,
    not_finite_warnings,
)
from rnnspec.evaluate.outputs import metrics_of
from rnnspec.evaluate.prediction_intervals import interval_of, within
from rnnspec.evaluate.report import report_of
from rnnspec.evaluate.score import evaluate_build
from rnnspec.export.write import export_onnx
from rnnspec.files import json_text
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    FramesOutput,
    Greedy,
    LabelsOutput,
    NumericOutput,
    Output,
    PositionOutput,
    TextOutput,
)
from rnnspec.spec.distributions import DistributionName
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Heard, Silent
from rnnspec.store.folder import Trained, read_build
from rnnspec.train import loop
from rnnspec.train.build import build
from tests.tiny import SPECS, write_data

NAN = float("nan")
ROWS, STEPS, SIZE = 3, 4, 5

# ---------------------------------------------------------------- every kind of metrics

OUTPUTS: Mapping[str, tuple[Output, OutputLoss | None]] = {
    "class": (ClassOutput("o", "s", "c", SIZE, False), None),
    "next tokens": (ClassOutput("o", "s", "c", SIZE, True, ahead=True), None),
    "spans": (
        ClassOutput("o", "s", "c", SIZE, True),
        OutputLoss(span_labels=("B-x", "I-x", "B-y", "I-y", "O"), scheme="bio"),
    ),
    "labels": (LabelsOutput("o", "s", "c", SIZE), None),
    "keys": (LabelsOutput("o", "s", "c", SIZE, steps=True), None),
    "vector": (NumericOutput("o", "s", "c", SIZE, True, False), None),
    "frames": (NumericOutput("o", "s", "c", SIZE, True, False, True), None),
    "written frames": (FramesOutput("o", "s", "c", SIZE, "input"), None),
    "text": (TextOutput("o", "s", "c", "words", SIZE, Greedy(limit=9)), None),
    "point": (ForecastOutput("o", "s", "c", STEPS, "point"), None),
    "quantiles": (ForecastOutput("o", "s", "c", STEPS, "quantiles", (0.1, 0.5, 0.9)), None),
    "position": (PositionOutput("o", "s", "c", 1), None),
    "span": (PositionOutput("o", "s", "c", 2), None),
}


def test_every_kind_of_metrics_is_walked() -> None:
    found = {type(metrics_of(*each)) for each in OUTPUTS.values()}
    assert found == {*get_args(Metrics)} - {PointerMetrics}, "which have a test of their own"


def drawn(node: Output, seed: int) -> tuple[Tensor, Tensor]:
    """Answers and targets of which some are missing; the first row and step is known, the last one
    is not."""
    draw = np.random.default_rng(seed)
    steps = getattr(node, "steps", False) or isinstance(node, FramesOutput | TextOutput)
    shape = (ROWS, STEPS) if steps else (ROWS,)
    answers: Any = draw.normal(size=(*shape, SIZE))
    match node:
        case ClassOutput() | TextOutput():
            targets: Any = draw.integers(-1, SIZE, shape)
            targets.flat[0], targets.flat[-1] = 1, -1
            if isinstance(node, ClassOutput):
                answers = torch.softmax(torch.from_numpy(answers), -1).numpy()
        case LabelsOutput():
            targets = draw.integers(0, 2, (*shape, SIZE)).astype(float)
            targets[-1] = NAN
            answers = 1 / (1 + np.exp(-answers))
        case NumericOutput() | FramesOutput():
            targets = draw.normal(size=(*shape, SIZE))
            targets[draw.random(targets.shape) < 0.3] = NAN
            targets.flat[0], targets.flat[-1] = 1.0, NAN
        case PositionOutput():
            targets = np.sort(draw.integers(1, STEPS + 1, (ROWS, node.marks)))
            targets[-1] = -1
        case ForecastOutput():
            answers = np.sort(draw.normal(size=(ROWS, STEPS, 3)), -1)
            answers = answers if node.quantiles else answers[..., :1]
            targets = draw.normal(size=(ROWS, STEPS))
            targets[0, 0], targets[-1, -1] = 1.0, NAN
    return torch.from_numpy(answers), torch.from_numpy(targets)


def measured(
    node: Output, goal: OutputLoss | None, answers: Tensor, targets: Tensor
) -> tuple[Metrics, Mapping[str, float]]:
    metrics = metrics_of(node, goal)
    match metrics:
        case TextMetrics():
            metrics.add_logits(answers, targets)
            metrics.add_texts([[1]] * ROWS, targets)
        case ForecastMetrics():
            draw = np.random.default_rng(9)
            naive, unit = draw.normal(size=targets.shape), draw.uniform(1, 2, len(targets))
            point = answers[..., answers.shape[-1] // 2]
            metrics.add(point, targets, answers, naive, unit)
        case PositionMetrics():
            choices = answers.argmax(-1, keepdim=True).expand(-1, metrics.marks)
            metrics.add(choices, targets, answers.isnan().any(-1))
        case FramesMetrics():
            lengths = torch.full((ROWS,), STEPS)
            metrics.add(answers, lengths, targets, lengths)
        case ClassMetrics() | LabelsMetrics() | NumericMetrics():
            metrics.add(answers, targets)
    return metrics, metrics.values()


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("seed", range(5))
def test_masks_come_from_the_truth_alone(kind: str, seed: int) -> None:
    node, goal = OUTPUTS[kind]
    answers, targets = drawn(node, seed)
    whole, expected = measured(node, goal, answers, targets)
    assert whole.not_finite == 0 and not any(map(math.isnan, expected.values()))
    missing, known = answers.clone(), answers.clone()
    missing[(-1, -1) if missing.dim() == 3 else -1] = NAN
    if isinstance(node, NumericOutput | FramesOutput):
        missing = answers.clone()
        missing.view(-1)[-1] = NAN
    same, values = measured(node, goal, missing, targets)
    assert same.not_finite == 0 and values == expected, "nothing is asked there"
    known.view(-1, known.shape[-1])[0] = NAN
    lost, values = measured(node, goal, known, targets)
    assert lost.not_finite > 0 and values.keys() == expected.keys()
    assert all(map(math.isnan, values.values())), values
    (told,) = not_finite_warnings({"y": lost})
    assert told.startswith("y: ") and "no finite number" in told
    assert not list(not_finite_warnings({"y": whole}))


def test_lists_of_steps_with_a_score_that_is_no_number_have_no_metrics() -> None:
    """A row without a true list is refused where data are read, so that none is left out."""
    targets = torch.tensor([[3, 2, 0], [2, 0, -1]])
    whole, broken = PointerMetrics(), PointerMetrics()
    whole.add([[3, 2], [4]], targets, [False, False])
    assert whole.values() == {"exact_match": 0.5, "place_accuracy": 2 / 3}
    broken.add([[3, 2], [4]], targets, [False, True])
    assert broken.not_finite == 1 and all(map(math.isnan, broken.values().values()))
    (told,) = not_finite_warnings({"y": broken})
    assert "no finite number" in told


def test_an_infinite_forecast_is_infinitely_wrong() -> None:
    metrics = ForecastMetrics()
    point, true = torch.tensor([[1.0, math.inf]]), torch.tensor([[1.0, 2.0]])
    metrics.add(point, true, None, np.array([[2.0, 2.0]]), np.array([2.0]))
    found = metrics.values()
    assert (found["mae"], found["rmse"], found["mase"]) == (math.inf,) * 3
    assert found["skill"] == -math.inf
    assert metrics.not_finite == 1
    assert metrics.errors.absolute.by_step == (0.0, math.inf)


@pytest.mark.parametrize("distribution", get_args(DistributionName))
def test_a_interval_of_a_parameter_that_is_no_number_is_none(distribution: Any) -> None:
    node = ForecastOutput("o", "s", "c", 2, distribution, (0.1, 0.5, 0.9), components=2)
    parameters = np.full((2, 2, node.parameters), 3.0 if distribution == "student_t" else 0.5)
    parameters[0, 1] = NAN
    band = interval_of(node, parameters)
    if distribution == "point":
        assert band is None
        return
    assert band is not None
    assert np.isnan(band[1]).tolist() == np.isnan(band[2]).tolist() == [[False, True], [False] * 2]
    inside = within(band[1], band[2], np.array([[0.5, 0.5], [NAN, 1e9]]))
    np.testing.assert_array_equal(np.isnan(inside), [[False, True], [True, False]])


# ---------------------------------------------------------------- a build of every kind


def strict(text: str) -> Any:
    """JSON as it is defined: without NaN."""

    def fail(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=fail)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lost")
    write_data(folder)
    return folder


def lost(world: Path, kind: str) -> Trained:
    """A build of a kind, all its weights NaN."""
    file = world / f"{kind}.yaml"
    file.write_text(json.dumps({**SPECS[kind], "name": kind}))  # JSON is YAML
    result = build(load_spec(file), world / "builds", Silent(), train=False)
    trained = read_build(result.folder)
    nothing = {name: np.full_like(value, NAN) for name, value in trained.weights.items()}
    return replace(trained, weights=nothing)


@pytest.mark.parametrize("kind", SPECS)
def test_every_metric_is_nan_and_a_sentence_says_why(world: Path, kind: str) -> None:
    trained = lost(world, kind)
    scores = evaluate_build(trained)
    assert all(map(math.isnan, scores.metrics.values())), scores.metrics
    for column, score in scores.outputs.items():
        assert all(map(math.isnan, score.metrics.values()))
        assert all(map(math.isnan, score.greedy.values()))
        assert all(row.error is not None and math.isnan(row.error) for row in score.horizon)
        assert any(told.startswith(f"{column}: ") for told in scores.warnings)
    assert strict(_json(trained, scores))["metrics"].keys() == scores.metrics.keys()
    assert set(scores.warnings) <= set(report_of(trained, scores).warnings)


@pytest.mark.parametrize("kind", SPECS)
def test_no_file_is_proven_by_a_module_that_answers_nan(
    world: Path, kind: str, tmp_path: Path
) -> None:
    target = tmp_path / "model.onnx"
    with pytest.raises(ExportError) as caught:
        export_onnx(lost(world, kind), target)
    assert not target.exists()
    said = str(caught.value)
    assert "the trained module itself answers what is no finite number" in said
    assert "nothing was written" in said and "defect" not in said


def test_answers_in_json_are_null_where_they_are_no_numbers() -> None:
    assert strict(json_text({"y": [1.0, NAN], "z": math.inf})) == {"y": [1.0, None], "z": None}


# ---------------------------------------------------------------- training


@pytest.mark.parametrize(
    ("values", "best", "kept"),
    [
        ([NAN, 3.0, NAN, 2.0, NAN], [False, True, False, True, False], 4),
        ([1.0, NAN, NAN, NAN, NAN], [True, False, False, False, False], 1),
        ([NAN, NAN, NAN, NAN, NAN], [False, False, False, False, False], 1),
    ],
)
def test_an_epoch_of_nan_is_never_the_best(
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: list[float],
    best: list[bool],
    kept: int,
) -> None:
    """Where there is no other, the first one's weights are kept all the same."""
    left = list(values)

    def validated(*_: object) -> tuple[dict[str, float], tuple[str, ...]]:
        value = left.pop(0)
        return {"loss": value}, ("length: it is lost",) if math.isnan(value) else ()

    monkeypatch.setattr(loop, "validate", validated)
    spec = {**SPECS["number"], "name": "stops"}
    stopping = {"metric": "loss", "patience": 9}
    spec["train"] = {**spec["train"], "epochs": len(values), "early_stopping": stopping}
    file = world / "stops.yaml"
    file.write_text(json.dumps(spec))
    heard = Heard()
    result = build(load_spec(file), tmp_path / "builds", heard)
    lines = [strict(line) for line in result.folder.metrics.read_text().splitlines()]
    assert [line["best"] for line in lines] == best
    assert [line["valid.loss"] for line in lines] == [None if math.isnan(v) else v for v in values]
    assert result.best_epoch == kept
    measured = result.folder.measured(kept)["loss"]
    assert measured == values[kept - 1] or (math.isnan(measured) and math.isnan(values[kept - 1]))
    assert heard.warnings.count("length: it is lost") == 1
    strict(result.folder.state.read_text())


def test_a_loss_over_no_true_answer_is_none(world: Path, tmp_path: Path) -> None:
    """Not 0, which would be the best of all."""
    rows = [json.loads(line) for line in (world / "valid.jsonl").read_text().splitlines()]
    for row in rows:
        row["length"] = None
    (tmp_path / "valid.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "train.jsonl").write_text((world / "train.jsonl").read_text())
    spec = {**SPECS["number"], "name": "missing"}
    output = {**spec["data"]["output"], "missing": "skip"}
    spec["data"] = {**spec["data"], "output": output}
    file = tmp_path / "missing.yaml"
    file.write_text(json.dumps(spec))
    result = build(load_spec(file), tmp_path / "builds", Silent())
    assert math.isnan(result.metrics["loss"]) and math.isnan(result.metrics["mae"])
    assert strict(result.folder.state.read_text())["valid"]["loss"] is None
    assert not evaluate_build(read_build(result.folder)).warnings, "nothing was answered wrongly"


def test_a_build_whose_answers_to_new_rows_are_no_numbers_says_so(tmp_path: Path) -> None:
    """Training rows are small, those of validation beyond float32 once they are weighed."""
    train = [{"x": [n / 20, 1 - n / 20], "y": 1e6 * n} for n in range(20)]
    valid = [{"x": [-3e38, 3e38], "y": 1.0}, {"x": [0.5, 0.5], "y": None}]
    for name, rows in (("train", train), ("valid", valid)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    spec = {
        "name": "huge",
        "cardinality": "1:1",
        "data": {
            "train": "train.jsonl",
            "valid": "valid.jsonl",
            "input": {"column": "x", "as": "vector", "scale": "none"},
            "output": {"column": "y", "as": "number", "missing": "skip"},
        },
        "head": {"hidden": [8, 8], "activation": "relu"},
        "train": {"epochs": 2, "threads": 1, "loss": "mae"},
    }
    file = tmp_path / "huge.yaml"
    file.write_text(json.dumps(spec))
    heard = Heard()
    result = build(load_spec(file), tmp_path / "builds", heard)
    told = [text for text in heard.warnings if text.startswith("y: 1 answer is no finite number")]
    assert len(told) == 1, "told once"
    assert not math.isfinite(result.metrics["mae"])
    page = result.folder.report
    assert "no finite number" in page.read_text(encoding="utf-8")
    for line in result.folder.metrics.read_text().splitlines():
        record = strict(line)
        assert record["valid.mae"] is None and not record["best"]
