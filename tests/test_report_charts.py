"""Charts of a report: marks, bands and bars, and nothing outside of its picture."""

from __future__ import annotations

import re
from itertools import pairwise
from math import inf, nan
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.report import binned
from rnnspec.report.model import (
    Attention,
    AttentionMap,
    Calibration,
    CalibrationBin,
    Chart,
    Counts,
    Curves,
    ForecastPlot,
    ForecastTable,
    ForecastWindow,
    Histogram,
    HorizonRow,
    Scatter,
    Section,
    Series,
)
from tests.reports import any_section, drawn, of_class, table, titles, words

# ---------------------------------------------------------------- pictures


def _places(picture: Element) -> list[tuple[float, float]]:
    """Every point of a picture that is neither turned nor moved."""
    found = []
    for element in picture.iter():
        place = element.attrib
        for x, y in (("x", "y"), ("x1", "y1"), ("x2", "y2"), ("cx", "cy")):
            if x in place and y in place:
                found.append((float(place[x]), float(place[y])))
        if element.tag == "rect" and "width" in place:
            assert float(place["width"]) >= 0
            assert float(place["height"]) >= 0
            far = (
                float(place["x"]) + float(place["width"]),
                float(place["y"]) + float(place["height"]),
            )
            found.append(far)
        if "line" in place.get("class", "") and element.tag == "path":
            numbers = re.findall(r"[ML]([-\d.]+) ([-\d.]+)", place["d"])
            found += [(float(x), float(y)) for x, y in numbers]
    return found


@settings(max_examples=150)
@given(any_section)
def test_everything_is_inside_its_picture(section: Section) -> None:
    for picture in drawn(section).iter("svg"):
        _, _, width, height = map(float, picture.get("viewbox", "").split())
        assert "nan" not in "".join(picture.get("d", "") for picture in picture.iter())
        for x, y in _places(picture):
            assert -0.1 <= x <= width + 0.1
            assert -0.1 <= y <= height + 0.1


def test_curves_mark_the_best_epoch_and_draw_training_behind() -> None:
    chart = Chart("loss", (Series("train", (2.0, 0.5)), Series("valid", (2.1, 0.7))), "nats", False)
    section = drawn(Curves("Training", (chart,), best=2))
    lines = [path.get("class") for path in section.iter("path") if path.get("d", "").count("L")]
    assert lines == ["line back", "line front"]
    assert "epoch 2 (the one kept): train 0.5000, valid 0.7000" in titles(section)
    assert "0.7000 nats at epoch 2" in words(section)
    assert len(of_class(section, "best")) == 1
    assert table(section) == [["1", "2", "2.100"], ["2 ★", "0.5000", "0.7000"]]


def test_a_loss_over_orders_of_magnitude_has_a_log_scale_and_an_accuracy_has_not() -> None:
    values = (Series("valid", (100.0, 1.0, 0.01)),)
    assert "log scale" in words(drawn(Curves("t", (Chart("loss", values, "", False),))))
    assert "log scale" not in words(drawn(Curves("t", (Chart("accuracy", values, "", True),))))


def test_what_is_not_a_number_leaves_a_gap_and_a_mark() -> None:
    chart = Chart("loss", (Series("valid", (1.0, 2.0, nan, 2.0, inf, None, 1.0)),), "", False)
    section = drawn(Curves("t", (chart,)))
    assert "not a finite number at epoch 3, 5" in words(section)
    assert len(of_class(section, "cross")) == 2
    (line,) = (path for path in section.iter("path") if path.get("class") == "line front")
    assert line.get("d", "").count("M") == 1
    assert len(of_class(section, "dot")) == 2  # the lone epochs 4 and 7


def test_thousands_of_epochs_are_thinned_and_the_best_is_kept() -> None:
    values = tuple(1 / (1 + epoch) for epoch in range(5000))
    section = drawn(Curves("t", (Chart("loss", (Series("valid", values),), "", False),), best=4321))
    assert "of 5,000 epochs are drawn" in words(section)
    rows = [row[0] for row in table(section)]
    assert 200 < len(rows) < 450
    assert "4321 ★" in rows
    assert rows[-1] == "5000"


def test_one_epoch_is_a_dot() -> None:
    section = drawn(Curves("t", (Chart("loss", (Series("valid", (0.3,)),), "", False),)))
    assert not [path for path in section.iter("path") if "line" in path.get("class", "")]
    assert of_class(section, "dot")


# ---------------------------------------------------------------- numbers


def test_a_forecast_says_its_error_and_how_much_its_band_holds() -> None:
    window = ForecastWindow(
        "OT", (9.0,) * 100, (1.0, 2.0), (2.0, 2.0), (0.0, 1.0), (1.5, 3.0), (4.0, 4.0),
        tuple(f"t{n}" for n in range(102)),
    )  # fmt: skip
    section = drawn(ForecastPlot("f", (window,), "°C", "hour", "80 % band", "last week"))
    assert "MAE 0.500 (last week 2), 1 of 2 in the band" in words(section)
    told = titles(section)
    assert "t100: forecast 1, 80 % band 0 to 1.500, truth 2, last week 4" in told
    assert "t99: 9 °C" in told
    assert "t50: 9 °C" not in told  # only the end of the history is drawn
    (band,) = (path for path in section.iter("path") if path.get("class") == "band")
    assert band.get("d", "").count("L") == 3


@pytest.mark.parametrize("field", ["truth", "lower", "baseline", "times"])
def test_a_window_whose_series_do_not_fit_is_refused(field: str) -> None:
    values = {field: ("t",) if field == "times" else (1.0,)}
    window = ForecastWindow("w", (1.0,), (1.0, 2.0), **values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="f: w: "):
        drawn(ForecastPlot("f", (window,)))


def test_errors_by_horizon_are_counted_against_the_baseline() -> None:
    rows = tuple(HorizonRow(n, n / 10, 1.0) for n in range(1, 25))
    section = drawn(ForecastTable("h", rows, "MAE", "°C", "hour", "seasonal-naive"))
    assert "better than seasonal-naive at 9 of 24 hours" in words(section)
    assert len(table(section, 0)) == 12
    assert table(section, 0)[-1] == ["24", "2.400", "1", "✗ 140.0 % higher"]
    assert len(table(section, 1)) == 24


def test_a_reliability_diagram_has_a_dot_for_each_bin() -> None:
    bins = (CalibrationBin(0.2, 0.1, 3), CalibrationBin(0.9, 0.5, 1), CalibrationBin(0.5, None, 0))
    section = drawn(Calibration("c", bins, 0.25, "rows"))
    assert len(of_class(section, "dot")) == 2
    assert "4 rows; probabilities are 25.0 % off on average" in words(section)
    assert "1 row of about 90.0 %: 50.0 % right" in words(section)
    assert "There are no probabilities." in words(drawn(Calibration("c", ())))


def test_a_scatter_draws_what_can_be_drawn() -> None:
    section = drawn(Scatter("s", (1.0, 2.0, None, nan), (1.5, 2.5, 1.0, 1.0), "kg"))
    assert len(of_class(section, "point")) == 2
    assert "2 not finite, not drawn" in words(section)
    many = drawn(Scatter("s", tuple(map(float, range(5000))), (1.0,) * 5000))
    assert 1000 < len(of_class(many, "point")) <= 1500


@given(st.lists(st.floats() | st.integers(-50, 50).map(float), max_size=40))
def test_bins_hold_every_finite_value_once(values: list[float]) -> None:
    edges, counts = binned(values)
    assert len(edges) == len(counts) + 1 <= 40
    assert all(one < other for one, other in pairwise(edges))
    assert sum(counts) == sum(abs(value) <= 1e100 for value in values)


def test_whole_numbers_have_bins_of_their_own() -> None:
    assert binned([1, 2, 2, 4]) == ((1.0, 2.0, 3.0, 4.0, 5.0), (1, 2, 0, 1))
    assert binned([0, 2, 9], (1.0, 2.0, 3.0, 4.0)) == ((1.0, 2.0, 3.0, 4.0), (1, 1, 1))


def test_a_histogram_of_several_series_compares_shares() -> None:
    one = Histogram("h", (0.0, 1.0, 2.0), (Counts("a", (1, 3)),), "length", "rows")
    section = drawn(one)
    assert "4 rows" in words(section)
    assert "a, 1 to 2: 3 rows (75.0 %)" in titles(section)
    two = Histogram("h", (0.0, 1.0), (Counts("a", (1,)), Counts("b", (1000,))), "length", "rows")
    assert "% of the rows of each" in words(drawn(two))
    bars = [bar.get("height") for bar in drawn(two).iter("rect") if len(bar)]
    assert bars[0] == bars[1]


def test_attention_frames_the_greatest_weight() -> None:
    one = AttentionMap(("a", " "), ("x", "y"), ((0.2, 0.8), (1.0, 0.0)), "row 1")
    section = drawn(Attention("a", (one,)))
    greatest = [words(cell) for cell in of_class(section, "most")]
    assert greatest == ["x from ␣: 0.800", "y from a: 1"]
    assert not [title for title in titles(section) if title.startswith("y from ␣")]
    with pytest.raises(ValueError, match="weights are not 1 by 2"):
        drawn(Attention("a", (AttentionMap(("a", "b"), ("x",), ((1.0,),)),)))


def test_attention_over_many_frames_numbers_some_and_says_what_is_left_out() -> None:
    row = tuple(1.0 if n == 7 else 0.0 for n in range(500))
    section = drawn(Attention("a", (AttentionMap((), ("x",), (row,)),)))
    assert "x from 8: 1" in titles(section)
    assert "not drawn: 100 source steps more" in words(section)
