"""Values of a batch of rows to graph inputs, padded to the longest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec.nested import inner_lengths

Feeds = dict[str, NDArray[Any]]


def padded(values: Sequence[NDArray[Any]], fill: Any = 0) -> NDArray[Any]:
    """`[B, T, …]` of arrays `[T, …]`, `fill` past the length of each."""
    shape = (len(values), max(map(len, values)), *values[0].shape[1:])
    found = np.full(shape, fill, values[0].dtype)
    for into, value in zip(found, values, strict=True):
        into[: len(value)] = value
    return found


def padded_texts(values: Sequence[Sequence[str]]) -> NDArray[Any]:
    """Tokens `[B, T]`, "" past the length of a row."""
    return padded([np.array(value, object) for value in values], "")


def padded_lists(values: Sequence[Sequence[Sequence[Any]]], fill: Any, dtype: Any) -> NDArray[Any]:
    """`[B, T, N]` of steps with at most N values, `fill` past the last of a step."""
    most = max((len(step) for value in values for step in value), default=0)
    found = np.full((len(values), max(map(len, values)), most), fill, dtype)
    for into, value in zip(found, values, strict=True):
        for step, each in zip(into, value, strict=False):
            step[: len(each)] = each
    return found


def padded_nested(
    values: Sequence[Sequence[Any]], levels: int, fill: Any, dtype: Any
) -> NDArray[Any]:
    """`[B, T, …, N]` of rows that are lists of lists, `levels` of them, `fill` past the end of
    each."""
    extents, inside = [len(values)], list[Any](values)
    for _ in range(levels - 1):
        extents.append(max(map(len, inside), default=0))
        inside = [each for list_ in inside for each in list_]
    extents.append(max(map(len, inside), default=0))
    found = np.full(extents, fill, dtype)
    _put(found, values, levels)
    return found


def _put(into: NDArray[Any], values: Sequence[Any], levels: int) -> None:
    for each, value in zip(into, values, strict=False):
        if levels > 1:
            _put(each, value, levels - 1)
        else:
            each[: len(value)] = value


def inner_counts(column: str, values: Sequence[Sequence[Any]], levels: int) -> Feeds:
    """The lengths of sequences of sequences inside the steps of a column: `[B, T]`, and so on."""
    found: Feeds = {}
    for level, name in enumerate(inner_lengths(column, levels), start=1):
        counts = _counted(values, level + 1)
        found[name] = padded_nested(counts, level, 0, np.int64)
    return found


def _counted(values: Sequence[Any], levels: int) -> list[Any]:
    """The lengths of lists that are so many levels down."""
    return [len(each) if levels == 1 else _counted(each, levels - 1) for each in values]


def flags(values: Sequence[Sequence[NDArray[np.int64]]], labels: int) -> NDArray[np.float32]:
    """0 and 1 for each label of each step, `[B, T, labels]`."""
    found = np.zeros((len(values), max(map(len, values)), labels), np.float32)
    for into, value in zip(found, values, strict=True):
        for step, on in zip(into, value, strict=False):
            step[on] = 1
    return found


def character_counts(values: Sequence[Sequence[NDArray[np.int64]]]) -> NDArray[np.int64]:
    """How many characters each token has, `[B, T]`."""
    return padded([np.array([len(each) for each in value], np.int64) for value in values])
