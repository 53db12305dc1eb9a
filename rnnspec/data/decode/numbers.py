"""Cells of numbers: one, a vector, a vector a step. A missing one is NaN, where that is allowed."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.decode.cells import described, is_missing, json_list, refused
from rnnspec.errors import DataError, MissingCell

Floats = NDArray[np.float64]
"""As precise as the data; what does not need it is stored in float32 (`NumericFacts.lost`)."""

_NUMBER = re.compile(r"[ \t]*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[ \t]*")
_WHOLE = re.compile(r"[ \t]*[-+]?[0-9]+[ \t]*")
_LARGEST = float(np.finfo(np.float32).max)
_MOST_WHOLE = 2**53
_GAP = float("nan")


def number(cell: object, textual: bool = False, missing: bool = False) -> Floats:
    """One finite number, `[1]`; with `missing` also NaN."""
    return np.array([real(cell, textual, missing)])


def real(cell: object, textual: bool = False, missing: bool = False) -> float:
    """One number within the range of float32, and if it is whole one that float64 holds; with
    `missing` also NaN."""
    if missing and is_gap(cell, textual):
        return _GAP
    if textual and isinstance(cell, str):
        cell = _parsed_number(cell)
    if type(cell) is not float and type(cell) is not int:
        raise refused(cell, f"a number{_unquote(cell)}")
    if not -_LARGEST <= cell <= _LARGEST:
        kind = MissingCell if cell != cell else DataError
        raise kind(f"is {_odd(cell)}; only finite numbers can be learned from")
    if type(cell) is int and abs(cell) >= _MOST_WHOLE:
        _check_whole(cell, "is ")
    return float(cell)


def vector(cell: object, textual: bool = False, missing: bool = False) -> Floats:
    """A list of finite numbers, `[W]`, W at least 1; with `missing` also NaN, and `[0]` where the
    whole list is missing."""
    if missing and is_missing(cell, textual):
        return np.zeros(0)
    values = json_list(cell, textual, "a list of numbers")
    if not values:
        raise DataError("is an empty list, expected at least one number")
    if missing:
        values = _gaps(values)
    _check_numbers(values, "")
    return _stored(values, missing=missing)


def frames(cell: object, textual: bool = False, missing: bool = False) -> Floats:
    """A list of equally long lists of finite numbers, `[T, W]`; `[0, 0]` for an empty list.

    With `missing` also NaN, and steps that are null; `[T, 0]` where every step is.
    """
    try:
        steps = json_list(cell, textual, "a list of lists of numbers")
    except MissingCell as error:  # no rule says what all steps are read as
        raise DataError(str(error)) from error
    if missing:
        if steps and all(step is None for step in steps):
            return np.zeros((len(steps), 0))
        steps = _filled(steps)
    kinds = set(map(type, steps))
    if kinds - {list}:
        at = next(i for i, step in enumerate(steps) if not isinstance(step, list))
        hint = "; for one number per step write [[1], [2], …]" if kinds <= {int, float} else ""
        raise refused(steps[at], f"a list of numbers{hint}", f"step {at + 1} ")
    widths = set(map(len, steps))
    if len(widths) > 1:
        at = next(i for i, step in enumerate(steps) if len(step) != len(steps[0]))
        raise DataError(
            f"has {len(steps[0])} numbers in step 1 but {len(steps[at])} in step {at + 1}; "
            "give every step the same number of features"
        )
    if widths == {0}:
        raise DataError("has steps of no numbers, expected at least one in each")
    flat = list(chain.from_iterable(steps))
    if set(map(type, flat)) - {int, float}:
        for at, step in enumerate(steps):
            _check_numbers(step, f"step {at + 1}, ")
    width = len(steps[0]) if steps else 0
    return _stored(flat, width, missing).reshape(len(steps), width)


def _filled(steps: list[Any]) -> list[Any]:
    """The steps with NaN for null; a step that is null is as wide as the first that is not."""
    width = next((len(step) for step in steps if isinstance(step, list) and step), 0)
    return [
        [_GAP] * width if step is None else _gaps(step) if isinstance(step, list) else step
        for step in steps
    ]


def _gaps(values: list[Any]) -> list[Any]:
    return [_GAP if value is None else value for value in values]


def check_elapsed(steps: Floats, index: int) -> None:
    """Element `index` of each of `steps` `[T, W]` is a time since the step before."""
    gaps = np.isnan(steps[:, index])
    if gaps.any():
        raise DataError(
            f"has in step {int(np.argmax(gaps)) + 1}, number {index + 1}, no time since the step "
            "before; data.input.elapsed names a number that cannot be missing"
        )
    backwards = steps[:, index] < 0
    if backwards.any():
        at = int(np.argmax(backwards))
        raise DataError(
            f"has in step {at + 1}, number {index + 1}, {steps[at, index]:g}, a negative time since"
            " the step before; data.input.elapsed says which number is the time"
        )


def _stored(values: list[Any], width: int = 0, missing: bool = False) -> Floats:
    """The numbers as an array; `width` numbers to a step, 0 where there are no steps."""
    try:
        exact = np.fromiter(values, np.float64, len(values))
    except OverflowError:
        exact = np.array([_finite(value) for value in values])
    within = np.abs(exact) <= _LARGEST
    if missing:
        within |= np.isnan(exact)
    if not within.all():
        at = int(np.argmin(within))
        place = f"has in step {at // width + 1}, number {at % width + 1}, " if width else "holds "
        kind = MissingCell if values[at] != values[at] else DataError
        raise kind(f"{place}{_odd(values[at])}; only finite numbers can be learned from")
    for at in np.flatnonzero(np.abs(exact) >= _MOST_WHOLE).tolist():
        place = f"has in step {at // width + 1}, number {at % width + 1}, " if width else "holds "
        _check_whole(values[at], place)
    return exact


def _check_whole(value: float, place: str) -> None:
    """Raises DataError for a whole number that no float64 is equal to."""
    if type(value) is int and int(float(value)) != value:
        raise DataError(
            f"{place}{value}, and whole numbers beyond 2^53 are not exact in float64; read it as a"
            " category if it is a name, else give it in a larger unit, as a fraction"
        )


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _odd(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "an infinity"
    return f"a number beyond {_LARGEST:.2g}, the largest of float32"


def _check_numbers(values: list[Any], place: str) -> None:
    for at, value in enumerate(values):
        if type(value) is not float and type(value) is not int:
            raise refused(value, "a number", f"{place}number {at + 1} ")


def _parsed_number(cell: str) -> float | int:
    if _NUMBER.fullmatch(cell):
        found = float(cell)
        if found.is_integer() and abs(found) >= _MOST_WHOLE and _WHOLE.fullmatch(cell):
            return int(cell)
        return found
    if not cell.strip():
        raise MissingCell("is empty, expected a number")
    hint = ""
    if _NUMBER.fullmatch(cell.replace(",", ".", 1)):
        hint = "; write the decimal point as '.'"
    elif cell.strip().lstrip("+-").lower() in ("nan", "inf", "infinity"):
        hint = "; only finite numbers can be learned from"
    kind = MissingCell if is_gap(cell, True) else DataError
    raise kind(f"{described(cell)}, expected a number{hint}")


def is_number(text: str) -> bool:
    """Whether a text is a decimal number."""
    return _NUMBER.fullmatch(text) is not None


def is_gap(cell: object, textual: bool) -> bool:
    """Whether a number is missing: `is_missing`, and in CSV and TSV blanks alone or `nan`."""
    if is_missing(cell, textual):
        return True
    return textual and isinstance(cell, str) and cell.strip().lower() in ("", "nan")


def _unquote(cell: object) -> str:
    quoted = isinstance(cell, str) and _NUMBER.fullmatch(cell)
    return "; write it without quotes" if quoted else ""
