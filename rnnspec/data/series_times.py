"""The times of steps of a series, also of those beyond its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.data.calendar import Flags
from rnnspec.data.series import Places, Table
from rnnspec.data.times import Times


def times_at(
    times: Times, table: Table, cells: Sequence[object], series: range, wanted: range
) -> list[object] | None:
    """The times of the places `wanted`, of a series that has the places `series`.

    `cells` are those of the column of times by row of the file. A step that has a row has its time,
    as it is written there; any other the one that the steps of its series lead to, written alike.
    None where the one row of a series does not say what a step is.
    """
    found: list[object] = []
    filled = table.filled if table.filled is not None else np.zeros(len(table.order), np.bool_)
    for place in wanted[: max(0, series.stop - wanted.start)]:
        last = _with_row(filled, place)
        row = int(table.order[last])
        if last == place:
            found.append(times.of_row(row, cells[row]))
            continue
        rows = _rows(table, filled, range(series.start, last + 1))
        after = times.after(rows, np.array([place - last]), cells[row])
        assert after is not None, "a step is known where some are filled"
        found += after
    beyond = range(max(wanted.start, series.stop), wanted.stop)
    if not beyond:
        return found
    last = _with_row(filled, series[-1])
    counts = np.arange(beyond.start, beyond.stop) - last
    row = int(table.order[last])
    after = times.after(_rows(table, filled, series), counts, cells[row])
    return None if after is None else found + after


def _with_row(filled: Flags, place: int) -> int:
    """The last place up to this one that has a row."""
    while filled[place]:
        place -= 1
    return place


def _rows(table: Table, filled: Flags, places: range) -> Places:
    of = slice(places.start, places.stop)
    found: Places = table.order[of][~filled[of]]
    return found
