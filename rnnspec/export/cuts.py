"""Whole rows, answered by a stream file that reads them cut into chunks at random places.

A `Cutting` answers as a session of the whole file does, so that the same proof holds for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeGuard

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rnnspec.data.decode import WHITE_SPACE
from rnnspec.data.pictures import in_place, in_steps
from rnnspec.plan import Facts, Plan
from rnnspec.plan.facts import SPACE, TextFacts
from rnnspec.plan.kinds import INPUT_TRAITS, answers_ids
from rnnspec.plan.names import (
    UNKNOWN,
    answer_name,
    first_sequence,
    input_names,
    lengths_name,
    output_names,
    splits_text,
    stepwise_answer,
)
from rnnspec.plan.nodes import (
    AlignedOutput,
    CharactersInput,
    ClassOutput,
    ImageInput,
    Output,
    TextOutput,
    TokensInput,
    WrittenOutput,
)
from rnnspec.run.chunks import StreamSession
from rnnspec.run.feeds import Feeds
from rnnspec.run.session import Arrays

Numbers = NDArray[np.int64]
FEW = 4
"""Most chunks of a row, but for rows that come step by step."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """A sixth of the batches come in one chunk, a sixth step by step, the others in up to `FEW`
    chunks a row, of which some are empty."""

    stream: StreamSession
    plan: Plan
    facts: Facts
    ids: bool
    generator: Generator

    def run(self, feeds: Feeds) -> Arrays:
        """The answers to whole rows. Raises ModelFileError for feeds that onnxruntime refuses."""
        lengths = self._lengths(feeds)
        if self.stream.columns.step:
            return self._by_step(feeds, lengths)
        states = self.stream.first(len(lengths))
        pieces: list[list[Arrays]] = [[] for _ in lengths]
        ends = [self._between_characters(feeds, end) for end in self._ends(lengths)]
        write = self._writes(len(ends), len(lengths))
        ends += [lengths] * (len(write) - len(ends))
        before = np.zeros_like(lengths)
        for number, after in enumerate(ends):
            last = np.full(len(lengths), number + 1 == len(ends))
            chunk = self._chunk(feeds, before, after)
            found, states = self.stream.run(chunk, states, last, write[number])
            for row, own in enumerate(pieces):
                own.append({name: value[row] for name, value in found.items()})
            self._own_steps(pieces, after - before, found)
            before = after
        return self._joined(pieces, feeds)

    def _writes(self, chunks: int, rows: int) -> list[Numbers]:
        """How many tokens each row writes after each chunk: none before its last one, then some
        after that and some after each of a few more, which are empty, together all."""
        found = [np.zeros(rows, np.int64) for _ in range(chunks)]
        if self.stream.columns.write:
            (node,) = self.plan.outputs
            assert isinstance(node, TextOutput)
            limit = node.search.limit
            ends = np.sort(self.generator.integers(0, limit + 1, (FEW - 1, rows)), axis=0)
            whole = [np.zeros((1, rows), np.int64), ends, np.full((1, rows), limit)]
            found[-1:] = np.diff(np.concatenate(whole), axis=0)
        return found

    def _by_step(self, feeds: Feeds, lengths: Numbers) -> Arrays:
        """Each row as long as it has steps; the others leave the batch."""
        states = self.stream.first(len(lengths))
        pieces: list[list[Arrays]] = [[] for _ in lengths]
        for step in range(int(lengths.max())):
            rows = np.flatnonzero(lengths > step)
            own = {name: value[rows] for name, value in feeds.items()}
            chunk = self._chunk(own, np.full(len(rows), step), np.full(len(rows), step + 1))
            chunk.pop(lengths_name(self.plan, self.ids), None)
            before = {name: value[rows] for name, value in states.items()}
            found, after = self.stream.run(chunk, before, np.zeros(len(rows), np.bool_))
            for name, value in after.items():
                states[name][rows] = value
            for number, row in enumerate(rows):
                pieces[row].append({name: value[number] for name, value in found.items()})
        return self._joined(pieces, feeds)

    def _lengths(self, feeds: Feeds) -> Numbers:
        """How many steps each row has, of sound samples."""
        first = first_sequence(self.plan)
        assert first is not None
        if splits_text(first, self.ids):
            assert isinstance(first, TokensInput)
            return np.array([len(_steps(first, text)) for text in feeds[first.column]], np.int64)
        found: Numbers = feeds[lengths_name(self.plan, self.ids)]
        return found

    def _ends(self, lengths: Numbers) -> list[Numbers]:
        """Where the chunks of each row end."""
        kind = self.generator.integers(0, 6)
        most = int(lengths.max(initial=0))
        if kind == 0:
            return [lengths]
        if kind == 1 and most <= 40:
            return [np.minimum(lengths, step) for step in range(1, most + 1)] or [lengths]
        share = np.sort(self.generator.random((FEW - 1, len(lengths))), axis=0)
        found = [np.floor(each * (lengths + 1)).astype(np.int64) for each in share]
        return [*found, lengths]

    def _between_characters(self, feeds: Feeds, ends: Numbers) -> Numbers:
        """The nearest ends before these that are within no character of a text read as bytes."""
        texts = [
            feeds[node.column]
            for node in self.plan.inputs
            if isinstance(node, TokensInput) and node.kind == "bytes" and not self.ids
        ]
        found = ends.copy()
        for row, end in enumerate(ends) if texts else ():
            allowed = set[int].intersection(*(_boundaries(each[row]) for each in texts))
            found[row] = max(place for place in allowed if place <= end)
        return found

    def _chunk(self, feeds: Feeds, before: Numbers, after: Numbers) -> Feeds:
        found = dict(feeds)
        name = lengths_name(self.plan, self.ids)
        if name:
            found[name] = after - before
        for node in self.plan.inputs:
            stepwise = INPUT_TRAITS[type(node)].steps or isinstance(node, CharactersInput)
            for each in input_names(node, self.ids) if stepwise else ():
                if splits_text(node, self.ids) and each == node.column:
                    assert isinstance(node, TokensInput)
                    found[each] = _text_between(node, feeds[each], before, after)
                elif isinstance(node, ImageInput):
                    steps = in_steps(feeds[each], node.picture)
                    found[each] = in_place(_between(steps, before, after), node.picture)
                else:
                    found[each] = _between(feeds[each], before, after)
        return found

    def _own_steps(
        self, pieces: Sequence[list[Arrays]], counts: Numbers, found: Mapping[str, Any]
    ) -> None:
        """Cut what stands past the steps that the last chunk answers."""
        for node in self.plan.outputs:
            if not stepwise_answer(node):
                continue
            later = self.stream.columns.answered.get(node.column)
            answered = counts if later is None else found[later]
            for name in output_names(self.plan, node, self.ids):
                for own, count in zip(pieces, answered, strict=True):
                    own[-1][name] = own[-1][name][:count]

    def _joined(self, pieces: Sequence[list[Arrays]], feeds: Feeds) -> Arrays:
        """Answers of steps one after the other, padded; others as they were last."""
        found: Arrays = {}
        for node in self.plan.outputs:
            names = output_names(self.plan, node, self.ids)
            for name in names:
                rows = [[piece[name] for piece in own] for own in pieces]
                if stepwise_answer(node):
                    of_rows = [np.concatenate(own) for own in rows]
                    found[name] = _padded(of_rows, past=_past(node, of_rows[0]))
                elif self._goes_on(node) and not name.endswith(".scores"):
                    found |= self._written(node, pieces, feeds)
                else:
                    found[name] = np.stack([own[-1] for own in rows])
        return found

    def _goes_on(self, node: Output) -> TypeGuard[WrittenOutput]:
        return isinstance(node, AlignedOutput) or bool(self.stream.columns.write)

    def _written(self, node: WrittenOutput, pieces: Sequence[list[Arrays]], feeds: Feeds) -> Arrays:
        """Texts, or numbers of tokens, one chunk after the other; behind the prompt, if any."""
        name = answer_name(self.plan, node)
        if answers_ids(node, self.ids):
            ids, lengths = f"{name}.ids", f"{name}.lengths"
            rows = [np.concatenate([p[ids][: p[lengths]] for p in own]) for own in pieces]
            counts = np.array([len(row) for row in rows], np.int64)
            return {ids: _padded(rows, least=1), lengths: counts}
        written = [[p[name] for p in own] for own in pieces]
        if isinstance(node, TextOutput):
            prompts = self._prompts(node, feeds)
            written = [[one, *own] for one, own in zip(prompts, written, strict=True)]
        if node.kind == "tokens":
            tokens = [np.concatenate(own) for own in written]
            return {name: _padded([row[row != ""] for row in tokens], least=1, past="")}
        return {name: np.array(["".join(map(str, own)) for own in written], object)}

    def _prompts(self, node: TextOutput, feeds: Feeds) -> Sequence[Any]:
        """The prompts as they stand in the text of a whole row."""
        if node.kind != "subwords":
            return list(feeds[node.column])
        known = self.facts.inputs[node.column]
        assert isinstance(known, TextFacts)
        entries = ["", UNKNOWN, *known.vocabulary.entries]
        numbers = zip(feeds[f"{node.column}.ids"].tolist(), self._lengths(feeds), strict=True)
        pieces = ("".join(entries[each] for each in row[:count]) for row, count in numbers)
        return [text.replace(SPACE, " ").removeprefix(" ") for text in pieces]


def _between(values: NDArray[Any], before: Numbers, after: Numbers) -> NDArray[Any]:
    """`[B, t, …]`: of `[B, T, …]` the steps of a chunk, and other ones past them."""
    most = int((after - before).max(initial=0))
    if not values.shape[1]:
        return values
    places = np.minimum(before[:, None] + np.arange(most), values.shape[1] - 1)
    found: NDArray[Any] = values[np.arange(len(values))[:, None], places]
    return found


def _steps(node: TokensInput, text: str) -> Sequence[str | int]:
    """The steps of a text: bytes, characters, or words with the gaps before them, and the last one
    with the gap behind it."""
    if node.kind == "bytes":
        return text.encode()
    if node.kind != "words":
        return text
    found: list[str] = []
    for char in text:
        gap = char in WHITE_SPACE
        if not found or (gap and found[-1][-1] not in WHITE_SPACE):
            found.append(char)
        else:
            found[-1] += char
    if found and not found[-1].strip(WHITE_SPACE):
        behind = found.pop()
        found = [*found[:-1], found[-1] + behind] if found else []
    return found


def _boundaries(text: str) -> set[int]:
    """The numbers of bytes in front of each character, and of all."""
    return {0, *accumulate(len(char.encode()) for char in text)}


def _text_between(
    node: TokensInput, texts: NDArray[Any], before: Numbers, after: Numbers
) -> NDArray[Any]:
    bounds = zip(texts, before, after, strict=True)
    if node.kind == "bytes":
        return np.array([text.encode()[a:b].decode() for text, a, b in bounds], object)
    return np.array(["".join(map(str, _steps(node, text)[a:b])) for text, a, b in bounds], object)


def _past(node: Output, value: NDArray[Any]) -> Any:
    """What stands past the length of a row: no text, no number of a class, or 0."""
    if value.dtype == object:
        return ""
    return -1 if isinstance(node, ClassOutput) and value.dtype == np.int64 else 0


def _padded(rows: Sequence[NDArray[Any]], least: int = 0, past: Any = 0) -> NDArray[Any]:
    """`[B, T, …]` of arrays `[T, …]`; past their ends `past`."""
    most = max([least, *(len(row) for row in rows)])
    found = np.full((len(rows), most, *rows[0].shape[1:]), past, rows[0].dtype)
    for into, row in zip(found, rows, strict=True):
        into[: len(row)] = row
    return found
