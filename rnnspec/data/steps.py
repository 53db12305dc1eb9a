"""Columns that are read step by step together: every row has as many steps in each of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.data.columns.base import ColumnEncoder, Lengths
from rnnspec.data.rows import BadRows, Chunk


def take(chunk: Chunk, takers: Sequence[tuple[str, ColumnEncoder]], bad: BadRows) -> Lengths | None:
    """Gives a chunk to every taker, each with its column; the steps of each row.

    Rows whose columns have unlike numbers of steps are bad. None if no column has steps.
    """
    found = [(column, taker.add(chunk, bad)) for column, taker in takers]
    steps = [(column, lengths) for column, lengths in found if lengths is not None]
    if not steps:
        return None
    (first, lengths), *others = steps
    if bad.found:  # columns do not line up any more, and the file ends in an error
        return lengths
    for column, of_column in others:
        for at in np.flatnonzero(lengths != of_column).tolist():
            bad.add(
                chunk.lines[at],
                f"column {column!r} has {of_column[at]} steps, column {first!r} has "
                f"{lengths[at]}; they are read together, step by step",
            )
    return lengths
