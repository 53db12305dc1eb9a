"""A missing cell is refused with the key that says what becomes of it; with it, it is taken."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import DataError
from tests.data_rows import any_spec, encoded

LETTER = {"column": "letter", "as": "category"}
LABEL = {"column": "label", "as": "class"}
Entry = dict[str, Any]
INPUTS: dict[str, tuple[Entry, Any, list[Any]]] = {
    "number": ({"as": "number"}, 1.0, [None, float("nan")]),
    "vector": ({"as": "vector"}, [1.0, 2.0], [None, [1.0, None], [float("nan"), 1.0]]),
    "frames": ({"as": "frames"}, [[1.0], [2.0]], [[None, [1.0]], [[None], [1.0]]]),
    "not scaled": ({"as": "number", "scale": "none"}, 1.0, [None]),
}
OUTPUTS: dict[str, tuple[Entry, Any, list[Any]]] = {
    "class": ({"as": "class"}, "a", [None]),
    "labels": ({"as": "labels"}, ["a"], [None]),
    "number": ({"as": "number"}, 1.0, [None, float("nan")]),
    "vector": ({"as": "vector"}, [1.0, 2.0], [None]),
}
EMPTY = [("number", "x,label\n1,a\n,b\n2,a\n"), ("vector", 'x,label\n"[1]",a\n,b\n"[2]",a\n')]


def write(file: Path, column: str, good: Any, bad: Any) -> Path:
    cells = [good, good, bad, good]
    rows = [
        {"letter": "x", "label": label, column: cell}
        for cell, label in zip(cells, "abab", strict=True)
    ]
    if good == "a":
        rows[1]["label"] = "b"  # one label alone is none
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def cardinality(kind: str) -> str:
    return "N:1" if kind == "frames" else "1:1"


def refusal(spec: Any, file: Path) -> str:
    with pytest.raises(DataError) as caught:
        encoded(spec, file)
    return str(caught.value)


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs(kind: str, tmp_path: Path) -> None:
    entry, good, missing = INPUTS[kind]
    entry = {"column": "x", **entry}
    for bad in missing:
        file = write(tmp_path / "rows.jsonl", "x", good, bad)
        said = refusal(any_spec(cardinality(kind), entry, LABEL), file)
        assert f"{file}:3: column 'x'" in said
        found = re.search(
            r"; set (?:scale of the input to (\w+) and )?missing of the input to (\w+) or (\w+)$",
            said,
        )
        assert found, said
        scaled = {"scale": found[1]} if found[1] else {}
        for rule in (found[2], found[3]):
            _, data = encoded(
                any_spec(cardinality(kind), {**entry, **scaled, "missing": rule}, LABEL), file
            )
            assert data.rows == 4


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs(kind: str, tmp_path: Path) -> None:
    entry, good, missing = OUTPUTS[kind]
    entry = {"column": "label", **entry}
    for bad in missing:
        file = write(tmp_path / "rows.jsonl", "label", good, bad)
        said = refusal(any_spec("1:1", LETTER, entry), file)
        assert said.endswith("; set missing of the output to skip"), said
        _, data = encoded(any_spec("1:1", LETTER, {**entry, "missing": "skip"}), file)
        assert data.rows == 4


@pytest.mark.parametrize(("kind", "text"), EMPTY)
def test_empty_fields(kind: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    entry = {"column": "x", "as": kind}
    said = refusal(any_spec("1:1", entry, LABEL), tmp_path / "rows.csv")
    assert said.endswith("; set missing of the input to mean or previous")
    assert encoded(any_spec("1:1", {**entry, "missing": "mean"}, LABEL), tmp_path / "rows.csv")


def test_what_is_no_missing_cell_has_no_such_way_out(tmp_path: Path) -> None:
    for bad in ("x", [1], True):
        file = write(tmp_path / "rows.jsonl", "x", 1.0, bad)
        assert "set missing" not in refusal(
            any_spec("1:1", {"column": "x", "as": "number"}, LABEL), file
        )
    file = write(tmp_path / "rows.jsonl", "x", [[1.0]], None)
    said = refusal(any_spec("N:1", {"column": "x", "as": "frames"}, LABEL), file)
    assert "is null, expected a list of lists of numbers" in said and "set missing" not in said


POSITIONS: dict[str, tuple[list[Any], None]] = {
    "position": ([1, 0, 1, 0], None),
    "span": ([[0, 1], [1, 1], [0, 0], [0, 1]], None),
}


@pytest.mark.parametrize("kind", POSITIONS)
def test_positions(kind: str, tmp_path: Path) -> None:
    given, bad = POSITIONS[kind]
    file = tmp_path / "rows.jsonl"
    rows = [{"text": "a b", "x": each} for each in (*given, bad)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text, entry = {"column": "text", "as": "words"}, {"column": "x", "as": kind}
    said = refusal(any_spec("N:1", text, entry), file)
    assert said.endswith(
        "where a row may have none set none of the output to true, else missing to skip"
    )
    for rule in ({"none": True}, {"missing": "skip"}):
        _, data = encoded(any_spec("N:1", text, {**entry, **rule}), file)
        assert data.rows == 5


def test_times_that_may_not_have_ended(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"letter": "a", "days": 1.5, "running": each} for each in (0, 1, None)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    law = {"weibull": {"censored": "running"}}
    said = refusal(
        any_spec("1:1", LETTER, {"column": "days", "as": "number", "distribution": law}), file
    )
    assert said.endswith("; write 1 where it had not ended, 0 where it had")


def test_differences(tmp_path: Path) -> None:
    """Their series have no rule for what is missing, until the values are read."""
    file = tmp_path / "rows.csv"
    file.write_text("day,x\n" + "".join(f"{n},{'' if n == 4 else n}\n" for n in range(1, 13)))
    entry = {"column": "x", "as": "series", "difference": [1]}
    series = {"series": {"time": "day", "history": 3}}
    forecast = {"column": "x", "as": "forecast", "horizon": 2}
    said = refusal(any_spec("N:M", entry, forecast, **series), file)
    assert said.endswith(
        "; fill it, or remove difference of the input and set missing of the input to mean or"
        " previous"
    )
    del entry["difference"]
    said = refusal(any_spec("N:M", entry, forecast, **series), file)
    assert said.endswith("; set missing of the input to mean or previous")
