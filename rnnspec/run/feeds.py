"""Values of a batch of rows to the arrays that a graph takes, padded to the longest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.run.interface import InputColumn

Feeds = dict[str, NDArray[Any]]


def feed_texts(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """Texts or labels, `[B]`."""
    return {column.feed: np.array(values, object)}


def feed_tokens(column: InputColumn, values: Sequence[Sequence[str]]) -> Feeds:
    """Tokens `[B, T]`, "" past the length of a row."""
    return {column.feed: _padded_texts(values)}


def feed_ids(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """Token numbers `[B, T]`."""
    return {column.feed: padded(values)}


def feed_category_ids(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """Category numbers `[B]`."""
    return {column.feed: np.array(values).reshape(-1)}


def feed_number(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """One number a row, `[B]`."""
    return {column.feed: _floats(column, np.array(values)).reshape(-1)}


def feed_vectors(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """Vectors `[B, W]`."""
    return {column.feed: _floats(column, np.stack(values))}


def feed_steps(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """Numbers `[B, T]` or vectors `[B, T, W]`."""
    return {column.feed: _floats(column, padded(values))}


def feed_keys(column: InputColumn, values: Sequence[Sequence[Sequence[str]]]) -> Feeds:
    """Labels `[B, T, N]` of steps with at most N of them, "" past the last of a step."""
    most = max((len(step) for value in values for step in value), default=0)
    found = np.full((len(values), max(map(len, values)), most), "", object)
    for into, value in zip(found, values, strict=True):
        for step, labels in zip(into, value, strict=False):
            step[: len(labels)] = labels
    return {column.feed: found}


def feed_key_ids(column: InputColumn, values: Sequence[Sequence[NDArray[np.int64]]]) -> Feeds:
    """0 and 1 for each label, `[B, T, width]`."""
    found = np.zeros((len(values), max(map(len, values)), column.width or 0), np.float32)
    for into, value in zip(found, values, strict=True):
        for step, on in zip(into, value, strict=False):
            step[on] = 1
    return {column.feed: found}


def feed_characters(column: InputColumn, values: Sequence[Sequence[NDArray[np.int64]]]) -> Feeds:
    """Numbers `[B, T, C]` and how many characters each token has, `[B, T]`."""
    counts = padded([np.array([len(each) for each in value], np.int64) for value in values])
    found = np.zeros((*counts.shape, int(counts.max(initial=0))), np.int64)
    for into, value in zip(found, values, strict=True):
        for token, characters in zip(into, value, strict=False):
            token[: len(characters)] = characters
    return {column.feed: found, f"{column.feed}.lengths": counts}


def _floats(column: InputColumn, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as precise as the graph takes them."""
    return values.astype(np.float64 if column.double else np.float32, copy=False)


def padded(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """`[B, T, …]` of arrays `[T, …]`, 0 past the length of each."""
    longest = max(map(len, values))
    found = np.zeros((len(values), longest, *values[0].shape[1:]), values[0].dtype)
    for into, value in zip(found, values, strict=True):
        into[: len(value)] = value
    return found


def _padded_texts(values: Sequence[Sequence[str]]) -> NDArray[Any]:
    found = np.full((len(values), max(map(len, values))), "", object)
    for into, value in zip(found, values, strict=True):
        into[: len(value)] = value
    return found
