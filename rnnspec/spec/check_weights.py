"""Checks of `data.weight`, the column that says how much each row, or each step of series, counts
in the loss."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import Loc
from rnnspec.spec.check_data import is_plain_text
from rnnspec.spec.explain import Finding
from rnnspec.spec.spec import Spec

WEIGHT: Loc = ("data", "weight")


def weights_are_of_rows(spec: Spec) -> Iterator[Finding]:
    """The files have a column of weights, one a row."""
    data, column = spec.data, spec.data.weight
    if column is None:
        return
    if is_plain_text(spec):
        message = "plain text has one column, and none of weights"
        yield Finding(WEIGHT, message, "use rows in JSONL, CSV or Parquet", key=True)
    elif data.format_name in ("folders", "conll"):
        message = f"files of the format {data.format_name} have no column of weights"
        yield Finding(WEIGHT, message, "use rows in JSONL, CSV or Parquet", key=True)
    if any(output.column == column for output in data.outputs):
        yield Finding(WEIGHT, "the column of an answer", "name a column of weights")
    elif data.columns and column not in data.columns and not column.isdecimal():
        hint = did_you_mean(column, data.columns) or f"it names {', '.join(data.columns)}"
        yield Finding(WEIGHT, f"data.columns names no column {column!r}", hint)
    for key, named in (("train", data.train), ("valid", data.valid)):
        if isinstance(named, dict) and column not in named:
            hint = did_you_mean(column, named) or f"add '{column}: FILE'"
            yield Finding(("data", key), f"names no file of the column {column!r}", hint)
