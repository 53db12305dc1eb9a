"""Cells of text as tokens, and the facts of columns of text: vocabularies and lengths."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise

import numpy as np

from rnnspec import spec
from rnnspec.data import decode
from rnnspec.data.columns.base import Lengths, lengths_of
from rnnspec.data.columns.subwords import subword_numbers, trained_tokenizer
from rnnspec.data.pretrained import keyed, with_file
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import CharCounts, LengthStatistics, WordCounts
from rnnspec.data.vectors import read_vectors
from rnnspec.errors import DataError
from rnnspec.plan.facts import TextFacts, VectorFacts, VectorFile, Vocabulary
from rnnspec.plan.nodes import TokenKind
from rnnspec.plan.text_rule import PLAIN, TextRule
from rnnspec.spec import (
    BytesInput,
    CharsInput,
    CharsOutput,
    SubwordsInput,
    TokensOutput,
    WordsInput,
    WordsOutput,
)

BYTES = tuple(f"{value:02x}" for value in range(256))
"""The vocabulary of bytes: number 2 + byte."""


@dataclass(frozen=True, slots=True)
class TextCells:
    """Reads the cells of a column of text, which become tokens by the `rule`. In a `stream` rows
    may have any number of steps, and come in pieces."""

    column: str
    kind: TokenKind
    stream: bool = False
    rule: TextRule = PLAIN

    def texts(self, chunk: Chunk, bad: BadRows) -> list[str]:
        """The text of each row, in its normal form."""
        texts = self._texts(chunk, bad)
        return texts if self.rule.normalize == "none" else list(map(self.rule.normalized, texts))

    def _texts(self, chunk: Chunk, bad: BadRows) -> list[str]:
        if chunk.continued and not self.stream:
            bad.fail(
                chunk.lines[0],
                f"column {self.column!r} is too long for one row; set data.documents to "
                "paragraph or line, or train.window to read it as a stream",
            )
        # A character has at most four bytes, and a row no more steps than bytes; in normal form it
        # may be eighteen characters.
        each = 4 if self.rule.normalize == "none" else 72
        most = sys.maxsize if self.stream else decode.MOST_STEPS // each
        cells = chunk.cells[self.column]
        if decode.are_plain(cells, most):
            return cells
        return bad.decoded(chunk, self.column, self._text, pieces=self.stream)

    def _text(self, cell: object) -> str:
        """The text of a cell. Raises DataError where it has too many steps."""
        value = decode.text(cell)
        if not self.stream:
            decode.check_length(self.steps(value))
        return value

    def steps(self, text: str) -> int:
        """How many steps a text has; of subwords its characters."""
        match self.kind:
            case "words":
                return len(self.rule.words(self.rule.normalized(text)))
            case "bytes":
                return len(text.encode())
            case _:
                return len(self.rule.normalized(text))

    def tokens(self, chunk: Chunk, bad: BadRows) -> tuple[list[str], Lengths]:
        """Words or tokens of all rows in one list, and how many each row has."""
        if self.kind == "words":
            texts = self.texts(chunk, bad)
            if self.rule.split == "whitespace":
                return decode.words_of(texts)
            rows = list(map(self.rule.words, texts))
            return list(chain.from_iterable(rows)), lengths_of(rows)

        def decoded(cell: object) -> list[str]:
            found = list(map(self.rule.normalized, decode.tokens(cell, chunk.textual)))
            if not self.stream:
                decode.check_length(len(found))
            return found

        rows = bad.decoded(chunk, self.column, decoded)
        return [token for row in rows for token in row], lengths_of(rows)

    def rows(self, chunk: Chunk, bad: BadRows) -> list[Sequence[str]]:
        """Words, characters or tokens of each row."""
        if self.kind == "chars":
            return list(self.texts(chunk, bad))
        tokens, lengths = self.tokens(chunk, bad)
        ends = np.cumsum(lengths).tolist()
        return [tokens[start:end] for start, end in pairwise([0, *ends])]


@dataclass(slots=True)
class WordCollector:
    """Collects the facts of words or tokens, with their characters if they are spelled."""

    cells: TextCells
    column: WordsInput | spec.TokensInput | WordsOutput | TokensOutput
    counts: WordCounts = field(default_factory=WordCounts)
    lengths: LengthStatistics = field(default_factory=LengthStatistics)
    spelled: CharCounts | None = None
    vectors: VectorFile | None = None
    longest_token: int = 0

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        """The steps of each row; None for a target, which has a time axis of its own."""
        tokens, lengths = self.cells.tokens(chunk, bad)
        folds = isinstance(self.column, WordsInput | spec.TokensInput) and self.column.fold_case
        self.counts.add(decode.folded(tokens) if folds else tokens)
        self.lengths.add(lengths, chunk.continued)
        if self.spelled is not None:
            self.spelled.add(tokens)
            self.longest_token = max(self.longest_token, max(map(len, tokens), default=0))
        return None if isinstance(self.column, WordsOutput | TokensOutput) else lengths

    def facts(self) -> TextFacts:
        what = "word" if self.cells.kind == "words" else "token"
        entries = self.counts.entries(self.column.min_count, self.column.max_size)
        mark = getattr(self.column, "slots", None)
        if mark is not None and not any(entry.startswith(mark) for entry in entries):
            raise DataError(
                f"no slot: no token of the vocabulary begins with {mark!r}; set slots to how they"
                " begin, or remove it"
            )
        characters = None
        if self.spelled is not None:
            characters = Vocabulary(self.spelled.entries(1, None, fold_case=False))
        least = self.column.min_count
        found = text_facts(what, entries, self.lengths, least, characters, self.longest_token)
        return found if self.vectors is None else self._with_vectors(found, self.vectors)

    def _with_vectors(self, facts: TextFacts, file: VectorFile) -> TextFacts:
        """The facts, with the words of a file in the vocabulary."""
        column, entries = self.column, facts.vocabulary.entries
        assert isinstance(column, WordsInput | spec.TokensInput) and column.vectors is not None
        read = read_vectors(file)
        places = keyed(read, self.cells.kind, self.cells.rule, column.fold_case)
        merged = with_file(entries, places, column.vectors)
        vectors = VectorFacts(
            file,
            read.digest,
            read.width,
            merged.first,
            len(entries),
            merged.found,
            merged.more,
            read.not_utf8 + read.twice,
        )
        return replace(facts, vocabulary=Vocabulary(merged.entries), vectors=vectors)


@dataclass(slots=True)
class CharCollector:
    """Collects the facts of characters."""

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
        entries = self.counts.entries(column.min_count, column.max_size, folds)
        return text_facts("character", entries, self.lengths, column.min_count)


@dataclass(slots=True)
class ByteCollector:
    """Collects the facts of bytes. The vocabulary is all bytes."""

    cells: TextCells
    column: BytesInput
    lengths: LengthStatistics = field(default_factory=LengthStatistics)

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        lengths = lengths_of([text.encode() for text in self.cells.texts(chunk, bad)])
        self.lengths.add(lengths, chunk.continued)
        return lengths

    def facts(self) -> TextFacts:
        return text_facts("byte", BYTES, self.lengths)


@dataclass(slots=True)
class SubwordCollector:
    """Collects the facts of subwords.

    The subwords are known only when all rows were seen, so the file is read three times: `chunks`
    gives the training rows again.
    """

    cells: TextCells
    column: SubwordsInput
    chunks: Callable[[], Iterator[tuple[Chunk, BadRows]]]
    characters: CharCounts = field(default_factory=CharCounts)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.characters.add(self.cells.texts(chunk, bad))

    def facts(self) -> TextFacts:
        alphabet = self.characters.entries(1, None, fold_case=False)
        if not alphabet:
            raise DataError("no character in any training row")
        if len(alphabet) >= self.column.size:
            raise DataError(
                f"{len(alphabet):,} different characters, and each is a subword of its own; "
                f"set size to more than {len(alphabet):,}"
            )
        trained = trained_tokenizer(self._texts(), self.column.size)
        lengths = LengthStatistics()
        for chunk, bad in self.chunks():
            texts = self.cells.texts(chunk, bad)
            lengths.add(lengths_of(subword_numbers(trained, texts)), chunk.continued)
        vocabulary = json.loads(trained)["model"]["vocab"]
        entries = sorted(vocabulary, key=vocabulary.__getitem__)[2:]
        return text_facts("subword", tuple(entries), lengths, tokenizer=trained)

    def _texts(self) -> Iterator[str]:
        for chunk, bad in self.chunks():
            yield from self.cells.texts(chunk, bad)


def text_facts(
    what: str,
    entries: tuple[str, ...],
    lengths: LengthStatistics,
    min_count: int = 1,
    characters: Vocabulary | None = None,
    longest_token: int = 0,
    tokenizer: str = "",
) -> TextFacts:
    """The facts of rows of `lengths`. Raises DataError where there is no step, or no entry."""
    if not lengths.longest:
        raise DataError(f"no {what} in any training row")
    if not entries:
        raise DataError(f"no {what} that occurs {min_count} times; set min_count lower")
    return TextFacts(
        Vocabulary(entries),
        lengths.longest,
        lengths.mean(),
        lengths.deviation(),
        characters,
        longest_token,
        tokenizer,
    )
