"""Raw cells to values. Every function raises DataError without a place, which the reader adds.

Rules that the formats leave open:

- null is an error unless the spec says what a missing value means, and so is an empty CSV or TSV
  field where a label, a number or a list is expected; NaN is missing as null is. An empty text is a
  sequence of length 0 and so is the list `[]`.
- Strings must reach onnxruntime as they are: a lone surrogate, which is not UTF-8, and U+0000,
  which ends a string in C, are errors.
- In CSV and TSV (`textual`) numbers are read from decimal text, and lists from JSON in a cell;
  a label a step everywhere also from labels with white space between, and several labels of a row
  from a text with a stated separator. Elsewhere a text never counts as a number, nor does true or
  false.
- Numbers are stored as float32; infinities and what overflows float32 are errors.
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from itertools import chain
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import DataError, MissingCell, OtherForm


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


MOST_STEPS = 100_000
"""Steps of a row of training or validation; an exported model takes rows of any length."""

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What separates words, in data, in exported files and in reports: the characters at which Python's
`str.split` splits, which are Unicode's White_Space and the separators U+001C to U+001F. Characters
of no width, as U+200B and U+FEFF, are no white space."""


def text(cell: object) -> str:
    """A text that survives as UTF-8."""
    if not isinstance(cell, str):
        raise DataError(f"{described(cell)}, expected a text")
    if "\0" in cell:
        raise DataError("holds the character U+0000; remove it")
    if not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            code = ord(cell[error.start])
            raise DataError(
                f"holds half of a surrogate pair, U+{code:04X}, which is no character; remove it"
            ) from error
    return cell


def are_plain(cells: list[object], most: int) -> TypeGuard[list[str]]:
    """Whether `text` takes all cells as they are and none has more than `most` characters; quick to
    say of many at once."""
    try:
        joined = "".join(cells)  # type: ignore[arg-type]
        joined.encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return "\0" not in joined and max(map(len, cells), default=0) <= most  # type: ignore[arg-type]


def check_length(steps: int) -> None:
    """Raises DataError for a row that no machine could train on: a batch is as long as its longest
    row, and the values of every step are kept for the gradient."""
    if steps > MOST_STEPS:
        raise DataError(
            f"has {steps:,} steps, and a row may have {MOST_STEPS:,}; cut it into shorter rows"
        )


def words(text: str) -> list[str]:
    """The text split by one or more characters of WHITE_SPACE, and by nothing else."""
    return text.split()


def fold(char: str) -> str:
    """The lower case of one code point where that is one code point, else the code point itself.

    Goes by code point, not by context, so that a lookup table in the exported graph does the same:
    `Σ` is `σ` even at the end of a word, `İ` stays as it is.
    """
    lower = char.lower()
    return lower if len(lower) == 1 else char


def folded(tokens: list[str]) -> list[str]:
    """The tokens, each of its code points in lower case as by `fold`."""
    joined = "\0".join(tokens)  # no token holds it
    lower = joined.lower() if joined.isascii() else joined.translate(folds())
    return lower.split("\0") if tokens else []


def words_of(texts: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    """`words` of every text, one after the other, and how many each has."""
    rows = list(map(str.split, texts))
    return list(chain.from_iterable(rows)), np.fromiter(map(len, rows), np.int64, len(rows))


@cache
def folds() -> dict[int, int]:
    """The code points that `fold` changes, each with what it becomes."""
    changed = [char for char in map(chr, range(sys.maxunicode + 1)) if char.lower() != char]
    return {ord(char): ord(fold(char)) for char in changed if fold(char) != char}


SEPARATORS = (";", "|", ",", "/")
"""What is proposed to separate labels, where a text has it."""


def path_of(cell: object, textual: bool) -> str | None:
    """The path in a cell; None for one that holds something else, or nothing."""
    if not isinstance(cell, str) or not cell.strip():
        return None
    return None if textual and cell.lstrip().startswith("[") else text(cell)


def label(cell: object) -> str:
    """A label: a text as it is, a whole number as its decimal text (1.0 is 1), true and false by
    name."""
    match cell:
        case bool():
            return "true" if cell else "false"
        case int():
            return str(cell)
        case float() if cell.is_integer():  # of a column of floats, as pandas makes it
            return str(int(cell))
        case float():
            raise DataError(
                f"{described(cell)}, expected a label: a text, a whole number or true and false"
            )
        case "":
            raise MissingCell("is empty, expected a label")
        case str():
            return text(cell)
    raise refused(cell, "a label")


def tokens(cell: object, textual: bool = False) -> list[str]:
    """A list of texts, none of them empty: an empty text stands past the end of a row.

    How many may be in a row is for the caller to check, as of `key_steps`.
    """
    if isinstance(cell, str) and not (textual and cell.lstrip().startswith("[")):
        what = f"{described(cell)}, expected a list of texts"
        raise OtherForm(what, "a text is read with 'as: words'")
    return _each(json_list(cell, textual, "a list of texts"), "token")


def label_set(cell: object, textual: bool = False, separator: str | None = None) -> list[str]:
    """Several labels at once, each once: a list, or a text of labels with `separator` between.

    White space around a label is no part of it. A separator of white space stands for any white
    space; without one there is no text of labels.
    """
    if not isinstance(cell, str) or (textual and cell.lstrip().startswith("[")):
        return _once(_each(json_list(cell, textual, "a list of labels"), "label"))
    found = text(cell)
    if separator is None:
        raise DataError(_no_separator(found, textual))
    if not separator.strip():
        return _once(words(found))
    parts = [part.strip() for part in found.split(separator)] if found.strip() else []
    return _once(_each(parts, "label"))


def _no_separator(cell: str, textual: bool) -> str:
    listed = "a list of labels as JSON" if textual else "a list of labels"
    found = words(cell)
    between = next((each for each in SEPARATORS if each in cell), SEPARATORS[0])
    cure = (
        f"set separator of the output to what stands between labels, as in separator: {between!r}"
    )
    if between not in cell and len(found) > 1:
        cure += (
            f", which takes this text for one label, or separator: ' ', which takes it for"
            f" {len(found)}"
        )
    return f"{described(cell)}, expected {listed}; {cure}"


def labels_of_steps(cell: object, textual: bool = False) -> list[str | None]:
    """A label for each step, null for none: a list, or a text of labels that are separated as
    `words` are.

    How many there may be is a question of the input that has the steps.
    """
    values = _listed(cell, textual, "a list of labels")
    return [None if value is None else _at(value, "step", at) for at, value in enumerate(values)]


def key_steps(cell: object, textual: bool = False) -> list[list[str]]:
    """For each step the labels that are on: a list of lists of labels."""
    steps = json_list(cell, textual, "a list of lists of labels")
    found = []
    for at, step in enumerate(steps):
        if not isinstance(step, list):
            raise DataError(f"step {at + 1} {described(step)}, expected a list of labels")
        try:
            found.append(_once(_each(step, "label")))
        except DataError as error:
            raise DataError(f"step {at + 1}: {error}") from error
    return found


def nested(cell: object, textual: bool, of_lists: bool, levels: int = 1) -> list[Any]:
    """The steps of a row: a list of texts or, `of_lists`, a list of lists of texts; with more
    `levels` a list of such lists, and so on."""
    steps = json_list(cell, textual, _lists(levels + of_lists))
    for at, step in enumerate(steps):
        try:
            if levels > 1:
                _nested_deeper(step, of_lists, levels - 1)
            else:
                _nested_tokens(step) if of_lists else _nested_text(step)
        except OtherForm as error:
            raise OtherForm(f"step {at + 1} {error.what}", error.way) from error
        except DataError as error:
            raise DataError(f"step {at + 1} {error}") from error
    return steps


def _lists(levels: int) -> str:
    return "a list of " + "lists of " * (levels - 1) + "texts"


def _nested_deeper(step: object, of_lists: bool, levels: int) -> None:
    if isinstance(step, str):
        what = f"{described(step)}, expected {_lists(levels + of_lists)}"
        raise OtherForm(what, "a text is one level less: take one 'of: {as: nested, …}' away")
    check_length(len(nested(step, False, of_lists, levels)))


def _nested_tokens(step: object) -> None:
    if isinstance(step, str):
        what = f"{described(step)}, expected a list of texts"
        raise OtherForm(what, "a text is read with 'of: {as: words}'")
    _each(json_list(step, False, "a list of texts"), "token")


def _nested_text(step: object) -> None:
    if isinstance(step, list):
        way = (
            "a list of texts is read with 'of: {as: tokens}', or as a level more, with 'as: nested'"
        )
        raise OtherForm(f"{described(step)}, expected a text", way)
    text(step)


def _listed(cell: object, textual: bool, expected: str) -> list[Any]:
    if isinstance(cell, str) and not (textual and cell.lstrip().startswith("[")):
        return words(text(cell))
    return json_list(cell, textual, expected)


def _each(values: list[Any], what: str) -> list[str]:
    return [_at(value, what, at) for at, value in enumerate(values)]


def _at(value: object, what: str, at: int) -> str:
    if type(value) is str and value and value.isascii() and "\0" not in value:  # nearly all
        return value
    try:
        return label(value)
    except DataError as error:
        raise DataError(f"{what} {at + 1} {error}") from error


def _once(labels: list[str]) -> list[str]:
    """Raises DataError for a label that stands twice: were both meant?"""
    if len(set(labels)) != len(labels):
        twice = next(name for name in labels if labels.count(name) > 1)
        raise DataError(f"has the label {twice!r} twice; name each label once")
    return labels


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


def above_0(value: float, cure: str) -> float:
    """The number. Raises DataError for one that is not above 0, with the cure."""
    if value <= 0:
        raise DataError(f"is {value:g}, which has no logarithm; {cure}")
    return value


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
        hint = "; write null for each step that is missing, as in [null, null]" if missing else ""
        raise DataError(f"{error}{hint}") from error
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
        hint = "; write its decimal point as '.', or set decimal of the format: "
        hint += "{csv: {decimal: ','}}"
    elif cell.strip().lstrip("+-").lower() in ("nan", "inf", "infinity"):
        hint = "; only finite numbers can be learned from"
    elif cell.strip().lower() in _NO_VALUE:
        words = f"{{csv: {{missing: [{cell.strip()!r}]}}}}"
        hint = f"; if it means a missing value, set missing of the format: {words}"
    kind = MissingCell if is_gap(cell, True) else DataError
    raise kind(f"{described(cell)}, expected a number{hint}")


_NO_VALUE = frozenset(("na", "n/a", "#n/a", "null", "none", "nil", "missing", "?", "-", "--", "."))
"""What stands for a missing value in many files, in lower case."""


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
