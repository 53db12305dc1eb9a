"""Values of a batch of rows to graph inputs, padded to the longest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Feeds = dict[str, NDArray[Any]]


def padded(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """`[B, T, …]` of arrays `[T, …]`, 0 past the length of each."""
    longest = max(map(len, values))
    found = np.zeros((len(values), longest, *values[0].shape[1:]), values[0].dtype)
    for into, value in zip(found, values, strict=True):
        into[: len(value)] = value
    return found


def padded_texts(values: Sequence[Sequence[str]]) -> NDArray[Any]:
    """Tokens `[B, T]`, "" past the length of a row."""
    found = np.full((len(values), max(map(len, values))), "", object)
    for into, value in zip(found, values, strict=True):
        into[: len(value)] = value
    return found


def padded_keys(values: Sequence[Sequence[Sequence[str]]]) -> NDArray[Any]:
    """Labels `[B, T, N]` of steps with at most N of them, "" past the last of a step."""
    most = max((len(step) for value in values for step in value), default=0)
    found = np.full((len(values), max(map(len, values)), most), "", object)
    for into, value in zip(found, values, strict=True):
        for step, labels in zip(into, value, strict=False):
            step[: len(labels)] = labels
    return found


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


def padded_characters(values: Sequence[Sequence[NDArray[np.int64]]]) -> NDArray[np.int64]:
    """Numbers of characters `[B, T, C]`."""
    counts = character_counts(values)
    found = np.zeros((*counts.shape, int(counts.max(initial=0))), np.int64)
    for into, value in zip(found, values, strict=True):
        for token, characters in zip(into, value, strict=False):
            token[: len(characters)] = characters
    return found
