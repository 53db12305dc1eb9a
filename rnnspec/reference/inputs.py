"""The value of each input node for one row: see `rnnspec.plan.nodes.inputs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import numpy as np

from rnnspec.plan import nodes
from rnnspec.plan.nodes.differences import polynomial
from rnnspec.reference.audio import audio
from rnnspec.reference.calendar import calendar
from rnnspec.reference.functions import Array, Arrays

Row = Mapping[str, Any]
"""The columns of a row by the `key` of the input, without padding: token numbers `[T]`, numbers to
copy `[T]`, the characters of each token, or what is nested in each step, as a list of lists, the
number of a category, frames `[T, width]`, pixels `[T, features, channels]`, keys `[T, size]`, a
vector `[width]`, samples `[S]`, a series `[T]` and its values ahead `[H]`. Missing numbers are
NaN."""
Reading = (
    nodes.TokensInput
    | nodes.CopiesInput
    | nodes.NestedInput
    | nodes.CategoryInput
    | nodes.FramesInput
    | nodes.ImageInput
    | nodes.Elapsed
    | nodes.KeysInput
    | nodes.VectorInput
    | nodes.SeriesInput
    | nodes.WindowMoments
    | nodes.Observed
    | nodes.LastValues
    | nodes.FutureInput
    | nodes.CalendarInput
    | nodes.CalendarFuture
    | nodes.CategoriesInput
    | nodes.CategoriesFuture
    | nodes.AudioInput
)


def read(node: Reading, weights: Arrays, row: Row, values: Arrays) -> Array:
    """The value of an input: its column scaled, with missing numbers replaced."""
    if isinstance(node, nodes.NestedInput):
        return nested(row[node.key])
    cell = np.asarray(row[node.key], np.float64)
    match node:
        case nodes.TokensInput(reverse=True):
            return cell.reshape(-1)[::-1]
        case nodes.TokensInput() | nodes.CopiesInput():
            return cell.reshape(-1)
        case nodes.CategoriesInput() | nodes.CategoriesFuture():
            return cell.reshape(-1)
        case nodes.CategoryInput():
            return cell.reshape(())
        case nodes.KeysInput():
            return np.reshape(cell, (-1, node.size))
        case nodes.Elapsed():
            return np.asarray(cell[:, node.index]) if len(cell) else np.zeros(0)
        case nodes.FramesInput():
            frames = cell.reshape(-1, node.width)
            if node.elapsed is not None:
                frames = np.delete(frames, node.elapsed, axis=-1)
            return _scaled(node, node.missing, weights, values, frames)
        case nodes.AudioInput():
            return audio(node, weights, cell.reshape(-1))
        case nodes.ImageInput():
            return _pixels(node, weights, cell)
        case nodes.VectorInput():
            return _scaled(node, node.missing, weights, values, cell.reshape(1, -1)).reshape(-1)
        case nodes.SeriesInput():
            return _series(node, weights, values, _numbers(node, cell))
        case nodes.LastValues():
            return _last_values(_numbers(node, cell).reshape(-1).tolist(), node.steps)
        case nodes.FutureInput():
            ahead = _ahead(node, weights, values, _numbers(node, cell))
            return ahead.reshape(-1) if node.flat else ahead
        case nodes.CalendarInput():
            return calendar(node.calendar, cell)
        case nodes.CalendarFuture():
            ahead = calendar(node.calendar, cell)
            return ahead.reshape(-1) if node.flat else ahead
        case nodes.Observed():
            return _observed(cell.reshape(-1))
        case nodes.WindowMoments():
            return _moments(node, weights, _numbers(node, cell))
        case _:
            assert_never(node)


def _series(node: nodes.SeriesInput, weights: Arrays, values: Arrays, past: Array) -> Array:
    """The steps `[T, 1]` scaled, or the differences that they have, after zeros."""
    found, reach = np.array(polynomial(node.differences)), sum(node.differences)
    if not reach:
        return _scaled(node, node.missing, weights, values, past)
    each = range(reach, len(past))
    own = np.array([found @ past[t - reach : t + 1][::-1] for t in each]).reshape(-1, 1)
    scaled = _scaled(node, node.missing, weights, values, own)
    return np.concatenate([np.zeros((min(reach, len(past)), 1)), scaled])


def _last_values(past: list[float], steps: int) -> Array:
    first = past[0] if past else 0.0
    return np.array(([first] * steps + past)[-steps:], np.float64)


def nested(steps: Sequence[Any]) -> Array:
    """`[T]`: what is in each step, as lists of lists down to the numbers of tokens."""
    found = np.empty(len(steps), object)
    for at, step in enumerate(steps):
        found[at] = step
    return found


def _numbers(
    node: nodes.SeriesInput | nodes.FutureInput | nodes.WindowMoments | nodes.LastValues,
    cell: Array,
) -> Array:
    """`[T, 1]`, or their logarithms."""
    steps = cell.reshape(-1, 1)
    return np.log(steps) if node.log else steps


def _pixels(node: nodes.ImageInput, weights: Arrays, cell: Array) -> Array:
    """Bytes `[T, F, C]`, inverted and scaled."""
    if node.invert:
        cell = 255 - cell
    if node.scale == "standard":
        mean, deviation = of_training(node, weights)
        return (cell - mean) / deviation
    return cell / 255 if node.scale == "unit" else cell


def scaling(node: Any, weights: Arrays, values: Arrays, width: int = 1) -> tuple[Array, Array]:
    """Centre and scale of a node with the fields `scaled` and, some, `moments`."""
    if node.scaled:
        return of_training(node, weights)
    if getattr(node, "moments", ""):
        centre, scale = values[node.moments]
        return np.full(width, centre), np.full(width, scale)
    return np.zeros(width), np.ones(width)


def of_training(node: Any, weights: Arrays) -> tuple[Array, Array]:
    """Mean and deviation of the training rows."""
    mean = weights[f"{node.name}.mean"]
    if node.double:
        mean = mean + weights[f"{node.name}.rest"]
    return mean, weights[f"{node.name}.deviation"]


def _scaled(
    node: Any, missing: nodes.Missing, weights: Arrays, values: Arrays, steps: Array
) -> Array:
    """Steps `[T, W]` scaled; missing numbers that have no value before them become 0."""
    if missing == "previous":
        steps = _filled(steps)
    centre, scale = scaling(node, weights, values, steps.shape[-1])
    scaled = (steps - centre) / scale
    return scaled if missing == "error" else np.nan_to_num(scaled, nan=0.0)


def _ahead(node: nodes.FutureInput, weights: Arrays, values: Arrays, steps: Array) -> Array:
    """Steps `[H, 1]` scaled; by the rule `previous`, the last past value fills the first ones."""
    centre, scale = scaling(node, weights, values)
    ahead = (steps - centre) / scale
    if node.past:
        before = values[node.past][-1:]
        ahead = _filled(np.concatenate([before, ahead]))[len(before) :]
    return ahead if node.missing == "error" else np.nan_to_num(ahead, nan=0.0)


def _filled(steps: Array) -> Array:
    """Each missing number replaced by the last known one of its feature, if any."""
    found = steps.copy()
    for t in range(1, len(found)):
        found[t] = np.where(np.isnan(found[t]), found[t - 1], found[t])
    return found


def _observed(steps: Array) -> Array:
    """`[T, 2]` of `[T]`."""
    found, last = [], -1
    for t, number in enumerate(steps.tolist()):
        last = last if np.isnan(number) else t
        found.append([float(last == t), np.log(1 + t - last)])
    return np.array(found, np.float64).reshape(-1, 2)


def _moments(node: nodes.WindowMoments, weights: Arrays, steps: Array) -> Array:
    if node.missing == "previous":
        steps = _filled(steps)
    steps = steps[-node.steps :]
    known = steps[~np.isnan(steps)]
    (mean,), (deviation,) = of_training(node, weights)
    size = np.abs(known).mean() if len(known) else 0.0
    if node.kind == "mean":
        return np.array([0.0, size if size > 0 else np.sqrt(mean**2 + deviation**2)])
    if not len(known):
        return np.array([mean, deviation])
    if node.kind == "level":
        return np.array([known.mean(), deviation])
    scale = known.std()
    if scale <= nodes.NOISE[node.double] * size:
        scale = size
    return np.array([known.mean(), scale if scale > 0 else deviation])
