"""Diagrams as SVG: whole, self-contained, legible, and no text outside of its box."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings

from rnnspec.plan.diagram import Box, Diagram, Flow, svg
from rnnspec.plan.diagram.measure import ems, monospace_ems
from rnnspec.plan.diagram.style import DARK, LIGHT, SIZES, STYLE
from tests.pictures import any_diagram, pictures

PICTURES = pictures()
SVG = "{http://www.w3.org/2000/svg}"


def _parsed(diagram: Diagram) -> Element:
    return ElementTree.fromstring(svg(diagram))


def _boxes(root: Element) -> list[Element]:
    return [g for g in root.iter(f"{SVG}g") if "box" in g.get("class", "").split()]


def _name(box: Element) -> str:
    title = box.find(f"{SVG}title")
    assert title is not None
    return title.text or ""


def _frame(box: Element) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge."""
    found = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", box.get("transform", ""))
    assert found
    x, y = map(float, found.groups())
    (frame,) = (r for r in box.iter(f"{SVG}rect") if r.get("class") == "frame")
    return x, y, x + float(frame.get("width", 0)), y + float(frame.get("height", 0))


def _span(text: Element) -> tuple[float, float]:
    """Where a text starts and ends, by an upper bound of its width."""
    style, x = text.get("class", ""), float(text.get("x", 0))
    words = text.text or ""
    width = SIZES[style] * (monospace_ems(words) if style == "shape" else ems(words))
    return (x - width, x) if text.get("text-anchor") == "end" else (x, x + width)


def _check_fit(root: Element) -> None:
    """Every text within its box, no two texts of a row over each other, no two boxes either."""
    for box in _boxes(root):
        left, top, right, bottom = _frame(box)
        rows: dict[float, list[tuple[float, float]]] = {}
        for text in box.iter(f"{SVG}text"):
            start, end = _span(text)
            y = float(text.get("y", 0))
            assert start >= 0
            assert end <= right - left
            assert SIZES[text.get("class", "")] <= y <= bottom - top - 3
            rows.setdefault(y, []).append((start, end))
        for spans in rows.values():
            ordered = sorted(spans)
            assert all(one[1] <= other[0] for one, other in pairwise(ordered))
    frames = [_frame(box) for box in _boxes(root)]
    for number, (left, top, right, bottom) in enumerate(frames):
        for x, y, to_x, to_y in frames[:number]:
            assert to_x <= left or right <= x or to_y <= top or bottom <= y


@pytest.mark.parametrize("name", PICTURES)
def test_every_node_is_named_and_text_fits(name: str) -> None:
    root = _parsed(PICTURES[name])
    assert [_name(box) for box in _boxes(root)] == [box.name for box in PICTURES[name].boxes]
    words = "".join(root.itertext())
    for box in PICTURES[name].boxes:
        assert box.title in words
        assert box.shape_text in words
    _check_fit(root)


@pytest.mark.parametrize("name", PICTURES)
def test_everything_is_inside_the_page(name: str) -> None:
    root = _parsed(PICTURES[name])
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    (page,) = root.findall(f"{SVG}g")
    move_x, move_y = map(float, re.findall(r"[\d.]+", page.get("transform", "")))
    for box in _boxes(root):
        left, top, right, bottom = _frame(box)
        assert 0 < left + move_x < right + move_x < width
        assert 0 < top + move_y < bottom + move_y < height
    for text in root.findall(f"{SVG}text"):
        assert 0 < _span(text)[0] <= _span(text)[1] < width
        assert 0 < float(text.get("y", 0)) < height


def test_there_is_an_arrow_for_each_source() -> None:
    for picture in PICTURES.values():
        root = _parsed(picture)
        heads = [p for p in root.findall(f"{SVG}g/{SVG}path") if p.get("class") == "head"]
        assert len(heads) == sum(len(box.sources) for box in picture.boxes)


def test_a_bidirectional_layer_has_arrows_both_ways() -> None:
    (box,) = (b for b in _boxes(_parsed(PICTURES["letters"])) if _name(b) == "layers.0")
    heads = [p.get("d", "") for p in box.iter(f"{SVG}path") if p.get("class") == "head"]
    assert ["l-4 " in d for d in heads] == [True, False]
    assert ["l4 " in d for d in heads] == [False, True]


def test_it_is_self_contained() -> None:
    text = svg(PICTURES["letters"])
    assert text.startswith("<svg ")
    root = ElementTree.fromstring(text)
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds == {
        "svg", "title", "desc", "style", "g", "rect", "text", "path", "circle"
    }  # fmt: skip
    assert not re.search(r"href|url\(|@import|@font-face|<script|\bon\w+=", text)
    assert re.findall(r"https?:[^\"'\s]*", text) == ["http://www.w3.org/2000/svg"]


def test_it_is_told_to_those_who_cannot_see_it() -> None:
    root = _parsed(PICTURES["letters"])
    assert root.get("role") == "img"
    ids = {element.get("id"): element for element in root.iter() if element.get("id")}
    title, words = (ids[name] for name in root.get("aria-labelledby", "").split())
    assert title.text == "letters: N:1, 50,782 trained weights"
    assert title is root[0]
    assert "pool reads layers.0: last step's output" in (words.text or "")


def test_two_in_one_page_keep_their_ids_apart() -> None:
    one, other = (svg(PICTURES["letters"], ident) for ident in ("first", "second"))
    ids = re.findall(r'\bid="([^"]*)"', one + other)
    assert len(ids) == len(set(ids)) == 4


def test_styles_count_for_the_diagram_only() -> None:
    rules = re.sub(r"@media[^{]*\{(.*?\})\s*\}", r"\1", STYLE)
    selectors = [part.strip() for part in re.findall(r"([^{}]+)\{", rules)]
    assert selectors
    for selector in selectors:
        assert all(each.strip().startswith(".rnnspec-diagram") for each in selector.split(","))


def test_names_are_escaped() -> None:
    evil = '</text><script>alert("1")</script>&amp;\x00\x1b\ufffe\u202e'
    count = "1,234,567,890 weights " * 9
    boxes = (
        Box(evil, evil, (evil,), ("B", "T"), count, kind="input"),
        Box("b", "b", sources=(evil,), flows=(Flow("forward", evil),)),
    )
    root = _parsed(Diagram(evil, evil, boxes))
    assert not list(root.iter(f"{SVG}script"))
    assert _name(_boxes(root)[0]) == '</text><script>alert("1")</script>&amp;' + "\ufffd" * 4
    _check_fit(root)


def test_what_is_too_long_is_shortened_and_whole_in_the_tooltip() -> None:
    name = "input." + "long_" * 40
    root = _parsed(Diagram("t", "", (Box(name, "x " * 200, (name,), kind="input"),)))
    (box,) = _boxes(root)
    assert _name(box) == name
    first = next(box.iter(f"{SVG}text")).text or ""
    assert first.startswith("input.long_") and "…" in first
    assert float(root.get("width", 0)) < 500
    _check_fit(root)


def test_boxes_grow_with_the_width_of_their_value() -> None:
    boxes = tuple(Box(f"b{n}", "x", shape=("B", n), kind="input") for n in (2, 64, 1024))
    widths = [
        right - left for left, _, right, _ in map(_frame, _boxes(_parsed(Diagram("t", "", boxes))))
    ]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3
    huge = Box("b", "x", shape=("B", 10**9), kind="input")
    ((left, _, right, _),) = map(_frame, _boxes(_parsed(Diagram("t", "", (huge,)))))
    assert right - left == 400


@settings(max_examples=60)
@given(any_diagram())
def test_any_diagram_is_valid_and_fits(diagram: Diagram) -> None:
    root = _parsed(diagram)
    assert len(_boxes(root)) == len(diagram.boxes)
    _check_fit(root)


# ---------------------------------------------------------------- looks


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out(colours: dict[str, str]) -> None:
    assert set(colours) == set(LIGHT)
    for ground in ("page", "box"):
        for text in ("text", "quiet"):
            assert _contrast(colours[text], colours[ground]) >= 4.5
        for line in ("edge", "input", "layer", "output"):
            assert _contrast(colours[line], colours[ground]) >= 3


@pytest.mark.parametrize(
    ("words", "widest"),
    [  # in em, bold DejaVu Sans
        ("layers.0.dropout", 9.38),
        ("MWQ@%", 4.95),
        ("1,234,567 weights", 10.42),
        ("output.day_of_year", 10.82),
    ],
)
def test_measures_are_upper_bounds(words: str, widest: float) -> None:
    assert widest <= ems(words) <= 1.2 * widest


def test_letters_of_other_scripts_count_as_wide() -> None:
    assert ems("日本") >= 2
    assert monospace_ems("日本") >= 2
    assert ems("e\u0301") == ems("e")
