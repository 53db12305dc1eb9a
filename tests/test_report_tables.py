"""Tables and texts of a report: order, shades and marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.report.model import (
    ClassRow,
    ClassTable,
    ConfusionMatrix,
    Example,
    Examples,
    Generated,
    Generation,
    Metric,
    MetricTable,
    TagExample,
    TagExamples,
)
from rnnspec.report.sections import SECTIONS
from rnnspec.report.sections.examples import shared_parts
from tests.reports import drawn, of_class, table, titles, words

# ---------------------------------------------------------------- figures and classes


def test_metrics_beside_a_baseline() -> None:
    metrics = (
        Metric("accuracy", 0.9, "", 0.6, True),
        Metric("MAE", 1.0, "", 2.0, False),
        Metric("RMSE", 3.0, "", 2.0, False),
        Metric("same", 1.0, "", 1.0, True),
        Metric("none", None, "what it means", 1.0, True),
    )
    rows = table(drawn(MetricTable("m", metrics, "last value")))
    assert [row[3] for row in rows] == [
        "✓ 0.3000 higher", "✓ 50.0 % lower", "✗ 50.0 % higher", "the same", "–"
    ]  # fmt: skip
    assert rows[4] == ["none", "–", "1", "–", "what it means"]


def test_a_metric_table_is_as_it_was() -> None:
    found = SECTIONS[MetricTable](MetricTable("How <good>", (Metric("MAE", 0.5, "less & less"),)))
    assert found == (
        '<div class="scroll" role="region" aria-label="How &lt;good&gt;" tabindex="0">'
        '<table class="metrics"><caption class="aloud">How &lt;good&gt;</caption><thead><tr>'
        '<th scope="col">metric</th><th scope="col" class="number">value</th>'
        '<th scope="col">meaning</th></tr></thead><tbody><tr><th scope="row">MAE</th>'
        '<td class="number"><strong>0.5000</strong></td><td>less &amp; less</td></tr></tbody>'
        "</table></div>"
    )


def test_the_worst_class_comes_first() -> None:
    rows = (
        ClassRow("good", 1.0, 1.0, 1.0, 5),
        ClassRow("none", None, None, None, 0),
        ClassRow("bad", 0.1, 0.1, 0.1, 5),
        ClassRow("rare", 0.1, 0.1, 0.1, 1),
    )
    section = drawn(ClassTable("c", rows))
    assert [row[0] for row in table(section)] == ["bad", "rare", "good", "none"]
    assert "2 are below 50.0 %" in words(section)
    assert "1 without a row or an answer" in words(section)


def test_many_classes_are_folded() -> None:
    rows = tuple(ClassRow(f"c{n}", 0.5, 0.5, n / 3000, 1) for n in range(3000))
    section = drawn(ClassTable("c", rows))
    (folded,) = section.iter("details")
    assert len(table(section)) == 25
    assert len(table(folded)) == 975
    assert "and 2,000 with still better ones" in words(folded)


def test_a_confusion_matrix_is_shaded_by_row_and_tells_its_cells() -> None:
    section = drawn(ConfusionMatrix("c", ("yes", "no"), ((75, 25), (0, 3))))
    told = titles(section)
    assert "yes answered as yes: 75 of 100 (75.0 %)" in told
    assert "no answered as no: 3 of 3 (100.0 %)" in told
    assert not [one for one in told if one.startswith("no answered as yes")]
    cells = [
        r
        for r in section.iter("rect")
        if r.get("class") in ("right", "wrong") and r.get("y") != "0"
    ]
    assert [cell.get("class") for cell in cells] == ["right", "wrong", "right"]
    assert cells[2].get("fill-opacity") == "1.00"
    assert table(section) == [["yes", "no", "25", "25.0 %"]]


def test_a_confusion_matrix_of_many_classes_is_a_list_of_mistakes() -> None:
    size = 60
    counts = tuple(
        tuple(5 if true == answer else int(answer == true + 1) * true for answer in range(size))
        for true in range(size)
    )
    section = drawn(ConfusionMatrix("c", tuple(f"c{n}" for n in range(size)), counts))
    assert not list(section.iter("svg"))
    rows = table(section)
    assert rows[0] == ["c58", "c59", "58", "92.1 %"]
    assert len(rows) == 40


@pytest.mark.parametrize("size", [1, 2, 40])
def test_confusion_matrices_of_any_size(size: int) -> None:
    counts = tuple(tuple(int(a == b) * 12345 for a in range(size)) for b in range(size))
    section = drawn(ConfusionMatrix("c", tuple(f"class {n}" for n in range(size)), counts))
    assert "No class is taken for another." in words(section)
    assert len(titles(section)) == 1 + 3 * size


# ---------------------------------------------------------------- examples


@given(st.text("ab ", max_size=12), st.text("ab ", max_size=12))
def test_pieces_make_both_texts_and_share_what_is_the_same(expected: str, answered: str) -> None:
    ours, theirs = shared_parts(list(expected), list(answered))
    assert "".join(part for part, _ in ours) == expected
    assert "".join(part for part, _ in theirs) == answered
    assert [p for p, shared in ours if shared] == [p for p, shared in theirs if shared]
    assert (expected == answered) == all(shared for _, shared in ours + theirs)


def test_wrong_answers_come_first_and_show_where_they_differ() -> None:
    rows = (
        Example("b", "2025", "2025", -0.25, place="line 2"),
        Example("a", "2026-11-22", "2016-1-22", -1.5, place="line 1"),
    )
    section = drawn(Examples("e", rows, score="log-probability"))
    captions = [words(caption) for caption in section.iter("caption")]
    assert captions == ["✗ Wrong answers", "✓ Right answers"]
    assert table(section) == [["a", "2026-11-22", "2016-1-22", "−1.500", "line 1"]]
    marks = [(m.get("class"), words(m)) for m in next(section.iter("table")).iter("mark")]
    assert marks == [("missed", "2"), ("missed", "1"), ("off", "1")]


def test_words_are_set_against_words_and_whole_answers_are_not() -> None:
    row = Example("x", "the old man", "the bold man")
    section = drawn(Examples("e", (row,), "words"))
    assert [words(m) for m in next(section.iter("table")).iter("mark")] == ["old", "bold"]
    assert not list(drawn(Examples("e", (row,), "nothing")).iter("mark"))


def test_right_may_be_said_and_a_missing_space_is_seen() -> None:
    said = drawn(Examples("e", (Example("x", "a", "b", right=True),)))
    assert [words(caption) for caption in said.iter("caption")] == ["✓ Right answers"]
    spaces = drawn(Examples("e", (Example("x", "a b", "ab"),)))
    assert [words(m) for m in next(spaces.iter("table")).iter("mark")] == ["␣"]


def test_the_difference_of_long_texts_is_in_sight() -> None:
    rows = (Example("x", "a" * 1500 + "b" + "a" * 300, "a" * 1800),)
    (first, *_) = next(drawn(Examples("e", rows)).iter("table")).iter("mark")
    assert words(first) == "b"


def test_tags_that_are_wrong_are_marked() -> None:
    one = TagExample(("old", "man", "!"), ("NOUN", "VERB", "X"), ("ADJ", "VERB", "X"), "line 3")
    section = drawn(TagExamples("t", (one,)))
    assert "✗ 1 of 3 tokens wrong · line 3" in words(section)
    (wrong,) = of_class(section, "wrong")
    assert words(wrong) == "old✗ ADJNOUN"
    with pytest.raises(ValueError, match="not one for each token"):
        drawn(TagExamples("t", (TagExample(("a",), ("b",), ()),)))


def test_generated_text_keeps_its_lines_after_the_prompt() -> None:
    section = drawn(Generated("g", (Generation("ROMEO:", "\n  But soft", "greedy"),)))
    (text,) = of_class(section, "text")
    assert words(text) == "ROMEO:\n  But soft"
    assert "greedy" in words(section)
