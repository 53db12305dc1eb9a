"""How each series of a table fares."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.report.html import Html, data, fold, join, scroll, table, tag, words
from rnnspec.report.model import SeriesRow, SeriesTable
from rnnspec.report.scale import drawable
from rnnspec.report.words import number, share

_FIRST, _MOST = 25, 1000
"""Series shown at once, and with the others unfolded."""


def series_table(section: SeriesTable) -> Html:
    if not section.rows:
        return words("There are no series.")
    ordered = sorted(section.rows, key=worst_first)
    first = ordered if len(ordered) <= _FIRST + 5 else ordered[:_FIRST]
    parts = [tag("p", {}, words(_in_short(section))), _table(section, first, section.title, False)]
    if rest := ordered[len(first) : _MOST]:
        unseen = len(ordered) - len(first) - len(rest)
        left = f" (and {unseen:,} with still better ones)" if unseen else ""
        said = f"The next {len(rest):,} series by skill{left}"
        parts.append(fold(said, _table(section, rest, said)))
    return join(parts)


def worst_first(row: SeriesRow) -> tuple[float, str]:
    """By skill; what is no number comes first, series without one last."""
    if row.skill is None:
        return float("inf"), row.name
    return row.skill if row.skill == row.skill else -float("inf"), row.name


def _in_short(section: SeriesTable) -> str:
    known = [row.skill for row in section.rows if drawable(row.skill)]
    better = sum(skill > 0 for skill in known)
    said = f"{len(section.rows):,} series; better than {section.baseline} at {better:,}"
    return f"{said} of {len(known):,}. The lowest skill comes first."


def _table(
    section: SeriesTable, rows: Sequence[SeriesRow], caption: str, shown: bool = True
) -> Html:
    scaled = any(row.scaled is not None for row in rows)
    head = ("series", "skill", "MAE", section.baseline, *(("MASE",) if scaled else ()), "values")
    cells = [
        [
            data(row.name, 60),
            words(share(row.skill)),
            words(number(row.error)),
            words(number(row.baseline)),
            *([words(number(row.scaled))] if scaled else []),
            words(f"{row.values:,}"),
        ]
        for row in rows
    ]
    return scroll(caption, table(caption, head, cells, range(1, len(head)), "classes", shown))
