"""The cells of one input as one array, padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import (
    AudioInput,
    CalendarFuture,
    CalendarInput,
    CategoriesFuture,
    CategoriesInput,
    CategoryInput,
    CharactersInput,
    CopiesInput,
    FutureInput,
    ImageInput,
    Input,
    NestedInput,
    SeriesInput,
    TokensInput,
    VectorInput,
)


def padded(
    node: Input, cells: Sequence[Any], extra: int, filler: float
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values, with `extra` steps more than the longest, `filler` past each end; and the
    lengths, of characters those of all tokens."""
    ones = np.ones(len(cells), np.int64)
    if isinstance(node, CategoryInput):
        return np.array(cells, np.int64), ones
    if isinstance(node, VectorInput):
        return np.stack(cells), ones
    if isinstance(node, CalendarFuture | CategoriesFuture):
        return np.stack(cells), ones * node.horizon
    if isinstance(node, FutureInput):
        return np.stack(cells)[:, :, None], ones * node.horizon
    lengths = np.array([len(cell) for cell in cells], np.int64)
    if isinstance(node, AudioInput):
        extra *= node.hop
    steps = max(int(lengths.max()), 1) + extra
    if isinstance(node, CharactersInput):
        counts = np.zeros((len(cells), steps), np.int64)
        for cell, into in zip(cells, counts, strict=True):
            into[: len(cell)] = [len(token) for token in cell]
        shape: tuple[int, ...] = (len(cells), steps, max(int(counts.max()), 1) + extra)
        values = np.full(shape, int(bool(filler)), np.int64)
        for cell, rows in zip(cells, values, strict=True):
            for token, into in zip(cell, rows, strict=False):
                into[: len(token)] = token
        return values, counts
    if isinstance(node, NestedInput):
        if node.levels > 1:
            return _deeply(cells, node.levels, steps, extra, int(bool(filler))), lengths
        return _nested(cells, steps, extra, int(bool(filler))), lengths
    if isinstance(node, AudioInput):
        values = np.full((len(cells), steps), filler, np.float32)
    elif isinstance(node, TokensInput | CopiesInput | CalendarInput | CategoriesInput):
        values = np.full((len(cells), steps), int(bool(filler)), np.int64)
    elif isinstance(node, ImageInput):
        sides = (node.picture.features, node.picture.channels)
        values = np.full((len(cells), steps, *sides), 255 if filler else 0, np.uint8)
    else:
        width = 1 if isinstance(node, SeriesInput) else np.shape(cells[0])[-1]
        values = np.full((len(cells), steps, width), filler, cells[0].dtype)
    for cell, into in zip(cells, values, strict=True):
        into[: len(cell)] = np.reshape(cell, (len(cell), *into.shape[1:]))
    return values, lengths


def _nested(cells: Sequence[Any], steps: int, extra: int, filler: int) -> NDArray[np.int64]:
    """`[B, steps, E]`: 0 past the end of a step, `filler` past that of a row."""
    most = max((len(step) for cell in cells for step in cell), default=0)
    values = np.full((len(cells), steps, max(most, 1) + extra), filler, np.int64)
    for cell, rows in zip(cells, values, strict=True):
        rows[: len(cell)] = 0
        for step, into in zip(cell, rows, strict=False):
            into[: len(step)] = step
    return values


def _deeply(
    cells: Sequence[Any], levels: int, steps: int, extra: int, filler: int
) -> NDArray[np.int64]:
    """`[B, steps, S, E]` and so on: -k past the end of a sequence whose elements have k levels
    inside, `filler` past that of a row."""
    extents, inside = [len(cells), steps], [step for cell in cells for step in cell]
    for _ in range(levels):
        extents.append(max(map(len, inside), default=0) + 1 + extra)
        inside = [each for step in inside for each in step]
    values = np.full(extents, filler, np.int64)
    for cell, rows in zip(cells, values, strict=True):
        for step, into in zip(cell, rows, strict=False):
            _put(into, step, levels - 1)
    return values


def _put(into: NDArray[np.int64], value: Any, inside: int) -> None:
    into[...] = -inside
    for at, each in enumerate(value):
        if inside:
            _put(into[at], each, inside - 1)
        else:
            into[at] = each
