"""Training rows whose labels break the scheme of a chain: noted, or refused where most rows do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnspec.data import Dataset
from rnnspec.data.collate import RowSlices
from rnnspec.data.readers import unit_of
from rnnspec.data.schemes import OUTSIDE, rules, unruly
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.plan import Facts, Plan
from rnnspec.plan.names import labels_of
from rnnspec.plan.nodes import ChainOutput
from rnnspec.spec.files import Format
from rnnspec.spec.outputs import Scheme

ROWS = 4096
"""Rows that are looked at together."""
_CURES: dict[Scheme, str] = {
    "bio": "set scheme: iob1 if B- stands only where a span follows one of its kind, or begin every"
    " span with B-",
    "iob1": "set scheme: bio if every span begins with B-",
}
_ELSE = "mend these rows, or set scheme: none"


@dataclass(slots=True)
class _Broken:
    """How many rows have spans, how many of these break the scheme, and the first such place: the
    number of the row in the data set, the step from 0, its label and the one before it (-1: none).
    """

    spans: int = 0
    rows: int = 0
    first: tuple[int, int, int, int] | None = None


def scheme_notes(
    plan: Plan, facts: Facts, train: Dataset, files: Shards, format: Format
) -> Iterator[str]:
    """A sentence for each chain whose training rows break its scheme in some places.

    Raises DataError where most rows with spans do: then it is another scheme.
    """
    for node in plan.targets:
        if not isinstance(node, ChainOutput) or node.scheme == "none":
            continue
        labels = labels_of(facts, node.column)
        found = _broken(node, labels, train)
        if found.first is None:
            continue
        row, step, *numbers = found.first
        word = unit_of(files.format(format))
        label, *before = (labels[number] for number in numbers if number >= 0)
        text = (
            f"{files.place(int(train.lines[row]), word)}: column {node.column!r} breaks scheme"
            f" {node.scheme} in {found.rows:,} of {train.rows:,} training rows, here first: step"
            f" {step + 1} is {label!r}{f' after {before[0]!r}' if before else ''}"
        )
        if 2 * found.rows > found.spans:
            raise DataError(f"{text}; {_CURES.get(node.scheme, _ELSE)}")
        yield f"{text}; in training these steps count as unknown, and no answer breaks the scheme"


def _broken(node: ChainOutput, labels: tuple[str, ...], train: Dataset) -> _Broken:
    known, found = rules(labels, node.scheme), _Broken()
    outside = labels.index(OUTSIDE) if OUTSIDE in labels else len(labels)
    for first in range(0, train.rows, ROWS):
        rows = np.arange(first, min(first + ROWS, train.rows))
        starts, ends = train.starts[rows], train.ends[rows]
        slices = RowSlices(rows, starts, ends - starts, ends)
        values, lengths = train.targets[node.column].batch(slices)
        bad = unruly(values.astype(np.int64), lengths, known)
        found.spans += int(((values >= 0) & (values != outside)).any(axis=1).sum())
        found.rows += int(bad.any(axis=1).sum())
        if found.first is None and bad.any():
            at, step = (int(each[0]) for each in np.nonzero(bad))
            before = int(values[at, step - 1]) if step else -1
            found.first = int(rows[at]), step, int(values[at, step]), before
    return found
