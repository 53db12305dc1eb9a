"""One answer of an exported file against the trained module's: probabilities, numbers, labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.export.laws import told_by_file, told_by_module, units_of, units_of_frames
from rnnspec.plan import Facts, Plan
from rnnspec.plan.names import labels_of, output_names
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    FramesOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    StatesOutput,
)

Array = NDArray[np.float64]
Got = Sequence[NDArray[Any]]
"""The outputs of a file for a node, the answer first."""

ALLOWED = 1e-5
"""Largest difference allowed: of probabilities, or of numbers in units of their deviation."""
ROUNDED = 4 * 2.0**-24 / ALLOWED
"""Share of a float32 number that counts as a unit: room for four of its roundings."""
ROUNDING_FACTOR = 10
"""A row where the module is sensitive to rounding may differ by this many times what the module
itself loses there in float32 against float64. Over hundreds of steps that can exceed the tolerance;
an error of the lowering is larger by orders of magnitude."""
LOST = (
    "the trained module itself answers what is no finite number ({}), so nothing can be proven and"
    " nothing was written; its weights or what it computes are beyond float32: train again with a"
    " lower train.optimizer lr or with train.clip_norm, and look for huge numbers in the data"
)
"""The message for a module whose answers are not finite."""
DEFECT = "nothing was written. This is a defect of rnnspec: please report it with the spec"


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of comparisons, as in `Parity`; several add up."""

    difference: float = 0.0
    rounding: float = 0.0
    ties: int = 0
    tokens: int = 0
    score: float = 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            max(self.difference, other.difference),
            max(self.rounding, other.rounding),
            self.ties + other.ties,
            self.tokens + other.tokens,
            max(self.score, other.score),
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one batch: of the module, of the module in float64, and of the file by
    output. `lengths` of the rows; `moments` `[B, 2]`, centre and scale of each row's window, where
    a forecast is scaled by them."""

    expected: Array
    precise: Array
    got: Mapping[str, NDArray[np.generic]]
    lengths: NDArray[np.int64]
    moments: Array | None = None


def compare(
    plan: Plan,
    node: ClassOutput | LabelsOutput | NumericOutput | StatesOutput | ForecastOutput,
    facts: Facts,
    answers: Answers,
) -> Figures:
    """One output on one batch. Raises ExportError where it differs, and where the module's answer
    is no finite number."""
    how = COMPARED[type(node)]
    name, *others = output_names(plan, node, False)
    got, expected, precise = answers.got, answers.expected, answers.precise
    numbers = how.numbers(node, [np.asarray(got[each]) for each in (name, *others)])
    own = np.ones((*expected.shape[:-1], 1), bool)
    if not isinstance(node, ForecastOutput) and node.steps:
        steps = numbers.shape[1]  # of a batch of empty rows the module has one step, the file none
        expected, precise = expected[:, :steps], precise[:, :steps]
        own = (np.arange(steps) < answers.lengths[:, np.newaxis])[..., np.newaxis]
        check_nothing_past(node, numbers[~own[..., 0]])
        check_nothing_past(node, got[name].astype(bool)[~own[..., 0]])
    expected, precise = np.where(own, expected, 0), np.where(own, precise, 0)
    check_finite(node, expected)
    unit = how.units(node, facts, expected, answers.moments)
    expected, precise = how.told(node, expected), how.told(node, precise)
    differences = np.abs(numbers.reshape(expected.shape) - expected) / unit
    rounding = np.abs(expected - precise) / unit
    # Rounding of a row shows in some of its numbers and may be felt in all.
    axes = tuple(range(1, expected.ndim))
    of_row = rounding.max(axis=axes, keepdims=True, initial=0.0)
    check(node, differences, of_row)
    ties = how.ties(node, facts, got[name], expected, own, of_row)
    return Figures(float(differences.max(initial=0.0)), float(rounding.max(initial=0.0)), ties)


def _state_units(node: Output, facts: Facts, expected: Array, moments: Array | None) -> Array:
    """1, or the size of a state that is larger."""
    return np.asarray(np.maximum(1.0, np.abs(expected)))


def numeric_units(
    node: NumericOutput | ForecastOutput | FramesOutput,
    facts: Facts,
    expected: Array,
    moments: Array | None,
) -> Array:
    """Those of the numbers; the rounding of float32 answers is added."""
    if isinstance(node, FramesOutput) and node.distribution == "point":
        units, told = units_of_frames(node, facts, expected), expected
    else:
        units, told = units_of(node, facts, expected, moments), told_by_module(node, expected)
    return units if node.double else np.asarray(units + ROUNDED * np.abs(told))


def check(node: Output, differences: Array, rounding: Array) -> None:
    """Raises ExportError for a difference above what is allowed there."""
    if not (differences <= _allowed(rounding)).all():  # a NaN is no parity either
        raise ExportError(
            f"{node.column}: the exported file differs from the trained module by"
            f" {differences.max():.1e} (allowed {ALLOWED:.0e}); {DEFECT}"
        )


def check_finite(node: Output, answers: Array) -> None:
    """Raises ExportError where the module answers what is no finite number."""
    finite = np.isfinite(answers)
    if not finite.all():
        raise ExportError(f"{node.column}: {LOST.format(answers[~finite][0])}")


def check_nothing_past(node: Output, values: NDArray[np.generic]) -> None:
    """Raises ExportError unless all that a file answers past the end of its rows is 0."""
    if values.any():
        raise ExportError(f"{node.column}: the exported file answers past the end; {DEFECT}")


def _check_labels(
    node: ClassOutput,
    facts: Facts,
    labels: NDArray[np.generic],
    expected: Array,
    own: NDArray[np.bool_],
    rounding: Array,
) -> int:
    """Checks that each label has the largest probability, and counts the ties."""
    own = own[..., 0]
    if not own.any():
        return 0
    names = {label: number for number, label in enumerate(labels_of(facts, node.column))}
    shares = expected[own]
    answered = np.array([names[label] for label in labels[own].tolist()])
    best = shares.argmax(axis=-1)
    places = np.arange(len(shares))
    lost = shares[places, best] - shares[places, answered]
    allowed = np.broadcast_to(_allowed(rounding), (*own.shape, 1))[own][:, 0]
    if (lost > 2 * allowed).any():
        worst = int(lost.argmax())
        raise ExportError(
            f"the exported file answers {list(names)[answered[worst]]!r} where the trained module"
            f" answers {list(names)[best[worst]]!r}; {DEFECT}"
        )
    return int((answered != best).sum())


def _check_on(
    node: LabelsOutput,
    facts: Facts,
    labels: NDArray[np.generic],
    expected: Array,
    own: NDArray[np.bool_],
    rounding: Array,
) -> int:
    """Checks the labels that are on, and counts the ties with the threshold."""
    names = np.array(labels_of(facts, node.column), object)
    above = np.asarray(node.above)
    wanted = np.where((expected > above) & own, names, "")
    wrong = labels != wanted
    near = np.abs(expected - above) <= 2 * _allowed(rounding)
    if (wrong & ~near).any():
        raise ExportError(
            f"{node.column}: the exported file answers other labels than the trained module;"
            f" {DEFECT}"
        )
    return int(wrong.sum())


def _allowed(rounding: Array) -> Array:
    return ALLOWED + ROUNDING_FACTOR * rounding


@dataclass(frozen=True, slots=True)
class Compared:
    """How answers of one type of output node are compared.

    `numbers` gives the numbers of the file's answer from its outputs, and `told` the same of what
    the module answers; `units` what a difference is measured in; `ties` checks labels.
    """

    numbers: Callable[[Any, Got], Array]
    units: Callable[[Any, Facts, Array, Array | None], Array]
    ties: Callable[..., int] = lambda *_: 0
    told: Callable[[Any, Array], Array] = lambda node, answers: answers


def _probabilities(node: Output, got: Got) -> Array:
    return np.asarray(got[1], np.float64)


def _one(node: Output, facts: Facts, expected: Array, moments: Array | None) -> Array:
    return np.ones(())


COMPARED: Mapping[type[Output], Compared] = {
    ClassOutput: Compared(_probabilities, _one, _check_labels),
    LabelsOutput: Compared(_probabilities, _one, _check_on),
    NumericOutput: Compared(told_by_file, numeric_units, told=told_by_module),
    StatesOutput: Compared(lambda node, got: got[0].astype(np.float64), _state_units),
    ForecastOutput: Compared(told_by_file, numeric_units, told=told_by_module),
}
"""Of positions see `rnnspec.export.positions`, of paths `rnnspec.export.paths`, of texts
`rnnspec.export.texts`, of frames that a decoder writes `rnnspec.export.frames`."""
