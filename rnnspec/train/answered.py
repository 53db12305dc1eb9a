"""Rows without a true answer of an output: there is nothing to learn from, or to measure."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.data import Batch, Dataset
from rnnspec.data.batches import in_turn
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.objective.objective import count_of
from rnnspec.plan import Plan
from rnnspec.plan.nodes import (
    AlignedOutput,
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Target,
)

ROWS = 64
"""Rows that are looked at together."""


def check_answered(plan: Plan, train: Dataset, files: Shards, window: int | None = None) -> None:
    """Raises DataError for an output that no training row, of a weight above 0, has a true answer
    of: its loss would be a mean over nothing. `window`: the steps that are read together of long
    sequences."""
    for node in _unanswered(plan, train, window):
        what, cure = _what_lacks(node, train)
        weighed = ", of a weight above 0," if train.is_weighted else ""
        raise DataError(f"{files}: column {node.column!r}: no training row{weighed} {what}; {cure}")


def unmeasured(
    plan: Plan, valid: Dataset, files: Shards, window: int | None = None
) -> Iterator[str]:
    """A sentence for each output that no validation row has a true answer of."""
    for node in _unanswered(plan, valid, window):
        what, cure = _what_lacks(node, valid)
        yield (
            f"{files}: column {node.column!r}: no validation row {what}, so that the loss and the"
            f" metrics of it are nan; {cure}"
        )


def _unanswered(plan: Plan, data: Dataset, window: int | None) -> list[Target]:
    """The outputs that no row has a true answer of. Rows are looked at until each has one: of most
    data the first ones alone."""
    left = list(plan.targets)
    for batch in _batches(data, window):
        left = [
            node
            for node in left
            if not count_of(node, batch.targets[node.column], batch.weights_of(node.column))
        ]
        if not left:
            break
    return left


def _batches(data: Dataset, window: int | None) -> Iterator[Batch]:
    if window is not None:
        yield from (batch for batch, _ in data.lanes(1, window))
        return
    for rows in in_turn(data.rows):
        for first in range(0, len(rows), ROWS):
            yield data.collate(rows[first : first + ROWS])


def _what_lacks(node: Target, data: Dataset) -> tuple[str, str]:
    """What no row has, and what to do."""
    if isinstance(node, ClassOutput | LabelsOutput | NumericOutput) and node.ahead:
        if (data.ends - data.starts).max(initial=0) <= 1:
            what = "has a step after its first, which is what 'next' answers"
            if data.series is not None:
                return what, "give the rows of a series one id, in the column data.series.id"
            return (
                what,
                "give all steps of a sequence in one row, or name its id in data.table.long",
            )
        return "has a number in a step after its first", "fill in the missing numbers"
    if isinstance(node, ForecastOutput):
        ahead = "step that is" if node.horizon == 1 else f"{node.horizon} steps that are"
        filled = "fill in the missing numbers, or set data.series.fill where whole rows are missing"
        return f"has a number in the {ahead} answered", filled
    if isinstance(node, AlignedOutput):
        return "has as many steps as its answer takes", "keep more steps, or shorten the answers"
    return "has a true answer", "fill in some, or remove the output"
