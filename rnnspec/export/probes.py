"""Values of probes, one kind of input after the other: as a caller gives them and as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rnnspec.data.decode import WHITE_SPACE, fold, words
from rnnspec.plan import ClassFacts, Facts, NumericFacts, Plan, TextFacts
from rnnspec.plan.copies import source_numbers
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.names import SEED, draws, first_sequence, lengths_name
from rnnspec.plan.nodes import (
    CategoryInput,
    CharactersInput,
    CopiesInput,
    FramesInput,
    FutureInput,
    Input,
    KeysInput,
    SeriesInput,
    TokensInput,
    VectorInput,
)
from rnnspec.run.feeds import Feeds
from rnnspec.run.interface import InputColumn, interface
from rnnspec.run.parse import feeds_of

UNKNOWN_SHARE = 0.1
"""Share of tokens and labels that stand in no vocabulary."""
COPIED_SHARE, FOREIGN = 0.4, 3
"""The share where tokens may be copied, and how many such tokens there are."""
MISSING_SHARE = 0.2
"""Share of numbers that are missing, where they may be."""
GAPS = (*WHITE_SPACE, *" " * len(WHITE_SPACE))
"""What stands between words: half of it U+0020, the rest any white space there is."""
BYTES = ("a", "\n", "é", "字", "\uffff", "😀", "\U0010fffd")
"""Characters of one to four bytes."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The values of one input, a row each: `told` as the file takes them if it reads texts, and
    `numbers` as it does with `ids`."""

    told: Sequence[Any]
    numbers: Sequence[Any]


def drawn(
    node: Input,
    facts: Facts,
    lengths: Sequence[int],
    draw: Generator,
    before: Mapping[str, Drawn],
    copied: Mapping[str, CopiesInput],
) -> Drawn:
    """Values of an input for rows of these lengths; `before` are those of earlier inputs, `copied`
    the nodes of what may be copied, by column."""
    known = facts.inputs[node.column]
    match node:
        case CopiesInput(answers=answers, banned=banned):
            wanted = facts.outputs[answers]
            assert isinstance(wanted, TextFacts)
            rows = before[node.column].told
            if node.kind == "words":
                rows = [words(row) for row in rows]
            found = [np.array(source_numbers(r, wanted.vocabulary, banned), np.int64) for r in rows]
            return Drawn(found, found)
        case TokensInput(column=column) if column in copied:
            assert isinstance(known, TextFacts)
            foreign = [*_unknown(known.vocabulary.entries, FOREIGN), *copied[column].banned]
            alone = {"chars": lambda t: len(t) == 1, "words": lambda t: words(t) == [t]}
            foreign = list(filter(alone.get(node.kind), foreign))
            return _tokens(node, known, lengths, draw, foreign)
        case TokensInput(kind="subwords"):
            numbers = [draw.integers(1, node.size, length) for length in lengths]
            return Drawn(numbers, numbers)
        case TokensInput(kind="bytes"):
            texts = [_of_bytes(length, draw) for length in lengths]
            return Drawn(texts, [_bytes(text) for text in texts])
        case TokensInput():
            assert isinstance(known, TextFacts)
            return _tokens(node, known, lengths, draw)
        case CharactersInput():
            assert isinstance(known, TextFacts) and known.characters is not None
            rows = before[node.column].told
            tokens = [words(row) if isinstance(row, str) else row for row in rows]
            spell = known.characters.numbers
            spelled = [[np.array(spell(list(t)), np.int64) for t in row] for row in tokens]
            return Drawn(spelled, spelled)
        case CategoryInput():
            assert isinstance(known, TextFacts)
            return _labels(known.vocabulary.entries, len(lengths), draw)
        case KeysInput():
            assert isinstance(known, ClassFacts)
            return _keys(node, known, lengths, draw)
    assert isinstance(known, NumericFacts)
    values = [_numbers(node, known, length, draw) for length in lengths]
    return Drawn(values, values)


def unknown(entries: Sequence[str]) -> str:
    """A character, of a private plane, that is in no vocabulary of texts with a meaning."""
    return _unknown(entries, 1)[0]


def _unknown(entries: Sequence[str], count: int) -> list[str]:
    """Several such characters."""
    return list(islice((c for c in map(chr, range(0xF0000, 0xFFFFE)) if c not in entries), count))


def _tokens(
    node: TokensInput,
    known: TextFacts,
    lengths: Sequence[int],
    draw: Generator,
    foreign: Sequence[str] = (),
) -> Drawn:
    """With `foreign`, these are the tokens that the vocabulary lacks, and there are more of them:
    each may come again in its row."""
    entries = known.vocabulary.entries
    rows = [_row(node, entries, length, draw, foreign) for length in lengths]
    read = [[fold(c) for c in row] if node.fold_case else row for row in rows]
    numbers = [np.array(known.vocabulary.numbers(row), np.int64) for row in read]
    if node.kind == "tokens":
        return Drawn(rows, numbers)
    return Drawn([_written(node, row, draw) for row in rows], numbers)


def _row(
    node: TokensInput,
    entries: Sequence[str],
    length: int,
    draw: Generator,
    foreign: Sequence[str],
) -> list[str]:
    """Tokens, some of them unknown, some in upper case if case is folded."""
    share = COPIED_SHARE if foreign else UNKNOWN_SHARE
    unknowns, tokens = foreign or [unknown(entries)], list[str]()
    for _ in range(length):
        token = unknowns[int(draw.integers(len(unknowns))) if foreign else 0]
        if entries and draw.random() >= share:
            token = entries[int(draw.integers(len(entries)))]
        if node.fold_case and draw.random() < 0.5 and fold(token.upper()) == token:
            token = token.upper()
        tokens.append(token)
    return tokens


def _written(node: TokensInput, tokens: Sequence[str], draw: Generator) -> str:
    if node.kind == "chars":
        return "".join(tokens)
    gaps = ["".join(draw.choice(GAPS, draw.integers(1, 3))) for _ in tokens]
    return "".join(token + gap for token, gap in zip(tokens, gaps, strict=True))


def _of_bytes(length: int, draw: Generator) -> str:
    """A text of so many bytes."""
    text, left = "", length
    while left:
        fitting = [char for char in BYTES if len(char.encode()) <= left]
        text += fitting[draw.integers(len(fitting))]
        left = length - len(text.encode())
    return text


def _bytes(text: str) -> NDArray[np.int64]:
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64) + UNKNOWN_ID + 1


def _labels(entries: Sequence[str], rows: int, draw: Generator) -> Drawn:
    numbers = draw.integers(UNKNOWN_ID, len(entries) + UNKNOWN_ID + 1, rows)
    foreign = unknown(entries)
    told = [foreign if n == UNKNOWN_ID else entries[n - UNKNOWN_ID - 1] for n in numbers.tolist()]
    return Drawn(told, list(numbers))


def _keys(node: KeysInput, known: ClassFacts, lengths: Sequence[int], draw: Generator) -> Drawn:
    share = min(0.5, max(known.most, 1) / node.size)
    foreign, told, numbers = unknown(known.labels), list[Any](), list[Any]()
    for length in lengths:
        on = [np.flatnonzero(draw.random(node.size) < share) for _ in range(length)]
        labels = [[known.labels[key] for key in step] for step in on]
        for step in labels:
            if draw.random() < UNKNOWN_SHARE:
                step.insert(0, foreign)
        told.append(labels)
        numbers.append(on)
    return Drawn(told, numbers)


def _numbers(
    node: FramesInput | VectorInput | SeriesInput | FutureInput,
    known: NumericFacts,
    length: int,
    draw: Generator,
) -> NDArray[np.floating]:
    match node:
        case FramesInput():
            values = draw.normal(known.mean, known.deviation, (length, node.width))
            if node.elapsed is not None:  # time does not run backwards
                values[..., node.elapsed] = np.abs(values[..., node.elapsed])
        case VectorInput():
            values = draw.normal(known.mean, known.deviation, node.width)
        case SeriesInput():
            values = draw.normal(known.mean[0], known.deviation[0], length)
        case FutureInput():
            values = draw.normal(known.mean[0], known.deviation[0], node.horizon)
    found: NDArray[np.floating] = values.astype(np.float64 if node.double else np.float32)
    if node.missing != "error":
        gone = draw.random(found.shape) < MISSING_SHARE
        if isinstance(node, FramesInput) and node.elapsed is not None:
            gone[..., node.elapsed] = False
        found[gone] = np.nan
    return found


MOST_STEPS = 200
"""Probes stay this short even where training rows were longer, so that the proof stays quick."""
Batch = dict[str, tuple[NDArray[Any], NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch in both forms: `feeds` as the file takes it, and `batch` as the trained module does,
    values and lengths by the inputs' keys. What stands past the lengths is arbitrary in both.
    `lengths` `[B]` are the rows' steps, `seeds` `[B]` what answers are drawn from."""

    feeds: Feeds
    batch: Batch
    lengths: NDArray[np.int64]
    seeds: NDArray[np.int64]


def probes(plan: Plan, facts: Facts, ids: bool = False, seeds: int = 3) -> Iterator[Probe]:
    """Batches of 1 to 17 rows, 0 to more steps than any training row had; some rows empty."""
    longest = min(MOST_STEPS, max(_longest(plan, facts), 2))
    shapes = ((1, 1), (1, longest), (2, 3), (5, longest + 7), (17, longest), (3, 0))
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        for rows, steps in shapes:
            lengths = draw.integers(0, steps + 1, rows)
            lengths[draw.integers(rows)] = steps
            yield _probe(plan, facts, lengths, draw, ids)


def _longest(plan: Plan, facts: Facts) -> int:
    known = [facts.inputs[node.column] for node in plan.inputs]
    return max(each.longest for each in known)


def _probe(
    plan: Plan, facts: Facts, lengths: NDArray[np.int64], draw: Generator, ids: bool
) -> Probe:
    found: dict[str, Drawn] = {}
    copied = {node.column: node for node in plan.inputs if isinstance(node, CopiesInput)}
    for node in plan.inputs:
        found[node.key] = drawn(node, facts, lengths.tolist(), draw, found, copied)
    numbers = _feeds(interface(plan, facts, ids=True).inputs, found, ids=True)
    batch = {node.key: _for_module(node, numbers, lengths, draw) for node in plan.inputs}
    told = numbers if ids else _feeds(interface(plan, facts).inputs, found, ids=False)
    _fill(plan, told, batch, lengths)
    if first_sequence(plan) is not None and (name := lengths_name(plan, ids)):
        told[name] = lengths
    seeds = draw.integers(-(2**63), 2**63 - 1, len(lengths), np.int64)
    if any(map(draws, plan.outputs)):
        told[SEED] = seeds
    return Probe(told, batch, lengths, seeds)


def _feeds(columns: Sequence[InputColumn], found: dict[str, Drawn], ids: bool) -> Feeds:
    feeds: Feeds = {}
    for column in columns:
        values = found[column.column]
        feeds |= feeds_of(column, values.numbers if ids else values.told)
    return feeds


def _for_module(
    node: Input, feeds: Feeds, lengths: NDArray[np.int64], draw: Generator
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of an input as the module takes them, at least one step long, with anything past
    the length of each row."""
    name = f"{node.key}.ids" if f"{node.key}.ids" in feeds else node.key
    values, ones = feeds[name], np.ones_like(lengths)
    match node:
        case VectorInput():
            return values.reshape(len(values), -1), ones
        case FutureInput():
            return values[..., np.newaxis], ones * node.horizon
        case CharactersInput():
            counts = feeds[f"{node.key}.lengths"]
            steps = _one_more(counts, counts.shape[1] == 0)
            values = _one_more(values, values.shape[1] == 0)
            empty = values.shape[2] == 0
            return np.pad(values, ((0, 0), (0, 0), (0, int(empty)))), steps
        case SeriesInput():
            values = values[..., np.newaxis]
    if values.ndim == 1:
        return values, ones
    values = _one_more(values, values.shape[1] == 0)
    past = np.arange(values.shape[1]) >= lengths[:, np.newaxis]
    values[past] = _noise(node, values.shape, draw)[past]
    return values, lengths


def _one_more(values: NDArray[Any], wanted: bool) -> NDArray[Any]:
    """The values with a step more behind them, if wanted."""
    widths = [(0, 0), (0, int(wanted)), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, widths)


def _noise(node: Input, shape: tuple[int, ...], draw: Generator) -> NDArray[Any]:
    if isinstance(node, TokensInput | CopiesInput):
        return draw.integers(0, node.size, shape)
    if isinstance(node, KeysInput):
        return draw.integers(0, 2, shape).astype(np.float32)
    return np.abs(draw.normal(0, 10, shape)).astype(np.float32)  # time does not run backwards


def _fill(plan: Plan, feeds: Feeds, batch: Batch, lengths: NDArray[np.int64]) -> None:
    """What the module is given past the lengths, where the file takes numbers padded alike."""
    for node in plan.inputs:
        if isinstance(node, VectorInput | FutureInput | CharactersInput):
            continue
        for name in (node.key, f"{node.key}.ids"):
            given = feeds.get(name)
            if given is not None and given.dtype != object and given.ndim > 1:
                values = batch[node.key][0][:, : given.shape[1]]
                feeds[name] = values.reshape(given.shape)
