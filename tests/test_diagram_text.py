"""Diagrams for a terminal: golden pictures, and what holds for every diagram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnspec.plan.diagram import Box, Diagram, diagram, text
from rnnspec.plan.diagram.boxes import legend
from rnnspec.plan.diagram.measure import shortened, wrapped
from rnnspec.plan.diagram.of_plan import WORDS
from rnnspec.plan.diagram.text import NARROWEST
from rnnspec.plan.nodes import NODE_TYPES
from rnnspec.source.characters import display_width, shown
from tests.pictures import any_diagram, letters_plan, pictures, skips_plan

GOLDENS = Path(__file__).parent / "diagrams"
PICTURES = pictures()


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_the_golden_one(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDENS / f"{name}.txt", text(PICTURES[name]))


def test_the_plain_picture_is_the_golden_one(golden: Callable[[Path, str], None]) -> None:
    golden(GOLDENS / "skips-ascii.txt", text(PICTURES["skips"], encoding="ascii"))


def test_no_golden_is_left_over() -> None:
    assert {p.stem for p in GOLDENS.glob("*.txt")} == {*PICTURES, "skips-ascii"}


def test_every_axis_is_in_the_legend() -> None:
    """Axes as `rnnspec.plan.nodes.Shape` has them."""
    for shapes in (
        [("B", "T.left", 8), ("B", "T/4", 8), ("B", "U", 3)],
        [("B", "T"), ("W", "C", 4)],
        [("B", "T", "E.1", "E.2", "E"), ("W", "C", "E.1", "E"), ("WW", "C"), ("B", 2)],
    ):
        boxes = tuple(Box(f"box{at}", "box", shape=shape) for at, shape in enumerate(shapes))
        told = [line.split()[0] for line in legend(Diagram("", "", boxes))]
        axes = {str(axis) for shape in shapes for axis in shape if isinstance(axis, str)}
        assert set(told) == {"T" if axis[0] == "T" else axis for axis in axes}
        assert len(set(told)) == len(told)


def test_every_node_type_has_words() -> None:
    assert set(WORDS) == set(NODE_TYPES)


def test_a_node_type_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = letters_plan()
    monkeypatch.delitem(WORDS, type(plan.nodes[1]))
    with pytest.raises(KeyError, match="Embed"):
        diagram(plan)


def test_the_diagram_has_every_node_with_its_sources() -> None:
    boxes = {box.name: box for box in diagram(skips_plan()).boxes}
    assert list(boxes) == [node.name for node in skips_plan().nodes]
    assert boxes["layers.1"].sources == ("layers.0.norm", "input.elapsed")
    assert boxes["layers.2.highway"].sources == ("layers.2", "layers.1.residual")
    assert [flow.direction for flow in boxes["layers.0"].flows] == ["forward", "reverse"]
    assert [name for name, box in boxes.items() if box.training] == ["layers.1.dropout"]
    kinds = {name: box.kind for name, box in boxes.items() if box.kind != "operation"}
    assert kinds == {"input.frames": "input", "input.elapsed": "input", "output.point": "output"}


def test_words_name_every_box_with_what_it_reads() -> None:
    words = diagram(skips_plan()).described().splitlines()
    assert len(words) == len(skips_plan().nodes)
    assert words[7].startswith("layers.1.residual reads layers.1.dropout and layers.0.norm: sum")


def test_an_encoding_without_lines_gives_ascii_and_the_code_of_a_letter() -> None:
    box = Box("häuser", "naïve ☃", shape=("B", "T"), kind="input")
    plain = text(Diagram("日本", "", (box,)), encoding="ascii")
    assert plain.isascii()
    assert "\\u65e5" in plain and "h\\xe4user" in plain and "\\u2603" in plain
    latin = text(Diagram("日本", "", (box,)), encoding="latin-1")
    assert "häuser" in latin and "+---" in latin
    assert "┌" not in latin


def test_a_name_that_steers_the_terminal_is_made_harmless() -> None:
    box = Box("a\x1b[31mb\u202ec\n", "x", kind="input")
    picture = text(Diagram("t\r", "", (box,)))
    assert not {"\x1b", "\u202e", "\r"} & set(picture)
    assert "a\ufffd[31mb\ufffdc\ufffd" in picture


def test_wide_letters_take_two_cells() -> None:
    boxes = (Box("東京都", "plain", kind="input"), Box("éé", "e\u0301e\u0301", sources=("東京都",)))
    lines = text(Diagram("", "", boxes)).splitlines()
    assert lines[1] == "│ 東京都 │"
    assert {display_width(line) for line in lines if line[0] in "╭│╰┌└"} == {10}


# ---------------------------------------------------------------- any diagram


@settings(max_examples=60)
@example(Diagram("", "+", (Box("a", "", kind="input"),)), NARROWEST, "ascii")
@given(any_diagram(), st.integers(NARROWEST, 110), st.sampled_from(["utf-8", "ascii", "cp437"]))
def test_any_diagram_fits_and_is_whole(picture: Diagram, columns: int, encoding: str) -> None:
    lines = text(picture, columns, encoding).splitlines()
    assert max(map(display_width, lines)) <= columns
    drawn = lines[lines.index("") :] if picture.title or picture.subtitle else lines
    corners = sum(line[0] in ("+" if encoding != "utf-8" else "╭┌╰└") for line in drawn if line)
    assert corners == 2 * len(picture.boxes)
    "\n".join(lines).encode(encoding)


def test_lines_beside_the_boxes_join_who_is_read_with_who_reads() -> None:
    """The picture read back: every line that leaves a box ends at all that read it."""
    for picture in PICTURES.values():
        lines = text(picture, 100).splitlines()
        place = {box.name: i for i, box in enumerate(picture.boxes)}
        drawn = sum(line.count("◀─") for line in lines)
        skipping = sum(
            place[s] != i - 1 for i, box in enumerate(picture.boxes) for s in box.sources
        )
        flows = sum(flow.direction == "reverse" for box in picture.boxes for flow in box.flows)
        assert drawn - flows == skipping


def test_where_the_lines_would_leave_no_room_the_names_say_it() -> None:
    boxes = tuple(Box(f"in.{i}", "vector", kind="input") for i in range(6))
    boxes += (Box("sum", "sum", sources=tuple(box.name for box in boxes)),)
    narrow = text(Diagram("many", "", boxes), NARROWEST)
    assert "◀" not in narrow
    assert "reads in.0, in.1, in.2, in.3," in narrow
    assert text(Diagram("many", "", boxes), 80).count("◀") == 5


# ---------------------------------------------------------------- measures


def test_text_is_shortened_in_the_middle() -> None:
    assert shortened("abcdefghij", 10, display_width) == "abcdefghij"
    assert shortened("abcdefghij", 5, display_width) == "ab…ij"
    assert shortened("abcdefghij", 1, display_width) == "…"
    assert shortened("東京東京", 6, display_width) == "東…京"


def test_text_is_wrapped_at_spaces() -> None:
    assert wrapped("one two three", 7, display_width) == ["one two", "three"]
    assert wrapped("a-very-long-word b", 6, display_width) == ["a-v…rd", "b"]
    assert wrapped("", 6, display_width) == [""]


def test_shown_keeps_letters_of_all_scripts() -> None:
    assert shown("naïve 日本 ☃ עברית") == "naïve 日本 ☃ עברית"
    assert shown("a\tb\x00\ufffe\u2028") == "a b" + "\ufffd" * 3


def test_titles_are_wrapped_too() -> None:
    picture = replace(PICTURES["letters"], subtitle=" ".join(["word"] * 60))
    assert max(map(display_width, text(picture, 50).splitlines())) <= 50
