"""Spans in a text: what is right, what is missed, what is wrong."""

from __future__ import annotations

import pytest

from rnnspec.report.model import Span, SpanExample, SpanExamples
from rnnspec.report.sections.spans import groups
from tests.reports import drawn, of_class, words

TOKENS = ("to", "las", "vegas", "or", "reno", "on", "may", "1st")
TRUE = (Span(1, 3, "city"), Span(4, 5, "city"), Span(6, 8, "date"))
ONE = SpanExample(TOKENS, TRUE, (Span(1, 3, "city"), Span(5, 7, "date")), "line 4")


def test_right_spans_and_wrong_ones_are_told_apart_by_signs() -> None:
    section = drawn(SpanExamples("t", (ONE,)))
    groups_drawn = [words(each) for each in of_class(section, "group")]
    assert groups_drawn == [
        "las vegas✓ city",
        "reno✗ no spantrue: city",
        "on may 1st✗ on may datetrue: may 1st date",
    ]
    assert len(of_class(section, "wrong")) == 2
    assert "✗ 1 of 3 spans found, 1 that is not there · line 4" in words(section)


def test_the_whole_text_is_there_in_its_order() -> None:
    (text,) = of_class(drawn(SpanExamples("t", (ONE,))), "spans")
    for group in of_class(text, "group"):
        for each in of_class(group, "tag"):
            group.remove(each)
    assert words(text).split() == list(TOKENS)


def test_spans_that_touch_are_not_one() -> None:
    one = SpanExample(("a", "b", "c"), both := (Span(0, 1, "x"), Span(1, 3, "")), both)
    section = drawn(SpanExamples("t", (one,)))
    assert [words(each) for each in of_class(section, "group")] == ["a✓ x", "b c✓ span"]
    assert "✓ 2 of 2 spans found" in words(section)


def test_characters_stand_side_by_side() -> None:
    one = SpanExample(tuple("in May 2"), (Span(3, 6, "month"),), (), joint="")
    (text,) = of_class(drawn(SpanExamples("t", (one,))), "spans")
    assert words(text) == "in May✗ no spantrue: month 2"


def test_a_row_without_spans_is_its_text() -> None:
    section = drawn(SpanExamples("t", (SpanExample(("a", "b"), (), ()),)))
    assert "✓ no span to find" in words(section)
    assert not of_class(section, "group") and "a b" in words(section)


def test_what_is_too_long_is_cut_between_spans() -> None:
    spans = (Span(10, 11, "x"), Span(155, 165, "x"), Span(190, 191, "x"))
    section = drawn(SpanExamples("t", (SpanExample(("w",) * 200, spans, spans),)))
    assert len(of_class(section, "group")) == 2
    assert "… 40 tokens more" in words(section)


def test_groups_are_of_spans_that_overlap() -> None:
    spans = [Span(5, 6, "a"), Span(0, 2, "a"), Span(1, 4, "b"), Span(4, 5, "a")]
    assert list(groups(spans)) == [(0, 4), (4, 5), (5, 6)]
    assert list(groups([])) == []


@pytest.mark.parametrize("span", [Span(-1, 1, "a"), Span(0, 9, "a"), Span(1, 1, "a")])
def test_a_span_must_lie_in_its_row(span: Span) -> None:
    with pytest.raises(ValueError, match="not within its tokens"):
        drawn(SpanExamples("t", (SpanExample(("a", "b"), (span,), ()),)))
