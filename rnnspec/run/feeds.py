"""Values of a batch of rows to the arrays that a graph takes, padded to the longest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.run.interface import TEXTS, InputColumn

Feeds = dict[str, NDArray[Any]]


def feeds_of(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """The inputs of the graph for one column of a batch, but for the lengths of the time axis."""
    match column.kind:
        case "tokens":
            return {column.feed: _padded_texts(values)}
        case "keys":
            return {column.feed: _padded_keys(values)}
        case "key_ids":
            return {column.feed: _flags(values, column.width or 0)}
        case "characters":
            return _padded_characters(column, values)
        case "category_id":
            return {column.feed: np.array(values).reshape(-1)}
        case "number":
            return {column.feed: _floats(column, np.array(values)).reshape(-1)}
        case "vector" | "future":
            return {column.feed: _floats(column, np.stack(values))}
        case "frames" | "series":
            return {column.feed: _floats(column, padded(values))}
        case "ids" | "copies" | "subwords":
            return {column.feed: padded(values)}
        case kind:
            assert kind in (*TEXTS, "category"), kind
            return {column.feed: np.array(values, object)}


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


def _padded_keys(values: Sequence[Sequence[Sequence[str]]]) -> NDArray[Any]:
    most = max((len(step) for value in values for step in value), default=0)
    found = np.full((len(values), max(map(len, values)), most), "", object)
    for into, value in zip(found, values, strict=True):
        for step, labels in zip(into, value, strict=False):
            step[: len(labels)] = labels
    return found


def _flags(values: Sequence[Sequence[NDArray[np.int64]]], labels: int) -> NDArray[np.float32]:
    found = np.zeros((len(values), max(map(len, values)), labels), np.float32)
    for into, value in zip(found, values, strict=True):
        for step, on in zip(into, value, strict=False):
            step[on] = 1
    return found


def _padded_characters(column: InputColumn, values: Sequence[Sequence[NDArray[np.int64]]]) -> Feeds:
    """Numbers `[B, T, C]` and how many each token has, `[B, T]`."""
    counts = padded([np.array([len(each) for each in value], np.int64) for value in values])
    found = np.zeros((*counts.shape, int(counts.max(initial=0))), np.int64)
    for into, value in zip(found, values, strict=True):
        for token, characters in zip(into, value, strict=False):
            token[: len(characters)] = characters
    return {column.feed: found, f"{column.feed}.lengths": counts}
