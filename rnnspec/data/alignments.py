"""Rows whose answer does not fit into their steps, as an alignment (CTC) needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.collate import Texts
from rnnspec.data.dataset import Dataset
from rnnspec.data.rows import BadRows
from rnnspec.plan.nodes import AlignedOutput, CtcOutput, Plan, shapes

BLOCK = 1 << 22
"""Tokens that are looked at at once."""
_AXIS = re.compile(r"T(?:\.\w+)?(?:/([0-9]+))?(?:\*([0-9]+))?")


def refuse_too_short(plan: Plan, data: Dataset, bad: BadRows) -> None:
    """Raises DataError, which names them, for rows whose answer takes more steps than they have."""
    for node in _aligned(plan):
        needed, there = _needed(node, data), _steps(plan, node, data)
        for row in np.flatnonzero(needed > there):
            message = _message(node.column, int(needed[row]), int(there[row]))
            bad.add(int(data.lines[row]), f"{message}; {_cure(node)}")
    bad.close()


def _cure(node: AlignedOutput) -> str:
    key = "ctc" if isinstance(node, CtcOutput) else "transducer"
    return f"mend the row, keep more steps, or set decoder.{key}.too_short to skip"


def without_too_short(plan: Plan, data: Dataset, bad: BadRows) -> tuple[Dataset, list[str]]:
    """The rows without the targets that take more steps than there are; sentences on them."""
    notes, targets = [], dict(data.targets)
    for node in _aligned(plan):
        needed, there = _needed(node, data), _steps(plan, node, data)
        left_out = needed > there
        if not left_out.any():
            continue
        view, first = targets[node.column], int(left_out.argmax())
        assert isinstance(view, Texts)
        targets[node.column] = replace(view, left_out=left_out)
        what = "row is" if left_out.sum() == 1 else "rows are"
        place = bad.place(int(data.lines[first]))
        message = _message(node.column, int(needed[first]), int(there[first]))
        notes.append(f"{int(left_out.sum()):,} {what} left out of the loss; {place}: {message}")
    return replace(data, targets=targets), notes


def steps_needed(data: Dataset, column: str) -> NDArray[np.int64]:
    """For each row the least number of steps of a path that reads as its answer: one for each
    token, and a blank between two equal ones. `[rows]`."""
    view = data.targets[column]
    assert isinstance(view, Texts)
    found = np.diff(view.offsets)
    for start in range(1, len(view.values), BLOCK):
        block = view.values[start - 1 : start + BLOCK]
        repeats = start + np.flatnonzero(block[1:] == block[:-1])
        rows = np.searchsorted(view.offsets, repeats, side="right") - 1
        np.add.at(found, rows[repeats > view.offsets[rows]], 1)
    return found


def steps_at(plan: Plan, name: str, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The steps of the node `name` in rows of `steps` steps: of the axis `T/4` a quarter, rounded
    up, of `T/4*3` three times as many."""
    divided, times = strides(plan, name)
    return -(-steps // divided) * times


def strides(plan: Plan, name: str) -> tuple[int, int]:
    """Of the axis `T/4*3` of the node `name`: 4 and 3."""
    axis = _AXIS.fullmatch(str(shapes(plan)[name][1]))
    assert axis is not None, f"{name} has no steps of the input"
    return int(axis[1] or 1), int(axis[2] or 1)


def _aligned(plan: Plan) -> Iterator[AlignedOutput]:
    return (node for node in plan.outputs if isinstance(node, AlignedOutput))


def _needed(node: AlignedOutput, data: Dataset) -> NDArray[np.int64]:
    """The least number of steps for each row's answer: a transducer writes it at any step."""
    needed = steps_needed(data, node.column)
    return needed if isinstance(node, CtcOutput) else np.minimum(needed, 1)


def _steps(plan: Plan, node: AlignedOutput, data: Dataset) -> NDArray[np.int64]:
    return steps_at(plan, node.source, np.asarray(data.ends - data.starts, np.int64))


def _message(column: str, needed: int, there: int) -> str:
    steps = f"{there} step" if there == 1 else f"{there} steps"
    least = "a step" if needed == 1 else f"{needed} steps"
    return f"column {column!r} takes {least} of the encoder at least, and the row has {steps}"
