"""YAML 1.2 with positions: values, places, bounds, and errors in plain words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rnnspec.errors import SpecError
from rnnspec.source.offsets import offsets
from rnnspec.source.problems import Problem, Span
from rnnspec.source.text import MAX_BYTES, read_source
from rnnspec.source.yaml12 import Document, load

PRINTABLE = st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # JSON writes a tab in a text as an escape; an object's key may be any text
    | st.text(PRINTABLE | st.sampled_from("\n\t\"\\'")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(PRINTABLE, min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


def problem_of(text: str) -> Problem:
    with pytest.raises(SpecError) as caught:
        load(text, "f")
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[(word, word) for word in ("no", "yes", "on", "off", "y", "n", "N:1", "1:1", "12:30:45")],
        *[(word, word) for word in ("1_000", "0o8", "0xG", "1e", "e3", "+", ".", "0b1", "1.2.3")],
        *[
            (word, word)
            for word in ("2024-01-01", "nULL", "tRUE", ".Inf.", "1,5", "=", "0o-7", "\u0661")
        ],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("1E5", 1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.5e+1", -5.0),
        ("6.02e23", 6.02e23),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
        ('"3"', "3"),
        ("'no'", "no"),
        ("!!str 3", "3"),
        ("!!float 3", 3.0),
        ("! 3", "3"),
    ],
)
def test_scalars_of_the_core_schema(written: str, value: object) -> None:
    found = load(f"key: {written}\n", "f").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(load("key: .nan", "f").data["key"])


@given(JSON)
def test_json_is_yaml(data: object) -> None:
    """YAML 1.2 is a superset of JSON, whose reader is one we trust."""
    for indent in (None, 2):
        text = json.dumps({"key": data}, ensure_ascii=False, indent=indent)
        assert load(text, "f").data == {"key": data}


@example("0E0", "")
@given(st.text(PRINTABLE | st.sampled_from(" \n")), st.sampled_from(("|", ">", "'", '"', "")))
def test_places_inside_texts(value: str, style: str) -> None:
    """Every visible character of a value is found in the file, however PyYAML has written it."""
    text = yaml.dump({"key": value}, default_style=style or None, width=20, allow_unicode=True)
    node = load(text, "f").root.entries["key"].node  # type: ignore[union-attr]
    # PyYAML writes texts plain that are numbers in YAML 1.2 only: 0E0.
    assume(style or isinstance(node.value, str))  # type: ignore[union-attr]
    assert node.value == value  # type: ignore[union-attr]
    places = offsets(text, node.start, node.style, value)  # type: ignore[union-attr]
    assert len(places) == len(value) + 1
    assert places == sorted(places)
    for character, at in zip(value, places, strict=False):
        if not character.isspace():
            assert text[at] in (character, "\\")


EXAMPLE = """\
# a comment
name: &id demo
list: [1, "two", {three: 3}]
empty:
block:
  - first
  -   second: |

        z = a
        世 = b
again: *id
"""


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("name",), Span(2, 7, 8), Span(2, 1, 4)),
        (("list",), Span(3, 7, 22), Span(3, 1, 4)),
        (("list", 1), Span(3, 11, 5), Span(3, 11, 5)),
        (("list", 2, "three"), Span(3, 26, 1), Span(3, 19, 5)),
        (("empty",), Span(4, 1, 5), Span(4, 1, 5)),
        (("block",), Span(5, 1, 5), Span(5, 1, 5)),
        (("block", 0), Span(6, 5, 5), Span(6, 5, 5)),
        (("again",), Span(2, 7, 8), Span(11, 1, 5)),
        (("block", 1, "third"), Span(7, 7, 6), Span(7, 7, 6)),
        (("list", 9), Span(3, 1, 4), Span(3, 1, 4)),
    ],
)
def test_places(path: tuple[str | int, ...], value: Span, key: Span) -> None:
    document = load(EXAMPLE, "f")
    assert document.problem(path, "").span == value
    assert document.problem(path, "", key=True).span == key


def test_place_inside_a_block() -> None:
    problem = load(EXAMPLE, "f").problem_inside(("block", 1, "second"), 3, 5, 1, "wrong", "right")
    assert (problem.span, problem.path) == (Span(10, 13, 1), "block[1].second")
    assert problem.render().splitlines()[1:] == ["            世 = b", "                 ^"]


@pytest.mark.parametrize("line", [-3, 1, 2, 3, 99])
@pytest.mark.parametrize("column", [-3, 1, 4, 99])
def test_any_place_inside_a_text_is_in_the_file(line: int, column: int) -> None:
    document = load(EXAMPLE, "f")
    problem = document.problem_inside(("block", 1, "second"), line, column, 50, "wrong")
    assert 8 <= problem.span.line <= 10
    shown = document.source.line(problem.span.line)
    assert problem.span.column + problem.span.length - 1 <= max(1, len(shown) + 1)


def test_data_is_fresh() -> None:
    document = load("a: &a [1]\nb: *a\n", "f")
    document.data["a"].append(2)
    assert document.data == {"a": [1], "b": [1]}
    data = document.data
    assert data["a"] is not data["b"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    document = load(end.join(["a: 1", "b: 2", "c: |", " x", " y"]), "f")
    assert document.data == {"a": 1, "b": 2, "c": "x\ny"}
    assert document.problem(("b",), "").span == Span(2, 4, 1)
    assert document.problem_inside(("c",), 2, 1, 1, "wrong").span == Span(5, 2, 1)


def test_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    source = read_source(path, "a.yaml")
    assert load(source.text, "f").problem(("a",), "", key=True).span == Span(1, 1, 1)


def test_all_problems_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        load("a: 1\na: 2\n3: x\nb: !x y\nc: {<<: {}}\n? [q]\n: 1\n", "f")
    assert [problem.span.line for problem in caught.value.problems] == [2, 3, 4, 5, 6]


def test_duplicate_keys_name_both_places() -> None:
    problem = problem_of("a: {b: 1,\n    b: 2}\n")
    assert (problem.span, problem.path) == (Span(2, 5, 1), "a.b")
    assert "line 1, column 5" in problem.message


def test_nesting_is_bounded() -> None:
    assert load("[" * 101 + "]" * 101, "f").source.line(1).count("[") == 101
    for text in ("[" * 102 + "]" * 102, "[" * 100_000, "- " * 100_000, "? " * 5000, "{a: " * 102):
        assert "100 levels" in problem_of(text).message


def test_nesting_through_aliases_is_bounded() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 120)]
    assert "100 levels" in problem_of("\n".join(lines)).message


def test_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert "20,000 values" in problem_of("\n".join(lines)).message


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {b: *a}", "a: &a {b: {c: [*a]}}"])
def test_recursive_alias(text: str) -> None:
    assert "inside the value it stands for" in problem_of(text).message


def test_an_anchor_may_be_used_again() -> None:
    assert load("a: &x 1\nb: *x\nc: &x 2\nd: *x", "f").data == {"a": 1, "b": 1, "c": 2, "d": 2}


BROKEN = (
    *(
        "",
        "\n\n",
        "# only\n",
        "---\n",
        "---\n...\n",
        "\t",
        "@",
        "%",
        "...",
        "? ",
        ": :",
        "[}",
        "{]",
    ),
    *(
        "a: \x07",
        "a: \x00",
        "a: \u2028",
        "a: \ufeff",
        "a: '\n",
        'a: "\\',
        'a: "\\x',
        "a: &",
        "a: *",
    ),
    *("a: !<", "a: |0\n", "a: >x", "a: [b: c, d", "--- a: b", "a:\t- b", "a: !!map x", "%YAML"),
    *("%YAML x", "%YAML 1.1\n---\na: 1", "%TAG ! x\n---\na: 1", "a: 1\n--- \nb: 1"),
    *("%YAML 1." + "9" * 5000 + "\n---\na", "a: " + "9" * 500, "a: 0x" + "f" * 500),
    *('a: "\\U99999999"', 'a: "\\ud800"', 'a: "\\0"', "a: %b", "a: `b", "a: b: c", "a\nb: c"),
)


@pytest.mark.parametrize("text", BROKEN)
def test_always_a_problem_with_a_place(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(text, "f")
    for problem in caught.value.problems:
        assert problem.span.line >= 1
        assert problem.render().startswith("f:")


def test_long_lines_are_cut_around_the_place() -> None:
    problem = problem_of("a: " + "x" * 5000 + ": " + "y" * 5000)
    head, line, marks = problem.render().splitlines()
    assert len(head) < 200
    assert len(line) < 200
    assert line[marks.index("^")] == ":"


def test_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)  # a hole in the file: takes no room
    with pytest.raises(SpecError, match=f"larger than {MAX_BYTES:,} bytes"):
        read_source(path, "large.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spec.yml", "there is no such file; did you mean 'spec.yaml'?"),
        ("folder", "is a folder"),
        ("spec.yaml/more", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_no_such_file(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "spec.yaml").write_text("a: 1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SpecError) as caught:
        read_source(tmp_path / name, name)
    assert message in str(caught.value)


def test_problems_are_placed_in_the_nearest_thing_above() -> None:
    document: Document = load("a:\n  - {b: 1}\n", "f")
    assert document.problem(("a", 0, "c"), "missing").render().splitlines() == [
        "f:2:5: a[0].c: missing",
        "      - {b: 1}",
        "        ^^^^^^",
    ]
    assert document.problem(("z",), "missing").render() == "f:1:1: z: missing"


def test_a_model_file_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "words.onnx").write_bytes(b"\x08\x08\xff\xfe")
    with pytest.raises(SpecError) as caught:
        read_source(tmp_path / "words.onnx", "words.onnx")
    assert "name the spec, or the build" in str(caught.value)
