"""Equations tell all of their mistakes in one run, each at its place, and no consequences."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.cells import compile_cell, mistakes_of
from rnnspec.cells.graph import CellSource
from rnnspec.cells.library import BUILTIN, builtin_source
from rnnspec.errors import CellError

WRONG = {
    "no function": " + tnah(x)",
    "no meaning": " $ x",
    "not closed": " + (x",
    "too many arguments": " + tanh(x, x)",
    "unknown name": " + w",
    "two in one": " + tnah(w)",
    "not one equation": " x",
}
TWO = {"two in one": 2}
LINES = {name: builtin_source(name).equations.strip().split("\n") for name in BUILTIN}


@given(data=st.data(), name=st.sampled_from(BUILTIN))
def test_every_mistake_of_every_line_is_told_and_no_other(data: st.DataObject, name: str) -> None:
    """Mistakes put into the equations of built-in cells, of which those are known."""
    lines, expected = list(LINES[name]), dict[int, int]()
    for at in data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1)):
        kind = data.draw(st.sampled_from(sorted(WRONG)))
        lines[at] += WRONG[kind].replace("w", f"w{at}")
        expected[at + 1] = TWO.get(kind, 1)
    source = replace(builtin_source(name), equations="\n".join(lines))
    found = mistakes_of(source)
    by_line: dict[int, int] = {}
    for mistake in found:
        assert mistake.about == "equations"
        by_line[mistake.line] = by_line.get(mistake.line, 0) + 1
        assert 1 <= mistake.column <= len(lines[mistake.line - 1]) + 1
    assert by_line == expected, [str(each) for each in found]
    with pytest.raises(CellError) as caught:
        compile_cell(source)
    assert str(caught.value) in map(str, found)


def test_right_cells_have_none() -> None:
    for name in BUILTIN:
        assert mistakes_of(builtin_source(name)) == []


def test_mistakes_beside_the_equations() -> None:
    source = CellSource(
        name="mine",
        states={"h": "units", "c": "wide"},
        equations="c = tanh(W @ x)\nh = tanh(U @ c) + tahn(h)",
        inputs=["tanh"],
        sizes=["units", "2"],
    )
    found = [(each.about, each.name, each.message) for each in mistakes_of(source)]
    assert found == [
        ("sizes", "", "the size 'units' is there already; rename it"),
        ("sizes", "", "the size '2' is not a name (letters, digits, _), or is listed twice"),
        ("inputs", "tanh", "the input 'tanh' has the name of a function; rename it"),
        ("states", "c", "unknown size 'wide'; the sizes are inputs, units, units, 2"),
        ("equations", "", "'tahn' is not a function; did you mean 'tanh'?"),
    ]
