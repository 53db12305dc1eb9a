"""Columns of text: words, characters, bytes and lists of tokens, to be read or to be answered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column
from rnnspec.data.columns.base import Lengths, RaggedWriter, lengths_of
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import (
    CODE_POINTS,
    CharCounts,
    LengthStatistics,
    WordCounts,
    code_points,
)
from rnnspec.errors import DataError
from rnnspec.plan.copies import answer_numbers, source_numbers
from rnnspec.plan.facts import UNKNOWN_ID, TextFacts, Vocabulary
from rnnspec.plan.nodes import TokenKind
from rnnspec.spec import (
    BytesInput,
    CharsInput,
    CharsOutput,
    TokensInput,
    TokensOutput,
    WordsInput,
    WordsOutput,
)

BYTES = tuple(f"{value:02x}" for value in range(256))
"""The vocabulary of bytes: number 2 + byte."""


@dataclass(frozen=True, slots=True)
class TextCells:
    """Reads the cells of a column of text.

    Of a `stream` rows may have any number of steps, and come in pieces.
    """

    column: str
    kind: TokenKind
    stream: bool = False

    def texts(self, chunk: Chunk, bad: BadRows) -> list[str]:
        """The texts as they are."""
        if chunk.continued and not self.stream:
            bad.fail(
                chunk.lines[0],
                f"column {self.column!r} is too long for one row; set data.documents to "
                "paragraph or line, or train.window to read it as a stream",
            )
        # A character has at most four bytes, and a row no more steps than bytes.
        most = sys.maxsize if self.stream else decode.MOST_STEPS // 4
        cells = chunk.cells[self.column]
        if decode.are_plain(cells, most):
            return cells
        read = decode.text if self.stream else _READ[self.kind]
        return bad.decoded(chunk, self.column, read, pieces=self.stream)

    def tokens(self, chunk: Chunk, bad: BadRows) -> tuple[list[str], Lengths]:
        """Of words and tokens: those of all rows one after the other, and how many each has."""
        if self.kind == "words":
            return decode.words_of(self.texts(chunk, bad))

        def decoded(cell: object) -> list[str]:
            found = decode.tokens(cell, chunk.textual)
            if not self.stream:
                decode.check_length(len(found))
            return found

        rows = bad.decoded(chunk, self.column, decoded)
        return [token for row in rows for token in row], lengths_of(rows)

    def rows(self, chunk: Chunk, bad: BadRows) -> list[Sequence[str]]:
        """Of words, characters and tokens: those of each row."""
        if self.kind == "chars":
            return list(self.texts(chunk, bad))
        tokens, lengths = self.tokens(chunk, bad)
        ends = np.cumsum(lengths).tolist()
        return [tokens[start:end] for start, end in pairwise([0, *ends])]


def _bytes_text(cell: object) -> str:
    value = decode.text(cell)
    decode.check_length(len(value.encode()))
    return value


_READ: dict[TokenKind, Callable[[object], str]] = {
    "words": decode.text_of_words,
    "chars": decode.text_of_chars,
    "bytes": _bytes_text,
    "subwords": decode.text_of_chars,
}


@dataclass(slots=True)
class WordCollector:
    """Facts of words or tokens, with their characters if they are spelled."""

    cells: TextCells
    column: WordsInput | TokensInput | WordsOutput | TokensOutput
    counts: WordCounts = field(default_factory=WordCounts)
    lengths: LengthStatistics = field(default_factory=LengthStatistics)
    spelled: CharCounts | None = None
    longest_token: int = 0

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        """The steps of each row; None of a text to be answered, which has steps of its own."""
        tokens, lengths = self.cells.tokens(chunk, bad)
        self.counts.add(tokens)
        self.lengths.add(lengths, chunk.continued)
        if self.spelled is not None:
            self.spelled.add(tokens)
            self.longest_token = max(self.longest_token, max(map(len, tokens), default=0))
        return None if isinstance(self.column, WordsOutput | TokensOutput) else lengths

    def facts(self) -> TextFacts:
        what = "word" if self.cells.kind == "words" else "token"
        _check_some(self.lengths, what)
        entries = self.counts.entries(self.column.min_count, self.column.max_size)
        _check_entries(entries, what, self.column.min_count)
        characters = None
        if self.spelled is not None:
            characters = Vocabulary(self.spelled.entries(1, None, fold_case=False))
        return text_facts(entries, self.lengths, characters, self.longest_token)


@dataclass(slots=True)
class CharCollector:
    """Facts of characters."""

    cells: TextCells
    column: CharsInput | CharsOutput
    counts: CharCounts = field(default_factory=CharCounts)
    lengths: LengthStatistics = field(default_factory=LengthStatistics)

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        """As of `WordCollector`."""
        texts = self.cells.texts(chunk, bad)
        self.counts.add(texts)
        lengths = lengths_of(texts)
        self.lengths.add(lengths, chunk.continued)
        return None if isinstance(self.column, CharsOutput) else lengths

    def facts(self) -> TextFacts:
        column = self.column
        folds = isinstance(column, CharsInput) and column.fold_case
        _check_some(self.lengths, "character")
        entries = self.counts.entries(column.min_count, column.max_size, folds)
        _check_entries(entries, "character", column.min_count)
        return text_facts(entries, self.lengths)


@dataclass(slots=True)
class ByteCollector:
    """Facts of bytes: the vocabulary is all of them."""

    cells: TextCells
    column: BytesInput
    lengths: LengthStatistics = field(default_factory=LengthStatistics)

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        lengths = lengths_of([text.encode() for text in self.cells.texts(chunk, bad)])
        self.lengths.add(lengths, chunk.continued)
        return lengths

    def facts(self) -> TextFacts:
        _check_some(self.lengths, "byte")
        return text_facts(BYTES, self.lengths)


def text_facts(
    entries: tuple[str, ...],
    lengths: LengthStatistics,
    characters: Vocabulary | None = None,
    longest_token: int = 0,
    tokenizer: str = "",
) -> TextFacts:
    """The facts of rows of `lengths`."""
    return TextFacts(
        Vocabulary(entries),
        lengths.longest,
        lengths.mean(),
        lengths.deviation(),
        characters,
        longest_token,
        tokenizer,
    )


def _check_some(lengths: LengthStatistics, what: str) -> None:
    if not lengths.longest:
        raise DataError(f"no {what} in any training row")


def _check_entries(entries: tuple[str, ...], what: str, min_count: int) -> None:
    if not entries:
        raise DataError(f"no {what} that occurs {min_count} times; set min_count lower")


Numbered = Callable[[Chunk, BadRows], tuple[NDArray[np.int32], Lengths]]
"""The numbers of all tokens of a chunk, one row after the other, and how many each row has."""


def numbered(cells: TextCells, vocabulary: Vocabulary, fold_case: bool = False) -> Numbered:
    """Numbers of words, tokens, characters or bytes."""
    if cells.kind == "bytes":
        return partial(_byte_numbers, cells)
    if cells.kind == "chars":
        return partial(_char_numbers, cells, char_table(vocabulary, fold_case))
    return partial(_word_numbers, cells, vocabulary)


def _word_numbers(
    cells: TextCells, vocabulary: Vocabulary, chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    tokens, lengths = cells.tokens(chunk, bad)
    return np.array(vocabulary.numbers(tokens), np.int32), lengths


def _char_numbers(
    cells: TextCells, table: NDArray[np.int32], chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    texts = cells.texts(chunk, bad)
    return table[code_points("".join(texts))], lengths_of(texts)


def _byte_numbers(
    cells: TextCells, chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    texts = [text.encode() for text in cells.texts(chunk, bad)]
    return np.frombuffer(b"".join(texts), np.uint8).astype(np.int32) + 2, lengths_of(texts)


def char_table(vocabulary: Vocabulary, fold_case: bool = False) -> NDArray[np.int32]:
    """The number of every code point."""
    table = np.full(CODE_POINTS, UNKNOWN_ID, np.int32)
    known = np.array([ord(entry) for entry in vocabulary.entries], np.int64)
    table[known] = vocabulary.numbers(vocabulary.entries)
    if fold_case:
        table[list(decode.folds())] = table[list(decode.folds().values())]
    return table


@dataclass(frozen=True, slots=True)
class TokenWriter:
    """Writes the numbers of an input of tokens."""

    numbers: Numbered
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        values, lengths = self.numbers(chunk, bad)
        self.values.append(values)
        return lengths


@dataclass(frozen=True, slots=True)
class TextWriter:
    """Writes the numbers of a text to be answered."""

    numbers: Numbered
    rows: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.rows.append(*self.numbers(chunk, bad))


@dataclass(frozen=True, slots=True)
class CopySourceWriter:
    """Writes what may be copied of an input into answers of a `vocabulary`."""

    cells: TextCells
    vocabulary: Vocabulary
    banned: frozenset[str]
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        rows = self.cells.rows(chunk, replace(bad, found=[]))  # noted by those who write its tokens
        found = [source_numbers(row, self.vocabulary, self.banned) for row in rows]
        lengths = lengths_of(found)
        self.values.append(np.fromiter(chain.from_iterable(found), np.int32, int(lengths.sum())))
        return lengths


@dataclass(frozen=True, slots=True)
class CopiedTextWriter:
    """Writes the numbers of a text to be answered, of which tokens may stand in the `source`."""

    cells: TextCells
    source: TextCells
    vocabulary: Vocabulary
    written: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        rows = self.cells.rows(chunk, bad)
        if bad.found:  # the file ends in an error, which has been told of the source too
            return
        pairs = zip(rows, self.source.rows(chunk, bad), strict=True)
        found = [answer_numbers(row, source, self.vocabulary) for row, source in pairs]
        lengths = lengths_of(found)
        values = np.fromiter(chain.from_iterable(found), np.int32, int(lengths.sum()))
        self.written.append(values, lengths)


@dataclass(slots=True)
class CharacterWriter:
    """Writes the characters of each token of an input."""

    cells: TextCells
    table: NDArray[np.int32]
    tokens: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        tokens, lengths = self.cells.tokens(chunk, bad)
        self.tokens.append(self.table[code_points("".join(tokens))], lengths_of(tokens))
        return lengths
