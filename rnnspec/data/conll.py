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

from rnnspec.data.how import How
from rnnspec.data.lines import MAX_LINE, Coding, Position, blocks
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError

CHUNK_ROWS = 1024
DOCUMENT = "-DOCSTART-"
"""Begins the line between two documents."""
NAMES = "# global.columns ="
CONLL_U = 10
"""Columns of CoNLL-U, of which the first is the number of a word in its sentence."""
CONLL_U_NAMES = (
    "ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC",
)  # fmt: skip
"""What these columns are called (https://universaldependencies.org/format.html)."""
_NUMBER = re.compile(r"[0-9]+(?P<more>[-.][0-9]+)?")


def read_conll(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of `columns`: a row for each sentence, whose cells are lists of texts.

    - A line ends with \\n, \\r\\n or \\r, as in Python's text files.
    - The columns of the file are called by `how.names`, or as its first line says, or by their
      numbers from 1. Where the first line of a token that does not begin with # has a tab, tabs
      separate the columns; else white space does. Spaces around a cell are no part of it.
    - Between tabs, a line that begins with # is a remark if it has no tab, or other than the number
      of columns and white space behind the #; in CoNLL-U each one is. Between white space none is.
    - A line of white space alone ends a sentence, and so does one whose first word is -DOCSTART-.
      A sentence without tokens is no row.
    - In CoNLL-U the columns have its names, ID to MISC, where nothing else names them. The lines of
      words alone are tokens: not those of several words (`1-2`), nor of words that are not written
      (`1.1`).

    Raises DataError for a column that the file lacks.
    """
    coding, row = how.coding, 0
    reader = _Reader(file, list(columns), list(how.names), bad, *_first_token(file, coding))
    for lines in _lines(file, coding, position):
        for number, text in lines:
            reader.take(number, text)
        if len(reader.done) >= CHUNK_ROWS:
            yield reader.chunk(row)
            row += len(reader.done)
            reader.done.clear()
    reader.end()
    if reader.done:
        yield reader.chunk(row)


def _lines(
    file: Path, coding: Coding, position: Position | None = None
) -> Iterator[list[tuple[int, str]]]:
    """Blocks of lines with their numbers, from 1."""
    number = 0
    for _, lines in blocks(file, position, coding):
        each = [part for line in lines for part in line.removesuffix("\r").split("\r")]
        yield list(enumerate(each, start=number + 1))
        number += len(each)


def _first_token(file: Path, coding: Coding) -> tuple[int, str]:
    """The number and the text of the first line of a token, which does not begin with # if any does
    not."""
    found = (0, "")
    for lines in _lines(file, coding):
        for number, text in lines:
            if not _ends(text) and not text.startswith("#"):
                return number, text
            if not found[0] and not _ends(text) and "\t" in text:
                found = number, text
    return found


def _ends(text: str) -> bool:
    """Whether a line ends a sentence."""
    return not text.strip() or text.split(maxsplit=1)[0] == DOCUMENT


@dataclass(slots=True)
class _Reader:
    """Takes the lines of a file one by one. The `first` token is `sample`, which says how wide the
    others are; `places` of `columns` are known once a token was taken."""

    file: Path
    columns: list[str]
    names: list[str]
    bad: BadRows
    first: int
    sample: str
    places: list[int] = field(default_factory=list)
    start: int = 0
    tokens: list[list[str]] = field(default_factory=list)
    size: int = 0
    spoilt: bool = False
    done: list[tuple[int, list[list[str]]]] = field(default_factory=list)
    """Sentences: the first line, and the fields of each token."""
    tabs: bool = field(init=False)
    width: int = field(init=False)
    numbered: bool = False
    """Whether tokens begin with their numbers, as in CoNLL-U."""

    def __post_init__(self) -> None:
        self.tabs = "\t" in self.sample
        self.width = len(self._fields(self.sample))

    def take(self, line: int, text: str) -> None:
        if _ends(text):
            self.end()
        elif text.startswith(NAMES) and not self.places:
            self.names = self.names or text.removeprefix(NAMES).split()
        elif not self._is_remark(text):
            self._token(line, text)

    def _is_remark(self, text: str) -> bool:
        if not self.tabs or not text.startswith("#"):
            return False
        if self._is_numbered() or "\t" not in text:
            return True
        return text[1:2].isspace() and len(self._fields(text)) != self.width

    def _is_numbered(self) -> bool:
        of_words = self.width == CONLL_U or self.names[:1] == ["ID"]
        return self.tabs and of_words and bool(_NUMBER.fullmatch(self._fields(self.sample)[0]))

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
        if not self.places:
            self._begin()
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

    def _begin(self) -> None:
        """Where the columns are, with the names that a file may have stated."""
        self.numbered = self._is_numbered()
        numbers = [str(number) for number in range(1, self.width + 1)]
        of_words = self.numbered and self.width == CONLL_U
        names = (self.names or (list(CONLL_U_NAMES) if of_words else []))[: self.width]
        for column in self.columns:
            if column in names:
                self.places.append(names.index(column))
            elif column in numbers:
                self.places.append(int(column) - 1)
            else:
                listed = [*names, *numbers[len(names) :]]
                cure = "" if self.names else "; data.columns names them"
                if column in self.names[self.width :]:
                    cure = f"; data.columns names {len(self.names)}, and the file has {self.width}"
                raise DataError(f"{self.file}: {no_column(column, listed)}{cure}")

    def _of_other_width(self, found: int, text: str) -> str:
        columns = f"{found} column{'s' * (found != 1)}"
        message = f"has {columns}, and line {self.first} has {self.width}"
        if self.tabs and "\t" not in text and len(text.split()) == self.width:
            return f"{message}; separate all columns by tabs"
        return f"{message}; every token needs all of them, and an empty line ends a sentence"
