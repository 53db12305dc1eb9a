"""rnnspec in Python: rows in memory in, answers of their form out; somebody's own loop; errors."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import rnnspec
from rnnspec.cli.export import export as command
from rnnspec.data.memory import memory_rows
from rnnspec.export import OnnxOptions
from rnnspec.source.yaml12 import load
from tests import tiny
from tests.test_api_docs import ROWS, SPEC

COUNT = 7
OF_ROWS = [name for name in tiny.SPECS if name not in ("stream", "chords", "gaussian", "counts")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("api")
    tiny.write_data(found)
    return found


_builds: dict[str, rnnspec.Build] = {}


def untrained(kind: str, folder: Path) -> rnnspec.Build:
    """A build with the weights that training starts from, one for each kind."""
    if kind not in _builds:
        spec: dict[str, Any] = {**tiny.SPECS[kind], "name": kind}
        path = folder / f"{kind}.yaml"
        path.write_text(rnnspec.load(spec).yaml)
        _builds[kind] = rnnspec.load(path).build(folder / "builds", train=False)
    return _builds[kind]


def rows_for(kind: str) -> list[dict[str, Any]]:
    if kind in ("point", "quantiles"):
        draw = np.random.default_rng(0)
        return [{"load": draw.normal(10, 2, 12).tolist()} for _ in range(COUNT)]
    return tiny.rows(COUNT, 5)


# ---------------------------------------------------------------- what is loaded


def loaded_after(code: str, folder: Path) -> set[str]:
    report = "\nimport sys\nprint('loaded:', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + report], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_the_options_of_an_export_are_those_of_the_command() -> None:
    """Their names and their defaults, in Python, on the command line and behind both."""
    named = {each.name: each.default for each in fields(OnnxOptions) if each.name != "output"}
    keywords = inspect.signature(rnnspec.Build.export).parameters.values()
    in_python = {each.name: each.default for each in keywords if each.kind is each.KEYWORD_ONLY}
    assert in_python == named
    in_command = {
        each.name: each.default
        for each in inspect.signature(command).parameters.values()
        if each.name in named
    }
    assert in_command == named


def test_nothing_is_loaded_before_it_is_needed(folder: Path) -> None:
    heavy = {"torch", "onnx", "onnxruntime", "numpy", "pandas", "polars", "narwhals", "pyarrow"}
    untrained("class", folder)
    loaded = loaded_after("import rnnspec; rnnspec.load('class.yaml').check()", folder)
    assert not loaded & heavy and "pydantic" in loaded
    _builds["class"].export(folder / "class.onnx")
    ask = "import rnnspec; rnnspec.open('class.onnx').predict(['red one'])"
    assert loaded_after(ask, folder) & heavy == {"onnxruntime", "numpy"}


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("kind", OF_ROWS)
def test_answers_come_in_the_form_of_the_rows(folder: Path, kind: str) -> None:
    build, rows = untrained(kind, folder), rows_for(kind)
    answers = build.predict(rows)
    assert len(answers) == COUNT and build.predict(iter(rows)) == answers
    keys = list(answers[0])
    frame = pd.DataFrame(rows, index=[f"row {n}" for n in range(COUNT)])
    found = build.predict(frame)
    assert isinstance(found, pd.DataFrame) and list(found.index) == list(frame.index)
    assert list(found.columns) == keys
    assert found.to_dict("records") == answers
    found = build.predict(pl.DataFrame(rows))
    assert isinstance(found, pl.DataFrame) and found.columns == keys
    main = next(iter(keys))
    assert found[main].to_list() == [each[main] for each in answers]
    found = build.predict(pa.Table.from_pylist(rows))
    assert isinstance(found, pa.Table) and found[main].to_pylist() == [a[main] for a in answers]
    columns = build.predict({name: [row[name] for row in rows] for name in rows[0]})
    assert columns == {name: [each[name] for each in answers] for name in keys}


def test_values_of_the_only_column_are_answered_alone(folder: Path) -> None:
    build = untrained("class", folder)
    texts = [row["text"] for row in tiny.rows(COUNT, 5)]
    expected = [each["first"] for each in build.predict([{"text": text} for text in texts])]
    assert build.predict(texts) == expected
    found = build.predict(np.array(texts, object))
    assert isinstance(found, np.ndarray) and found.tolist() == expected
    series = build.predict(pd.Series(texts, index=range(3, 3 + COUNT)))
    assert isinstance(series, pd.Series) and series.name == "first"
    assert series.to_dict() == dict(zip(range(3, 3 + COUNT), expected, strict=True))
    assert build.predict(pl.Series("x", texts)).to_list() == expected
    two = untrained("two", folder).predict(np.array(texts))
    assert set(two) == {"first", "length"} and two["length"].shape == (COUNT,)


def test_arrays_are_answered_with_arrays(folder: Path) -> None:
    build = untrained("point", folder)
    windows = np.array([row["load"] for row in rows_for("point")])
    found = build.predict(windows)
    assert found.shape == (COUNT, 4)
    assert np.array_equal(build.predict({"load": windows})["load"], found)


def test_no_rows_have_no_answers(folder: Path) -> None:
    build = untrained("class", folder)
    assert build.predict([]) == []
    empty = build.predict(pd.DataFrame({"text": []}))
    assert list(empty.columns) == ["first"] and len(empty) == 0


def test_steps_of_series_are_answered_step_by_step(folder: Path) -> None:
    build = untrained("quantiles", folder)
    steps = [{"n": n, "load": 10.0 + n % 12} for n in range(30)]
    (whole,) = build.predict([{"load": [row["load"] for row in steps[-12:]]}])
    answers = build.predict(steps)
    assert [each["n"] for each in answers] == [30, 31, 32, 33]
    assert [each["load"] for each in answers] == whole["load"]
    assert answers[1]["load.quantiles"] == {
        share: values[1] for share, values in whole["load.quantiles"].items()
    }
    frame = build.predict(pd.DataFrame(steps))
    assert frame["load"].to_list() == whole["load"] and frame["n"].to_list() == [30, 31, 32, 33]


def test_dates_of_frames_are_times_of_series(tmp_path: Path) -> None:
    spec = {
        "name": "shops",
        "cardinality": "N:M",
        "data": {
            "valid": 0.3,
            "series": {"id": "shop", "time": "day", "history": 6, "every": "day"},
            "input": {"column": "sold", "as": "series", "scale": "window"},
            "output": {"column": "sold", "as": "forecast", "horizon": 2},
        },
        **tiny.GRU,
    }
    days = pd.date_range("2024-01-01", periods=40)
    parts = [
        pd.DataFrame({"shop": shop, "day": days, "sold": np.arange(40) % 7 + at})
        for at, shop in enumerate("ab")
    ]
    frame = pd.concat(parts)
    build = rnnspec.load(spec).build(tmp_path, data={"train": frame}, train=False)
    found = build.predict(frame)
    assert found["shop"].to_list() == ["a", "a", "b", "b"]
    ahead = [pd.Timestamp("2024-02-10"), pd.Timestamp("2024-02-11")] * 2
    assert found["day"].dtype.kind == "M" and found["day"].to_list() == ahead
    with pytest.raises(rnnspec.DataError, match=r"^the rows: row 40: column 'sold' is the text"):
        build.predict(frame.assign(sold=[*range(39), "x", *range(40)]))
    assert build.predict(pl.from_pandas(frame))["sold"].to_list() == found["sold"].to_list()


def test_a_language_model_writes_on(folder: Path) -> None:
    build = untrained("next", folder)
    found = build.predict(pd.DataFrame({"text": ["re", "on"]}), generate=5, strategy="sample")
    assert found["text"].str.len().to_list() == [7, 7]
    assert build.predict(["re", "on"], generate=5, strategy="sample") == found["text"].to_list()


def test_an_opened_file_answers_as_the_build(folder: Path) -> None:
    build, frame = untrained("text", folder), pd.DataFrame(rows_for("text"))
    model = rnnspec.open(build.export(folder / "text.onnx").path)
    pd.testing.assert_frame_equal(model.predict(frame), build.predict(frame))
    assert "reads text (words)" in repr(model) and "<td>text</td>" in model._repr_html_()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"text": "red"}, "column 'text' is one str, and columns are lists or arrays; give a row"),
        ("red", "str where rows are expected: a list with a dict for each row"),
        ([{"text": "red"}, "one"], "row 2: is no dict, as the rows before it"),
        ([{"text": "red"}, {"text": 3}], "row 2: column 'text' is the number 3, expected a text"),
        ([{"text": "red"}, {"txt": "red"}], "row 2: column 'text' is missing"),
        (pd.DataFrame({"texts": ["a"]}), "there is no column 'text'; did you mean 'texts'?"),
        (pl.LazyFrame({"text": ["a"]}), "LazyFrame where rows are expected; call its collect()"),
        (np.array(3), "an array without an axis of rows"),
        ({"text": ["a"], "more": [1, 2]}, None),
        (3, "int where rows are expected"),
    ],
)
def test_rows_that_cannot_be_answered(folder: Path, rows: Any, message: str | None) -> None:
    build = untrained("class", folder)
    if message is None:
        assert len(build.predict(rows)["first"]) == 1  # other columns are ignored
        return
    with pytest.raises(rnnspec.DataError) as error:
        build.predict(rows)
    assert str(error.value).startswith(message)


# ---------------------------------------------------------------- data in memory


def test_frames_train_as_files_do(folder: Path, tmp_path: Path) -> None:
    spec = rnnspec.load(folder / "two.yaml") if "two" in _builds else untrained("two", folder).spec
    rows, valid = tiny.rows(60, 0), tiny.rows(24, 1)
    told = list[rnnspec.Event]()
    by_file = spec.build(tmp_path / "file", on_event=told.append)
    data = {"train": pd.DataFrame(rows), "valid": pl.DataFrame(valid)}
    by_frame = spec.build(tmp_path / "frame", data=data)
    assert by_file.metrics == by_frame.metrics and len(by_file.history) == 2
    assert [each.kind for each in told].count("epoch_done") == 2
    assert {"stage", "reading", "begun", "batch"} < {each.kind for each in told}
    assert str(told[0]) == "stage: reading the data"
    assert by_frame.evaluate().metrics == by_frame.evaluate(valid).metrics  # both are kept
    assert by_frame.report is not None and by_frame.state == "finished"
    assert [each.path for each in rnnspec.builds(tmp_path / "frame")] == [by_frame.path]
    assert rnnspec.builds(by_frame.path)[0].last.predict(["red one"])
    assert "<svg" in by_frame._repr_html_() and "first.accuracy" in repr(by_frame)


def test_errors_name_the_row_in_memory(tmp_path: Path) -> None:
    spec = rnnspec.load(SPEC.replace("  train: rows.jsonl\n", ""))
    with pytest.raises(rnnspec.DataError, match=r"no data.train; give data=\{'train': rows\}"):
        spec.build(tmp_path)
    for rows, message in (
        ([*ROWS, {"word": 3, "kind": "noun"}], "data['train']: row 5: column 'word' is the number"),
        ([*ROWS, {"word": "a"}], "data['train']: row 5: there is no key 'kind'"),
        ([{"word": {1}, "kind": "a"}], "data['train']: row 1: holds a value of the type set"),
        (pd.DataFrame({"word": ["a"]}), "data['train']: there is no column 'kind'"),
        ([], "data['train']: the file is empty"),
    ):
        with pytest.raises(rnnspec.DataError) as error:
            spec.build(tmp_path, data={"train": rows})
        assert str(error.value).startswith(message)
    with pytest.raises(rnnspec.DataError, match="did you mean 'train'"):
        spec.build(tmp_path, data={"trian": ROWS})
    with pytest.raises(rnnspec.SpecError) as wrong:
        rnnspec.load(SPEC, set={"train.epochs": -1, "data.quoting": "none"}).build(
            tmp_path, data={"train": ROWS}
        )
    assert wrong.value.problems[0].file == "set"
    assert "trained weights" in spec.show(data={"train": ROWS})
    assert "lstm" in spec.diagram(data={"train": ROWS}).lower()
    assert "<svg" in spec.svg(data={"train": ROWS}) and "walk" in spec._repr_html_()


def test_ctrl_c_leaves_a_build_that_goes_on(tmp_path: Path, usual_signals: None) -> None:
    spec = rnnspec.load(SPEC, set={"train.batch": 2, "train.epochs": 3})
    data = {"train": ROWS}

    def stop(event: rnnspec.Event) -> None:
        if event.kind == "epoch_done" and event.about["epoch"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="resume=True"):
        spec.build(tmp_path / "a", data=data, on_event=stop)
    assert rnnspec.builds(tmp_path / "a")[0].state == "stopped"
    resumed = spec.build(tmp_path / "a", data=data, resume=True)
    whole = spec.build(tmp_path / "b", data=data)
    assert resumed.path.name == "001" and resumed.state == "finished"
    assert (resumed.path / "last.safetensors").read_bytes() == (
        whole.path / "last.safetensors"
    ).read_bytes()


# ---------------------------------------------------------------- a loop of one's own


@pytest.mark.parametrize("kind", ["class", "tags", "two", "text", "quantiles", "stream"])
def test_a_loop_of_ones_own_lowers_the_loss(folder: Path, kind: str) -> None:
    build = rnnspec.builds(untrained(kind, folder).path)[0]  # whose module nobody has trained
    batches, module = build.encode(batch=12, shuffle=True), build.module
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    means = []
    for _ in range(4):
        losses, states = [], None
        for batch in batches:
            found = module(batch, states)
            optimizer.zero_grad()
            found.loss.backward()
            optimizer.step()
            losses.append(found.loss.item())
            states = found.states if batch.reset is not None else None
        assert len(losses) == len(batches)
        means.append(np.mean(losses))
    assert means[-1] < 0.97 * means[0]


def test_what_a_loop_has_trained_is_answered_evaluated_and_exported(tmp_path: Path) -> None:
    spec = rnnspec.load(SPEC.replace("  train: rows.jsonl\n", ""))
    build = spec.build(tmp_path / "builds", data={"train": ROWS}, train=False)
    before = build.evaluate(ROWS).metrics["loss"]
    optimizer = torch.optim.Adam(build.module.parameters(), lr=0.05)
    batches = build.encode(ROWS, batch=4)
    assert len(batches) == 1 and batches.rows == 4
    for _ in range(20):
        for batch in batches:
            optimizer.zero_grad()
            build.module(batch).loss.backward()
            optimizer.step()
    assert build.predict([row["word"] for row in ROWS]) == [row["kind"] for row in ROWS]
    scores = build.evaluate(pd.DataFrame(ROWS))
    assert scores.metrics["loss"] < 0.1 < before and scores.metrics["accuracy"] == 1
    exported = build.export(tmp_path / "walk.onnx")
    assert str(exported).startswith("wrote ") and "proven: " in str(exported)
    model = rnnspec.open(exported.path)
    assert model.predict(ROWS) == build.predict(ROWS)
    kept = rnnspec.builds(build.path)[0]
    assert kept.evaluate(ROWS).metrics["loss"] == before
    with pytest.raises(rnnspec.ExportError, match=r"^quantize and half are two ways"):
        build.export(tmp_path / "small.onnx", half=True, quantize="int8")


# ---------------------------------------------------------------- values of other libraries


@pytest.mark.parametrize("given", ["mapping", "set"])
def test_values_of_other_libraries_in_a_spec(folder: Path, given: str) -> None:
    def loaded(key: str, value: Any) -> rnnspec.Spec:
        if given == "set":
            return rnnspec.load(SPEC, set={key: value})
        first, _, rest = key.partition(".")
        document = {**load(SPEC, "spec").data}
        document[first] = {**document.get(first, {}), rest: value}
        return rnnspec.load(document)

    assert "train: other.jsonl" in loaded("data.train", Path("other.jsonl")).yaml
    assert "epochs: 3" in loaded("train.epochs", np.int64(3)).yaml
    assert "[other.jsonl]" in loaded("data.train", (Path("other.jsonl"),)).yaml
    for value in ({1, 2}, object(), b"3", np.zeros(3)):
        with pytest.raises(rnnspec.SpecError) as error:
            loaded("train.epochs", value)
        (problem,) = error.value.problems
        assert problem.path == "train.epochs" and "which no spec holds" in problem.message


MISSING_CELLS = [None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), np.nan]


@pytest.mark.parametrize("cell", MISSING_CELLS)
@pytest.mark.parametrize("form", ["dicts", "values", "columns", "array", "pandas"])
def test_a_missing_cell_is_never_a_text(folder: Path, cell: Any, form: str) -> None:
    array = np.array(["red", cell], dtype=object)
    rows = {
        "dicts": [{"text": "red"}, {"text": cell}],
        "values": ["red", cell],
        "columns": {"text": ["red", cell]},
        "array": array,
        "pandas": pd.DataFrame({"text": array}),
    }[form]
    with pytest.raises(rnnspec.DataError, match=r"row 2: column 'text' is .*(null|nan)"):
        untrained("class", folder).predict(rows)


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_times_of_arrays_are_times(unit: str) -> None:
    times = np.array(["2026-11-28", "2026-11-29", "NaT"], dtype=f"datetime64[{unit}]")
    for rows in ({"time": times}, {"time": list(times)}, {"time": pd.Series(times)}):
        found = [row["time"] for row in memory_rows(rows, ["time"]).rows()]
        assert [each and str(each)[:10] for each in found] == ["2026-11-28", "2026-11-29", None]
    (row,) = memory_rows({"times": [times[:2]]}, ["times"]).rows()
    assert [str(each)[:10] for each in row["times"]] == ["2026-11-28", "2026-11-29"]


def test_cells_of_another_library() -> None:
    numbers = np.arange(6.0).reshape(3, 2)
    trained = torch.ones(2, requires_grad=True)
    for cell in (numbers, torch.from_numpy(numbers), pd.DataFrame(numbers), pl.DataFrame(numbers)):
        (row,) = memory_rows([{"x": cell}], ["x"]).rows()
        assert row["x"] == numbers.tolist()
    with pytest.raises(rnnspec.DataError, match="a Tensor in a cell gives no array"):
        list(memory_rows([{"x": trained}], ["x"]).rows())


def test_arguments_of_another_form(folder: Path) -> None:
    build, rows = untrained("class", folder), tiny.rows(4, 0)
    twice = pd.DataFrame([["red", "blue"]], columns=["text", "text"])
    for wrong in (twice, pd.DataFrame([["red"]])):
        with pytest.raises(rnnspec.DataError, match=r"same name|no column 'text'.*are: 0"):
            build.predict(wrong)
    for data in (rows, pd.DataFrame(rows)):
        with pytest.raises(rnnspec.DataError, match=r"give data=\{'train': rows\}"):
            build.spec.build(folder / "wrong", data=data)  # type: ignore[arg-type]
    with pytest.raises(rnnspec.DataError, match="batch of 0 rows"):
        build.encode(batch=0)
    for option in ({"quantize": "int4"}, {"state": "apart"}):
        with pytest.raises(rnnspec.Error, match=r"(quantize|state) \w+: write "):
            build.export(folder / "wrong.onnx", **option)  # type: ignore[arg-type]
    assert not (folder / "wrong.onnx").exists()
