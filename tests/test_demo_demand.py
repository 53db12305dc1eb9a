"""The demand world: the same everywhere, and as its formula says."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path
from statistics import fmean

import pytest

from rnnspec.demo import demand
from rnnspec.errors import OutputError


def test_the_same_seed_gives_the_same_rows_and_more_days_begin_with_fewer() -> None:
    few, many = list(demand.rows(0, 5)), list(demand.rows(0, 9))
    assert few == list(demand.rows(0, 5)) != list(demand.rows(1, 5))
    assert [row for row in many if row.date < "2023-01-07"] == few


def test_counts_have_the_mean_that_the_formula_says() -> None:
    ratios = defaultdict(list)
    for row in demand.rows(0, 2_000):
        expected = demand.mean(row.shop, date.fromisoformat(row.date), row.promotion)
        assert row.sold is not None
        ratios[row.shop, row.promotion].append(row.sold / expected)
    assert len(ratios) == 2 * len(demand.SHOPS)
    for seen in ratios.values():
        assert fmean(seen) == pytest.approx(1.0, abs=0.08)


def test_the_file_has_a_line_for_each_shop_and_day(tmp_path: Path) -> None:
    path, _ = demand.write(tmp_path / "demand", days=10)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "date,shop,promotion,sold"
    assert len(lines) == 1 + 10 * len(demand.SHOPS)
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        demand.write(tmp_path / "taken")


def test_what_comes_next_is_planned_and_not_sold(tmp_path: Path) -> None:
    table, coming = demand.write(tmp_path, days=100)
    lines = table.read_text(encoding="utf-8").splitlines()
    asked = coming.read_text(encoding="utf-8").splitlines()
    assert asked[0] == lines[0] and len(asked) == 1 + len(demand.SHOPS) * (56 + 14)
    later = [row for row in demand.rows(0, 114) if row.date >= "2023-04-12"]  # 100 days on
    assert [line for line in asked[1:] if line.endswith(",")] == [
        f"{row.date},{row.shop},{row.promotion}," for row in later
    ]
    past = [line for line in asked[1:] if not line.endswith(",")]
    assert past == [line for line in lines[1:] if line >= "2023-02-15"]
