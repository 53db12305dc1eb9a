"""The value of one input in one row, drawn at random, in the form of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
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
    FramesInput,
    FutureInput,
    ImageInput,
    Input,
    KeysInput,
    NestedInput,
    SeriesInput,
    TokensInput,
    VectorInput,
)

TIMES = (-1_500_000_000, 4_000_000_000)
"""Seconds between which times are drawn."""


def drawn_value(node: Input, length: int, draw: Generator) -> Any:
    match node:
        case TokensInput():
            return draw.integers(1, node.size, length)
        case CopiesInput():
            return source(node, length, draw)
        case NestedInput():
            return _inside(node, node.levels, length, draw)
        case CharactersInput():
            spelled = draw.integers(0, 6, length)
            return [draw.integers(1, node.size, count) for count in spelled]
        case CategoriesInput():
            return draw.integers(1, node.size, length)
        case CategoriesFuture():
            return draw.integers(1, node.size, node.horizon)
        case CategoryInput():
            return int(draw.integers(1, node.size))
        case KeysInput():
            return draw.integers(0, 2, (length, node.size)).astype(np.float32)
        case ImageInput():
            sides = (node.picture.features, node.picture.channels)
            return draw.integers(0, 256, (length, *sides), np.uint8)
        case CalendarInput():
            return draw.integers(*TIMES, length)
        case CalendarFuture():
            return draw.integers(*TIMES, node.horizon)
        case FutureInput():
            value = draw.normal(1, 2, node.horizon)
        case AudioInput():  # the last window begins one sample or more before the end
            last = int(draw.integers(1, node.hop + 1))
            value = draw.normal(0, 0.3, (length - 1) * node.hop + last if length else 0)
        case VectorInput():
            value = draw.normal(1, 2, node.width)
        case SeriesInput():
            value = draw.normal(1, 2, length)
        case FramesInput():
            value = draw.normal(1, 2, (length, node.width))
            if node.elapsed is not None:
                value[:, node.elapsed] = np.abs(value[:, node.elapsed])
    if isinstance(node, SeriesInput | FutureInput) and node.log:
        value = np.exp(value)
    value = value.astype(np.float64 if node.double else np.float32)
    if node.missing != "error":
        gone = draw.random(value.shape) < 0.3
        if isinstance(node, FramesInput) and node.elapsed is not None:
            gone[:, node.elapsed] = False  # a time is never missing
        value[gone] = np.nan
    return value


def _inside(node: NestedInput, levels: int, length: int, draw: Generator) -> list[Any]:
    """So many steps of 0 to 4 tokens each, or of 0 to 3 sequences."""
    if levels > 1:
        counts = draw.integers(0, 4, length)
        return [_inside(node, levels - 1, count, draw) for count in counts]
    return [draw.integers(1, node.size, count) for count in draw.integers(0, 5, length)]


def source(node: CopiesInput, length: int, draw: Generator) -> NDArray[np.int64]:
    """Tokens of which half are in the vocabulary of the answer, and the others are of three, one of
    them not to be answered."""
    known = draw.integers(2, node.size, length)
    lacking = draw.integers(0, 3, length)
    seen = draw.random(length) < 0.5
    lacking[seen] = -1
    first = [int(np.flatnonzero(lacking == each)[0]) for each in lacking]
    further = np.array([node.size + at for at in first], np.int64)
    return np.where(seen, known, np.where(lacking == 2, ~further, further))


def behind(
    node: CopiesInput, own: NDArray[np.int64], before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The numbers of a source behind others with the numbers `before`: in every other place that
    has a number of its own, a token that stands there too."""
    found = np.where(own >= node.size, own + len(before), own)
    found = np.where(own <= ~node.size, own - len(before), found)
    shared = before[before >= node.size]
    places = np.flatnonzero(found >= node.size)[::2]
    found[places] = shared[0] if len(shared) else found[places]
    return found
