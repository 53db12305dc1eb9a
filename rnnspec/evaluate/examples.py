"""Single rows for people to read: a few of many, kept in bounded memory while a file is measured,
and the text of a row: its inputs, the names of its steps, its place.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isnan
from typing import Any, Generic, TypeVar, assert_never

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import Batch
from rnnspec.data.shards import FILE
from rnnspec.evaluate.pictures import png_of
from rnnspec.plan import Facts, Plan, nodes
from rnnspec.plan.facts import SPACE
from rnnspec.plan.names import first_sequences, names_of, steps_in

T = TypeVar("T")
NUMBERS = 8
"""Most numbers that are shown of a vector or at the end of a series."""
WHOLE = ("words", "chars", "tokens")
"""Kinds of text whose steps are parts of it, each as it stands there."""


class Kept(Generic[T]):
    """The values with the largest keys, at most `most`; of equal keys the first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[float, int, T]] = []
        self._count = 0

    def offer(self, key: float, make: Callable[[], T]) -> None:
        """Keep what `make` makes if the key is among the largest so far; it is called only then.
        A NaN counts as larger than any number."""
        key = inf if isnan(key) else key
        self._count += 1
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, (key, -self._count, make()))
        elif self.most and key > self._heap[0][0]:
            heapq.heapreplace(self._heap, (key, -self._count, make()))

    def values(self) -> tuple[T, ...]:
        """By falling key."""
        return tuple(value for _, _, value in sorted(self._heap, key=lambda e: (-e[0], -e[1])))


class Drawn(Generic[T]):
    """Values drawn at random from all that are offered, each as likely; the same in every run."""

    def __init__(self, most: int, seed: int = 0) -> None:
        self._kept: Kept[T] = Kept(most)
        self._random = random.Random(seed)

    def offer(self, make: Callable[[], T], rank: int = 0) -> None:
        """Values of a higher `rank` are drawn before the others."""
        self._kept.offer(rank + self._random.random(), make)

    def values(self) -> tuple[T, ...]:
        return self._kept.values()


@dataclass(frozen=True, slots=True)
class Rows:
    """Reads rows out of batches.

    `lines` `[rows]`: the places of the rows in the file, counted in `unit`s; with several `files`
    their locations (`rnnspec.data.shards`). `of_folders` gives the name of the file that is the row
    at a location, empty where rows are no files. `anomalous`, by output column: which of the rows
    are anomalous, where the data say so.
    """

    plan: Plan
    facts: Facts
    lines: NDArray[np.int64]
    unit: str = "line"
    files: tuple[str, ...] = ()
    of_folders: Callable[[int], str] = lambda location: ""
    anomalous: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def text(self, batch: Batch, row: int, without: str = "") -> str:
        """The inputs of a row; several stand on a line each, after their columns. That of the node
        `without` is left out."""
        read = (node for node in self.plan.inputs if node.name != without)
        shown = ((node.column, self._input(node, batch, row)) for node in read)
        named = {column: text for column, text in shown if text}
        if len(named) == 1:
            return next(iter(named.values()))
        return "\n".join(f"{column}: {text}" for column, text in named.items())

    def picture(self, batch: Batch, row: int) -> bytes:
        """The first picture of a row, as PNG; empty for a model that reads none."""
        for node in self.plan.inputs:
            if isinstance(node, nodes.ImageInput):
                values, lengths = (part[row] for part in batch.inputs[node.key])
                return png_of(values[: int(lengths)], node.picture)
        return b""

    def place(self, rows: NDArray[np.int64] | None, row: int) -> str:
        """The place in its file of row `row` of a batch of `rows`; empty for a window."""
        if rows is None:
            return ""
        location = int(self.lines[rows[row]])
        if own := self.of_folders(location):
            return own
        number, line = divmod(location, FILE)
        file = f"{self.files[number]}, " if len(self.files) > 1 else ""
        return f"{file}{self.unit} {line:,}"

    def steps(self, batch: Batch, row: int, axis: str = "") -> tuple[str, ...]:
        """A name for each step of a row on a time axis, the first one unless it is named: its
        tokens, or numbers from 1."""
        firsts = first_sequences(self.plan)
        first = firsts[axis or next(iter(firsts))]
        if isinstance(first, nodes.TokensInput):
            return self.tokens(first, batch, row)
        lengths = batch.inputs[first.key][1]
        return tuple(str(step) for step in range(1, int(steps_in(first, lengths[row])) + 1))

    def tokens(self, node: nodes.TokensInput, batch: Batch, row: int) -> tuple[str, ...]:
        """The tokens of a row's text, as they stand there where the batch knows it."""
        raw = _raw(node, batch, row) if node.kind in WHOLE else None
        values, lengths = batch.inputs[node.key]
        return self._tokens(node, values[row][: lengths[row]]) if raw is None else raw

    def _input(self, node: nodes.Input, batch: Batch, row: int) -> str:
        values, lengths = (part[row] for part in batch.inputs[node.key])
        raw = _raw(node, batch, row)
        match node:
            case nodes.TokensInput(kind=kind) if raw is not None:
                return joined(kind if kind in WHOLE else "chars", raw)
            case nodes.CategoryInput() if raw:
                return raw[0]
            case nodes.TokensInput():
                return joined(node.kind, self._tokens(node, values[:lengths]))
            case nodes.CategoryInput():
                return names_of(self.facts.inputs[node.column])[int(values)]
            case nodes.VectorInput():
                return numbers(values)
            case nodes.KeysInput():
                return f"{int(lengths)} steps of labels"
            case nodes.AudioInput():
                named = f"{''.join(raw)}, " if raw else ""
                return f"{named}{int(lengths) / node.rate:.3g} s of sound"
            case nodes.ImageInput(picture=picture):
                if picture.steps == "frames":
                    return f"{int(lengths)} frames of {picture.width} x {picture.height} pixels"
                sides = (int(lengths), picture.features)
                wide, high = sides if picture.steps == "columns" else sides[::-1]
                return f"a picture of {wide} x {high} pixels"
            case nodes.FramesInput() | nodes.SeriesInput() if values.shape[-1] == 1:
                return f"{int(lengths)} steps, the last {numbers(values[:lengths, 0][-NUMBERS:])}"
            case nodes.FramesInput() | nodes.SeriesInput():
                return f"{int(lengths)} steps of {values.shape[-1]} numbers"
            case nodes.NestedInput():
                return self._nested(node, values[:lengths])
            case nodes.CategoriesInput():
                names = names_of(self.facts.inputs[node.column])
                last = ", ".join(names[number] for number in values[:lengths][-NUMBERS:])
                return f"{int(lengths)} steps, the last {last}" if lengths else "no steps"
            case nodes.CalendarInput():
                return ""  # the row says its times
            case (
                nodes.CalendarFuture()
                | nodes.CategoriesFuture()
                | nodes.CharactersInput()
                | nodes.CopiesInput()
                | nodes.FutureInput()
            ):
                return ""  # stands in another input's column
            case _:
                assert_never(node)

    def _nested(self, node: nodes.NestedInput, steps: NDArray[Any]) -> str:
        """Each step on a line of its own; with more levels each innermost sequence on one, and an
        empty line between those of different sequences."""
        inside = steps.ndim - 2
        if inside:
            parts = (step[step.reshape(len(step), -1)[:, 0] > -inside] for step in steps)
            return "\n\n".join(self._nested(node, part) for part in parts)
        rows = (self._tokens(node.inner, step[step > 0]) for step in steps)
        return "\n".join(joined(node.kind, row) for row in rows)

    def _tokens(self, node: nodes.TokensInput, ids: NDArray[Any]) -> tuple[str, ...]:
        names = names_of(self.facts.inputs[node.column])
        if node.kind == "bytes":
            return tuple(_byte(names[number]) for number in ids)
        return tuple(names[number] for number in ids)


def _raw(node: nodes.Input, batch: Batch, row: int) -> tuple[str, ...] | None:
    """The content of an input's cell: see `RawRows.input`."""
    return None if batch.raw is None else batch.raw.input(node.key, row)


def _byte(name: str) -> str:
    """The character of an ASCII byte; of another byte its two hexadecimal digits."""
    number = int(name, 16)
    return chr(number) if number < 128 else f"\\x{name}"


def joined(kind: nodes.TextKind | str, tokens: Sequence[str]) -> str:
    """Tokens as a text."""
    if kind == "subwords":
        return "".join(tokens).replace(SPACE, " ").strip()
    return ("" if kind in ("chars", "bytes") else " ").join(tokens)


def numbers(values: NDArray[Any]) -> str:
    """`3.5` or `[1, 2.5, …]`; a vector that is mostly 0 as `[3] 1, [17] 2; else 0`, by place from
    0."""
    flat = np.ravel(values)
    on = np.flatnonzero(flat)
    if len(flat) > NUMBERS and len(on) <= NUMBERS:  # mostly 0: the others, with their places
        listed = ", ".join(f"[{n}] {_number(flat[n])}" for n in on)
        return f"{listed or 'nothing'}; else 0"
    shown = ", ".join(map(_number, flat[:NUMBERS]))
    if np.size(values) == 1:
        return shown
    return f"[{shown}{', …' if len(flat) > NUMBERS else ''}]"


def _number(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:.4g}"
