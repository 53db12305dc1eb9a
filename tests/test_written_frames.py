"""Frames that a decoder writes, from rows to answers: what is trained, measured and answered."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import multivariate_normal
from sklearn.metrics import r2_score, roc_auc_score

import rnnspec
from rnnspec.errors import DataError
from rnnspec.reference import answers, raw_outputs
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import Frames
from tests.frame_decoders import written
from tests.kinds import feeds, plan_of, strong_weights

TRAIN = {"epochs": 2, "batch": 10, "threads": 1, "optimizer": {"adam": {"lr": 0.02}}}


def waves(count: int, seed: int, spoilt: float = 0.0) -> list[dict[str, Any]]:
    """Rows with a wave of several lengths, its first steps, and whether it is out of order."""
    draw, found = random.Random(seed), []
    for _ in range(count):
        steps, phase = draw.randint(3, 8), 6 * draw.random()
        wave = [[40 + 9 * math.sin(n + phase), math.cos(n + phase)] for n in range(steps)]
        odd = draw.random() < spoilt
        if odd:
            draw.shuffle(wave)
        row = {"wave": wave, "odd": int(odd), "begin": wave[: steps // 3], "steps": steps}
        found.append({**row, "phase": phase, "three": wave[:3]})
    return found


def spec(input: Any, output: Any, cardinality: str = "N:M", **decoder: Any) -> dict[str, Any]:
    found = {
        "name": "waves",
        "cardinality": cardinality,
        "data": {"train": "train.jsonl", "valid": "valid.jsonl", "input": input, "output": output},
        "decoder": {"layers": [{"cell": "lstm", "units": 6}], **decoder},
        "train": TRAIN,
    }
    if cardinality == "N:M":
        found["encoder"] = {"layers": [{"cell": "lstm", "units": 6}]}
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, count, seed in (("train", 40, 0), ("valid", 24, 1)):
        lines = [json.dumps(row) for row in waves(count, seed, 0.5 * seed)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


WAVE = {"column": "wave", "as": "frames"}


def answered(build: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    build.export("waves.onnx")
    return list(rnnspec.open("waves.onnx").predict(rows))


def test_the_score_of_an_autoencoder_tells_odd_rows(folder: Path) -> None:
    output = {**WAVE, "anomaly": "odd"}
    build = rnnspec.load(spec(WAVE, output, length="input", reverse=True, feedback="none")).build()
    metrics, rows = build.evaluate().metrics, waves(24, 1, 0.5)
    known = np.concatenate([row["wave"] for row in waves(40, 0)])
    found = answered(build, rows)
    scores = []
    for row, answer in zip(rows, found, strict=True):
        true, wave = np.array(row["wave"]), np.array(answer["wave"])
        assert wave.shape == true.shape
        squares = ((wave - true) / known.std(0)) ** 2
        np.testing.assert_allclose(answer["wave.errors"], squares.mean(1), rtol=1e-3)
        np.testing.assert_allclose(answer["wave.score"], squares.mean(), rtol=1e-3)
        scores.append(answer["wave.score"])
    odd = [row["odd"] for row in rows]
    assert metrics["auroc"] == pytest.approx(roc_auc_score(odd, scores))
    assert metrics["score"] == pytest.approx(np.mean(scores), rel=1e-4)
    true, wave = (np.concatenate([row["wave"] for row in of]) for of in (rows, found))
    assert metrics["mae"] == pytest.approx(np.abs(true - wave).mean(), rel=1e-4)
    report = (folder / "builds" / "waves" / "001" / "report.html").read_text()
    assert "anomalous rows" in report and "Written against true" in report


def test_labels_are_read_by_evaluate_alone(folder: Path) -> None:
    plain = [{k: v for k, v in row.items() if k != "odd"} for row in waves(24, 1)]
    Path("valid.jsonl").write_text("\n".join(map(json.dumps, plain)) + "\n")
    build = rnnspec.load(spec(WAVE, {**WAVE, "anomaly": "odd"}, length="input")).build()
    scores = build.evaluate()
    assert "auroc" not in scores.metrics
    assert any("has no column 'odd'" in warning for warning in scores.warnings)
    for each in (0, 1):  # one side alone has no curve
        Path("one.jsonl").write_text(
            "\n".join(json.dumps({**row, "odd": each}) for row in plain) + "\n"
        )
        scores = build.evaluate("one.jsonl")
        assert "auroc" not in scores.metrics
        assert any(f"is {each} in every row" in warning for warning in scores.warnings)
    wrong = [{**row, "odd": 2} for row in plain]
    Path("other.jsonl").write_text("\n".join(map(json.dumps, wrong)) + "\n")
    with pytest.raises(DataError, match="has 2 where 0 or 1 says"):
        build.evaluate("other.jsonl")


def test_a_learned_length_is_measured(folder: Path) -> None:
    settings = spec(WAVE, {"column": "begin", "as": "frames"}, teacher_forcing=0.5)
    settings["train"] = {**TRAIN, "epochs": 12, "metrics": ["r2"]}
    build = rnnspec.load(settings).build()
    metrics, rows = build.evaluate().metrics, waves(24, 1, 0.5)
    found = answered(build, rows)
    both = [(row["begin"], answer["begin"]) for row, answer in zip(rows, found, strict=True)]
    away = [abs(len(true) - len(wave)) for true, wave in both]
    assert metrics["length_error"] == pytest.approx(np.mean(away))
    pairs = [each for true, wave in both for each in zip(true, wave, strict=False)]
    true, wave = (np.array(side) for side in zip(*pairs, strict=True))
    assert metrics["r2"] == pytest.approx(r2_score(true, wave), rel=1e-3)


def test_lengths_of_rows_and_of_the_spec(folder: Path) -> None:
    inputs = [{"column": "steps", "as": "number"}, {"column": "phase", "as": "number"}]
    by_column = spec(inputs, WAVE, "1:N", length={"column": "steps"})
    found = answered(rnnspec.load(by_column).build(), waves(5, 3))
    assert [len(answer["wave"]) for answer in found] == [row["steps"] for row in waves(5, 3)]
    fixed = rnnspec.load(spec(WAVE, {"column": "three", "as": "frames"}, length=4))
    with pytest.raises(DataError, match="has 3 frames, and decoder"):
        fixed.build()


def test_controls_are_read_as_steps_are_written(folder: Path) -> None:
    """What a control says at a step changes the frames from there on, and none before."""
    inputs = [{"column": "phase", "as": "number"}, {"column": "begin", "as": "frames"}]
    rows = [{**row, "begin": row["wave"][::-1]} for row in waves(20, 0)]
    lines = "\n".join(map(json.dumps, rows)) + "\n"
    for name in ("train.jsonl", "valid.jsonl"):
        Path(name).write_text(lines)
    build = rnnspec.load(spec(inputs, WAVE, "1:N", length="input", inputs=["begin"])).build()
    row = rows[0]
    other = {**row, "begin": [*row["begin"][:2], [0.0, 0.0], *row["begin"][3:]]}
    one, two = (np.array(each["wave"]) for each in answered(build, [row, other]))
    assert one.shape == np.shape(row["wave"])
    np.testing.assert_allclose(one[:2], two[:2])
    assert not np.isclose(one[2], two[2]).any()


def test_controls_are_read_from_the_end_of_each_row(folder: Path) -> None:
    """Written from the last frame on, what a control says at a step changes the frames before."""
    inputs = [{"column": "phase", "as": "number"}, {"column": "wave", "as": "frames"}]
    settings = spec(inputs, {"column": "back", "as": "frames"}, "1:N", length="input",
        inputs=["wave"], reverse=True)  # fmt: skip
    settings["train"] = {**TRAIN, "epochs": 1}
    rows = [{**row, "back": row["wave"][::-1]} for row in waves(12, 0)]
    for name in ("train.jsonl", "valid.jsonl"):
        Path(name).write_text("\n".join(map(json.dumps, rows)) + "\n")
    build = rnnspec.load(settings).build()
    row = next(each for each in rows if len(each["wave"]) < 8)
    other = {**row, "wave": [*row["wave"][:2], [0.0, 0.0], *row["wave"][3:]]}
    one, two = (np.array(each["back"]) for each in answered(build, [row, other]))
    np.testing.assert_allclose(one[3:], two[3:])
    assert not np.isclose(one[:3], two[:3]).any()


def test_missing_frames_are_left_out(folder: Path) -> None:
    """Of nulls the moments, the loss and the errors are those of the other numbers, and the decoder
    is fed with the mean; a length that ends in null is not known."""
    rows = waves(24, 1)
    for number, row in enumerate(rows):
        row["holes"] = [*row["wave"]]
        row["holes"][number % (len(row["wave"]) - 1)] = None if number % 2 else [None, 0.5]
    write = Path("valid.jsonl").write_text
    write("\n".join(map(json.dumps, rows)) + "\n")
    Path("train.jsonl").write_text(Path("valid.jsonl").read_text())
    settings = spec(WAVE, {"column": "holes", "as": "frames", "missing": "skip"}, min_steps=2)
    build = rnnspec.load(settings).build()
    metrics, model = build.evaluate().metrics, build.module.model
    weights, true = model.canonical_arrays(), []
    for row in rows:
        frames = [each or [None, None] for each in row["holes"]]
        true.append(np.array(frames, np.float64))
    every = np.concatenate(true)
    mean, deviation = weights["output.holes.mean"], weights["output.holes.deviation"]
    np.testing.assert_allclose(mean, np.nanmean(every, axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, np.nanstd(every, axis=0), rtol=1e-4)
    raw = raw_outputs(model.plan, weights, rows, [{"holes": one} for one in true])["holes"]
    total = 0.0
    for numbers, one in zip(raw, true, strict=True):
        total += float(np.nansum((numbers[:-1, :2] - (one - mean) / deviation) ** 2))
        stops = np.arange(len(numbers)) == len(one)
        total += 2 * float(np.logaddexp(0, np.where(stops, -1, 1) * numbers[:, -1]).sum())
    assert metrics["loss"] == pytest.approx(total / (~np.isnan(every)).sum(), rel=1e-4)
    away = []
    for answer, one in zip(answered(build, rows), true, strict=True):
        found = np.array(answer["holes"]).reshape(-1, 2)
        both = min(len(found), len(one))
        away.append(np.abs(found[:both] - one[:both]).ravel())
    assert metrics["mae"] == pytest.approx(np.nanmean(np.concatenate(away)), rel=1e-4)
    rows[3]["holes"][-1] = None
    write("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(DataError, match="ends with a frame of null alone"):
        rnnspec.load({**settings, "name": "ends"}).build()


def test_a_line_by_hand() -> None:
    """1:N of dense layers alone: y[t] = a y[t - 1] + c x + b, from y = 0, whose closed form is
    (c x + b) (1 - a^t) / (1 - a)."""
    data = written(("number",), "1:N", length=6, layers=[{"dense": 1}], start_from="auto")
    data["data"]["input"][0] = {"column": "number", "as": "number", "scale": "none"}
    data["data"]["output"][0]["scale"] = "none"
    plan, facts = plan_of(data)
    weights = strong_weights(plan)
    a, c, b = 0.6, 0.5, 0.25
    weights["decoder.layers.0.W"] = np.array([[a, 0.0, c]], np.float32)
    weights["decoder.layers.0.b"] = np.array([b], np.float32)
    weights["decoder.answer.W"] = np.array([[1.0], [0.0]], np.float32)
    weights["decoder.answer.b"] = np.zeros(2, np.float32)
    rows = [{"number": np.array([x])} for x in (2.0, -1.0)]
    steps = np.arange(1, 7)
    model = Model(plan).eval()
    model.load_canonical(weights)
    batch = {"number": (torch.tensor([[2.0], [-1.0]]), torch.ones(2, dtype=torch.int64))}
    by_torch = model.answers(batch)["out_frames"]
    assert isinstance(by_torch, Frames)
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString())
    by_onnx = session.run(feeds(plan, [{"number": np.array([x], np.float32)} for x in (2.0, -1.0)]))
    by_reference = answers(plan, weights, rows)["out_frames"]
    for number, x in enumerate((2.0, -1.0)):
        expected = (c * x + b) * (1 - a**steps) / (1 - a)
        for found in (
            by_torch.values[number], by_onnx["out_frames"][number], by_reference[number].values
        ):  # fmt: skip
            np.testing.assert_allclose(np.asarray(found)[:, 0], expected, rtol=1e-5)


def test_frames_of_a_mixture_are_trained_by_their_density(folder: Path) -> None:
    """The loss is -ln of the density of each frame after the true ones before it, and of the
    number that says stop; the file answers the parameters after its own frames."""
    mixture = {"mixture": {"components": 2, "correlated": True}}
    settings = spec(WAVE, {"column": "begin", "as": "frames", "distribution": mixture})
    settings["train"] = {**TRAIN, "metrics": ["crps", "coverage@90"]}
    build = rnnspec.load(settings).build()
    metrics, rows = build.evaluate().metrics, waves(24, 1, 0.5)
    model = build.module.model
    plan, weights = model.plan, model.canonical_arrays()
    true = [np.array(row["begin"]).reshape(-1, 2) for row in rows]
    raw = raw_outputs(plan, weights, rows, [{"begin": one} for one in true])["begin"]
    scale = weights["output.begin.mean"], weights["output.begin.deviation"]
    total = sum(surprise(*pair, *scale) for pair in zip(raw, true, strict=True))
    assert metrics["loss"] == pytest.approx(total / sum(each.size for each in true), rel=1e-4)
    assert 0 < metrics["crps"] < 20 and 0.5 < metrics["coverage@90"] <= 1
    for answer in answered(build, rows):
        shares, means = np.array(answer["begin.weights"]), np.array(answer["begin.means"])
        assert shares.shape[:1] == means.shape[:1] == (len(answer["begin"]),)
        if len(shares):
            np.testing.assert_allclose((shares[..., None] * means).sum(1), answer["begin"], 1e-3)


def surprise(raw: Any, true: Any, mean: Any, deviation: Any) -> float:
    """Of a row: two components with a correlation by scipy, then the steps that say stop."""
    found = 0.0
    for numbers, frame in zip(raw, true, strict=False):
        one, other = (float(np.log(part)) for part in softmax(numbers[:2]))
        logs = [
            share
            + normal(
                numbers[2 + 2 * at : 4 + 2 * at],
                numbers[6 + 2 * at : 8 + 2 * at],
                numbers[10 + at],
                mean,
                deviation,
            ).logpdf(frame)
            for at, share in enumerate((one, other))
        ]
        found -= float(np.logaddexp(*logs))
    stops = np.arange(len(raw)) == len(true)
    return found + 2 * float(np.logaddexp(0, np.where(stops, -raw[:, -1], raw[:, -1])).sum())


def normal(centre: Any, size: Any, turned: Any, mean: Any, deviation: Any) -> Any:
    sizes = np.log1p(np.exp(size)) * deviation
    together = 0.999 * np.tanh(turned) * sizes.prod()
    covariance = [[sizes[0] ** 2, together], [together, sizes[1] ** 2]]
    return multivariate_normal(centre * deviation + mean, covariance)
