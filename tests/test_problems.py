"""How a mistake is shown: place, cause, way out, and a line underlined where the eye sees it."""

from __future__ import annotations

import pytest

from rnnspec.source.problems import Problem, Span, did_you_mean


def shown(line: str, column: int, length: int) -> list[str]:
    return Problem("f", Span(1, column, length), "", "wrong", "", line).render().splitlines()[1:]


def test_the_head() -> None:
    assert (
        Problem("f", Span(3, 7), "a.b", "wrong", "do this").render() == "f:3:7: a.b: wrong; do this"
    )
    assert Problem("f", Span(3, 7), "", "wrong").render() == "f:3:7: wrong"
    assert Problem("f", Span(3, 7), "", "wrong", "", "   ").render() == "f:3:7: wrong"


@pytest.mark.parametrize(
    ("line", "column", "length", "marks"),
    [
        ("a: bc", 4, 2, "   ^^"),
        ("世界: x", 5, 1, "      ^"),
        ("a: 世界", 4, 2, "   ^^^^"),
        ("e\u0301: x", 5, 1, "   ^"),
        ("\ta: x", 5, 1, "    ^"),
        ("a:", 3, 1, "  ^"),
        ("a:", 9, 4, "  ^"),
        ("a: bc", 4, 99, "   ^^"),
    ],
)
def test_the_line_below_the_place(line: str, column: int, length: int, marks: str) -> None:
    assert shown(line, column, length)[1] == "    " + marks


def test_nothing_that_steers_a_terminal_is_printed() -> None:
    problem = Problem("f\x1b", Span(1, 1), "", "a\x07\u202eb", "", "x\x1b[31m\u2028\u2066y")
    assert problem.render().splitlines() == [
        "f\ufffd:1:1: a\ufffd\ufffdb",
        "    x\ufffd[31m\ufffd\ufffdy",
        "    ^",
    ]


def test_a_long_line_is_cut() -> None:
    line, marks = shown("a" * 1000 + "!" + "b" * 1000, 1001, 1)
    assert len(line) < 180
    assert line[marks.index("^")] == "!"


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("unit", "units"),
        ("UNITS", "units"),
        ("bi", "bidirectional"),
        ("cel", "cell"),
        ("transformer", ""),
        ("u", ""),
        ("", ""),
        ("x" * 100_000, ""),
    ],
)
def test_did_you_mean(word: str, near: str) -> None:
    known = ("units", "cell", "bidirectional", "direction")
    assert did_you_mean(word, known) == (f"did you mean {near!r}?" if near else "")
