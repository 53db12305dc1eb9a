"""Cells of delimited text by the rules of its settings: decimal comma, words for missing, dates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from rnnspec.data.how import How
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError
from rnnspec.spec.cell_kinds import CellKind
from rnnspec.spec.formats import Delimited

Rule = Callable[[str], str]
"""Raises DataError, without the place, for a cell that the rule does not have."""
_SPACES = " \u00a0\u202f"


def cells_by_rules(
    chunks: Iterator[Chunk], how: How, settings: Delimited, bad: BadRows
) -> Iterator[Chunk]:
    """The chunks with cells as they are read without settings: numbers with a decimal point, an
    empty text for a missing value, times as ISO 8601. A cell against the rules is a bad row."""
    rules = rules_of(settings)
    for chunk in chunks:
        found, cells = [True] * len(chunk), dict(chunk.cells)
        for column, of_column in chunk.cells.items():
            for rule in rules.get(how.kind(column), ()):
                of_column = cells[column] = _by_rule(rule, of_column, chunk, column, found, bad)
        changed = replace(chunk, cells=cells)
        yield changed if all(found) else changed.only(found)


def rules_of(settings: Delimited) -> Mapping[CellKind, tuple[Rule, ...]]:
    """The rules for each kind of cell, in their order."""
    missing: tuple[Rule, ...] = (_without(frozenset(settings.missing)),) if settings.missing else ()
    numbers: tuple[Rule, ...] = ()
    if settings.decimal != "." or settings.thousands is not None:
        numbers = (_number(settings.decimal, settings.thousands),)
    dates: tuple[Rule, ...] = (_date(settings.dates),) if settings.dates else ()
    return {"number": missing + numbers, "time": missing + dates, "other": missing}


def _by_rule(
    rule: Rule, cells: list[object], chunk: Chunk, column: str, found: list[bool], bad: BadRows
) -> list[object]:
    changed = list(cells)
    for at, cell in enumerate(cells):
        if not found[at] or not isinstance(cell, str):
            continue
        try:
            changed[at] = rule(cell)
        except DataError as error:
            found[at] = False
            bad.add(chunk.lines[at], f"column {column!r} {error}")
    return changed


def _without(words: frozenset[str]) -> Rule:
    return lambda cell: "" if cell in words else cell


def _number(decimal: str, thousands: str | None) -> Rule:
    """Makes `1.234,5` the text `1234.5`; what is no number at all is left to the column."""
    sign = f"[{re.escape(_SPACES if thousands == ' ' else thousands)}]" if thousands else ""
    whole = f"(?:[0-9]{{1,3}}(?:{sign}[0-9]{{3}})+|[0-9]+)" if sign else "[0-9]+"
    point = re.escape(decimal)
    pattern = re.compile(
        rf"\s*[-+]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?\s*"
    )
    other = re.compile(r"\s*[-+]?[0-9.,' _\u00a0\u202f]*[0-9][0-9.,' _\u00a0\u202f]*\s*")
    left_out = re.compile(sign) if sign else None

    def rule(cell: str) -> str:
        if pattern.fullmatch(cell):
            plain = cell.strip() if left_out is None else left_out.sub("", cell.strip())
            return plain.replace(decimal, ".")
        if other.fullmatch(cell):
            between = f"{thousands!r} may stand" if thousands else "nothing stands"
            raise DataError(
                f"is the text {cell[:40]!r}, expected a number; the decimal sign is {decimal!r}"
                f" and between thousands {between}, as data.format says"
            )
        return cell

    return rule


def _date(form: str) -> Rule:
    """Makes a time in the form of strptime ISO 8601; a time of day of 0 is left off where the form
    has none."""
    of_day = re.search(r"%[HIMSfpXcTR]", form) is not None

    @lru_cache(1 << 16)
    def rule(cell: str) -> str:
        if not cell.strip():
            return cell
        try:
            found = datetime.strptime(cell.strip(), form)
        except ValueError:
            raise DataError(
                f"is the text {cell[:40]!r}, which is no time written as {form!r}, as data.format"
                " says"
            ) from None
        return found.isoformat() if of_day else found.date().isoformat()

    return rule
