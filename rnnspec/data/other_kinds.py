"""Which other kind of column reads a cell that its own kind refuses: a hint, never for reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rnnspec.spec import Spec

Fits = Callable[[object], bool]


def _is_text(cell: object) -> bool:
    return isinstance(cell, str) and bool(cell.strip())


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _is_step(cell: object) -> bool:
    return type(cell) is int and cell >= 0


def _is_label(cell: object) -> bool:
    return _is_text(cell) or isinstance(cell, int)


def _list_of(fits: Fits) -> Fits:
    return lambda cell: isinstance(cell, list) and bool(cell) and all(map(fits, cell))


def _is_nested(cell: object) -> bool:
    """Texts of several words, or lists of words."""
    several = isinstance(cell, list) and any(" " in each for each in cell if isinstance(each, str))
    return _list_of(_TEXTS)(cell) or (several and _TEXTS(cell))


_TEXTS, _LABELS = _list_of(_is_text), _list_of(_is_label)
_NUMBERS, _STEPS = _list_of(_is_number), _list_of(_is_step)
FITS: Mapping[str, Fits] = {
    "words": _is_text,
    "chars": _is_text,
    "bytes": _is_text,
    "subwords": _is_text,
    "tokens": _LABELS,
    "nested": _is_nested,
    "frames": _list_of(_NUMBERS),
    "keys": _list_of(_LABELS),
    "category": _is_label,
    "class": _is_label,
    "ordinal": _is_label,
    "number": _is_number,
    "vector": _NUMBERS,
    "labels": _LABELS,
    "tags": _LABELS,
    "position": _is_step,
    "span": lambda cell: _STEPS(cell) and isinstance(cell, list) and len(cell) == 2,
    "positions": _STEPS,
}
"""By kind, whether a cell has its form; other kinds have no hint."""
_OF_ROWS = ("category", "number", "vector")
_SEQUENCES = ("words", "nested", "tokens", "frames", "keys")
_POINTED = ("position", "span", "class", "number", "vector", "labels")
_ANSWERED = ("class", "number", "vector", "labels")
_OF_STEPS = ("tags", "frames", "keys")
_WRITTEN = ("words", "tokens", "frames", "positions", "chars")


@dataclass(frozen=True, slots=True)
class OtherKinds:
    """The kind of a column, and those that may stand in its place, the likeliest first; `apart`:
    an encoder of its own may read it."""

    kind: str
    others: tuple[str, ...]
    verb: str
    apart: bool = False

    def hint(self, cell: object) -> str:
        """How a cell that was refused could be read, or ""."""
        own = FITS.get(self.kind)
        if own is None or own(cell):
            return ""
        if isinstance(cell, str) and any(map(str.isdigit, cell)):
            return ""  # a number that is written wrong is no label
        other = next((each for each in self.others if FITS[each](cell)), None)
        return "" if other is None else f"such a cell is {self.verb} with 'as: {other}'"


def other_kinds(spec: Spec) -> dict[str, OtherKinds]:
    """By column; outputs in the column of an input are read as it."""
    found: dict[str, OtherKinds] = {}
    for output in spec.data.targets:
        groups = (_POINTED, _ANSWERED) if output.as_ in ("position", "span") else (_ANSWERED,)
        steps = _OF_STEPS if spec.cardinality == "N:N" else _WRITTEN
        group = next((each for each in (*groups, steps) if output.as_ in each), _ANSWERED)
        found[output.column] = OtherKinds(output.as_, group, "answered")
    for column in spec.data.inputs:
        group = _OF_ROWS if column.as_ in _OF_ROWS else _SEQUENCES
        apart = group is _SEQUENCES and spec.cardinality != "N:N"
        found[column.column] = OtherKinds(column.as_, group, "read", apart)
    return found


def hint_of(kinds: Mapping[str, OtherKinds], column: str, cell: object, error: str) -> str:
    """How a refused cell of a column could be read, unless the error says what to do."""
    return kinds[column].hint(cell) if column in kinds and ";" not in error else ""
