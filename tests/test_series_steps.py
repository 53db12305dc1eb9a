"""Tables whose rows are steps that are each answered: series read whole, or window by window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.data import Reading, encode, survey
from rnnspec.data.shards import Shards
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.export.write import export_onnx
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import ClassFacts, NumericFacts, resolve
from rnnspec.run import Model as ModelFile
from rnnspec.run.series import from_table, reading_of
from rnnspec.spec import Spec, Train
from rnnspec.spec.check import findings
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.train.feed import StreamFeed
from rnnspec.train.step import TrainStep
from tests.data_rows import any_spec, encoded, trouble, whole, write_rows

LOAD = {"column": "load", "as": "series", "missing": "previous"}
HEAT = {"column": "heat", "as": "series", "scale": "robust"}
PLACE = {"column": "place", "as": "category", "embed": 2, "join": "state"}
STATE = {"column": "state", "as": "tags"}
LEVEL = {"column": "level", "as": "frames"}
NEXT = {"column": "load", "as": "next"}
SERIES = {"time": "time", "id": "id"}
LENGTHS = {"a": 7, "b": 23, "c": 2}


def rows_of(seed: int = 0) -> list[dict[str, Any]]:
    """Three series whose rows stand among each other, in the order of time."""
    draw = np.random.default_rng(seed)
    return [
        {
            "time": step,
            "id": name,
            "place": name.upper(),
            "load": "" if draw.random() < 0.3 else round(float(draw.normal()), 3),
            "heat": round(float(draw.normal()), 3),
            "state": str(draw.choice(["up and on", "down", ""])),
            "level": "" if draw.random() < 0.2 else round(float(draw.normal()), 3),
        }
        for step in range(max(LENGTHS.values()))
        for name, length in LENGTHS.items()
        if step < length
    ]


def spec_of(inputs: Any, outputs: Any, window: int | None = None, **data: Any) -> Spec:
    train = {} if window is None else {"window": window, "batch": 2}
    return any_spec("N:N", inputs, outputs, train, series=SERIES, **data)


def of(rows: list[dict[str, Any]], name: str, column: str) -> list[Any]:
    return [row[column] for row in rows if row["id"] == name]


def known(values: list[Any]) -> list[float]:
    return [np.nan if value == "" else value for value in values]


def test_each_row_is_a_step_of_its_series(tmp_path: Path) -> None:
    rows = rows_of()
    spec = spec_of([LOAD, HEAT, PLACE], [STATE, LEVEL])
    facts, data = encoded(spec, write_rows(tmp_path / "rows.csv", rows))
    assert facts.rows == data.rows == 3
    states, levels = facts.outputs["state"], facts.outputs["level"]
    assert isinstance(states, ClassFacts) and states.labels == ("down", "up and on")
    assert isinstance(levels, NumericFacts) and levels.width == 1
    assert levels.mean == pytest.approx([np.nanmean(known([row["level"] for row in rows]))])
    batch = whole(data)
    for number, (name, length) in enumerate(LENGTHS.items()):
        loads, lengths = batch.inputs["load"]
        assert int(lengths[number]) == length
        np.testing.assert_allclose(
            loads[number, :length, 0], np.array(known(of(rows, name, "load")), np.float32)
        )
        labels = [("down", "up and on", "").index(s) for s in of(rows, name, "state")]
        expected = [-1 if label == 2 else label for label in labels]
        assert batch.targets["state"][number].tolist() == expected + [-1] * (23 - length)
        levels_found = batch.targets["level"][number, :length, 0]
        np.testing.assert_allclose(
            levels_found, np.array(known(of(rows, name, "level")), np.float32)
        )
        assert np.isnan(batch.targets["level"][number, length:]).all()
    places = batch.inputs["place"][0].tolist()
    assert len(set(places)) == 3 and data.lines.tolist() == [2, 3, 4]


def test_the_next_value_of_a_series(tmp_path: Path) -> None:
    rows = rows_of()
    _, data = encoded(spec_of([LOAD, HEAT], NEXT), write_rows(tmp_path / "rows.csv", rows))
    batch = whole(data)
    for number, (name, length) in enumerate(LENGTHS.items()):
        expected = [*known(of(rows, name, "load"))[1:], np.nan]
        found = batch.targets["load"][number, :length, 0]
        np.testing.assert_allclose(found, np.array(expected, np.float32))


def test_a_share_is_the_end_of_each_series(tmp_path: Path) -> None:
    rows = rows_of()
    file = write_rows(tmp_path / "rows.csv", rows)
    spec = spec_of([HEAT], {"column": "heat", "as": "next"}, valid=0.25)
    _, train = encoded(spec, file, rows="train", share=0.25)
    _, valid = encoded(spec, file, rows="valid", share=0.25)
    assert (train.ends - train.starts).tolist() == [6, 18, 2]
    assert (valid.ends - valid.starts).tolist() == [1, 5]
    values = of(rows, "b", "heat")
    np.testing.assert_allclose(
        whole(valid).inputs["heat"][0][1, :, 0], np.array(values[18:], np.float32)
    )
    assert np.isnan(whole(train).targets["heat"][1, 17, 0])  # the next one is not for training


@pytest.mark.parametrize("outputs", [[STATE, LEVEL], NEXT], ids=["labels", "next"])
def test_windows_carry_states_and_a_file_answers(outputs: Any, tmp_path: Path) -> None:
    """Measured as whole rows, trained a step, exported with its proof, and asked with the table."""
    file = write_rows(tmp_path / "rows.csv", rows_of())
    spec = spec_of([LOAD, HEAT, PLACE], outputs, window=4)
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    data = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache")
    model = Model(plan)
    model.start(facts, seed=1)
    train_step = TrainStep(model.train(), spec.train, loss_settings=loss_settings_of(spec, facts))
    for micro_batch in StreamFeed(data, spec.train).micro_batches(0, 0):
        assert np.isfinite(train_step.step([micro_batch]).loss)
    wide, goals = Precision(name="float64"), loss_settings_of(spec, facts)
    model.to(torch.float64)
    expected, _ = evaluate(model, data, Train(), goals, precision=wide)
    for batch, window in ((1, 1), (2, 3), (3, 50)):
        settings = Train(batch=batch, window=window)
        found, _ = evaluate(model, data, settings, goals, precision=wide)
        assert found == pytest.approx(expected, rel=1e-9)
    weights = model.float().eval().canonical_arrays()
    trained = Trained(BuildFolder(tmp_path), spec, plan, facts, weights)
    assert export_onnx(trained, tmp_path / "model.onnx").rows > 0
    exported = ModelFile.load(tmp_path / "model.onnx", threads=1)
    reading = reading_of(exported)
    assert reading.series is not None
    table = from_table(
        exported, Shards.of(file), reading.series, replace(reading.how, format="csv")
    )
    asked = [row for _, row in table.rows()]
    for series, answer in zip(table.series, exported.answers_or_errors(asked), strict=True):
        assert isinstance(answer, dict)
        for output in spec.data.outputs:
            assert len(answer[output.column]) == LENGTHS[series.name]


def test_a_long_series_is_for_windows(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("load\n" + "\n".join(str(step % 7) for step in range(100_001)) + "\n")
    load = {"column": "load", "as": "series"}
    plain = any_spec("N:N", load, NEXT, series={})
    assert trouble(plain, file) == (
        "FILE:2: the only series has 100,001 steps, and a row may have 100,000; read it window by "
        "window, with train.window"
    )
    _, data = encoded(any_spec("N:N", load, NEXT, {"window": 50}, series={}), file)
    assert data.windows(20, 50) == 101 and data.rows == 1


def test_a_share_of_nothing(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.csv", rows_of()[:9])
    assert "takes no step of any series; set data.valid to a larger share" in trouble(
        spec_of([HEAT], {"column": "heat", "as": "next"}, valid=0.1), file
    )


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "history": ({"series": {"history": 5}}, "answers each step of a whole series"),
    "window": ({"input": {**LOAD, "scale": "window"}}, "looks at all steps"),
    "known": ({"input": {**LOAD, "known": True}}, "has no effect without an output"),
    "keys": ({"output": {"column": "state", "as": "keys"}}, "a row here is one step"),
    "no table": ({"series": None}, "says how the rows of the table make series"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_steps_of_series_do_not_have(name: str) -> None:
    more, message = WRONG[name]
    data = {"train": "rows.csv", "series": SERIES, "input": LOAD, "output": STATE, **more}
    spec = Spec.model_validate(
        {
            "name": "test",
            "cardinality": "N:N",
            "data": data,
            "encoder": {"layers": [{"cell": "gru", "units": 3}]},
        }
    )
    (finding,) = findings(spec)
    assert message in finding.message and finding.hint
