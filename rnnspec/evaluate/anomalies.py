"""Which rows are anomalous, where a column of the data says so. Only `evaluate` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import Reading, decode
from rnnspec.data.column_names import column_names
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.spec import FramesOutput, Spec


def anomaly_columns(spec: Spec) -> dict[str, str]:
    """The columns that say which rows are anomalous, by output column."""
    return {
        output.column: output.anomaly
        for output in spec.data.outputs
        if isinstance(output, FramesOutput) and output.anomaly is not None
    }


def anomalous_rows(
    spec: Spec, files: Shards, reading: Reading, lines: NDArray[np.int64]
) -> tuple[Mapping[str, NDArray[np.bool_]], tuple[str, ...]]:
    """Whether each of the rows at `lines` is anomalous, by output column, and a sentence for each
    column that the files lack, or that does not tell rows apart. Raises DataError for a cell that
    is neither 0 nor 1."""
    found: dict[str, NDArray[np.bool_]] = {}
    lacking = []
    for output, column in anomaly_columns(spec).items():
        names = column_names(files, reading.how)
        if names and column not in names:
            lacking.append(f"{files} has no column {column!r}, so the AUROC is not measured")
            continue
        labels = _labels(column, files, reading)
        marks = np.array([labels[line] for line in lines.tolist()], np.bool_)
        if marks.all() or not marks.any():
            kind = int(marks.any())
            lacking.append(
                f"column {column!r} is {kind} in every row that is measured, so the AUROC, which"
                f" needs both 0 and 1, is not; measure rows with {1 - kind} too, by --data"
            )
            continue
        found[output] = marks
    return found, tuple(lacking)


def _labels(column: str, files: Shards, reading: Reading) -> dict[int, bool]:
    """By the line of each row."""
    bad, found = reading.bad_rows(files), dict[int, bool]()
    for chunk in reading.read(files, [column], bad):
        values = bad.decoded(chunk, column, partial(_label, textual=chunk.textual))
        found |= zip(np.asarray(chunk.lines).tolist(), values, strict=False)
    return found


def _label(cell: object, textual: bool) -> bool:
    number = float(cell) if isinstance(cell, bool) else decode.real(cell, textual)
    if number not in (0.0, 1.0):
        raise DataError(f"has {number:g} where 0 or 1 says whether a row is anomalous")
    return bool(number)
