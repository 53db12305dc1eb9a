"""Layouts of boxes and lines: nothing overlaps, whatever reads whatever."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.plan.diagram.layout import GAP, Layout, Place, layout

Sources = dict[str, tuple[str, ...]]
Sizes = dict[str, tuple[float, float]]


def _inside(place: Place, left: float, top: float, right: float, bottom: float) -> bool:
    """Whether the rectangle reaches into the inside of the place."""
    slack = 1e-6
    return (
        left < place.x + place.width - slack
        and right > place.x + slack
        and top < place.y + place.height - slack
        and bottom > place.y + slack
    )


def _check(sources: Sources, found: Layout) -> None:
    places = found.places
    assert set(places) == set(sources)
    for place in places.values():
        assert place.x >= -1e-6
        assert place.x + place.width <= found.width + 1e-6
        assert place.y >= 0
        assert place.y + place.height <= found.height + 1e-6
    for one, other in combinations(places.values(), 2):
        right, bottom = other.x + other.width, other.y + other.height
        assert not _inside(one, other.x, other.y, right, bottom)
    assert sorted((line.source, line.target) for line in found.lines) == sorted(
        (source, name) for name, read in sources.items() for source in set(read)
    )
    for line in found.lines:
        source, target = places[line.source], places[line.target]
        (x, y), (end_x, end_y) = line.points[0], line.points[-1]
        assert y == source.y + source.height
        assert end_y == target.y
        assert source.x <= x <= source.x + source.width
        assert target.x <= end_x <= target.x + target.width
        for (x, y), (to_x, to_y) in pairwise(line.points):
            assert y <= to_y
            # A bend stays within the rectangle between its ends.
            for place in places.values():
                assert not _inside(place, min(x, to_x), y, max(x, to_x), to_y)


def test_a_chain_is_straight() -> None:
    sources: Sources = {"a": (), "b": ("a",), "c": ("b",)}
    sizes: Sizes = {"a": (100, 50), "b": (300, 20), "c": (200, 70)}
    found = layout(sources, sizes)
    _check(sources, found)
    assert {place.x + place.width / 2 for place in found.places.values()} == {150}
    assert all(len({x for x, _ in line.points}) == 1 for line in found.lines)
    assert found.width == 300


def test_a_skip_connection_leaves_the_chain_straight() -> None:
    sources: Sources = {"a": (), "b": ("a",), "c": ("b",), "sum": ("c", "a")}
    found = layout(sources, dict.fromkeys(sources, (200.0, 50.0)))
    _check(sources, found)
    assert len({place.x for place in found.places.values()}) == 1
    (skip,) = (line for line in found.lines if (line.source, line.target) == ("a", "sum"))
    assert max(x for x, _ in skip.points) > 200


def test_an_input_that_is_read_late_stands_just_above_its_reader() -> None:
    sources: Sources = {"x": (), "late": (), "a": ("x",), "b": ("a",), "join": ("b", "late")}
    places = layout(sources, dict.fromkeys(sources, (100.0, 50.0))).places
    assert places["late"].y == places["b"].y
    assert places["x"].y == 0


def test_three_branches_stand_side_by_side_and_meet_below_the_middle_one() -> None:
    sources: Sources = {"a": (), "b": (), "c": (), "join": ("a", "b", "c")}
    places = layout(sources, dict.fromkeys(sources, (100.0, 50.0))).places
    assert [places[name].x for name in "abc"] == [0, 100 + GAP, 2 * (100 + GAP)]
    assert places["join"].x == places["b"].x


def test_lines_are_untangled() -> None:
    """Read crosswise, the second row is turned round rather than the lines crossed."""
    sources: Sources = {"a": (), "b": (), "p": ("b",), "q": ("a",), "r": ("p", "q")}
    places = layout(sources, dict.fromkeys(sources, (100.0, 50.0))).places
    assert (places["a"].x < places["b"].x) == (places["q"].x < places["p"].x)


def test_a_box_that_names_a_source_twice_gets_one_line() -> None:
    found = layout({"a": (), "b": ("a", "a")}, {"a": (10, 10), "b": (10, 10)})
    assert len(found.lines) == 1


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Sources, Sizes]:
    count = draw(st.integers(1, 14))
    sources: Sources = {}
    for number in range(count):
        before = list(sources)
        read = draw(st.lists(st.sampled_from(before), max_size=4)) if before else []
        sources[f"box{number}"] = tuple(read)
    extents = st.floats(5, 400)
    return sources, {name: (draw(extents), draw(extents)) for name in sources}


@settings(max_examples=150)
@given(graphs())
def test_any_graph_is_laid_out_without_overlaps(graph: tuple[Sources, Sizes]) -> None:
    sources, sizes = graph
    _check(sources, layout(sources, sizes))


@pytest.mark.parametrize("count", [40])
def test_a_deep_stack_with_skips_is_laid_out(count: int) -> None:
    sources: Sources = {"0": ()}
    for number in range(1, count):
        sources[str(number)] = (str(number - 1), *((str(number - 3),) if number >= 3 else ()))
    found = layout(sources, dict.fromkeys(sources, (200.0, 60.0)))
    _check(sources, found)
    assert len({place.x for place in found.places.values()}) == 1
