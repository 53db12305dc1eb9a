"""Rows of CoNLL files: a line for each token, an empty line after each sentence.

Shared tasks wrote their data so since CoNLL-2000 (Tjong Kim Sang and Buchholz 2000): in columns, of
which the first is the token. Names of columns may stand in the first line of a file, as in CoNLL-U
Plus (https://universaldependencies.org/ext-format.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnspec.data.lines import MAX_LINE, Position, blocks
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError

CHUNK_ROWS = 1024
DOCUMENT = "-DOCSTART-"
"""Begins the line between two documents."""
NAMES = "# global.columns ="
CONLL_U = 10
"""Columns of CoNLL-U, of which the first is the number of a word in its sentence."""
_NUMBER = re.compile(r"[0-9]+(?P<more>[-.][0-9]+)?")


def read_conll(
    file: Path, columns: Sequence[str], names: Sequence[str], bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of `columns`: a row for each sentence, whose cells are lists of texts.

    The columns of the file are called by `names`, or as its first line says, or by their numbers
    from 1. Where the first line that does not begin with # has a tab, tabs separate the columns,
    and lines that begin with # and have no tab are remarks; else white space does. Lines of white
    space alone, and those of documents, end a sentence. A sentence without tokens is no row. Spaces
    around a cell are no part of it. In CoNLL-U the lines of words alone are tokens: not those of
    several words (`1-2`), nor of words that are not written (`1.1`).

    Raises DataError for a column that the file lacks.
    """
    reader, row = _Reader(file, list(columns), list(names), bad, _has_tabs(file)), 0
    for first, lines in blocks(file, position):
        for number, text in enumerate(lines, start=first):
            reader.take(number, text.removesuffix("\r"))
        if len(reader.done) >= CHUNK_ROWS:
            yield reader.chunk(row)
            row += len(reader.done)
            reader.done.clear()
    reader.end()
    if reader.done:
        yield reader.chunk(row)


def _has_tabs(file: Path) -> bool:
    """Whether tabs separate the columns."""
    found = False
    for _, lines in blocks(file):
        for text in lines:
            if text.strip() and not text.startswith(("#", DOCUMENT)):
                return "\t" in text
            found = found or bool(text.strip() and "\t" in text)
    return found


@dataclass(slots=True)
class _Reader:
    """Takes the lines of a file one by one. `places` of `columns` are known from the first token
    on, which has `width` columns in line `begun`, and whether the lines are `numbered`."""

    file: Path
    columns: list[str]
    names: list[str]
    bad: BadRows
    tabs: bool
    numbered: bool = False
    width: int = 0
    begun: int = 0
    places: list[int] = field(default_factory=list)
    start: int = 0
    tokens: list[list[str]] = field(default_factory=list)
    size: int = 0
    spoilt: bool = False
    done: list[tuple[int, list[list[str]]]] = field(default_factory=list)
    """Sentences: the first line, and the fields of each token."""

    def take(self, line: int, text: str) -> None:
        if not text.strip() or text.split(maxsplit=1)[0] == DOCUMENT:
            self.end()
        elif text.startswith(NAMES) and not self.width:
            self.names = self.names or text.removeprefix(NAMES).split()
        elif not (self.tabs and text.startswith("#") and "\t" not in text):
            self._token(line, text)

    def end(self) -> None:
        """The sentence is over."""
        if self.tokens and not self.spoilt:
            self.done.append((self.start, self.tokens))
        self.tokens, self.size, self.spoilt = [], 0, False

    def chunk(self, first: int) -> Chunk:
        """The sentences so far, of which the first is row `first`."""
        lines = [line for line, _ in self.done]
        cells: dict[str, list[object]] = {
            column: [[fields[place] for fields in tokens] for _, tokens in self.done]
            for column, place in zip(self.columns, self.places, strict=True)
        }
        return Chunk(first, lines, cells)

    def _token(self, line: int, text: str) -> None:
        if not self.width:
            self._begin(line, text)
        fields = self._fields(text)
        number = _NUMBER.fullmatch(fields[0]) if self.numbered else None
        if number is not None and number["more"]:
            return
        self.start = self.start if self.tokens else line
        self.tokens.append(fields)
        self.size += len(text)
        if len(fields) != self.width and not self.spoilt:
            self.spoilt = True
            self.bad.add(line, self._of_other_width(len(fields), text))
        if self.size > MAX_LINE:
            self.bad.fail(self.start, "the sentence has no end; end each with an empty line")

    def _fields(self, text: str) -> list[str]:
        return [each.strip(" ") for each in text.split("\t")] if self.tabs else text.split()

    def _begin(self, line: int, text: str) -> None:
        """The first token says how many columns there are."""
        self.begun = line
        fields = self._fields(text)
        self.width = len(fields)
        of_words = self.width == CONLL_U or self.names[:1] == ["ID"]
        self.numbered = self.tabs and of_words and _NUMBER.fullmatch(fields[0]) is not None
        numbers = [str(number) for number in range(1, self.width + 1)]
        names = self.names[: self.width]
        for column in self.columns:
            if column in names:
                self.places.append(names.index(column))
            elif column in numbers:
                self.places.append(int(column) - 1)
            else:
                listed = [*names, *numbers[len(names) :]]
                cure = "" if self.names else "; data.columns names them"
                raise DataError(f"{self.file}: {no_column(column, listed)}{cure}")

    def _of_other_width(self, found: int, text: str) -> str:
        columns = f"{found} column{'s' * (found != 1)}"
        message = f"has {columns}, and line {self.begun} has {self.width}"
        if self.tabs and "\t" not in text and len(text.split()) == self.width:
            return f"{message}; separate all columns by tabs"
        return f"{message}; every token needs all of them, and an empty line ends a sentence"
