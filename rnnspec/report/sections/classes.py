"""How each class or tag fares."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rnnspec.report.html import Html, data, fold, join, scroll, span, table, tag, words
from rnnspec.report.model import ClassRow, ClassTable, Value
from rnnspec.report.scale import drawable
from rnnspec.report.words import plural, share

_FIRST, _MOST = 25, 1000
"""Classes shown at once, and with the others unfolded."""
_LOW = 0.5


def class_table(section: ClassTable) -> Html:
    if not section.classes:
        return words("There are no classes.")
    ordered = sorted(section.classes, key=_worst_first)
    first = ordered if len(ordered) <= _FIRST + 5 else ordered[:_FIRST]
    parts = [tag("p", {}, words(_in_short(section))), _table(section, first, section.title, False)]
    if rest := ordered[len(first) : _MOST]:
        unseen = len(ordered) - len(first) - len(rest)
        left = f" (and {unseen:,} with still better ones)" if unseen else ""
        said = f"The next {plural(len(rest), 'classes')} by F1{left}"
        parts.append(fold(said, _table(section, rest, said)))
    return join(parts)


def _worst_first(row: ClassRow) -> tuple[float, int, str]:
    """By F1; classes without one come last. Of equals, the most frequent first."""
    return row.f1 if drawable(row.f1) else 2.0, -row.rows, row.label


def _in_short(section: ClassTable) -> str:
    known = [row.f1 for row in section.classes if drawable(row.f1)]
    said = [plural(len(section.classes), "classes")]
    if known:
        low = sum(f1 < _LOW for f1 in known)
        said.append(f"half of them have an F1 of at least {share(median(known))}")
        said.append(f"{low or 'none'} {'are' if low > 1 else 'is'} below {share(_LOW)}")
    if len(known) < len(section.classes):
        said.append(f"{len(section.classes) - len(known):,} without a row or an answer")
    return "; ".join(said) + ". The lowest F1 comes first."


def _table(section: ClassTable, rows: Sequence[ClassRow], caption: str, shown: bool = True) -> Html:
    head = ("class", "F1", "precision", "recall", section.of)
    cells = [
        [
            data(row.label, 60),
            _bar(row.f1),
            words(share(row.precision)),
            words(share(row.recall)),
            words(f"{row.rows:,}"),
        ]
        for row in rows
    ]
    return scroll(caption, table(caption, head, cells, (1, 2, 3, 4), "classes", shown))


def _bar(value: Value) -> Html:
    """A share as a number before a bar of that length."""
    if not drawable(value):
        return words(share(value))
    long = f"width:{100 * min(1.0, max(0.0, value)):.1f}%"
    low = " low" if value < _LOW else ""
    bar = tag("span", {"class": f"bar{low}"}, tag("span", {"style": long}))
    return join([span("figure", share(value)), bar])
