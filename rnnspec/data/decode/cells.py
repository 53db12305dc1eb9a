"""What all decoders share: missing cells, lists, and a cell in plain words."""

from __future__ import annotations

import json
from typing import Any

from rnnspec.errors import DataError, MissingCell


def is_missing(cell: object, textual: bool) -> bool:
    """Whether the cell says that there is nothing: null, NaN, an empty field of CSV or TSV."""
    return cell is None or (textual and cell == "") or cell != cell


def json_list(cell: object, textual: bool, expected: str) -> list[Any]:
    """The cell as a list, in CSV and TSV read from JSON; `expected` says what belongs there."""
    if textual and isinstance(cell, str):
        if not cell.strip():
            raise MissingCell(f"is empty, expected {expected} as JSON")
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise DataError(f"is not JSON, expected {expected}: {error}") from error
    if not isinstance(cell, list):
        raise refused(cell, expected)
    return cell


def refused(cell: object, expected: str, place: str = "") -> DataError:
    """The error of a cell, or of what stands at a place in it, that is something else."""
    kind = MissingCell if cell is None or cell != cell else DataError
    return kind(f"{place}{described(cell)}, expected {expected}")


def described(cell: object) -> str:
    """What a cell is, in plain words, with the value itself where that helps."""
    match cell:
        case None:
            return "is null"
        case bool():
            return f"is {str(cell).lower()}"
        case int():
            return f"is the number {cell}" if -(10**18) < cell < 10**18 else "is a very long number"
        case float():
            return f"is the number {cell}"
        case str():
            return f"is the text {_short(cell)!r}"
        case list():
            return "is a list"
        case dict():
            return "is an object"
    return f"is of the type {type(cell).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
