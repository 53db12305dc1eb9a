"""A mistake in a source file, and how it is shown: place, cause, way out, underlined line."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text file: 1-based `line` and `column`, `length` in code points (at least 1)."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    `file` as the user named it; `path` the dotted way to the key (`encoder.layers[0].units`), empty
    for the file as a whole; `message` what is wrong; `hint` the way out, empty if there is none;
    `source_line` the text of the line, empty if there is none to show.
    """

    file: str
    span: Span
    path: str
    message: str
    hint: str = ""
    source_line: str = ""

    def render(self) -> str:
        """`file:line:col: path: message; hint`, then the line with the place underlined."""
        place = f"{self.file}:{self.span.line}:{self.span.column}"
        head = ": ".join(part for part in (place, self.path, self.message) if part)
        if self.hint:
            head += f"; {self.hint}"
        return head if not self.source_line.strip() else f"{head}\n{self._underlined()}"

    def _underlined(self) -> str:
        line = self.source_line.replace("\t", " ")
        before = line[: self.span.column - 1]
        marked = line[self.span.column - 1 : self.span.column - 1 + self.span.length]
        return f"    {line}\n    {' ' * _cells(before)}{'^' * max(1, _cells(marked))}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known word, or an empty text if none is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def _cells(text: str) -> int:
    """Width of `text` in terminal cells, so that the underline sits below wide characters too."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)
