"""Numbers that float32 cannot hold: right in training, in figures and in the exported file.

What is right is worked out in NumPy from the answers of the exported file and the raw values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.cli.answers import as_text
from rnnspec.data import survey
from rnnspec.errors import DataError
from rnnspec.export import export_onnx
from rnnspec.plan import NumericFacts, dump
from rnnspec.plan.facts import MOST_LOST
from rnnspec.plan.precision import doubles, note_on_doubles
from rnnspec.run import Model
from rnnspec.source.emit import to_yaml
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Heard
from rnnspec.store.folder import Trained, read_build
from rnnspec.train.build import build

Row = Mapping[str, Any]
GRU = {"layers": [{"cell": "gru", "units": 4}]}


def spec_file(folder: Path, cardinality: str, data: Row, rows: Sequence[Row], **more: Any) -> Path:
    lines = [json.dumps(row) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    train = {"epochs": 1, "batch": 20, "threads": 1, "optimizer": {"adam": {"lr": 0.02}}}
    spec: dict[str, Any] = {
        "name": "doubles",
        "cardinality": cardinality,
        "data": {"train": "rows.jsonl", "valid": 0.2, **data},
        **more,
    }
    spec["train"] = train | more.get("train", {})
    if cardinality[0] == "N":
        spec["encoder"] = GRU
    (folder / "doubles.yaml").write_text(to_yaml(spec))
    return folder / "doubles.yaml"


def built(folder: Path, *spec: Any, **more: Any) -> tuple[Mapping[str, float], Trained, list[str]]:
    """The figures of a build, the build, and what was warned of."""
    heard = Heard()
    file = spec_file(folder, *spec, **more)
    result = build(load_spec(file), folder / "builds", heard)
    return result.metrics, read_build(result.folder), heard.warnings


def exported(folder: Path, trained: Trained) -> Model:
    """The file, proven."""
    export_onnx(trained, folder / "model.onnx")
    return Model.load(folder / "model.onnx", threads=1)


def of_graph(model: Model) -> dict[str, str]:
    session = model.session._session
    return {each.name: each.type for each in (*session.get_inputs(), *session.get_outputs())}


OFFSET = [{"x": at % 2, "y": 1e7 + at % 20 / 100} for at in range(200)]
NUMBERS = {"input": {"column": "x", "as": "number"}, "output": {"column": "y", "as": "number"}}


def test_the_error_of_targets_that_float32_takes_for_one_number(tmp_path: Path) -> None:
    """10000000.00 to 10000000.19: the mean of x = 0 and of x = 1 differ by 0.01, so that no answer
    can have a mean absolute error below 0.0499; in float32 all are 10000000."""
    metrics, trained, _ = built(tmp_path, "1:1", NUMBERS, OFFSET, train={"epochs": 3})
    model = exported(tmp_path, trained)
    assert of_graph(model)["y"] == "tensor(double)"
    assert of_graph(model)["x"] == "tensor(float)"
    told = np.array([answer["y"] for answer in model.answer(OFFSET)])
    (answer,) = model.answer([{"x": 1}])
    assert 10000000 < float(as_text(model.outputs, answer)) < 10000001  # .6g would say 1e+07
    error = np.abs(told - [row["y"] for row in OFFSET])
    assert 0.04 < error.mean() < 0.1
    assert metrics["mae"] == pytest.approx(error.mean(), rel=0.25)  # of a fifth of these rows


SECONDS: list[dict[str, Any]] = [
    {"at": 1.7e9 + 7 * (at * 31 % 40), "late": "yes" if at * 31 % 40 >= 20 else "no"}
    for at in range(200)
]


def wrapped(kind: str, value: float) -> Any:
    return {"number": value, "vector": [value, 1], "frames": [[value], [value]]}[kind]


@pytest.mark.parametrize("kind", ["number", "vector", "frames"])
def test_unix_seconds_as_a_feature(tmp_path: Path, kind: str) -> None:
    """280 seconds in steps of 7, where float32 tells 128 apart: the first half from the second."""
    rows = [{**row, "at": wrapped(kind, row["at"])} for row in SECONDS]
    data = {"input": {"column": "at", "as": kind}, "output": {"column": "late", "as": "class"}}
    train = {"epochs": 12, "optimizer": {"adam": {"lr": 0.1}}}
    cardinality = "N:1" if kind == "frames" else "1:1"
    metrics, trained, _ = built(tmp_path, cardinality, data, rows, train=train)
    assert metrics["accuracy"] > 0.9
    assert doubles(trained.plan) == ("at",)
    assert "double=True" in dump(trained.plan)
    assert "numbers of 'at' are float64 in this file" in note_on_doubles(trained.plan)
    model = exported(tmp_path, trained)
    assert of_graph(model)["at"] == "tensor(double)"
    assert model.inputs[0].double
    told = [answer["late"] for answer in model.answer(rows)]
    assert np.mean([one == row["late"] for one, row in zip(told, rows, strict=True)]) > 0.9


def prices(offset: float) -> list[Row]:
    return [{"n": at, "price": offset + math.sin(at / 3) + at * 7 % 5 / 10} for at in range(120)]


@pytest.mark.parametrize("scale", ["standard", "robust", "window"])
@pytest.mark.parametrize("more", [{}, {"decoder": {"layers": [{"cell": "gru", "units": 4}]}}])
def test_prices_far_from_zero_are_forecast_as_those_near_it(
    tmp_path: Path, scale: str, more: Row
) -> None:
    found = []
    for number, offset in enumerate((0.0, 1e8)):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = {
            "series": {"time": "n", "history": 8},
            "input": {"column": "price", "as": "series", "scale": scale},
            "output": {"column": "price", "as": "forecast", "horizon": 3},
        }
        metrics, trained, _ = built(folder, "N:M", data, prices(offset), **more)
        model = exported(folder, trained)
        double = "tensor(double)" if offset else "tensor(float)"
        assert {of_graph(model)[name] for name in ("price", "price.forecast")} == {double}
        past = [{"price": [row["price"] for row in prices(offset)[-8:]]}]
        (answer,) = model.answer(past)
        found.append([metrics["mae"], metrics["skill"], *(np.array(answer["price"]) - offset)])
    assert found[1] == pytest.approx(found[0], rel=1e-3, abs=1e-3)


def test_columns_that_float32_holds_are_as_before(tmp_path: Path) -> None:
    """Whole numbers below 2^24 lose nothing, however far from 0; nor do numbers of a few digits."""
    rows = [{"x": 16_000_000 + at % 3, "y": 20.1 + at % 7 / 10} for at in range(50)]
    file = spec_file(tmp_path, "1:1", NUMBERS, rows)
    facts = survey(load_spec(file).spec, tmp_path / "rows.jsonl")
    x, y = facts.inputs["x"], facts.outputs["y"]
    assert isinstance(x, NumericFacts) and isinstance(y, NumericFacts)
    assert x.lost == ()
    assert 0 < y.lost[0] < 1e-5 < MOST_LOST
    assert not x.is_double() and not y.is_double()


def test_where_nothing_is_taken_off_the_loss_is_told(tmp_path: Path) -> None:
    data = {
        "input": {"column": "at", "as": "number", "scale": "none"},
        "output": {"column": "late", "as": "class"},
    }
    _, trained, warnings = built(tmp_path, "1:1", data, SECONDS)
    assert doubles(trained.plan) == ()
    (told,) = (text for text in warnings if "'at'" in text)
    assert "float32 tells such numbers apart by 128 only; write 'scale: standard'" in told


@pytest.mark.parametrize("row", [{"x": 2**53 + 1, "y": 1}, {"x": -(10**17) - 1, "y": 1}])
def test_whole_numbers_that_float64_does_not_hold_are_refused(tmp_path: Path, row: Row) -> None:
    rows = [{"x": at, "y": 0.5 * at} for at in range(30)]
    file = spec_file(tmp_path, "1:1", NUMBERS, [*rows, row])
    match = f"x.*is {row['x']}, and whole numbers beyond 2.53 are not exact in float64; read it as"
    with pytest.raises(DataError, match=match):
        survey(load_spec(file).spec, tmp_path / "rows.jsonl")
    kept = {**row, "x": row["x"] // 128 * 128}
    file = spec_file(tmp_path, "1:1", NUMBERS, [*rows, kept])
    survey(load_spec(file).spec, tmp_path / "rows.jsonl")
    text = [{**each, "x": f"id {each['x']}"} for each in [*rows, row]]
    file = spec_file(tmp_path, "1:1", {**NUMBERS, "input": {"column": "x", "as": "category"}}, text)
    survey(load_spec(file).spec, tmp_path / "rows.jsonl")
