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
