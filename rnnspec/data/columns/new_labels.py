"""Target labels that no training row has. The model cannot answer them, so every answer is wrong.

They never end a build. In columns of one label a row or a step they are numbered below SKIPPED
(`NEW`); in multi-label columns they are listed beside the bits. Their names and counts are stored
with the arrays.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import NEW
from rnnspec.data.columns.base import Arrays
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.source.problems import did_you_mean

MOST = 1 << 20
"""Most new labels in a file."""
SHOWN = 5
"""Most new labels that a note names."""


@dataclass(slots=True)
class NewLabels:
    """The new labels of a column, numbered from 0 in order of appearance."""

    numbers: dict[str, int] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)

    @staticmethod
    def written(writer: Writer, name: str) -> NewLabels:
        """The new labels of the array `name`, which `writer` stores at its end."""
        found = NewLabels()
        writer.at_end[f"{name}.names"] = found.array
        return found

    def number(self, label: str) -> int:
        """The number of a new label, which is counted. Raises DataError beyond MOST labels."""
        found = self.numbers.setdefault(label, len(self.numbers))
        if found >= MOST:
            raise DataError(
                f"is one of more than {MOST:,} labels that no training row has; read the column as "
                "a number, or name another one"
            )
        self.counts[found] += 1
        return found

    def class_number(self, label: str) -> int:
        """As `number`, as a class number."""
        return NEW - self.number(label)

    def array(self) -> NDArray[np.uint8]:
        """Names and counts, as JSON."""
        found = {label: self.counts[number] for label, number in self.numbers.items()}
        return np.frombuffer(json.dumps(found, ensure_ascii=False).encode(), np.uint8)


@dataclass(slots=True)
class NewLabelPlaces:
    """The new labels of multi-label columns, with the place of each: a row, or a step."""

    labels: NewLabels
    places: Column
    """`[n, 2]`: place and number, rising by place."""

    def append(self, first: int, rows: list[list[str]]) -> None:
        """Adds the new labels of each place from number `first` on."""
        found = [
            (first + at, self.labels.number(label))
            for at, labels in enumerate(rows)
            for label in labels
        ]
        self.places.append(np.array(found, np.int64).reshape(-1, 2))


def new_labels(arrays: Arrays, name: str) -> dict[str, int]:
    """How often each label occurs in the column `name` that no training row has."""
    array = arrays.get(f"{name}.names")
    found: dict[str, int] = {} if array is None else json.loads(array.tobytes())
    return found


def new_labels_note(
    column: str, found: Mapping[str, int], known: Sequence[str], files: Shards, share: float
) -> str:
    """A sentence about the new labels of a column of `files`, or of a validation `share` of it,
    the most frequent first. `known` are the labels of the training rows."""
    rows = f"the validation rows of {files.name} have" if share else f"{files.name} has"
    most = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    named = ", ".join(_named(label, count, known) for label, count in most[:SHOWN])
    left = f" and {len(most) - SHOWN:,} more" if len(most) > SHOWN else ""
    many = len(most) > 1
    return (
        f"{rows} {len(most):,} label{'s' * many} of column {column!r} that no training row "
        f"has: {named}{left}; {'they count' if many else 'it counts'} as wrong, and the loss "
        f"leaves {'them' if many else 'it'} out"
    )


def _named(label: str, count: int, known: Sequence[str]) -> str:
    near = did_you_mean(label, known)
    return f"{label!r} ({count:,} time{'s' * (count > 1)}{', ' * bool(near)}{near})"
