"""Columns of text, as inputs or targets: words, characters, bytes, subwords and lists of tokens."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from itertools import chain, pairwise
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from rnnspec import spec
from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import Characters, Steps, Texts
from rnnspec.data.columns.base import (
    ColumnKind,
    Encoding,
    Lengths,
    RaggedWriter,
    lengths_of,
    narrow,
)
from rnnspec.data.columns.subwords import subword_numbers, trained_tokenizer
from rnnspec.data.pretrained import keyed, with_file
from rnnspec.data.raw import SEPARATOR
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import (
    CODE_POINTS,
    CharCounts,
    LengthStatistics,
    WordCounts,
    code_points,
)
from rnnspec.data.vectors import read_vectors
from rnnspec.errors import DataError
from rnnspec.plan.copies import answer_numbers, source_numbers
from rnnspec.plan.facts import UNKNOWN_ID, TextFacts, VectorFacts, VectorFile, Vocabulary
from rnnspec.plan.nodes import (
    CharactersInput,
    CopiesInput,
    TextOutput,
    TokenKind,
    TokensInput,
    WrittenOutput,
)
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

APART: frozenset[TokenKind] = frozenset({"words", "tokens"})
"""Kinds of text whose tokens may have several characters."""
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


Numbered = Callable[[Chunk, BadRows], tuple[NDArray[np.int32], Lengths]]
"""The numbers of all tokens of a chunk in one array, and how many each row has."""


def numbered(
    cells: TextCells, known: TextFacts, fold_case: bool = False, or_lower: bool = False
) -> Numbered:
    """A function that numbers the tokens of a chunk."""
    match cells.kind:
        case "bytes":
            return partial(_byte_numbers, cells)
        case "chars":
            return partial(_char_numbers, cells, char_table(known.vocabulary, fold_case))
        case "subwords":
            return partial(_subword_numbers, cells, known.tokenizer)
        case "words" | "tokens":
            read = partial(word_numbers, known.vocabulary, fold_case, or_lower)
            return partial(_word_numbers, cells, read)
        case _:
            assert_never(cells.kind)


def word_numbers(
    vocabulary: Vocabulary, fold_case: bool, or_lower: bool, tokens: list[str]
) -> list[int]:
    """The numbers of tokens as `TokensInput` has them."""
    numbers = vocabulary.numbers(decode.folded(tokens) if fold_case else tokens)
    if not or_lower or UNKNOWN_ID not in numbers:
        return numbers
    lower = vocabulary.numbers(decode.folded(tokens))
    return [low if own == UNKNOWN_ID else own for own, low in zip(numbers, lower, strict=True)]


def _word_numbers(
    cells: TextCells, read: Callable[[list[str]], list[int]], chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    tokens, lengths = cells.tokens(chunk, bad)
    return np.array(read(tokens), np.int32), lengths


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


def _subword_numbers(
    cells: TextCells, tokenizer: str, chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    return _joined(subword_numbers(tokenizer, cells.texts(chunk, bad)))


def _copy_source_numbers(
    cells: TextCells, vocabulary: Vocabulary, banned: frozenset[str], chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    """The numbers that tokens of an input have where they are copied (`CopiesInput`)."""
    rows = cells.rows(chunk, replace(bad, found=[]))  # noted by those who write its tokens
    return _joined([source_numbers(row, vocabulary, banned) for row in rows])


def _copied_text_numbers(
    cells: TextCells, source: TextCells, vocabulary: Vocabulary, chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    """The numbers of a target text whose tokens may be copied from the `source`."""
    rows = cells.rows(chunk, bad)
    if bad.found:  # the file ends in an error, which has been noted for the source too
        return _joined([])
    pairs = zip(rows, source.rows(chunk, bad), strict=True)
    return _joined([answer_numbers(row, tokens, vocabulary) for row, tokens in pairs])


def _joined(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int32], Lengths]:
    return np.fromiter(chain.from_iterable(rows), np.int32), lengths_of(rows)


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
    """Writes the numbers of a target text."""

    numbers: Numbered
    rows: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.rows.append(*self.numbers(chunk, bad))


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


@dataclass(frozen=True, slots=True)
class RawTextWriter:
    """Writes a text, or its tokens with U+0000 between them (`rnnspec.data.raw`).

    It comes after all other columns of a chunk: a cell that cannot be read has been noted by then.
    """

    cells: TextCells
    rows: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        if bad.found:  # the file ends in an error
            return
        if self.cells.kind in APART:
            self.rows.append_texts([SEPARATOR.join(row) for row in self.cells.rows(chunk, bad)])
        else:
            self.rows.append_texts(self.cells.texts(chunk, bad))


def _apart(node: TokensInput | WrittenOutput) -> bool:
    return node.kind in APART


def _tokens_settings(encoding: Encoding, node: TokensInput) -> list[object]:
    unicode = unicodedata.unidata_version if node.fold_case or node.or_lower else ""
    known = encoding.text(node)
    entries = known.tokenizer or known.vocabulary.entries
    lower = ["or lower"] if node.or_lower else []
    return [node.column, node.kind, unicode, entries, *_rule_settings(node.rule), *lower]


def _rule_settings(rule: TextRule) -> list[object]:
    """What tokens depend on besides their column and kind: nothing by the usual rule."""
    return [] if rule == PLAIN else [*astuple(rule), unicodedata.unidata_version]


def _tokens_encoder(
    encoding: Encoding, node: TokensInput, name: str, writer: Writer
) -> TokenWriter:
    values = writer.column(name, narrow(node.size))
    cells = TextCells(node.column, node.kind, encoding.reading.stream, node.rule)
    numbers = numbered(cells, encoding.text(node), node.fold_case, node.or_lower)
    return TokenWriter(numbers, values)


TOKENS = ColumnKind(
    settings=_tokens_settings,
    encoder=_tokens_encoder,
    batch=lambda encoding, node, name, arrays: Steps(arrays[name], 0),
    raw=lambda node, rows: RawTextWriter(TextCells(node.column, node.kind, rule=node.rule), rows),
    apart=_apart,
)


def _tokens_of(encoding: Encoding, node: CharactersInput | CopiesInput) -> TokensInput:
    tokens = encoding.plan.node(node.steps)
    assert isinstance(tokens, TokensInput)
    return tokens


def _characters(encoding: Encoding, node: CharactersInput) -> Vocabulary:
    characters = encoding.text(node).characters
    assert characters is not None
    return characters


def _characters_settings(encoding: Encoding, node: CharactersInput) -> list[object]:
    entries, tokens = _characters(encoding, node).entries, _tokens_of(encoding, node)
    return [node.column, "characters", tokens.kind, entries, *_rule_settings(tokens.rule)]


def _characters_encoder(
    encoding: Encoding, node: CharactersInput, name: str, writer: Writer
) -> CharacterWriter:
    tokens = _tokens_of(encoding, node)
    cells = TextCells(node.column, tokens.kind, encoding.reading.stream, tokens.rule)
    known = _characters(encoding, node)
    rows = RaggedWriter.new(writer, name, narrow(len(known)))
    return CharacterWriter(cells, char_table(known), rows)


CHARACTERS = ColumnKind(
    settings=_characters_settings,
    encoder=_characters_encoder,
    batch=lambda encoding, node, name, arrays: Characters(arrays[name], arrays[f"{name}.offsets"]),
)


def _answer_vocabulary(encoding: Encoding, node: CopiesInput) -> Vocabulary:
    known = encoding.facts.outputs[node.answers]
    assert isinstance(known, TextFacts)
    return known.vocabulary


def _copies_settings(encoding: Encoding, node: CopiesInput) -> list[object]:
    entries = _answer_vocabulary(encoding, node).entries
    rule = _rule_settings(_tokens_of(encoding, node).rule)
    return [node.column, "copies", node.kind, entries, node.banned, *rule]


def _source_cells(encoding: Encoding, node: CopiesInput) -> TextCells:
    return TextCells(node.column, node.kind, rule=_tokens_of(encoding, node).rule)


def _copies_encoder(
    encoding: Encoding, node: CopiesInput, name: str, writer: Writer
) -> TokenWriter:
    cells, banned = _source_cells(encoding, node), frozenset(node.banned)
    vocabulary = _answer_vocabulary(encoding, node)
    numbers = partial(_copy_source_numbers, cells, vocabulary, banned)
    return TokenWriter(numbers, writer.column(name, "<i4"))


COPIES = ColumnKind(
    settings=_copies_settings,
    encoder=_copies_encoder,
    batch=lambda encoding, node, name, arrays: Steps(arrays[name], 0),
)


def _text_settings(encoding: Encoding, node: WrittenOutput) -> list[object]:
    entries = encoding.text(node).vocabulary.entries
    copies = node.copies if isinstance(node, TextOutput) else ""
    rule = _source_rule(encoding, copies)
    return [node.column, "text", node.kind, entries, copies, *rule]


def _source_rule(encoding: Encoding, copies: str) -> list[object]:
    """What the tokens depend on that may be copied from the node `copies`."""
    if not copies:
        return []
    source = encoding.plan.node(copies)
    assert isinstance(source, CopiesInput)
    return _rule_settings(_tokens_of(encoding, source).rule)


def _text_encoder(encoding: Encoding, node: WrittenOutput, name: str, writer: Writer) -> TextWriter:
    cells, known = TextCells(node.column, node.kind), encoding.text(node)
    if not isinstance(node, TextOutput) or not node.copies:
        rows = RaggedWriter.new(writer, name, narrow(len(known.vocabulary)))
        return TextWriter(numbered(cells, known), rows)
    source = encoding.plan.node(node.copies)
    assert isinstance(source, CopiesInput)
    rows, read = RaggedWriter.new(writer, name, "<i4"), _source_cells(encoding, source)
    return TextWriter(partial(_copied_text_numbers, cells, read, known.vocabulary), rows)


TEXT = ColumnKind(
    settings=_text_settings,
    encoder=_text_encoder,
    batch=lambda encoding, node, name, arrays: Texts(arrays[name], arrays[f"{name}.offsets"]),
    raw=lambda node, rows: RawTextWriter(TextCells(node.column, node.kind), rows),
    apart=_apart,
)
