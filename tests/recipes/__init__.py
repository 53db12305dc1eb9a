"""Toys that the recipes of ARCHITECTURE.md add to a copy of the package, one file a recipe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` after or before the first line of `path` with these words, or instead of the words; a
    new file, or its end, without words."""

    path: str
    text: str
    after: str = ""
    before: str = ""
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The `row` of the table in ARCHITECTURE.md, what it asks for, and a program that uses it.

    `tests` are tests of the copy that must pass: "FILE" or "FILE -k WORDS".
    """

    row: str
    edits: tuple[Edit, ...]
    program: str = ""
    tests: tuple[str, ...] = ()
