"""The demand world: daily sales of some shops, with promotions known ahead.

Counts are drawn from a negative binomial distribution. Its mean is a product of factors for the
shop, the day of the week, the season of the year and a promotion. No forecast can be better than
this mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import cos, exp, pi
from pathlib import Path
from random import Random

from rnnspec.files import write_lines

FIRST_DAY = date(2023, 1, 2)
"""A Monday."""
SHOPS = {"Antwerp": 12.0, "Bergen": 5.0, "Cork": 30.0, "Dresden": 60.0, "Évora": 18.0}
"""Pieces that each shop sells on an average day."""
WEEK = (0.8, 0.7, 0.8, 0.9, 1.3, 1.7, 0.8)
"""From Monday: factors, 1 on average."""
PROMOTION, PROMOTED = 1.6, 0.12
"""The factor of a promotion, and the share of weeks that have one."""
DISPERSION = 0.05
"""The variance is mean + dispersion * mean^2."""
PAST, AHEAD = 56, 14
"""Days before and after today in the file to forecast from, as the starter spec reads and answers
them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One shop on one day: `promotion` is 1 on a day with one, `sold` a count, None for a day in
    the future."""

    date: str
    shop: str
    promotion: int
    sold: int | None


def rows(seed: int, days: int) -> Iterator[Row]:
    """Shop by shop, day by day; the same seed gives the same rows everywhere."""
    for shop in SHOPS:
        random = Random(f"demand {shop} {seed}")
        promotion = 0
        for number in range(days):
            day = FIRST_DAY + timedelta(number)
            if day.weekday() == 0:
                promotion = int(random.random() < PROMOTED)
            drawn = random.gammavariate(1 / DISPERSION, DISPERSION * mean(shop, day, promotion))
            yield Row(day.isoformat(), shop, promotion, _poisson(drawn, random))


def mean(shop: str, day: date, promotion: int) -> float:
    """Pieces that a shop sells on such a day, on average."""
    season = 1 + 0.3 * cos(2 * pi * (day.timetuple().tm_yday - 350) / 365.25)
    lift = PROMOTION if promotion else 1.0
    return SHOPS[shop] * WEEK[day.weekday()] * season * lift


def ahead(seed: int, days: int) -> Iterator[Row]:
    """Rows for a forecast after `days`: the last `PAST` days of every shop, and `AHEAD` days to
    come with planned promotions and no sales yet."""
    first, today = (FIRST_DAY + timedelta(days - back) for back in (PAST, 0))
    for row in rows(seed, days + AHEAD):
        if row.date >= today.isoformat():
            yield replace(row, sold=None)
        elif row.date >= first.isoformat():
            yield row


def write(folder: Path, seed: int = 0, days: int = 900) -> tuple[Path, Path]:
    """Write demand.csv, and next.csv to forecast what comes after it, into `folder`, made if
    missing. Raises OutputError if that fails."""
    table, coming = folder / "demand.csv", folder / "next.csv"
    write_lines(table, _lines(rows(seed, days)))
    write_lines(coming, _lines(ahead(seed, days)))
    return table, coming


def _lines(found: Iterator[Row]) -> Iterator[str]:
    yield "date,shop,promotion,sold\n"
    for row in found:
        sold = "" if row.sold is None else row.sold
        yield f"{row.date},{row.shop},{row.promotion},{sold}\n"


def _poisson(mean: float, random: Random) -> int:
    """A count of that mean: arrivals at random in one unit of time (Knuth 1969, 3.4.1)."""
    count = 0
    while mean > 500:  # exp of more would be too small a number
        mean -= 500
        count += _poisson(500.0, random)
    left, product = exp(-mean), random.random()
    while product > left:
        product *= random.random()
        count += 1
    return count
