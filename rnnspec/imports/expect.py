"""Whether imported weights give the answers that the model gave where it came from.

The answers stand in an npz file, by name:

    COLUMN               an input: numbers `[B, T, features]`, `[B, features]` or `[B]`, or token
                         numbers of the model's own vocabulary `[B, T]`
    COLUMN.lengths       its steps in each row, `[B]`; without it all rows have T
    COLUMN.targets       of a text that is answered: the true token numbers `[B, U]`, padded with -1
    COLUMN.logits        an answer: scores before any softmax or sigmoid, `[B, …]` or `[B, T, …]`
    COLUMN.probabilities the same behind it
    COLUMN               an answer in numbers, in the units of the data
    layers.0, pool, …    the value of a node of the plan, which tells where answers part
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ModelFileError
from rnnspec.imports.terms import Orders
from rnnspec.plan import Plan, nodes
from rnnspec.reference.inputs import Row
from rnnspec.reference.interpret import answers, raw_outputs, values_of

TOLERANCE = 1e-4
"""Of a difference, absolute, and as a share of the largest number of the array."""
Arrays = Mapping[str, NDArray[Any]]
LOOKED_UP = (
    nodes.TokensInput, nodes.CategoryInput, nodes.CategoriesInput, nodes.CategoriesFuture
)  # fmt: skip
"""Inputs of numbers that a vocabulary gives."""
LENGTHS, TARGETS, LOGITS, PROBABILITIES = ".lengths", ".targets", ".logits", ".probabilities"


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest difference of an array, and the most that is let pass."""

    name: str
    difference: float
    allowed: float

    @property
    def holds(self) -> bool:
        return self.difference <= self.allowed


def read_expected(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file: numbers, with an axis of rows. Raises ModelFileError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, AttributeError, EOFError, BadZipFile) as error:
        raise ModelFileError(f"{path}: not a readable npz file ({error})") from error
    for name, array in found.items():
        if array.dtype.kind not in "biuf":
            raise ModelFileError(f"{path}: {name!r} holds {array.dtype}, and numbers are expected")
        if not array.ndim or not len(array):
            raise ModelFileError(f"{path}: {name!r} has no rows")
    return found


def widths_of(expected: Arrays, columns: Sequence[str]) -> dict[str, int]:
    """The number of features of the columns that are given in numbers."""
    return {
        column: int(expected[column].shape[-1])
        for column in columns
        if column in expected and expected[column].dtype.kind == "f" and expected[column].ndim > 1
    }


def compare(
    plan: Plan, weights: Arrays, orders: Orders, expected: Arrays, where: Path
) -> list[Agreement]:
    """Every array of `expected` that is an answer, in the order of the plan.

    Raises ModelFileError where an input is missing, or nothing is to be compared.
    """
    rows = _rows(plan, orders, expected, where)
    targets = _targets(plan, orders, expected, len(rows), where)
    found = list(_compared(plan, weights, orders, expected, rows, targets))
    named = {each.name for each in found}
    inputs = {each.key for each in plan.inputs}
    left = [
        name
        for name in expected
        if name not in named | inputs and not name.endswith((LENGTHS, TARGETS))
    ]
    if left:
        values = [node.name for node in plan.nodes if not isinstance(node, nodes.Output)]
        raise ModelFileError(
            f"{where}: {left[0]!r} is no answer of this model; there are"
            f" {', '.join(f'{o.column}{LOGITS}' for o in plan.outputs)} and the nodes"
            f" {', '.join(values)}"
        )
    if not found:
        raise ModelFileError(f"{where}: holds inputs and no answers")
    return found


def _rows(plan: Plan, orders: Orders, expected: Arrays, where: Path) -> list[Row]:
    cells: dict[str, list[Any]] = {}
    for node in plan.inputs:
        if node.key not in expected:
            raise ModelFileError(f"{where}: has no array {node.key!r}, an input of the model")
        values = expected[node.key]
        if isinstance(node, LOOKED_UP):
            values = _ours(values, node.column, orders, where)
        lengths = _lengths(expected, node.key, where)
        cells[node.key] = [
            value if lengths is None else value[: int(lengths[at])]
            for at, value in enumerate(values)
        ]
    counts = {len(each) for each in cells.values()}
    if len(counts) != 1:
        raise ModelFileError(f"{where}: its inputs have unequal numbers of rows")
    return [{key: cells[key][at] for key in cells} for at in range(counts.pop())]


def _lengths(expected: Arrays, key: str, where: Path) -> NDArray[Any] | None:
    """The steps of each row, if they are given. Raises ModelFileError where they are none."""
    found, name = expected.get(f"{key}{LENGTHS}"), f"{key}{LENGTHS}"
    if found is None:
        return None
    shape = expected[key].shape
    if found.shape != shape[:1] or found.dtype.kind not in "iu":
        raise ModelFileError(
            f"{where}: {name!r} must hold a whole number for each of {shape[0]} rows"
        )
    most = shape[1] if len(shape) > 1 else 0
    if found.min() < 0 or found.max() > most:
        raise ModelFileError(
            f"{where}: {name!r} must hold numbers from 0 to {most}, the steps given"
        )
    return found


def _ours(values: NDArray[Any], column: str, orders: Orders, where: Path) -> NDArray[Any]:
    """Token numbers of the model in the file as those of the plan."""
    if values.dtype.kind not in "iu":
        raise ModelFileError(f"{where}: {column!r} must hold token numbers, not {values.dtype}")
    order = orders[column]
    table = np.ones(max(int(order.max(initial=0)), int(values.max(initial=0))) + 1, np.int64)
    table[order[order >= 0]] = np.flatnonzero(order >= 0)
    found: NDArray[Any] = table[np.maximum(values, 0)]
    return found


def _targets(
    plan: Plan, orders: Orders, expected: Arrays, count: int, where: Path
) -> list[dict[str, NDArray[Any]]]:
    found: list[dict[str, NDArray[Any]]] = [{} for _ in range(count)]
    for out in plan.outputs:
        given = expected.get(f"{out.column}{TARGETS}")
        if given is None:
            continue
        if out.column not in orders:
            raise ModelFileError(
                f"{where}: {out.column}{TARGETS} are the tokens of a text that is answered, and"
                f" {out.column!r} is none"
            )
        if given.ndim != 2 or len(given) != count or given.dtype.kind not in "iu":
            raise ModelFileError(
                f"{where}: {out.column}{TARGETS} must hold token numbers, in {count} rows"
            )
        for at in range(count):
            own = given[at][given[at] >= 0]
            found[at][out.column] = _ours(own, out.column, orders, where)
    return found


def _compared(
    plan: Plan,
    weights: Arrays,
    orders: Orders,
    expected: Arrays,
    rows: list[Row],
    targets: list[dict[str, NDArray[Any]]],
) -> Iterator[Agreement]:
    exact = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    values = [values_of(plan, exact, row) for row in rows]
    for node in plan.nodes:
        if node.name in expected:
            yield _agreement(node.name, [each[node.name] for each in values], expected)
    logits = [out for out in plan.outputs if f"{out.column}{LOGITS}" in expected]
    raw = raw_outputs(plan, weights, rows, targets) if logits else {}
    for out in logits:
        name = f"{out.column}{LOGITS}"
        yield _agreement(name, raw[out.column], expected, orders.get(out.column))
    inputs = {each.key for each in plan.inputs}
    wanted = [
        (out.column, name)
        for out in plan.outputs
        for name in (f"{out.column}{PROBABILITIES}", out.column)
        if name in expected and name not in inputs
    ]
    answered = answers(plan, weights, rows) if wanted else {}
    for column, name in wanted:
        yield _agreement(name, answered[column], expected)


def _taken(theirs: NDArray[Any], order: NDArray[np.int64], name: str) -> NDArray[Any]:
    if not theirs.ndim or order.max(initial=-1) >= theirs.shape[-1]:
        last = theirs.shape[-1] if theirs.ndim else 0
        raise ModelFileError(
            f"{name!r} has {last} scores, and the vocabulary {order.max(initial=-1) + 1} entries"
        )
    found: NDArray[Any] = theirs[..., order]
    return found


def _agreement(
    name: str, found: Sequence[Any], expected: Arrays, order: NDArray[np.int64] | None = None
) -> Agreement:
    """`order`: which place of the last axis of the file's array each of ours is."""
    given = np.asarray(expected[name], np.float64)
    most = largest = 0.0
    if len(given) != len(found):
        raise ModelFileError(f"{name!r} has {len(given)} rows, and there are {len(found)}")
    for mine, theirs in zip(found, given, strict=True):
        ours = np.asarray(mine, np.float64)
        if order is not None:
            ours, theirs = ours[..., order >= 0], _taken(theirs, order[order >= 0], name)
        theirs = theirs[: len(ours)] if ours.ndim and theirs.ndim else theirs
        if ours.size == theirs.size:
            theirs = theirs.reshape(ours.shape)
        if ours.shape != theirs.shape:
            shapes = f"{list(theirs.shape)} in a row, and {list(ours.shape)} is answered"
            raise ModelFileError(f"{name!r} has the shape {shapes}")
        if not np.isfinite(theirs).all():
            raise ModelFileError(f"{name!r} holds numbers that are not finite; nothing agrees so")
        if ours.size:
            most = max(most, float(np.abs(ours - theirs).max()))
            largest = max(largest, float(np.abs(theirs).max()))
    return Agreement(name, most, TOLERANCE * max(1.0, largest))
