"""Facts as files: exact round trip, readable, and every damage named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.errors import BuildError, OutputError
from rnnspec.plan import ClassFacts, Facts, NumericFacts, TextFacts, Vocabulary
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.facts_file import read_facts, write_facts

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
ENTRIES = st.lists(TEXT, unique=True, max_size=6).map(tuple)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
COUNT = st.integers(0, 2**53)


def numeric(draw: Any) -> NumericFacts:
    width = draw(st.integers(1, 4))
    mean = tuple(draw(FLOAT) for _ in range(width))
    return NumericFacts(width, mean, tuple(draw(POSITIVE) for _ in range(width)), draw(COUNT))


def labelled(draw: Any) -> ClassFacts:
    labels = draw(ENTRIES)
    counts = tuple(draw(COUNT) for _ in labels) if draw(st.booleans()) else ()
    return ClassFacts(labels, counts, draw(COUNT), draw(COUNT))


SIZE = st.floats(0, 1e9)
VOCABULARY = ENTRIES.map(Vocabulary)


COLUMN: st.SearchStrategy[ColumnFacts] = st.one_of(
    st.builds(TextFacts, VOCABULARY, COUNT, SIZE, SIZE, tokenizer=st.just("") | TEXT),
    st.builds(TextFacts, VOCABULARY, COUNT, SIZE, SIZE, VOCABULARY, COUNT),
    st.composite(numeric)(),
    st.composite(labelled)(),
)
COLUMNS = st.dictionaries(TEXT, COLUMN, max_size=4)


@settings(max_examples=60)
@given(facts=st.builds(Facts, COUNT, COLUMNS, COLUMNS))
def test_what_is_read_is_what_was_written(tmp_path: Path, facts: Facts) -> None:
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts


def test_an_output_with_the_facts_of_an_input_keeps_them(tmp_path: Path) -> None:
    text = TextFacts(Vocabulary(("a",)), 7)
    write_facts(tmp_path, Facts(1, {"text": text}, {"text": text}))
    found = read_facts(tmp_path)
    assert found.outputs["text"] is found.inputs["text"]
    assert found.inputs["text"] == text
    about = json.loads((tmp_path / "facts.json").read_text())
    assert about["outputs"] == {"text": {"kind": "as the input"}}
    edit(tmp_path, "outputs.text2", {"kind": "as the input"})
    with pytest.raises(BuildError, match="but there is no input of this name"):
        read_facts(tmp_path)


FACTS = Facts(
    3,
    {
        "Text": TextFacts(Vocabulary(("a", "é", '"')), 7, 2.5, 0.5),
        "text": NumericFacts(1, (0.1,), (2.5,), 4),
    },
    {"a/b": ClassFacts(("x", "y"), (1, 2))},
)


def test_a_person_can_read_it(tmp_path: Path) -> None:
    write_facts(tmp_path, FACTS)
    assert json.loads((tmp_path / "facts.json").read_text()) == {
        "version": 2,
        "rows": 3,
        "inputs": {
            "Text": {
                "kind": "text",
                "longest": 7,
                "mean_length": 2.5,
                "length_deviation": 0.5,
                "entries": 3,
                "vocabulary": "vocabulary/input.Text-71988c4d.json",
            },
            "text": {
                "kind": "numeric",
                "width": 1,
                "longest": 4,
                "mean": [0.1],
                "deviation": [2.5],
            },
        },
        "outputs": {
            "a/b": {
                "kind": "class",
                "longest": 1,
                "most": 1,
                "entries": 2,
                "vocabulary": "vocabulary/output.a%2Fb-c14cddc0.json",
                "counts": [1, 2],
            }
        },
    }
    file = tmp_path / "vocabulary" / "input.Text-71988c4d.json"
    assert file.read_text(encoding="utf-8") == '[\n"a",\n"é",\n"\\""\n]\n'
    assert sorted(path.name for path in tmp_path.rglob("*.new")) == []


def edit(folder: Path, path: str, value: Any) -> None:
    """Sets the key at the dotted `path` of facts.json, or removes it for `...`."""
    about = json.loads((folder / "facts.json").read_text())
    *parents, last = path.split(".")
    within = about
    for key in parents:
        within = within[key]
    if value is ...:
        del within[last]
    else:
        within[last] = value
    (folder / "facts.json").write_text(json.dumps(about))


DAMAGES: list[tuple[str, Any, str]] = [
    ("version", 1, "version: is 1, this rnnspec reads 2"),
    ("rows", ..., "rows: is missing"),
    ("rows", -1, "rows: is -1, expected a whole number"),
    ("rows", True, "rows: is True, expected a whole number"),
    ("inputs", [], "inputs: is not an object"),
    ("inputs.text", 1, "inputs.text: is not an object"),
    (
        "inputs.text.kind",
        "x",
        "inputs.text.kind: is 'x', expected text, numeric, class or positions",
    ),
    ("inputs.text.mean", [1, 2], "inputs.text.mean: is not a list of 1 numbers"),
    ("inputs.text.mean", ["1"], "inputs.text.mean: holds something that is not a finite number"),
    (
        "inputs.text.mean",
        [float("nan")],
        "inputs.text.mean: holds something that is not a finite number",
    ),
    ("inputs.text.deviation", [0.0], "inputs.text.deviation: holds a number that is not above 0"),
    ("outputs.a/b.counts", [1], "outputs.a/b.counts: has 1 entries for 2 labels"),
    ("outputs.a/b.counts", "12", "outputs.a/b.counts: is not a list of whole numbers"),
    (
        "inputs.Text.vocabulary",
        "../secret.json",
        "inputs.Text.vocabulary: is not the name of a file in vocabulary/",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), DAMAGES)
def test_damaged_facts(tmp_path: Path, path: str, value: Any, message: str) -> None:
    write_facts(tmp_path, FACTS)
    edit(tmp_path, path, value)
    with pytest.raises(BuildError) as caught:
        read_facts(tmp_path)
    damaged = "the build folder is damaged: build again"
    assert str(caught.value) == f"{tmp_path / 'facts.json'}: {message}; {damaged}"


VOCABULARY_DAMAGES = {
    "": "broken JSON at line 1, column 1: Expecting value",
    '["a",\n"b"': "broken JSON at line 2, column 4: Expecting ',' delimiter",
    "{}": "is not a list of texts",
    '["a", 1, "b"]': "is not a list of texts",
    '["a", "b", "a"]': "holds 'a' twice",
    '["a", "b"]': "has 2 entries, facts.json says 3",
}


@pytest.mark.parametrize("content", VOCABULARY_DAMAGES)
def test_damaged_vocabulary(tmp_path: Path, content: str) -> None:
    write_facts(tmp_path, FACTS)
    file = tmp_path / "vocabulary" / "input.Text-71988c4d.json"
    file.write_text(content)
    with pytest.raises(BuildError) as caught:
        read_facts(tmp_path)
    damaged = "the build folder is damaged: build again"
    assert str(caught.value) == f"{file}: {VOCABULARY_DAMAGES[content]}; {damaged}"


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"facts\.json: is missing"):
        read_facts(tmp_path)
    write_facts(tmp_path, FACTS)
    (tmp_path / "facts.json").write_bytes(b"\xff")
    with pytest.raises(BuildError, match=r"facts\.json: cannot be read: "):
        read_facts(tmp_path)
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write_facts(tmp_path / "none", FACTS)
