"""What a report makes of texts and numbers, and the axes of its charts."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.report.model import Example, Examples
from rnnspec.report.scale import scale, steps
from rnnspec.report.words import cut, number, plural, share, tick, token, visible
from tests.reports import drawn, words

# ---------------------------------------------------------------- words and numbers


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"), (nan, "not a number"), (inf, "∞"), (-inf, "−∞"), (0.0, "0"), (3.0, "3"),
        (0.9213, "0.9213"), (0.02, "0.0200"), (-0.5, "−0.5000"),
        (0.00123456, "0.001235"), (-0.001, "−0.001"),
        (1.5e-7, "1.500e−7"), (12.3456, "12.35"), (1234.5678, "1,235"), (1234567.0, "1,234,567"),
        (1e20, "1.000e20"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, words: str) -> None:
    assert number(value) == words


def test_shares() -> None:
    values = [None, 0.0, 0.0001, 0.123, 0.9999, 1.0, nan]
    assert [share(value) for value in values] == [
        "–", "0.0 %", "< 0.1 %", "12.3 %", "> 99.9 %", "100.0 %", "not a number"
    ]  # fmt: skip


def test_plurals() -> None:
    found = [plural(1, "rows"), plural(2, "row"), plural(1200, "classes"), plural(3, "class")]
    assert found == ["1 row", "2 rows", "1,200 classes", "3 classes"]
    assert plural(1, "classes") == "1 class"


def test_texts_are_visible_and_short() -> None:
    assert visible("a\nb\tc\x00\x7f\u202e") == "a↵b⇥c␀␡\ufffd"
    assert token(" a  b ") == "␣a  b␣"
    assert token("  ") == "␣␣"
    assert cut("abcdef", 3) == "abc…"
    assert cut("abc", 3) == "abc"
    assert cut("abe\u0301f", 3) == "ab…"


def test_a_long_text_is_whole_in_its_tooltip() -> None:
    long = "word " * 100
    section = drawn(Examples("e", (Example(long, "a", "b"),)))
    (shown,) = (text for text in section.iter("bdi") if text.get("title"))
    assert shown.get("title") == long
    assert words(shown).endswith("…")
    assert len(words(shown)) < 300


# ---------------------------------------------------------------- scales

_VALUES = st.lists(st.none() | st.floats() | st.floats(-1e3, 1e3), max_size=8)


@given(_VALUES, st.booleans(), st.booleans(), st.booleans())
def test_any_axis_holds_its_values_and_its_ticks(
    values: list[float | None], zero: bool, tight: bool, logarithmic: bool
) -> None:
    axis = scale(values, 200.0, 10.0, zero=zero, tight=tight, logarithmic=logarithmic)
    places = [axis.at(value) for value, _ in axis.ticks]
    assert 1 <= len(places) <= 12
    assert all(one > other for one, other in pairwise(places))
    assert len({name for _, name in axis.ticks}) == len(places)
    for value in values:
        if value is not None and abs(value) <= 1e100 and (abs(value) > 1e-100 or value == 0):
            places.append(axis.at(value))
    assert all(10 - 1e-6 <= place <= 200 + 1e-6 for place in places)


def test_ticks_are_round() -> None:
    assert [name for _, name in scale([0.12, 0.93], 0, 1).ticks] == [
        "0",
        "0.25",
        "0.50",
        "0.75",
        "1.00",
    ]
    names = [name for _, name in scale([0.002, 3.0], 0, 1, logarithmic=True).ticks]
    assert names == ["0.01", "0.1", "1"]
    assert not scale([0.5, 3.0], 0, 1, logarithmic=True).logarithmic
    assert not scale([0.0, 3.0], 0, 1, logarithmic=True).logarithmic
    assert [name for _, name in steps(1, 24, 0, 1).ticks] == ["1", "5", "10", "15", "20"]
    assert [name for _, name in steps(1, 1, 0, 1).ticks] == ["1"]
    assert tick(1.2e9, 2e7) == "1.20e9"
