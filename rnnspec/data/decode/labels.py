"""Cells of labels: one, several at once, one a step, several a step."""

from __future__ import annotations

from typing import Any

from rnnspec.data.decode.cells import described, json_list, refused
from rnnspec.data.decode.texts import text, words
from rnnspec.errors import DataError, MissingCell

SEPARATORS = (";", "|", ",", "/")
"""What is proposed to separate labels, where a text has it."""


def label(cell: object) -> str:
    """A label: a text as it is, a whole number as its decimal text, true and false by name."""
    match cell:
        case bool():
            return "true" if cell else "false"
        case int():
            return str(cell)
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
        raise DataError(
            f"{described(cell)}, expected a list of texts; a text is read with 'as: words'"
        )
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
