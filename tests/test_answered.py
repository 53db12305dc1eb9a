"""What a build says of its rows: none with a true answer, a history that no series has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import right, wrong

TRAIN = {"epochs": 1, "threads": 1}
GRU = {"layers": [{"cell": "gru", "units": 2}]}
NEXT = "no training row has a step after its first, which is what 'next' answers; "


def spec_of(folder: Path, rows: str, input: Any, output: Any, **more: Any) -> str:
    data = {"train": rows, "input": input, "output": output, **more}
    cardinality = "N:N" if output["as"] == "next" else "N:M"
    spec = {"name": "x", "cardinality": cardinality, "data": data, "encoder": GRU, "train": TRAIN}
    (folder / "x.yaml").write_text(json.dumps(spec))  # JSON is YAML
    return "x.yaml"


@pytest.mark.parametrize(("kind", "cell"), [("frames", [[1.5]]), ("keys", [[1, 2]])])
@pytest.mark.parametrize("window", [None, 4])
def test_sequences_of_one_step_have_no_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, cell: object, window: int | None
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.jsonl").write_text(json.dumps({"x": cell}) + "\n" + json.dumps({"x": cell}) + "\n")
    spec = spec_of(tmp_path, "x.jsonl", {"column": "x", "as": kind}, {"column": "x", "as": "next"})
    found = json.loads(Path(spec).read_text())
    found["train"]["window"] = window
    Path(spec).write_text(json.dumps(found))
    cure = "give all steps of a sequence in one row, or name its id in data.table.long"
    assert wrong("build", spec).splitlines()[-1] == f"error: x.jsonl: column 'x': {NEXT}{cure}"


SERIES = {"column": "y", "as": "series", "missing": "mean"}


@pytest.mark.parametrize(
    ("rows", "output", "series", "told"),
    [
        (
            "a,0,1\nb,0,2\nc,0,4\n",
            {"column": "y", "as": "next"},
            {"id": "id", "time": "t"},
            f"{NEXT}give the rows of a series one id, in the column data.series.id",
        ),
        (
            "a,0,1\na,1,2\na,2,\na,3,\n",
            {"column": "y", "as": "forecast", "horizon": 2},
            {"id": "id", "time": "t", "history": 2},
            "no training row has a number in the 2 steps that are answered; fill in the missing"
            " numbers, or set data.series.fill where whole rows are missing",
        ),
    ],
)
def test_series_without_a_true_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str, output: Any, series: Any, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("id,t,y\n" + rows)
    spec = spec_of(tmp_path, "x.csv", SERIES, output, series=series)
    assert wrong("build", spec).splitlines()[-1] == f"error: x.csv: column 'y': {told}"


def test_validation_rows_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build goes on, and says that it measures nothing."""
    monkeypatch.chdir(tmp_path)
    Path("x.jsonl").write_text('{"x": [[1], [2], [4]]}\n')
    Path("v.jsonl").write_text('{"x": [[1]]}\n')
    pair = {"column": "x", "as": "frames"}, {"column": "x", "as": "next"}
    spec = spec_of(tmp_path, "x.jsonl", *pair, valid="v.jsonl")
    told = "v.jsonl: column 'x': no validation row has a step after its first"
    assert f"warning: {told}" in right("build", spec)


@pytest.mark.parametrize(("history", "noted"), [(3, False), (4, True)])
def test_a_history_longer_than_every_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: int, noted: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("id,t,y\na,0,1\na,1,2\na,2,4\na,3,1\na,4,5\nb,0,1\nb,1,2\nb,2,7\n")
    output = {"column": "y", "as": "forecast", "horizon": 2}
    series = {"id": "id", "time": "t", "history": history}
    said = right("build", spec_of(tmp_path, "x.csv", SERIES, output, series=series))
    note = (
        "note: data.series.history is 4, and no training series has more than 3 steps before the"
        " last ones, which are answered: each series gives one window, and 2 windows in all; a"
        " lower history gives more\n"
    )
    assert (note in said) == noted
