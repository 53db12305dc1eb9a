"""Every kind of column: its facts and its part of a batch against a plain definition of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.plan import ClassFacts, NumericFacts, TextFacts
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from tests.data_rows import CLASS, any_spec, encoded, trouble, whole, write_rows

FORMATS = ("jsonl", "csv", "parquet")
TAGS = {"column": "tags", "as": "tags"}
TOKENS = {"column": "tokens", "as": "tokens"}
LABELS = {"column": "labels", "as": "labels"}
LETTER = {"column": "letter", "as": "category"}
NAN = float("nan")
ROWS: list[dict[str, Any]] = [
    {
        "text": "b a a",
        "tokens": ["Bo", "a", "New York"],
        "tags": ["X", None, "Y"],
        "labels": ["q", "p"],
        "keys": [[60, 64], [], [64]],
        "letter": "z",
        "number": 1.5,
        "vector": [1.0, 2.0],
        "frames": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
        "label": "one",
    },
    {
        "text": "",
        "tokens": [],
        "tags": [],
        "labels": [],
        "keys": [],
        "letter": "y",
        "number": -2.0,
        "vector": [3.0, 4.0],
        "frames": [],
        "label": "two",
    },
    {
        "text": "c a",
        "tokens": ["a", "Bo"],
        "tags": ["Y", "Y"],
        "labels": ["r"],
        "keys": [[67], [60, 64, 67]],
        "letter": "z",
        "number": 0.0,
        "vector": [5.0, 6.0],
        "frames": [[7.0, 8.0], [9.0, 10.0]],
        "label": "one",
    },
]


def rows_file(folder: Path, format: str, *changes: dict[str, Any], name: str = "rows") -> Path:
    """ROWS, the last of them changed."""
    rows = [dict(row) for row in ROWS]
    for at, change in enumerate(changes, len(rows) - len(changes)):
        rows[at].update(change)
    return write_rows(folder / f"{name}.{format}", rows)


@pytest.mark.parametrize("format", FORMATS)
def test_tokens_and_their_characters_to_tags(tmp_path: Path, format: str) -> None:
    spec = any_spec("N:N", TOKENS | {"spelling": {}, "min_count": 2}, TAGS)
    facts, data = encoded(spec, rows_file(tmp_path, format))
    tokens, tags = facts.inputs["tokens"], facts.outputs["tags"]
    assert isinstance(tokens, TextFacts)
    assert tokens.vocabulary.entries == ("Bo", "a")
    assert tokens.characters is not None
    assert tokens.characters.entries[0] == "o"  # Bo, Bo, New York
    assert tokens.longest_token == len("New York")
    assert (tokens.longest, tokens.mean_length) == (3, 5 / 3)
    assert tokens.length_deviation == pytest.approx(np.std([3, 0, 2]))
    assert tags == ClassFacts(("X", "Y"), (1, 3), longest=3)
    batch = whole(data)
    values, lengths = batch.inputs["tokens"]
    assert values.tolist() == [[2, 3, UNKNOWN_ID], [0, 0, 0], [3, 2, 0]]
    assert lengths.tolist() == [3, 0, 2]
    assert batch.targets["tags"].tolist() == [[0, -1, 1], [-1, -1, -1], [1, 1, -1]]
    characters, of_tokens = batch.inputs["tokens.characters"]
    numbers, sizes = characters.reshape(9, 8), of_tokens.ravel()
    assert of_tokens.tolist() == [[2, 1, 8], [0, 0, 0], [1, 2, 0]]
    assert characters.shape == (3, 3, 8)
    entries = tokens.characters.entries
    spelled = [
        "".join(entries[number - 2] for number in numbers[at, :size].astype(int))
        for at, size in enumerate(sizes)
    ]
    assert spelled == ["Bo", "a", "New York", "", "", "", "a", "Bo", ""]
    assert not characters[of_tokens == 0].any()


def test_tags_as_one_text_and_characters_never_seen(tmp_path: Path) -> None:
    spec = any_spec("N:N", TOKENS | {"spelling": {}}, TAGS)
    train = rows_file(tmp_path, "jsonl")
    other = rows_file(tmp_path, "jsonl", {"tokens": ["é", "Bo"], "tags": "Y X"}, name="other")
    _, data = encoded(spec, train, other)
    batch = data.collate(np.array([2]))
    assert batch.targets["tags"].tolist() == [[1, 0]]
    assert batch.inputs["tokens"][0].tolist()[0][0] == UNKNOWN_ID
    assert batch.inputs["tokens.characters"][0][0, 0].tolist() == [UNKNOWN_ID, 0]


@pytest.mark.parametrize("format", FORMATS)
def test_keys_ahead_and_keys_of_steps(tmp_path: Path, format: str) -> None:
    keys = {"column": "keys", "as": "keys"}
    file = rows_file(tmp_path, format)
    facts, data = encoded(any_spec("N:N", keys, {"column": "keys", "as": "next"}), file)
    assert facts.inputs["keys"] == ClassFacts(("60", "64", "67"), (2, 3, 2), longest=3, most=3)
    assert facts.outputs["keys"] is facts.inputs["keys"]
    batch = whole(data)
    on = [[1, 1, 0], [0, 0, 0], [0, 1, 0]], [[0, 0, 0]] * 3, [[0, 0, 1], [1, 1, 1], [0, 0, 0]]
    np.testing.assert_array_equal(batch.inputs["keys"][0], np.array(on, np.float32))
    gap = [NAN] * 3
    ahead = [[0, 0, 0], [0, 1, 0], gap], [gap] * 3, [[1, 1, 1], gap, gap]
    np.testing.assert_array_equal(batch.targets["keys"], np.array(ahead, np.float32))
    _, data = encoded(any_spec("N:N", TOKENS, keys), file)
    there = [*on[0]], [gap] * 3, [on[2][0], on[2][1], gap]
    np.testing.assert_array_equal(whole(data).targets["keys"], np.array(there, np.float32))


@pytest.mark.parametrize("format", FORMATS)
def test_several_labels(tmp_path: Path, format: str) -> None:
    skipped = {} if format == "parquet" else {"labels": None if format == "jsonl" else ""}
    file = rows_file(tmp_path, format, skipped)
    facts, data = encoded(any_spec("1:1", LETTER, LABELS | {"missing": "skip"}), file)
    batch = whole(data)
    if skipped:
        assert facts.outputs["labels"] == ClassFacts(("p", "q"), (1, 1), most=2)
        expected = [[1, 1], [0, 0], [NAN, NAN]]
    else:
        assert facts.outputs["labels"] == ClassFacts(("p", "q", "r"), (1, 1, 1), most=2)
        expected = [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(batch.targets["labels"], np.array(expected, np.float32))
    assert batch.inputs["letter"][0].tolist() == [2, 3, 2]
    assert batch.inputs["letter"][1].tolist() == [1, 1, 1]


def test_more_labels_than_bits_of_a_byte(tmp_path: Path) -> None:
    rows = [{"letter": "a", "labels": [f"{n:02}", f"{n + 1:02}"]} for n in range(20)]
    _, data = encoded(any_spec("1:1", LETTER, LABELS), write_rows(tmp_path / "rows.jsonl", rows))
    expected = np.eye(20, 21) + np.eye(20, 21, 1)
    np.testing.assert_array_equal(whole(data).targets["labels"], expected)


@pytest.mark.parametrize("format", FORMATS)
def test_next_token(tmp_path: Path, format: str) -> None:
    words = {"column": "text", "as": "words"}
    spec = any_spec("N:N", words, {"column": "text", "as": "next"})
    facts, data = encoded(spec, rows_file(tmp_path, format))
    assert facts.outputs["text"] is facts.inputs["text"]
    batch = whole(data)
    assert batch.inputs["text"][0].tolist() == [[3, 2, 2], [0, 0, 0], [4, 2, 0]]
    assert batch.targets["text"].tolist() == [[2, 2, END_ID], [-1, -1, -1], [2, END_ID, -1]]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["words", "chars", "tokens"])
def test_texts_to_answer(tmp_path: Path, format: str, kind: str) -> None:
    column = "tokens" if kind == "tokens" else "text"
    file = rows_file(tmp_path, format)
    spec = any_spec("1:N", LETTER, {"column": column, "as": kind})
    facts, data = encoded(spec, file)
    known = facts.outputs[column]
    assert isinstance(known, TextFacts)
    texts = [
        list(row["text"])
        if kind == "chars"
        else row["text"].split()
        if kind == "words"
        else row["tokens"]
        for row in ROWS
    ]
    longest = max(map(len, texts))
    assert (known.longest, known.mean_length) == (longest, sum(map(len, texts)) / 3)
    expected = [[*known.vocabulary.numbers(text), END_ID] for text in texts]
    expected = [numbers + [-1] * (longest + 1 - len(numbers)) for numbers in expected]
    batch = whole(data)
    assert batch.targets[column].tolist() == expected
    assert batch.inputs["letter"][0].tolist() == [2, 3, 2]
    assert data.lengths(np.arange(data.rows)).tolist() == [len(text) + 1 for text in texts]
    new = rows_file(tmp_path, format, {"text": "zz", "tokens": ["zz"]}, name="new")
    batch = encoded(spec, file, new)[1].collate(np.array([2]))
    assert set(batch.targets[column][0].tolist()) == {UNKNOWN_ID, END_ID}


@settings(max_examples=30)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=5))
def test_bytes(tmp_path: Path, texts: list[str]) -> None:
    rows = [{"text": text, "label": at % 2} for at, text in enumerate([*texts, "a", "é"])]
    spec = any_spec("N:1", {"column": "text", "as": "bytes"}, CLASS)
    facts, data = encoded(spec, write_rows(tmp_path / "rows.jsonl", rows))
    known = facts.inputs["text"]
    assert isinstance(known, TextFacts)
    assert known.vocabulary.entries[0xE9] == "e9"
    values, lengths = whole(data).inputs["text"]
    for row, numbers, length in zip(rows, values.tolist(), lengths.tolist(), strict=True):
        written = bytes(number - 2 for number in numbers[:length])
        assert written.decode() == row["text"]


MISSING: dict[str, list[Any]] = {
    "jsonl": [None, [None, 8.0], [None, [9.0, None]]],
    "csv": ["", "[null, 8.0]", "[null, [9.0, NaN]]"],
    "parquet": [None, [None, 8.0], [None, [9.0, None]]],
}


@pytest.mark.parametrize("format", FORMATS)
def test_missing_numbers_are_nan_and_count_for_nothing(tmp_path: Path, format: str) -> None:
    number, vector, frames = MISSING[format]
    file = rows_file(tmp_path, format, {"number": number, "vector": vector, "frames": frames})
    inputs = [
        {"column": column, "as": column, "missing": "mean"}
        for column in ("frames", "vector", "number")
    ]
    facts, data = encoded(any_spec("N:1", inputs, CLASS), file)
    assert facts.inputs["number"] == NumericFacts(1, (-0.25,), (1.75,))
    of_vector = facts.inputs["vector"]
    assert isinstance(of_vector, NumericFacts)
    assert of_vector.mean == pytest.approx((2, 14 / 3))
    assert of_vector.deviation == pytest.approx((1, np.std([2, 4, 8])))
    of_frames = facts.inputs["frames"]
    assert isinstance(of_frames, NumericFacts)
    assert of_frames.mean == pytest.approx((18 / 4, 4))
    assert of_frames.deviation == pytest.approx((np.std([1, 3, 5, 9]), np.std([2, 4, 6])))
    batch = whole(data)
    np.testing.assert_array_equal(batch.inputs["number"][0], [[1.5], [-2], [NAN]])
    np.testing.assert_array_equal(batch.inputs["vector"][0], [[1, 2], [3, 4], [NAN, 8]])
    read, lengths = batch.inputs["frames"]
    assert lengths.tolist() == [3, 0, 2]
    np.testing.assert_array_equal(read[2], [[NAN, NAN], [9, NAN], [0, 0]])


def test_a_cell_of_nothing_but_missing_numbers(tmp_path: Path) -> None:
    inputs = [
        {"column": column, "as": column, "missing": "mean"} for column in ("frames", "vector")
    ]
    change = {"vector": None, "frames": [None, None]}
    batch = whole(encoded(any_spec("N:1", inputs, CLASS), rows_file(tmp_path, "jsonl", change))[1])
    assert batch.inputs["frames"][1].tolist() == [3, 0, 2]
    assert np.isnan(batch.inputs["frames"][0][2, :2]).all()
    assert np.isnan(batch.inputs["vector"][0][2]).all()


@pytest.mark.parametrize("format", FORMATS)
def test_missing_answers_are_skipped_where_the_spec_says_so(tmp_path: Path, format: str) -> None:
    gap = "" if format == "csv" else None
    file = rows_file(tmp_path, format, {"label": "two"}, {"label": gap, "number": gap})
    outputs = [CLASS | {"missing": "skip"}, {"column": "number", "as": "number", "missing": "skip"}]
    spec = any_spec("N:1", {"column": "text", "as": "words"}, outputs)
    facts, data = encoded(spec, file)
    assert facts.outputs["label"] == ClassFacts(("one", "two"), (1, 1))
    assert facts.outputs["number"] == NumericFacts(1, (-0.25,), (1.75,))
    batch = whole(data)
    assert batch.targets["label"].tolist() == [0, 1, -1]
    np.testing.assert_array_equal(batch.targets["number"], [[1.5], [-2], [NAN]])
    strict = any_spec("N:1", {"column": "text", "as": "words"}, outputs[1] | {"missing": "error"})
    assert trouble(strict, file).endswith(
        f"column 'number' is {'empty' if format == 'csv' else 'null'}, expected a number; "
        "set missing of the output to skip"
    )


def test_a_category_that_is_new_rare_or_missing_is_the_unknown(tmp_path: Path) -> None:
    rows = [{"letter": letter, "label": at % 2} for at, letter in enumerate(["a", "b", "a", None])]
    spec = any_spec("1:1", LETTER | {"min_count": 2}, CLASS)
    file = write_rows(tmp_path / "rows.jsonl", rows)
    other = write_rows(tmp_path / "other.jsonl", [{"letter": "new", "label": 1}])
    facts, data = encoded(spec, file)
    known = facts.inputs["letter"]
    assert isinstance(known, TextFacts)
    assert (known.vocabulary.entries, known.longest) == (("a",), 1)
    assert whole(data).inputs["letter"][0].tolist() == [2, UNKNOWN_ID, 2, UNKNOWN_ID]
    assert whole(encoded(spec, file, other)[1]).inputs["letter"][0].tolist() == [UNKNOWN_ID]


def test_frames_for_each_step(tmp_path: Path) -> None:
    frames = {"column": "frames", "as": "frames"}
    spec = any_spec("N:N", {"column": "text", "as": "words"}, frames)
    batch = whole(encoded(spec, rows_file(tmp_path, "jsonl"))[1])
    gap = [NAN, NAN]
    expected = [[[1, 2], [3, 4], [5, 6]], [gap] * 3, [[7, 8], [9, 10], gap]]
    np.testing.assert_array_equal(batch.targets["frames"], np.array(expected, np.float32))


UNEQUAL: list[tuple[dict[str, Any], str]] = [
    (
        {"tags": ["X"]},
        "FILE:3: column 'tags' has 1 steps, column 'tokens' has 2; they are read together, step by "
        "step",
    ),
    (
        {"frames": []},
        "FILE:3: column 'frames' has 0 steps, column 'tokens' has 2; they are read together, step "
        "by step",
    ),
    ({"tokens": ["a", ""]}, "FILE:3: column 'tokens' token 2 is empty, expected a label"),
    (
        {"tokens": "a b"},
        "FILE:3: column 'tokens' is the text 'a b', expected a list of texts; a text is read with "
        "'as: words'",
    ),
    (
        {"tags": ["X", 1.5]},
        "FILE:3: column 'tags' step 2 is the number 1.5, expected a label: a text, a whole number "
        "or true and false",
    ),
    ({"tags": None}, "FILE:3: column 'tags' is null, expected a list of labels"),
]


@pytest.mark.parametrize(("change", "message"), UNEQUAL)
def test_wrong_steps(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    inputs = [TOKENS, {"column": "frames", "as": "frames"}]
    spec = any_spec("N:N", inputs, TAGS)
    train = rows_file(tmp_path, "jsonl")
    other = rows_file(tmp_path, "jsonl", change, name="other")
    assert trouble(spec, other) == message
    assert trouble(spec, train, other) == message


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"labels": ["p", "p"]}, "column 'labels' has the label 'p' twice; name each"),
    ({"labels": None}, "column 'labels' is null, expected a list of labels"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_answers_that_are_none(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    spec = any_spec("N:1", TOKENS, LABELS)
    other = rows_file(tmp_path, "jsonl", change, name="other")
    assert message in trouble(spec, rows_file(tmp_path, "jsonl"), other)


def test_facts_that_cannot_be(tmp_path: Path) -> None:
    def found(cardinality: str, inputs: Any, outputs: Any, rows: list[dict[str, Any]]) -> str:
        return trouble(
            any_spec(cardinality, inputs, outputs), write_rows(tmp_path / "r.jsonl", rows)
        )

    row = {"letter": "a", "labels": [], "tags": ["X"], "tokens": ["a"], "number": None, "label": 1}
    rows = [row, row | {"label": 2}]
    number = {"column": "number", "as": "number", "missing": "mean"}
    assert found("1:1", LETTER, LABELS, rows) == (
        "FILE: column 'labels' has no label in any training row"
    )
    assert found("N:N", TOKENS, TAGS, rows) == (
        "FILE: column 'tags' has one label only, 'X'; a classifier needs at least two"
    )
    assert found("1:1", number, CLASS, rows) == (
        "FILE: column 'number' has no number in any training row, only missing ones"
    )
    tiny = [row | {"number": value} for value in (1e-41, 3e-41)]
    assert found("1:1", number, CLASS, [each | {"label": n} for n, each in enumerate(tiny)]) == (
        "FILE: column 'number' has numbers of about 1e-41, which float32 cannot tell from 0; give"
        " them in a smaller unit, multiplied by 1e30, say"
    )
    assert found("1:1", LETTER | {"min_count": 3}, CLASS, rows) == (
        "FILE: column 'letter' has no label that occurs 3 times; set min_count lower"
    )


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.lists(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=4), max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_keys_of_any_rows(tmp_path: Path, rows: list[list[list[str]]]) -> None:
    rows = [*rows, [["a"]]]
    file = write_rows(tmp_path / "rows.jsonl", [{"keys": row} for row in rows])
    keys = {"column": "keys", "as": "keys"}
    facts, data = encoded(any_spec("N:N", keys, {"column": "keys", "as": "next"}), file)
    known = facts.inputs["keys"]
    assert isinstance(known, ClassFacts)
    counts = Counter(key for row in rows for step in row for key in step)
    assert dict(zip(known.labels, known.counts, strict=True)) == counts
    assert known.most == max(1, max(len(step) for row in rows for step in row))
    batch = whole(data)
    values, lengths = batch.inputs["keys"]
    for row, read, answers, length in zip(
        rows, values, batch.targets["keys"], lengths.tolist(), strict=True
    ):
        on = [[key in step for key in known.labels] for step in row]
        expected = np.array(on, np.float32).reshape(len(row), len(known.labels))
        assert length == len(row)
        np.testing.assert_array_equal(read[:length], expected)
        np.testing.assert_array_equal(answers[: max(0, length - 1)], expected[1:])
        assert np.isnan(answers[max(0, length - 1) :]).all()
        assert not read[length:].any()
