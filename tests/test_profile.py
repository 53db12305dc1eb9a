"""`rnnspec data`: counts, lengths, labels, leaks and findings, worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.data.profile import Profile, Spread, profile
from rnnspec.data.shards import find_sources
from rnnspec.spec.load import load_spec
from tests.cli import right, rnnspec
from tests.reports import parsed
from tests.tiny import SPECS, rows, write_data

TRAIN: list[dict[str, Any]] = [
    {"text": "red one", "kind": "colour", "size": 3, "id": "a"},
    {"text": "red one", "kind": "colour", "size": 3, "id": "b"},
    {"text": "two", "kind": "number", "size": None, "id": "c"},
    {"text": "two", "kind": "colour", "size": 5, "id": "d"},
    {"text": "", "kind": "number", "size": 3, "id": "e"},
]
VALID: list[dict[str, Any]] = [
    {"text": "red one", "kind": "colour", "size": 3, "id": "f"},
    {"text": "two", "kind": "shape", "size": 1, "id": "g"},
    {"text": "Red three three", "kind": "number", "size": 2, "id": "h"},
    {"text": 3, "kind": "number", "size": 2, "id": "i"},
]
TEXT = "{column: text, as: words, fold_case: true}"
KIND = "{column: kind, as: class}"


def write(folder: Path, name: str, found: list[dict[str, Any]]) -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in found))


def looked(folder: Path, input: str = TEXT, output: str = KIND, valid: str = "v.jsonl") -> Profile:
    spec = folder / "s.yaml"
    spec.write_text(
        f"name: s\ncardinality: N:1\ndata:\n  train: t.jsonl\n  valid: {valid}\n"
        f"  input: {input}\n  output: {output}\n"
        "encoder: {embed: 4, layers: [{cell: gru, units: 2}]}\n"
    )
    loaded = load_spec(spec)
    return profile(loaded.spec, find_sources(loaded.spec.data, folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "t.jsonl", TRAIN)
    write(tmp_path, "v.jsonl", VALID)
    return tmp_path


def test_what_is_counted(folder: Path) -> None:
    found = looked(folder)
    train, valid = found.parts
    assert (train.rows, train.bad, valid.rows, valid.bad) == (5, 0, 3, 1)
    assert valid.errors == (
        f"{folder / 'v.jsonl'}:4: column 'text' is the number 3, expected a text",
    )
    text, kind = train.columns
    deviation = ((0.8**2 * 2 + 0.2**2 * 2 + 1.2**2) / 5) ** 0.5
    assert text.lengths is not None and text.lengths.deviation == pytest.approx(deviation)
    assert replace(text.lengths, deviation=0) == Spread(5, 6 / 5, 0, (0, 0, 1, 1, 2, 2, 2))
    assert text.empty == 1 and text.distinct == 3 and text.kinds == 3
    assert text.labels == (("red", 2), ("one", 2), ("two", 2))
    assert kind.labels == (("colour", 3), ("number", 2))
    text, kind = valid.columns
    assert text.labels == (("red", 2), ("one", 1), ("two", 1))
    assert text.new == (("three", 2),) and text.new_share == 2 / 6
    assert kind.new == (("shape", 1),)


def test_rows_that_come_again(folder: Path) -> None:
    leaks = looked(folder).leaks
    assert leaks is not None
    assert (leaks.repeated, leaks.repeated_other) == (1, 1)
    assert (leaks.valid, leaks.valid_other) == (1, 1)
    assert leaks.places[0] == (f"{folder / 'v.jsonl'}:1", f"{folder / 't.jsonl'}:1")


def test_findings_say_what_looks_like_a_mistake(folder: Path) -> None:
    text = "\n".join(looked(folder).findings)
    for part in (
        "1 rows of valid cannot be read",
        "2 of 3 validation rows have the inputs of a training row",
        "1 training rows have the inputs of an earlier row and another target",
        "validation has labels that training lacks: 'shape'",
        "column 'text': 1 rows have no steps",
        "2 of 2 labels have fewer than 5 training rows",
    ):
        assert part in text
    number = "{column: size, as: number, missing: skip}"
    assert "column 'size': 1 of 5 cells are missing" in looked(folder, output=number).findings
    write(folder, "t.jsonl", [{**row, "kind": row["text"], "size": 1} for row in TRAIN[:4]])
    text = "\n".join(looked(folder, valid="null").findings)
    assert "column 'text' equals the target 'kind' in every row" in text
    text = "\n".join(looked(folder, output=number, valid="null").findings)
    assert "column 'size': all 4 rows are alike, so that it tells nothing" in text
    ids = [{"text": f"the answer is k{n}", "kind": f"label k{n}"[6:], "id": n} for n in range(30)]
    write(folder, "t.jsonl", [{**row, "kind": f"k{row['id']:02}x"} for row in ids])
    text = "\n".join(looked(folder, valid="null").findings)
    assert "column 'kind': every row has a label of its own; is it an id?" in text
    write(folder, "t.jsonl", [{"text": "so a noun it is", "kind": "noun"}] * 30)
    text = "\n".join(looked(folder, valid="null").findings)
    assert "column 'text' holds the label of 'kind' in 100% of the rows" in text


def test_quantiles_of_many_numbers_are_those_of_a_sample(folder: Path) -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(5, 2, 30_000)
    write(folder, "t.jsonl", [{"text": "a", "size": value} for value in values.tolist()])
    found = looked(folder, output="{column: size, as: number}", valid="0.1").parts[0].columns[1]
    assert found.numbers is not None and 26_500 < found.numbers.count < 27_500
    assert found.numbers.mean == pytest.approx(5, abs=0.05)
    assert found.numbers.deviation == pytest.approx(2, abs=0.05)
    assert found.numbers.quantiles[3] == pytest.approx(np.median(values), abs=0.1)


@pytest.mark.parametrize("kind", SPECS)
def test_every_kind_of_column_is_looked_at(tmp_path: Path, kind: str) -> None:
    write_data(tmp_path)
    (tmp_path / "s.yaml").write_text(json.dumps(SPECS[kind]))
    loaded = load_spec(tmp_path / "s.yaml")
    found = profile(loaded.spec, find_sources(loaded.spec.data, tmp_path))
    assert all(part.rows and not part.bad for part in found.parts)
    apart = kind not in ("stream", "point", "quantiles", "gaussian", "counts")
    assert (found.leaks is not None) == apart
    if apart:
        assert found.parts[0].rows == 60
        words = [len(row["tokens"]) for row in rows(60, 0)]
        lengths = found.parts[0].columns[0].lengths
        assert lengths is not None
        if kind not in ("next",):  # of characters
            assert lengths.mean == pytest.approx(np.mean(words))
    elif kind == "stream":
        (column,) = found.parts[0].columns
        assert column.lengths is not None and column.lengths.count == 1
        assert column.lengths.mean == len((tmp_path / "train.txt").read_text())


def test_files_that_rows_name_are_looked_at(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for name, seconds in (("a", 1), ("b", 3)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(8000 * seconds, np.float32), 8000)
    write(tmp_path, "t.jsonl", [{"audio": f"{name}.wav", "kind": "x"} for name in "abc"])
    sound = "{column: audio, as: audio, rate: 8000, features: {log_mel: 20}}"
    spec = looked_at_sound(tmp_path, sound)
    (part,) = spec.parts
    assert (part.rows, part.bad) == (2, 1) and "'audio' is not there" in part.errors[0]
    lengths = part.columns[0].lengths
    assert lengths is not None and lengths.mean == 2 and lengths.quantiles[-1] == 3
    pixels = "{column: audio, as: image, height: 4, width: 4}"
    assert "names" in looked_at_sound(tmp_path, pixels).parts[0].errors[0]


def looked_at_sound(folder: Path, input: str) -> Profile:
    spec = folder / "s.yaml"
    spec.write_text(
        f"name: s\ncardinality: N:1\ndata:\n  train: t.jsonl\n  input: {input}\n"
        f"  output: {KIND}\nencoder: {{layers: [{{cell: gru, units: 2}}]}}\n"
    )
    loaded = load_spec(spec)
    return profile(loaded.spec, find_sources(loaded.spec.data, folder))


def test_what_the_command_prints_and_writes(folder: Path) -> None:
    looked(folder)
    page = folder / "data.html"
    text = right("data", folder / "s.yaml", "--report", page)
    assert text.startswith(f"{folder / 's.yaml'}: 5 rows of train, 3 rows of valid\n")
    assert "Labels of kind" in text and "look: 1 rows of valid cannot be read" in text
    root = parsed(page.read_text("utf-8"))
    titles = ["".join(title.itertext()) for title in root.iter("h2")]
    assert titles == [
        "⚠ 6 warnings",
        "Columns",
        "Steps of a row",
        "Tokens of text",
        "Labels of kind",
        "Rows that come again",
        "First training rows",
    ]
    found = json.loads(right("data", folder / "s.yaml", "--json"))
    assert found["parts"][0]["columns"][0]["column"] == "text" and found["leaks"]["valid"] == 1
    (folder / "v.jsonl").unlink()
    assert "no such file" in rnnspec("data", folder / "s.yaml").err


def test_what_a_build_would_refuse_is_said(tmp_path: Path) -> None:
    """Rows each of whose cells can be read, and which are wrong together."""
    pair = "[{column: text, as: words}, {column: other, as: words}]"
    write(tmp_path, "t.jsonl", [{"text": "a b", "other": "a", "kind": each} for each in "xyxy"])
    said = looked(tmp_path, pair, valid="null").findings[0]
    assert said.startswith("a build would refuse the training rows: ")
    assert "column 'other' has 1 steps, column 'text' has 2" in said
    write(tmp_path, "t.jsonl", [{"text": f"id{n}", "kind": "xy"[n % 2]} for n in range(8)])
    assert "is it an id?" in looked(tmp_path, valid="null").findings[0]


def test_a_cell_of_another_kind_is_told_it(tmp_path: Path) -> None:
    write(tmp_path, "t.jsonl", [{"text": ["a", "b"], "kind": each} for each in "xyxy"])
    assert looked(tmp_path, valid="null").findings[0].endswith("is read with 'as: tokens'")
