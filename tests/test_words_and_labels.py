"""White space and separators: what is one word, and what is one label, is the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnnspec.data import decode
from rnnspec.data.readers import read
from rnnspec.errors import DataError
from rnnspec.plan import ClassFacts
from rnnspec.plan.facts_file import read_facts
from rnnspec.run import Model
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Heard
from rnnspec.train.build import build
from rnnspec.train.data_notes import percent
from tests.cli import right
from tests.tiny import GRU, SHORT

SPACED = [
    "good\nmovie",
    "bad\u00a0film",
    "good\u3000film",
    "bad\tmovie",
    "good movie",
    "\u2028bad ",
]
PLAIN = [" ".join(text.split()) for text in SPACED]


def write(folder: Path, spec: dict[str, Any], rows: list[dict[str, Any]], ending: str) -> Path:
    lines = [json.dumps(row) + "\n" for row in rows]
    if ending == "csv":
        lines = [",".join(rows[0]) + "\n", *(f'"{t}","{k}"\n' for t, k in map(dict.values, rows))]
    (folder / f"rows.{ending}").write_text("".join(lines))
    (folder / "spec.yaml").write_text(json.dumps(spec))
    return folder / "spec.yaml"


def spec_of(output: dict[str, Any], ending: str = "jsonl", **more: Any) -> dict[str, Any]:
    return {
        "name": "tiny",
        "cardinality": "N:1",
        "data": {
            "train": f"rows.{ending}",
            "input": {"column": "text", "as": "words"},
            "output": output,
            **more,
        },
        "encoder": {"embed": 3, **GRU["encoder"]},
        "train": SHORT,
    }


def test_words_are_the_same_from_the_rows_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `str.split`: whatever stands between two words, the answer is that to a space."""
    monkeypatch.chdir(tmp_path)
    rows = [{"text": text, "label": text.split()[0]} for text in SPACED * 4]
    write(tmp_path, spec_of({"column": "label", "as": "class"}), rows, "jsonl")
    told = right("build", "spec.yaml")
    assert "note:" not in told
    (folder,) = tmp_path.glob("builds/tiny/*")
    entries = json.loads((folder / "vocabulary" / "input.text.json").read_text())
    assert sorted(entries) == ["bad", "film", "good", "movie"]
    right("export", "--onnx", "--output", "tiny.onnx")
    model = Model.load(tmp_path / "tiny.onnx", threads=1)
    spaced = list(model.answer([{"text": text} for text in SPACED]))
    assert spaced == list(model.answer([{"text": text} for text in PLAIN]))
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in SPACED))
    asked = right("run", "tiny.onnx", "--data", "asked.jsonl", "--json")
    assert [json.loads(line)["label"] for line in asked.splitlines()] == [
        answer["label"] for answer in spaced
    ]


CITIES = ["New York;Boston", "New York", " Boston ; Paris", "Paris"]
SETS = [["New York", "Boston"], ["New York"], ["Boston", "Paris"], ["Paris"]]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_several_labels_of_a_text_have_a_stated_separator(tmp_path: Path, ending: str) -> None:
    rows = [{"text": "a b", "cities": cities} for cities in CITIES * 3]
    output = {"column": "cities", "as": "labels", "separator": ";"}
    path = write(tmp_path, spec_of(output, ending), rows, ending)
    result = build(load_spec(path), tmp_path / "builds", Heard())
    facts = read_facts(result.folder.path).outputs["cities"]
    assert facts == ClassFacts(("Boston", "New York", "Paris"), (6, 6, 6), most=2)


@pytest.mark.parametrize(("cell", "expected"), list(zip(CITIES, SETS, strict=True)))
def test_labels_by_hand(cell: str, expected: list[str]) -> None:
    assert decode.label_set(cell, True, ";") == decode.label_set(cell, False, ";") == expected
    assert decode.label_set(json.dumps(expected), True, ";") == expected
    assert decode.label_set(expected, False, ";") == expected


def test_a_separator_of_white_space_is_any() -> None:
    assert decode.label_set("red\u3000green  blue\n", True, " ") == ["red", "green", "blue"]
    assert decode.label_set(" ", True, ";") == decode.label_set("", False, " ") == []


WRONG = [
    ("a;;b", ";", "label 2 is empty, expected a label"),
    ("a; a", ";", "has the label 'a' twice; name each label once"),
    (
        "New York",
        None,
        "is the text 'New York', expected a list of labels as JSON; set separator of the output to "
        "what stands between labels, as in separator: ';', which takes this text for one label, or "
        "separator: ' ', which takes it for 2",
    ),
    (
        "New York|Boston",
        None,
        "is the text 'New York|Boston', expected a list of labels as JSON; set separator of the "
        "output to what stands between labels, as in separator: '|'",
    ),
]


@pytest.mark.parametrize(("cell", "separator", "message"), WRONG)
def test_wrong_labels(cell: str, separator: str | None, message: str) -> None:
    with pytest.raises(DataError) as caught:
        decode.label_set(cell, True, separator)
    assert str(caught.value) == message


def test_the_cure_of_a_missing_separator_works() -> None:
    for cell in ("New York", "New York|Boston", "red", "a,b"):
        with pytest.raises(DataError) as caught:
            decode.label_set(cell, True)
        for proposed in str(caught.value).split("separator: '")[1:]:
            assert decode.label_set(cell, True, proposed[: proposed.index("'")])


def test_shares_in_notes_are_never_in_powers_of_ten() -> None:
    """By hand; 3 of 3 was "1e+02 %"."""
    shares = {(3, 3): "100", (997, 1000): "more than 99", (989, 1000): "99", (2, 7): "29"}
    shares |= {(99, 1000): "9.9", (999, 10_000): "10", (1, 1000): "0.1", (3, 1700): "0.18"}
    shares |= {(1, 10_000): "0.01", (1, 10_000_000): "less than 0.01"}
    assert {at: percent(*at) for at in shares} == shares


def test_tokens_with_white_space_and_unknown_ones_are_told(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"tokens": ["New York", "is", "big"], "city": "ny", "back": "big is York New"}
    ] * 8
    spec = {
        **spec_of({"column": "back", "as": "words"}, valid="valid.jsonl"),
        "cardinality": "N:M",
        "decoder": {"embed": 3, "layers": [{"cell": "gru", "units": 6}], "max_steps": 5},
    }
    spec["data"]["input"] = [
        {"column": "tokens", "as": "tokens"},
        {"column": "city", "as": "category", "embed": 2},
    ]
    path = write(tmp_path, spec, rows, "jsonl")
    other = {"tokens": ["Paris", "is", "big", "too"], "city": "paris", "back": "big is Paris"}
    (tmp_path / "valid.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (rows[0], other)))
    heard = Heard()
    result = build(load_spec(path), tmp_path / "builds", heard)
    expected = [
        "1 of the 3 tokens of 'tokens' holds white space, as 'New York' does: each is one token, as"
        " the list has it",
        "validation rows: 2 of the 7 tokens of 'tokens' (29 %) are not in the vocabulary and are"
        " read as unknown",
        "validation rows: 1 of the 2 labels of 'city' (50 %) are not in the vocabulary and are"
        " read as unknown",
        "validation rows: 1 of the 7 words of 'back' (14 %) are not in the vocabulary that answers"
        " are written with",
    ]
    assert heard.notes == expected
    assert result.folder.read_state()["notes"] == expected
    page = result.folder.report.read_text()
    assert "2 of the 7 tokens" in page and "1 of the 7 words" in page


@pytest.mark.parametrize("gap", ["\n", "\u3000", "\u00a0"])
def test_a_long_text_is_cut_between_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: str
) -> None:
    """Whatever stands between them: a list of words, one a line, has no U+0020."""
    monkeypatch.setattr("rnnspec.data.plain.BLOCK", 16)
    monkeypatch.setattr("rnnspec.data.plain.MAX_LINE", 40)
    monkeypatch.setattr("rnnspec.data.lines.BLOCK", 16)
    text = gap.join(f"word{n}" for n in range(60))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    pieces = [chunk.cells["text"][0] for chunk in read(tmp_path / "text.txt", ["text"])]
    assert len(pieces) > 5
    assert "".join(map(str, pieces)) == text
    assert [word for piece in pieces for word in str(piece).split()] == text.split()
