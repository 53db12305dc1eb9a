"""Columns of text, as inputs or targets, in numbers: words, characters, bytes, subwords and lists
of tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import chain, repeat
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import Characters, ReverseCharacters, ReverseSteps, Steps, Texts
from rnnspec.data.columns.base import (
    Arrays,
    ColumnKind,
    Encoding,
    Lengths,
    RaggedWriter,
    lengths_of,
    narrow,
)
from rnnspec.data.columns.subwords import subword_numbers
from rnnspec.data.columns.text_facts import TextCells
from rnnspec.data.raw import SEPARATOR
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import CODE_POINTS, code_points
from rnnspec.plan.copies import answer_numbers, copied_inputs, copies_of, source_numbers
from rnnspec.plan.facts import UNKNOWN_ID, TextFacts, Vocabulary
from rnnspec.plan.nodes import (
    CharactersInput,
    CopiesInput,
    TextOutput,
    TokenKind,
    TokensInput,
    WrittenOutput,
)
from rnnspec.plan.text_rule import PLAIN, TextRule

APART: frozenset[TokenKind] = frozenset({"words", "tokens"})
"""Kinds of text whose tokens may have several characters."""

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
    sources: Sequence[TextCells],
    vocabulary: Vocabulary,
    banned: frozenset[str],
    chunk: Chunk,
    bad: BadRows,
) -> tuple[NDArray[np.int32], Lengths]:
    """The numbers that tokens of the last of the `sources` have where they are copied
    (`CopiesInput`)."""
    *before, own = sources
    silent = replace(bad, found=[])  # noted by those who write its tokens
    pairs = zip(own.rows(chunk, silent), _end_to_end(before, chunk, silent), strict=False)
    return _joined([source_numbers(row, vocabulary, banned, first) for row, first in pairs])


def _end_to_end(
    sources: Sequence[TextCells], chunk: Chunk, bad: BadRows
) -> Iterator[Sequence[str]]:
    """The tokens of all sources of each row, one source after the other; without sources none, as
    often as they are asked for."""
    if not sources:
        return repeat(())
    each = (source.rows(chunk, bad) for source in sources)
    return ([*chain.from_iterable(row)] for row in zip(*each, strict=False))


def _copied_text_numbers(
    cells: TextCells,
    sources: Sequence[TextCells],
    vocabulary: Vocabulary,
    chunk: Chunk,
    bad: BadRows,
) -> tuple[NDArray[np.int32], Lengths]:
    """The numbers of a target text whose tokens may be copied from the `sources`."""
    rows = cells.rows(chunk, bad)
    if bad.found:  # the file ends in an error, which has been noted for the sources too
        return _joined([])
    pairs = zip(rows, _end_to_end(sources, chunk, bad), strict=True)
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


def tokens_settings(encoding: Encoding, node: TokensInput) -> list[object]:
    """What the numbers of tokens depend on."""
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


def _tokens_batch(
    encoding: Encoding, node: TokensInput, name: str, arrays: Arrays
) -> Steps | ReverseSteps:
    return ReverseSteps(arrays[name][::-1]) if node.reverse else Steps(arrays[name], 0)


TOKENS = ColumnKind(
    settings=tokens_settings,
    encoder=_tokens_encoder,
    batch=_tokens_batch,
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


def _characters_batch(
    encoding: Encoding, node: CharactersInput, name: str, arrays: Arrays
) -> Characters | ReverseCharacters:
    found = Characters(arrays[name], arrays[f"{name}.offsets"])
    return ReverseCharacters(found) if _tokens_of(encoding, node).reverse else found


CHARACTERS = ColumnKind(
    settings=_characters_settings, encoder=_characters_encoder, batch=_characters_batch
)


def _answer_vocabulary(encoding: Encoding, node: CopiesInput) -> Vocabulary:
    known = encoding.facts.outputs[node.answers]
    assert isinstance(known, TextFacts)
    return known.vocabulary


def _copies_settings(encoding: Encoding, node: CopiesInput) -> list[object]:
    entries = _answer_vocabulary(encoding, node).entries
    rule = _rule_settings(_tokens_of(encoding, node).rule)
    before = [
        setting
        for each in (copies_of(encoding.plan, name) for name in node.after)
        for setting in (each.column, each.kind, *_rule_settings(_tokens_of(encoding, each).rule))
    ]
    return [node.column, "copies", node.kind, entries, node.banned, *rule, *before]


def _source_cells(encoding: Encoding, names: Sequence[str]) -> list[TextCells]:
    """The cells of these `CopiesInput`s."""
    found = [copies_of(encoding.plan, name) for name in names]
    return [
        TextCells(node.column, node.kind, rule=_tokens_of(encoding, node).rule) for node in found
    ]


def _copies_encoder(
    encoding: Encoding, node: CopiesInput, name: str, writer: Writer
) -> TokenWriter:
    cells = _source_cells(encoding, [*node.after, node.name])
    vocabulary, banned = _answer_vocabulary(encoding, node), frozenset(node.banned)
    numbers = partial(_copy_source_numbers, cells, vocabulary, banned)
    return TokenWriter(numbers, writer.column(name, "<i4"))


COPIES = ColumnKind(
    settings=_copies_settings,
    encoder=_copies_encoder,
    batch=lambda encoding, node, name, arrays: Steps(arrays[name], 0),
)


def _text_settings(encoding: Encoding, node: WrittenOutput) -> list[object]:
    entries = encoding.text(node).vocabulary.entries
    copied = copied_inputs(encoding.plan, node)
    first = copied[0].name if copied else ""
    rules = [_rule_settings(_tokens_of(encoding, each).rule) for each in copied]
    others = [each.name for each in copied[1:]]
    return [node.column, "text", node.kind, entries, first, *chain(*rules), *others]


def _text_encoder(encoding: Encoding, node: WrittenOutput, name: str, writer: Writer) -> TextWriter:
    cells, known = TextCells(node.column, node.kind), encoding.text(node)
    if not isinstance(node, TextOutput) or not node.copies:
        rows = RaggedWriter.new(writer, name, narrow(len(known.vocabulary)))
        return TextWriter(numbered(cells, known), rows)
    rows, read = RaggedWriter.new(writer, name, "<i4"), _source_cells(encoding, node.all_copies)
    return TextWriter(partial(_copied_text_numbers, cells, read, known.vocabulary), rows)


TEXT = ColumnKind(
    settings=_text_settings,
    encoder=_text_encoder,
    batch=lambda encoding, node, name, arrays: Texts(arrays[name], arrays[f"{name}.offsets"]),
    raw=lambda node, rows: RawTextWriter(TextCells(node.column, node.kind), rows),
    apart=_apart,
)
