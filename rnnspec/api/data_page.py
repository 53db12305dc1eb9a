"""A look at data (`rnnspec.data.profile`), as tables for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.data.profile import SHARES, ColumnProfile, Leaks, Part, Profile, Spread
from rnnspec.report import Report, model
from rnnspec.report.words import number, plural, share

SHOWN = 15
"""Most labels or tokens of a table."""


def tables(found: Profile) -> Iterator[model.Table]:
    """What was found, table by table; empty ones are left out."""
    yield _columns(found.parts)
    for kind, title in (("lengths", "Steps of a row"), ("numbers", "Numbers")):
        rows = tuple(_spreads(found.parts, kind))
        if rows:
            head = ("column", "rows of", "count", "mean", "deviation", *map(_quantile, SHARES))
            yield model.Table(title, head, rows, left=2)
    for at, column in enumerate(found.parts[0].columns):
        if column.labels:
            yield _labels(column, found.parts, at)
    if found.leaks is not None and len(found.parts) > 1:
        yield _leaks(found.leaks)
    if found.examples:
        head = tuple(found.examples[0])
        cells = tuple(tuple(each.values()) for each in found.examples)
        yield model.Table("First training rows", head, cells, left=len(head))


def page_of(found: Profile) -> Report:
    """The look at the data as a page."""
    figures = tuple(
        model.Figure(f"rows of {part.name}", f"{part.rows:,}", _bad(part)) for part in found.parts
    )
    sections = tuple(tables(found))
    return Report(f"Data of {found.name}", (), figures, found.findings, sections)


def _bad(part: Part) -> str:
    return f"and {part.bad:,} that cannot be read" if part.bad else ""


def _columns(parts: Sequence[Part]) -> model.Table:
    head = ("column", "rows of", "role", "as", "cells", "missing", "different", "labels", "new")
    rows = [
        (
            column.column,
            part.name,
            column.role,
            column.kind,
            f"{column.cells:,}",
            f"{column.missing:,}",
            "many" if column.distinct is None else f"{column.distinct:,}",
            f"{column.kinds:,}" if column.kinds else "",
            f"{share(column.new_share)}" if column.new_share else "",
        )
        for part in parts
        for column in part.columns
    ]
    text = "New are tokens or labels of validation rows that no training row has, of all of them."
    said = text if len(parts) > 1 else ""
    return model.Table("Columns", head, tuple(rows), left=4, text=said)


def _spreads(parts: Sequence[Part], kind: str) -> Iterator[tuple[str, ...]]:
    for part in parts:
        for column in part.columns:
            found: Spread | None = getattr(column, kind)
            if found is None:
                continue
            named = f"{column.column} (s)" if column.kind == "audio" else column.column
            figures = (found.mean, found.deviation, *found.quantiles)
            yield (named, part.name, f"{found.count:,}", *(_short(value) for value in figures))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else number(value, 3)


def _quantile(of: float) -> str:
    return {0.0: "least", 0.5: "median", 1.0: "most"}.get(of, f"{100 * of:g} %")


def _labels(column: ColumnProfile, parts: Sequence[Part], at: int) -> model.Table:
    """The most frequent labels or tokens of training, with their shares in each part."""
    others = [dict(part.columns[at].labels) for part in parts[1:]]
    rows = []
    total = _total(column)
    for label, count in column.labels[:SHOWN]:
        of = f"{share(count / total)}" if total else ""
        rows.append((label, f"{count:,}", of, *(f"{each.get(label, 0):,}" for each in others)))
    labelled = column.kind in ("class", "ordinal", "category", "label", "labels", "tags", "keys")
    what = "Labels" if labelled else "Tokens"
    left = column.kinds - len(rows)
    text = f"And {plural(left, what.lower())} more." if left > 0 else ""
    head = (what.lower().removesuffix("s"), "train", "share", *(part.name for part in parts[1:]))
    return model.Table(f"{what} of {column.column}", head, tuple(rows), text=text)


def _total(column: ColumnProfile) -> float:
    """All labels or tokens: of rows of steps those of all rows."""
    if column.lengths is not None and column.kind not in ("labels", "keys", "audio"):
        return column.lengths.mean * column.lengths.count
    return float(column.cells - column.missing)


def _leaks(leaks: Leaks) -> model.Table:
    rows = (
        ("earlier training rows", f"{leaks.repeated:,}", f"{leaks.repeated_other:,}"),
        ("training rows, of validation", f"{leaks.valid:,}", f"{leaks.valid_other:,}"),
    )
    text = "Rows whose inputs are those of another row, cell by cell."
    if leaks.places:
        text += f" As {leaks.places[0][0]} and {leaks.places[0][1]}."
    head = ("the same inputs as", "same target", "another target")
    return model.Table("Rows that come again", head, rows, text=text)
