"""Cells of another kind than the spec says: the kind that a message names reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rnnspec.data import survey
from rnnspec.data.dialects import date_forms
from rnnspec.errors import DataError
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source
from rnnspec.spec.load import load_source

CELLS: dict[str, Any] = {
    "text": "good",
    "number": 1.5,
    "truth": True,
    "texts": ["a", "b"],
    "sentences": ["it came", "late"],
    "steps": [0, 1],
    "numbers": [0.5, 1.5],
    "vectors": [[1, 2], [3, 4]],
    "lists": [["a"], ["b"]],
    "object": {"a": 1},
}
STACK = {"layers": [{"cell": "gru", "units": 4}]}
SETTINGS: dict[str, dict[str, Any]] = {
    "nested": {"of": {"as": "tokens"}, "encoder": STACK},
    "ordinal": {"labels": ["bad", "good"]},
}
OF_ROWS = ("category", "number", "vector")
SEQUENCES = ("words", "chars", "bytes", "tokens", "frames", "keys", "nested")
ANSWERS = {
    "N:1": ("class", "ordinal", "labels", "number", "vector", "position", "span"),
    "N:N": ("tags", "frames", "keys"),
    "N:M": ("words", "chars", "tokens", "frames", "positions"),
}
PLACES = [
    *[("input", "1:1", kind) for kind in OF_ROWS],
    *[("input", "N:1", kind) for kind in SEQUENCES],
    *[("output", cardinality, kind) for cardinality, kinds in ANSWERS.items() for kind in kinds],
]


def refusal(role: str, cardinality: str, kind: str, cell: Any, folder: Path) -> str:
    """What is said of a column of this kind whose cells are all `cell`."""
    column = {"column": "x", "as": kind, **SETTINGS.get(kind, {})}
    if kind == "nested" and cell and isinstance(cell, list) and isinstance(cell[0], str):
        column["of"] = {"as": "words"}
    other = {"column": "y", "as": "words" if role == "output" else "class"}
    inputs, output = (other, column) if role == "output" else (column, other)
    spec: dict[str, Any] = {
        "name": "kinds",
        "cardinality": cardinality,
        "data": {"train": "rows.jsonl", "input": inputs, "output": output},
        **({} if cardinality == "1:1" else {"encoder": STACK}),
        **({"decoder": STACK} if cardinality == "N:M" else {}),
    }
    rows = [{"x": cell, "y": "a b" if role == "output" else label} for label in "abab"]
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    loaded = load_source(Source.of(to_yaml(spec), "spec.yaml"), folder / "spec.yaml")
    try:
        survey(loaded.spec, file)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("role", "cardinality", "kind"), PLACES)
def test_the_kind_that_is_named_reads_the_cell(
    role: str, cardinality: str, kind: str, tmp_path: Path
) -> None:
    for cell in CELLS.values():
        said = refusal(role, cardinality, kind, cell, tmp_path)
        if found := re.search(r"such a cell is (?:read|answered) with 'as: (\w+)'", said):
            again = refusal(role, cardinality, found[1], cell, tmp_path)
            assert "expected" not in again, (cell, found[1], again)
            assert said.count("such a cell") == said.count("\n"), said  # a line of each bad row


def test_what_is_usual_has_a_hint(tmp_path: Path) -> None:
    usual = {
        ("input", "N:1", "words", "texts"): "tokens",
        ("input", "N:1", "words", "sentences"): "nested",
        ("input", "N:1", "words", "vectors"): "frames",
        ("input", "N:1", "frames", "text"): "words",
        ("input", "1:1", "number", "text"): "category",
        ("output", "N:1", "number", "text"): "class",
        ("output", "N:1", "class", "number"): "number",
        ("output", "N:1", "class", "texts"): "labels",
        ("output", "N:1", "position", "steps"): "span",
        ("output", "N:M", "words", "texts"): "tokens",
        ("output", "N:N", "frames", "texts"): "tags",
    }
    for (role, cardinality, kind, name), other in usual.items():
        said = refusal(role, cardinality, kind, CELLS[name], tmp_path)
        assert f"with 'as: {other}'" in said, (kind, name, said)


def test_two_texts_are_read_by_an_encoder_each(tmp_path: Path) -> None:
    texts = [{"column": each, "as": "words"} for each in ("question", "passage")]
    spec = {
        "name": "pairs",
        "cardinality": "N:1",
        "data": {
            "train": "rows.jsonl",
            "input": texts,
            "output": {"column": "same", "as": "class"},
        },
        "encoder": STACK,
    }
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "who", "passage": "it was me", "same": "no"}\n')
    loaded = load_source(Source.of(to_yaml(spec), "spec.yaml"), tmp_path / "spec.yaml")
    with pytest.raises(DataError, match="'encoders' with one for each"):
        survey(loaded.spec, file)


def test_a_number_that_is_written_wrong_is_no_label(tmp_path: Path) -> None:
    assert "such a cell" not in refusal("output", "N:1", "number", "12 C", tmp_path)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("31.01.2026", ["%d.%m.%Y"]),
        ("31.01.2026 23:15", ["%d.%m.%Y %H:%M"]),
        ("01/31/2026 11:15 PM", ["%m/%d/%Y %I:%M %p"]),
        ("01/02/2026", ["%d/%m/%Y", "%m/%d/%Y"]),
        ("3 Jan 2026", ["%d %b %Y"]),
        ("2026-13-05", []),
        ("soon", []),
    ],
)
def test_forms_of_dates(text: str, forms: list[str]) -> None:
    assert date_forms(text) == forms
