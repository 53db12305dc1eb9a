"""Decoding: the settled rules, a message for each wrong cell, words equal to onnxruntime's."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from rnnspec.data import decode
from rnnspec.errors import DataError
from rnnspec.to_onnx.emitter import CONTRIB
from rnnspec.to_onnx.tokens import INTO_WORDS

SPACED = st.text(st.sampled_from([*decode.WHITE_SPACE, *"   ab😀\u200b\ufeff"]), max_size=30)


@pytest.fixture(scope="module")
def in_the_file() -> Callable[[Sequence[str]], list[list[str]]]:
    """The words that an exported file makes of texts."""
    node = helper.make_node("Tokenizer", ["x"], ["y"], domain=CONTRIB, **dict[str, Any](INTO_WORDS))
    x = helper.make_tensor_value_info("x", TensorProto.STRING, ["B"])
    y = helper.make_tensor_value_info("y", TensorProto.STRING, ["B", "T"])
    graph = helper.make_graph([node], "split", [x], [y])
    sets = [helper.make_opsetid("", 21), helper.make_opsetid(CONTRIB, 1)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())

    def split(texts: Sequence[str]) -> list[list[str]]:
        (found,) = session.run(None, {"x": np.array(texts, dtype=object)})
        return [[word for word in row.tolist() if word] for row in found]

    return split


@given(texts=st.lists(SPACED, min_size=1, max_size=5))
def test_words_are_those_of_the_exported_file(
    in_the_file: Callable[[Sequence[str]], list[list[str]]], texts: list[str]
) -> None:
    assert [decode.words(text) for text in texts] == in_the_file(texts)


def test_white_space_is_that_of_python_in_every_place(
    in_the_file: Callable[[Sequence[str]], list[list[str]]],
) -> None:
    """Every code point between two words, by `str.split` and in a file."""
    assert [char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace()] == sorted(
        decode.WHITE_SPACE
    )
    others = [*range(1, 0xD800), *range(0xE000, sys.maxunicode + 1)]
    for start in range(0, len(others), 4096):
        texts = [f"a{chr(point)}b" for point in others[start : start + 4096]]
        assert in_the_file(texts) == [text.split() for text in texts]


@given(texts=st.lists(SPACED, max_size=8))
def test_words_of_many_texts(texts: list[str]) -> None:
    flat, lengths = decode.words_of(texts)
    assert flat == [word for text in texts for word in text.split()]
    assert lengths.tolist() == [len(text.split()) for text in texts]


CELLS = st.text(st.sampled_from("ab\0é\ud800\udc00"), max_size=4) | st.sampled_from(
    [None, 1, ["a"]]
)


@given(cells=st.lists(CELLS, max_size=4), most=st.integers(0, 4))
def test_cells_are_plain_that_need_no_closer_look(cells: list[object], most: int) -> None:
    def taken(cell: object) -> bool:
        try:
            return len(decode.text(cell)) <= most
        except DataError:
            return False

    assert decode.are_plain(cells, most) == all(map(taken, cells))


def test_fold_goes_by_code_point() -> None:
    assert [decode.fold(char) for char in "AßΣİǅé"] == ["a", "ß", "σ", "İ", "ǆ", "é"]
    assert "ΑΣ".lower() == "ας"  # what folding a whole text would have given
    assert all(len(decode.fold(chr(point))) == 1 for point in range(0x110000))


def test_folds_lists_all_that_fold_changes() -> None:
    folds = decode.folds()
    for point in range(0x110000):
        assert folds.get(point, point) == ord(decode.fold(chr(point)))
    assert len(folds) > 1000, unicodedata.unidata_version


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("a", "a"), (" a ", " a "), (7, "7"), (-1, "-1"), (True, "true"), (False, "false")],
)
def test_labels(cell: object, expected: str) -> None:
    assert decode.label(cell) == expected


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_numbers_in_every_spelling(value: float) -> None:
    for cell, textual in ((value, False), (repr(value), True), (f" {value:e} ", True)):
        found = decode.number(cell, textual)
        assert found.shape == (1,)
        assert found.dtype == np.float64
        assert found[0] == pytest.approx(value, rel=1e-6)


@given(st.integers(0, 4), st.integers(1, 3), st.data())
def test_frames_in_every_spelling(steps: int, width: int, data: st.DataObject) -> None:
    number = st.integers(-1000, 1000) | st.floats(width=32, allow_nan=False, allow_infinity=False)
    cell = [[data.draw(number) for _ in range(width)] for _ in range(steps)]
    expected = np.array(cell, np.float64).reshape(steps, width if steps else 0)
    np.testing.assert_array_equal(decode.frames(cell), expected)
    np.testing.assert_array_equal(decode.frames(json.dumps(cell), textual=True), expected)


NAN, INF = float("nan"), float("inf")
WRONG: list[tuple[Callable[..., Any], object, str]] = [
    (decode.text, None, "is null, expected a text"),
    (decode.text, 5, "is the number 5, expected a text"),
    (decode.text, ["a"], "is a list, expected a text"),
    (decode.text, "a\0b", "holds the character U+0000; remove it"),
    (
        decode.text,
        "a\ud83d",
        "holds half of a surrogate pair, U+D83D, which is no character; remove it",
    ),
    (decode.label, None, "is null, expected a label"),
    (decode.label, "", "is empty, expected a label"),
    (
        decode.label,
        1.5,
        "is the number 1.5, expected a label: a text, a whole number or true and false",
    ),
    (decode.label, {}, "is an object, expected a label"),
    (decode.label, "\0", "holds the character U+0000; remove it"),
    (decode.number, None, "is null, expected a number"),
    (decode.number, True, "is true, expected a number"),
    (decode.number, "1.5", "is the text '1.5', expected a number; write it without quotes"),
    (decode.number, "x", "is the text 'x', expected a number"),
    (decode.number, NAN, "is NaN; only finite numbers can be learned from"),
    (decode.number, -INF, "is an infinity; only finite numbers can be learned from"),
    (
        decode.number,
        1e39,
        "is a number beyond 3.4e+38, the largest of float32; only finite numbers can be learned "
        "from",
    ),
    (
        decode.number,
        10**400,
        "is a number beyond 3.4e+38, the largest of float32; only finite numbers can be learned "
        "from",
    ),
    (decode.vector, [], "is an empty list, expected at least one number"),
    (decode.vector, 1, "is the number 1, expected a list of numbers"),
    (decode.vector, [1, "2"], "number 2 is the text '2', expected a number"),
    (decode.vector, [1, None], "number 2 is null, expected a number"),
    (decode.vector, [1, NAN], "holds NaN; only finite numbers can be learned from"),
    (decode.frames, None, "is null, expected a list of lists of numbers"),
    (
        decode.frames,
        [1, 2],
        "step 1 is the number 1, expected a list of numbers; for one number per step write "
        "[[1], [2], …]",
    ),
    (decode.frames, [[1], None], "step 2 is null, expected a list of numbers"),
    (
        decode.frames,
        [[1, 2], [3]],
        "has 2 numbers in step 1 but 1 in step 2; give every step the same number of features",
    ),
    (decode.frames, [[], []], "has steps of no numbers, expected at least one in each"),
    (decode.frames, [[1, 2], [3, True]], "step 2, number 2 is true, expected a number"),
    (
        decode.frames,
        [[1, 2], [3, INF]],
        "has in step 2, number 2, an infinity; only finite numbers can be learned from",
    ),
]
WRONG_TEXTUAL: list[tuple[Callable[..., Any], object, str]] = [
    (decode.number, "", "is empty, expected a number"),
    (
        decode.number,
        "1,5",
        "is the text '1,5', expected a number; write its decimal point as '.', or set decimal of "
        "the format: {csv: {decimal: ','}}",
    ),
    (
        decode.number,
        "NA",
        "is the text 'NA', expected a number; if it means a missing value, set missing of the "
        "format: {csv: {missing: ['NA']}}",
    ),
    (
        decode.number,
        "NaN",
        "is the text 'NaN', expected a number; only finite numbers can be learned from",
    ),
    (decode.number, "1_000", "is the text '1_000', expected a number"),
    (decode.number, "٣", "is the text '٣', expected a number"),
    (decode.number, "x" * 50, f"is the text '{'x' * 39}…', expected a number"),
    (decode.vector, "", "is empty, expected a list of numbers as JSON"),
    (decode.vector, '"a"', "is the text 'a', expected a list of numbers"),
    (
        decode.frames,
        "[[1, 2]",
        "is not JSON, expected a list of lists of numbers: "
        "Expecting ',' delimiter: line 1 column 8 (char 7)",
    ),
    (
        decode.frames,
        "[[NaN]]",
        "has in step 1, number 1, NaN; only finite numbers can be learned from",
    ),
]


@pytest.mark.parametrize(("function", "cell", "message"), WRONG)
def test_wrong_cells(function: Callable[..., Any], cell: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        function(cell)
    assert str(caught.value) == message


@pytest.mark.parametrize(("function", "cell", "message"), WRONG_TEXTUAL)
def test_wrong_fields(function: Callable[..., Any], cell: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        function(cell, textual=True)
    assert str(caught.value) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
)


@given(cell=JSON, textual=st.booleans(), missing=st.booleans())
def test_no_cell_gives_a_traceback(cell: object, textual: bool, missing: bool) -> None:
    for function in (decode.number, decode.vector, decode.frames):
        try:
            found = function(cell, textual, missing)
        except DataError:
            continue
        assert missing or np.isfinite(found).all()
        assert not np.isinf(found).any()
    for decoder in (decode.text, decode.label):
        try:
            decoder(cell).encode()
        except DataError:
            continue
    for lists in (decode.tokens, decode.label_set, decode.labels_of_steps, decode.key_steps):
        try:
            assert isinstance(lists(cell, textual), list)
        except DataError:
            continue


LABELS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))


@given(labels=LABELS)
def test_labels_in_every_spelling(labels: list[str]) -> None:
    written = json.dumps(labels)
    assert decode.labels_of_steps(labels) == decode.labels_of_steps(written, True) == labels
    assert decode.tokens(labels) == decode.tokens(written, True) == labels
    steps = (
        [labels[:at] for at in range(len(set(labels)))] if len(set(labels)) == len(labels) else []
    )
    assert decode.key_steps(steps) == decode.key_steps(json.dumps(steps), True) == steps
    plain = [label for label in labels if len(label.split()) == 1 and label == label.strip()]
    if plain and not plain[0].startswith("["):
        assert decode.labels_of_steps("\u3000".join(plain), True) == plain
    once = list(dict.fromkeys(labels))
    assert decode.label_set(once) == decode.label_set(json.dumps(once), True) == once


def test_what_is_missing() -> None:
    nan = float("nan")
    gaps: list[tuple[object, bool]] = [(None, False), (nan, False), (None, True), ("", True)]
    cell: object
    for cell, textual in gaps:
        assert decode.is_missing(cell, textual)
        assert np.isnan(decode.number(cell, textual, missing=True)).all()
        assert decode.vector(cell, textual, missing=True).shape == (0,)
    there: list[tuple[object, bool]] = [("", False), (0, False), (False, False), ([], False)]
    for cell, textual in [*there, (" ", True)]:
        assert not decode.is_missing(cell, textual)
    assert np.isnan(decode.number("NaN", True, missing=True))
    found = decode.frames([[1, None], None, [nan, 4]], missing=True)
    np.testing.assert_array_equal(found, [[1, nan], [nan, nan], [nan, 4]])
    assert decode.frames([None, None], missing=True).shape == (2, 0)
    assert decode.frames([], missing=True).shape == (0, 0)
    with pytest.raises(DataError, match="step 1, number 1, an infinity"):
        decode.frames([[float("inf")]], missing=True)
    with pytest.raises(DataError, match="has steps of no numbers"):
        decode.frames([[], None], missing=True)
    with pytest.raises(DataError, match="step 2, number 1, no time since the step before"):
        decode.check_elapsed(np.array([[0, 1], [nan, 1]], np.float64), 0)


WRONG_LISTS: list[tuple[Callable[..., Any], object, str]] = [
    (decode.key_steps, ["a"], "step 1 is the text 'a', expected a list of labels"),
    (
        decode.key_steps,
        [["a"], ["b", "b"]],
        "step 2: has the label 'b' twice; name each label once",
    ),
    (decode.key_steps, "a b", "is the text 'a b', expected a list of lists of labels"),
    (decode.label_set, 7, "is the number 7, expected a list of labels"),
    (decode.label_set, ["a", ""], "label 2 is empty, expected a label"),
    (decode.labels_of_steps, "a \0", "holds the character U+0000; remove it"),
    (decode.tokens, ["a", "\0"], "token 2 holds the character U+0000; remove it"),
]


@pytest.mark.parametrize(("function", "cell", "message"), WRONG_LISTS)
def test_wrong_lists(function: Callable[..., Any], cell: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        function(cell)
    assert str(caught.value) == message
