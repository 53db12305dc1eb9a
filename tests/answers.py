"""Answers of torch and of onnxruntime beside those of the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.plan import Plan
from rnnspec.plan.names import answer_name
from rnnspec.plan.nodes import (
    ChainOutput,
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    PositionOutput,
    StatesOutput,
    TextOutput,
)
from rnnspec.reference import distributions, intervals
from rnnspec.reference.chain import Path
from rnnspec.reference.outputs import point_of
from rnnspec.reference.positions import Position
from rnnspec.to_torch import Model
from rnnspec.to_torch import intervals as to_torch
from rnnspec.to_torch.chain import Paths
from rnnspec.to_torch.positions import Positions
from rnnspec.to_torch.values import Values
from tests.kinds import Batch

Array = NDArray[Any]


@torch.no_grad()
def of_torch(model: Model, inputs: Batch) -> dict[str, Array]:
    """The answers that are no texts, by column; of paths the probabilities of labels, of positions
    those of choices."""
    found = {name: _numbers_of(answer) for name, answer in model.answers(inputs).items()}
    return {name: v.numpy() for name, v in found.items() if isinstance(v, torch.Tensor)}


def _numbers_of(answer: object) -> object:
    match answer:
        case Paths():
            return answer.probabilities
        case Positions():
            return answer.logs.exp()
    return answer


def probabilities_of(answer: NDArray[np.float64] | Path | Position) -> NDArray[np.float64]:
    """The numbers of one row of the reference: of a path the probabilities of labels, of a position
    those of all choices."""
    match answer:
        case Path():
            return answer.probabilities
        case Position():
            return np.asarray(np.exp(answer.logs))
    return answer


def all_values(model: Model, inputs: Batch) -> Values:
    """The values of all nodes, also of those that nothing reads any more."""
    model.spent = {}
    return model.values(inputs)[0]


@torch.no_grad()
def tensor_of(model: Model, inputs: Batch, column: str = "label") -> torch.Tensor:
    """The answers of one column that is no text."""
    found = model.answers(inputs)[column]
    assert isinstance(found, torch.Tensor)
    return found


def close(
    got: Array,
    expected: Sequence[NDArray[np.float64] | Path | Position] | NDArray[np.float64],
    where: str,
    tolerance: float = 1e-5,
) -> None:
    """A batch `[B, ...]`, perhaps padded along its steps, holds what each row should have; of paths
    the probabilities of labels.

    Differences are measured against the size of the largest value of the row, at least 1.
    """
    assert len(got) == len(expected), where
    for number, (one, answer) in enumerate(zip(got, expected, strict=True)):
        row = probabilities_of(answer)
        found = one[: len(row)].reshape(row.shape)
        size = max(1.0, float(np.abs(row[np.isfinite(row)]).max(initial=0.0)))
        message = f"{where}, row {number}"
        np.testing.assert_allclose(found, row, atol=tolerance * size, rtol=0, err_msg=message)


def close_scores(
    got: Array, expected: Sequence[NDArray[np.float64]], where: str, tolerance: float = 1e-5
) -> None:
    """As `close`, of scores `[B, U, W]`, of which a padded batch may have more than a row: the
    impossible ones, and all that a row does not have, are -inf."""
    assert len(got) == len(expected), where
    for number, (one, row) in enumerate(zip(got, expected, strict=True)):
        found, message = one[: len(row), : row.shape[1]], f"{where}, row {number}"
        assert np.isneginf(one[: len(row), row.shape[1] :]).all(), message
        np.testing.assert_array_equal(np.isneginf(found), np.isneginf(row), message)
        real = ~np.isneginf(row)
        size = max(1.0, float(np.abs(row[real]).max(initial=0.0)))
        np.testing.assert_allclose(
            found[real], row[real], atol=tolerance * size, rtol=0, err_msg=message
        )


def distance(
    got: Array, expected: Sequence[NDArray[np.float64] | Path | Position] | NDArray[np.float64]
) -> float:
    """The largest difference of a batch, measured as by `close`."""
    found = [0.0]
    for one, answer in zip(got, expected, strict=True):
        row = probabilities_of(answer)
        size = max(1.0, float(np.abs(row).max(initial=0.0)))
        apart = np.abs(one[: len(row)].reshape(row.shape) - row)
        found.append(float(apart.max(initial=0.0)) / size)
    return max(found)


def onnx_agrees(
    plan: Plan,
    got: Mapping[str, Array],
    expected: Mapping[str, Any],
    labels: Mapping[str, Sequence[str]],
    tolerance: float = 1e-5,
) -> None:
    """Every output of a file, of all columns that are no texts; of a file with ids too."""
    got = {**got, **as_labels(plan, got, labels)}
    for node in plan.outputs:
        if isinstance(node, TextOutput):
            continue
        name, rows = answer_name(plan, node), expected[node.column]
        match node:
            case ClassOutput() | LabelsOutput():
                close(got[f"{name}.probabilities"], rows, name, tolerance)
                _labels_agree(node, got[name], got[f"{name}.probabilities"], rows, labels)
            case ChainOutput():
                close(got[f"{name}.probabilities"], rows, name, tolerance)
                _paths_agree(got[name], got[f"{name}.scores"], rows, labels[node.column])
            case NumericOutput():
                numbers_agree(node, name, got, rows, tolerance)
                beside_agrees(plan, node, name, got, rows, tolerance)
            case PositionOutput():
                positions_agree(node, got[name], got[f"{name}.probabilities"], rows, tolerance)
            case StatesOutput():
                close(got[name], rows, name, tolerance)
            case ForecastOutput():
                close(got[name], point_of_all(node, rows), name, tolerance)
                for part, values in parts_of(node, rows).items():
                    close(got[f"{name}.{part}"], values, f"{name}.{part}", tolerance)
                beside_agrees(plan, node, name, got, rows, tolerance)
        if getattr(node, "steps", False):
            lengths = [len(row.labels if isinstance(row, Path) else row) for row in rows]
            beyond = got[
                name if isinstance(node, NumericOutput | StatesOutput) else f"{name}.probabilities"
            ]
            for one, length in zip(beyond, lengths, strict=True):
                assert not np.any(one[length:]), f"{name} holds something past a row's length"


def as_labels(
    plan: Plan, got: Mapping[str, Array], labels: Mapping[str, Sequence[str]]
) -> dict[str, Array]:
    """The labels of a file that answers their numbers, -1 where there is none, or 1 and 0 each."""
    found = {}
    for node in plan.outputs:
        if not isinstance(node, ClassOutput | ChainOutput | LabelsOutput):
            continue
        name, names = answer_name(plan, node), np.array([*labels[node.column], ""], object)
        if (told := got[name]).dtype == object:
            continue
        assert told.dtype == np.int64, name
        if isinstance(node, LabelsOutput):
            assert set(told.ravel().tolist()) <= {0, 1}, name
            found[name] = np.where(told == 1, names[:-1], "")
        else:
            assert told.min(initial=0) >= -1, name
            found[name] = names[told]
    return found


def _paths_agree(told: Array, scores: Array, rows: Sequence[Path], labels: Sequence[str]) -> None:
    for one, score, row in zip(told, scores, rows, strict=True):
        assert one.tolist() == [labels[n] for n in row.labels] + [""] * (len(one) - len(row.labels))
        assert abs(score - row.score) < 1e-5 * max(1, abs(row.score))


def positions_agree(
    node: PositionOutput, told: Array, shares: Array, rows: Sequence[Position], tolerance: float
) -> None:
    """The steps of the reference, and the probabilities of all steps, 0 past a row's length."""
    for one, found, row in zip(told, shares, rows, strict=True):
        assert np.atleast_1d(one).tolist() == [choice - 1 for choice in row.choices]
        steps = np.exp(row.logs[1:])
        close(found[None, : len(steps)], steps[None], node.name, tolerance)
        assert not found[len(steps) :].any()


def numbers_agree(
    node: NumericOutput, name: str, got: Mapping[str, Array], rows: Any, tolerance: float
) -> None:
    """Numbers, or the point answers and the parameters of their distribution."""
    if node.distribution == "point":
        close(got[name][:, None] if node.single else got[name], rows, name, tolerance)
        return
    for at, row in enumerate(rows):
        laws = np.reshape(row, (*np.shape(row)[:-1], node.laws, node.law.size))
        steps = len(row) if node.steps else None
        parts = {"": distributions.answer(node.law, laws)} | {
            f".{part.name}": laws[..., start:end]
            for part, start, end in node.law.placed()
            if part in node.law.parts
        }
        for part, values in parts.items():
            found = got[f"{name}{part}"][at]
            found = found if steps is None else found[:steps]
            close(np.reshape(found, values.shape), values, f"{name}{part}", tolerance)


def beside_agrees(
    plan: Plan,
    node: NumericOutput | ForecastOutput,
    name: str,
    got: Mapping[str, Array],
    rows: Any,
    tolerance: float,
) -> None:
    """Bounds of intervals and draws; row i has the seed i."""
    place = plan.outputs.index(node)
    for number, row in enumerate(rows):
        wanted = dict[str, Array]()
        if node.intervals:
            found = intervals.bounds(node, row)
            wanted["lower"], wanted["upper"] = np.split(found, 2, axis=-1)
        if node.samples:
            wanted["samples"] = intervals.samples(node, row, number, place)
        for part, values in wanted.items():
            own = got[f"{name}.{part}"][number]
            if isinstance(node, NumericOutput) and node.steps:
                assert not own[len(row) :].any(), f"{name}.{part} holds something past a row"
                own = own[: len(row)]
            close(own.reshape(1, *values.shape), values[None], f"{name}.{part}", tolerance)


def bounds_agree(plan: Plan, column: str, got: Array, rows: Any) -> None:
    """Bounds and draws of torch, of answers that are those of the reference."""
    (node,) = (each for each in plan.outputs if each.column == column)
    if not isinstance(node, NumericOutput | ForecastOutput):
        return
    place, answers = plan.outputs.index(node), torch.from_numpy(got).double()
    if node.intervals:
        found = to_torch.bounds(node, answers).numpy()
        close(found, [intervals.bounds(node, row) for row in rows], f"bounds of {column}")
    if node.samples:
        uniform = to_torch.uniform(node, answers, torch.arange(len(rows)), place)
        drawn = [intervals.samples(node, row, seed, place) for seed, row in enumerate(rows)]
        close(to_torch.samples(node, answers, uniform).numpy(), drawn, f"draws of {column}")


def point_of_all(node: ForecastOutput, rows: Array) -> Array:
    return np.stack([point_of(node, row) for row in rows])


def parts_of(node: ForecastOutput, rows: Array) -> dict[str, Array]:
    """What a file tells beside the value itself."""
    if node.answered.name == "quantiles":
        return {"quantiles": rows}
    found = {part.name: rows[..., start:end] for part, start, end in node.law.placed()}
    return {
        part.name: found[part.name][..., 0] if part.axes == "one" else found[part.name]
        for part in node.law.parts
    }


def _labels_agree(
    node: Output,
    told: Array,
    probabilities: Array,
    rows: Sequence[NDArray[np.float64]],
    labels: Mapping[str, Sequence[str]],
) -> None:
    """The labels that are told are those of the probabilities that are told."""
    names = np.array(labels[node.column], dtype=object)
    for one, found, row in zip(told, probabilities, rows, strict=True):
        steps = len(row) if getattr(node, "steps", False) else None
        for label, chance in zip(
            np.atleast_1d(one)[:steps] if isinstance(node, ClassOutput) else _each(one, steps),
            np.atleast_2d(found)[:steps],
            strict=True,
        ):
            if isinstance(node, ClassOutput):
                assert label == names[int(np.argmax(chance))]
            else:
                assert isinstance(node, LabelsOutput)
                on = np.where(chance > np.asarray(node.above), names, "")
                assert label.tolist() == on.tolist()


def _each(one: Array, steps: int | None) -> Array:
    return np.atleast_2d(one)[:steps]
