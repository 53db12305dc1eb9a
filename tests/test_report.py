"""Reports: one whole page without network or scripts, whatever its sections hold."""

from __future__ import annotations

import re
from typing import get_args
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings

from rnnspec.report import Report, render
from rnnspec.report.model import Curves, Examples, Figure, Note, Section
from rnnspec.report.sections import SECTIONS
from rnnspec.report.style import DARK, LIGHT, STYLE
from tests.reports import any_report, parsed, report, sections

EVIL = '</td></svg></style><script>alert("1")</script>&amp;\x00\x1b\ufffe\u202e'
SHOWN = '</td></svg></style><script>alert("1")</script>&amp;\u2400\u241b\ufffd\ufffd'
TAGS = frozenset(
    re.findall(
        r"\w+",
        """page html head meta title style body div header h1 h2 ul ol li dl dt dd nav a main p
        section span strong bdi mark table caption thead tbody tr th td figure figcaption details
        summary pre article footer svg g rect line path circle text desc image""",
    )
)


def _one(*of: Section) -> Element:
    return parsed(render(Report("t", sections=of)))


def _words(element: Element) -> str:
    return "".join(element.itertext())


def _check(page: str) -> Element:
    """Well formed, with known elements only, and whole: nothing is loaded, nothing runs."""
    assert page.startswith("<!DOCTYPE html>\n<html")
    root = parsed(page)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert element.tag in TAGS
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert name != "src"
            if element.tag == "image" and name == "href":
                assert value.startswith("data:image/png;base64,")
            elif name in ("href", "aria-labelledby"):
                assert set(value.removeprefix("#").split()) <= set(ids)
    for drawn in re.findall(r"<svg.*?</svg>(?!\s*<g|\s*</g)", page, flags=re.DOTALL):
        if drawn.count("<svg") == drawn.count("</svg"):
            ElementTree.fromstring(drawn)
    return root


def test_there_is_a_drawing_for_every_kind_of_section() -> None:
    assert set(get_args(Section)) == set(SECTIONS)
    assert set(sections()) == {kind.__name__ for kind in SECTIONS}


def test_a_report_with_everything() -> None:
    page = render(report())
    root = _check(page)
    titles = [_words(title) for title in root.iter("h2")]
    assert titles == ["⚠ Warning", *(one.title for one in report().sections), "The model"]
    links = [link.get("href", "") for link in root.iter("a")]
    assert len(links) == len(report().sections) + 1
    said = _words(root)
    for part in ("80.0 %", "of 13 rows", "a label is new", "22 November 2026", "cardinality: N:1"):
        assert part in said
    assert 'class="rnnspec-diagram"' in page


def test_it_is_self_contained() -> None:
    page = render(report())
    assert re.findall(r"https?:[^\"'\s]*", page) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\(|@import|@font-face|<script|<link|<img|\bsrc=|javascript:", page)
    (policy,) = (e for e in parsed(page).iter("meta") if e.get("http-equiv"))
    assert policy.get("content") == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_it_can_be_read_without_seeing_it() -> None:
    root = parsed(render(report()))
    pictures = [s for s in root.iter("svg") if s.get("aria-hidden") != "true" and s.get("role")]
    assert len(pictures) > 8
    for picture in pictures:
        assert picture[0].tag == "title"
        assert _words(picture[0])
    for table in root.iter("table"):
        assert table[0].tag == "caption"
        assert _words(table[0])
        assert all(cell.get("scope") == "col" for cell in table[1].iter("th"))
        assert all(row[0].get("scope") == "row" for row in table[2])
    scrolled = [e for e in root.iter("div") if e.get("class") == "scroll"]
    assert all(e.get("tabindex") == "0" and e.get("aria-label") for e in scrolled)
    assert next(root.iter("html")).get("lang") == "en"


@pytest.mark.parametrize("name", sections())
def test_each_section_stands_alone(name: str) -> None:
    root = _check(render(Report("t", sections=(sections()[name],))))
    (section,) = root.iter("section")
    assert len(_words(section)) > len(sections()[name].title) + 5


@pytest.mark.parametrize("name", sections())
def test_each_section_may_be_empty(name: str) -> None:
    fields = {"labels": (), "counts": (), "edges": (0.0, 1.0), "truth": (), "answered": ()}
    kind = next(kind for kind in SECTIONS if kind.__name__ == name)
    own = [field for field in kind.__dataclass_fields__ if field != "title"]
    first = {own[0]: ()} if own[0] not in fields and name != "Note" else {}
    known = {field: fields[field] for field in own if field in fields}
    more = {"series": ()} if name == "Histogram" else {"text": ""} if name == "Note" else {}
    root = _check(render(Report("t", sections=(kind("Title", **first, **known, **more),))))
    (section,) = root.iter("section")
    assert not list(section.iter("svg"))
    assert name == "Note" or len(_words(section)) > len("Title") + 10


def test_an_empty_report() -> None:
    root = _check(render(Report("nothing yet")))
    assert _words(next(root.iter("h1"))) == "nothing yet"
    assert not list(root.iter("section"))


def test_what_comes_from_data_is_escaped() -> None:
    made = Report(
        EVIL,
        (EVIL,),
        (Figure(EVIL, EVIL, EVIL),),
        (EVIL,),
        (Note(EVIL, EVIL, fixed=True),),
        "",
        EVIL,
    )
    root = _check(render(made))
    body = _words(next(root.iter("body")))
    assert body.count(SHOWN) == 9
    assert not set(body) & set(EVIL[-4:])


def test_the_diagram_is_checked() -> None:
    with pytest.raises(ValueError, match="not an <svg> element"):
        render(Report("t", diagram="<script>"))


def test_series_must_fit_each_other() -> None:
    from rnnspec.report.model import Chart, ConfusionMatrix, Counts, Histogram, Scatter, Series

    short = Chart("loss", (Series("train", (1.0,)), Series("valid", (1.0, 2.0))))
    wrong: list[Section] = [
        Curves("t", (short,)),
        ConfusionMatrix("t", ("a",), ((1, 2),)),
        Histogram("t", (0.0, 1.0), (Counts("a", (1, 2)),)),
        Scatter("t", (1.0,), ()),
    ]
    for section in wrong:
        with pytest.raises(ValueError, match="t: "):
            _one(section)


def test_a_note_keeps_its_paragraphs_and_lines() -> None:
    root = _one(Note("n", "one\n\ntwo\nlines"), Note("f", "a  b\n c\n", fixed=True))
    first, second = root.iter("section")
    assert [_words(p) for p in first.iter("p")] == ["one", "two\nlines"]
    assert _words(next(second.iter("pre"))) == "a  b\n c\n"


def test_links_are_left_out_of_a_short_report() -> None:
    assert not list(_one(Note("a", "b"), Examples("c", ())).iter("nav"))


@settings(max_examples=120)
@given(any_report)
def test_any_report_is_whole(made: Report) -> None:
    root = _check(render(made))
    body = next(root.iter("body"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", _words(body))
    assert len(list(body.iter("section"))) == len(made.sections) + bool(made.spec)


# ---------------------------------------------------------------- looks


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _mixed(over: str, under: str, opacity: float) -> str:
    """The colour seen where `over` lies on `under`."""
    pairs = [(int(over[i : i + 2], 16), int(under[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(opacity * a + (1 - opacity) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_legible(colours: dict[str, str]) -> None:
    for text in ("text", "quiet", "layer", "output"):
        for ground in ("page", "ground", "box"):
            assert _contrast(colours[text], colours[ground]) >= 4.5
    for line in ("layer", "output", "input", "fourth", "quiet"):
        assert _contrast(colours[line], colours["page"]) >= 3


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("kind", "hue"), [("right", "layer"), ("wrong", "output")])
def test_numbers_on_every_shade_are_legible(colours: dict[str, str], kind: str, hue: str) -> None:
    from rnnspec.report.sections.confusion import contrast, shaded

    for share in range(101):
        shade = shaded(share / 100)
        text = colours[contrast(kind, shade)]
        assert _contrast(text, _mixed(colours[hue], colours["page"], shade)) >= 4.5


def test_the_page_has_looks_for_the_dark_and_for_paper() -> None:
    assert "prefers-color-scheme: dark" in STYLE
    assert "@media print" in STYLE
    assert STYLE.count("{") == STYLE.count("}")
    used = set(re.findall(r"var\(--(\w+)", STYLE))
    assert used - {"line"} <= set(LIGHT) == set(DARK)
