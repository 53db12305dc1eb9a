"""The proof: an exported file in onnxruntime against the trained module in torch."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.export.probes import Probe
from rnnspec.plan import ClassFacts, Facts, NumericFacts
from rnnspec.plan.nodes import ClassOutput, NumericOutput, Output
from rnnspec.run.session import Session
from rnnspec.to_torch import Model

Array = NDArray[np.float64]

TOLERANCE = 1e-5
"""Largest difference allowed: of probabilities, or of numbers in units of their deviation."""
ROUNDING_FACTOR = 10
"""A row at which the module is sensitive to rounding may differ further: by this many times what
the module itself loses there by computing in float32 rather than float64. Over hundreds of steps
that can exceed the tolerance; an error of the lowering is larger by orders of magnitude."""


@dataclass(frozen=True, slots=True)
class Parity:
    """What the proof saw.

    `difference` is the largest over all answers, `rounding` the largest between the module in
    float32 and in float64; `ties` counts labels that differ only because two probabilities are
    equal within the tolerance.
    """

    batches: int
    rows: int
    difference: float
    rounding: float
    tolerance: float
    ties: int

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.rows} rows in {self.batches} batches answered as by the trained module,"
            f" largest difference {self.difference:.1e} (allowed {self.tolerance:.0e}; float32"
            f" itself rounds by {self.rounding:.1e})"
        )


def prove(
    session: Session,
    model: Model,
    facts: Facts,
    probes: Iterable[Probe],
    ids: bool,
) -> Parity:
    """Answer every probe in both. Raises ExportError at the first that differs."""
    exact = copy.deepcopy(model).double()
    batches = rows = ties = 0
    worst = rounding = 0.0
    for probe in probes:
        expected, precise = _answers(model, probe), _answers(exact, probe)
        got = session.run(feeds(probe, ids))
        for node in model.plan.outputs:
            answers = _Answers(expected[node.column], precise[node.column], got)
            difference, tied = _compare(node, facts, answers)
            worst, ties = max(worst, difference), ties + tied
            rounding = max(rounding, float(answers.rounding.max(initial=0.0)))
        batches, rows = batches + 1, rows + len(next(iter(probe.padded.values()))[1])
    return Parity(batches, rows, worst, rounding, TOLERANCE, ties)


@dataclass(frozen=True, slots=True)
class _Answers:
    """To one batch: of the module, of the module in float64, and of the file by output's name."""

    expected: Array
    precise: Array
    got: dict[str, NDArray[np.generic]]

    @property
    def rounding(self) -> Array:
        """`[B, 1]`: what float32 costs the module, row by row."""
        return np.asarray(np.abs(self.expected - self.precise).max(axis=-1, keepdims=True))


@torch.inference_mode()
def _answers(model: Model, probe: Probe) -> dict[str, Array]:
    dtype = next(model.parameters()).dtype
    inputs = {}
    for column, (values, lengths) in probe.padded.items():
        tensor = torch.from_numpy(values)
        inputs[column] = (
            tensor.to(dtype) if tensor.is_floating_point() else tensor,
            torch.from_numpy(lengths),
        )
    return {name: value.double().numpy() for name, value in model.answers(inputs).items()}


def feeds(probe: Probe, ids: bool) -> dict[str, NDArray[np.generic]]:
    """A probe by the names of the file's inputs."""
    found: dict[str, NDArray[np.generic]] = {}
    for column, (values, lengths) in probe.padded.items():
        if column in probe.text and not ids:
            found[column] = np.array(probe.text[column], dtype=object)
            continue
        found[f"{column}.ids" if column in probe.text else column] = values
        is_vector = values.ndim == 2 and column not in probe.text
        found |= {} if is_vector else {f"{column}.lengths": lengths}
    return found


def _compare(node: Output, facts: Facts, answers: _Answers) -> tuple[float, int]:
    """Largest difference of one output on one batch, and labels that differ by a tie."""
    expected, got = answers.expected, answers.got
    if isinstance(node, NumericOutput):
        known = facts.outputs[node.column]
        assert isinstance(known, NumericFacts)
        found = np.asarray(got[node.column], np.float64).reshape(expected.shape)
        unit = np.asarray(known.deviation) if node.scaled else np.ones(())
        # An offset far larger than the deviation costs float32 digits in both back ends alike.
        unit = np.maximum(unit, np.abs(expected))
        return _checked(node, np.abs(found - expected) / unit, answers.rounding / unit), 0
    assert isinstance(node, ClassOutput)
    known = facts.outputs[node.column]
    assert isinstance(known, ClassFacts)
    probabilities = np.asarray(got[f"{node.column}.probabilities"], np.float64)
    difference = _checked(node, np.abs(probabilities - expected), answers.rounding)
    rows = np.arange(len(expected))
    answered = np.array([known.labels.index(label) for label in got[node.column]])
    lost = expected.max(axis=-1) - expected[rows, answered]
    if (lost > 2 * _allowed(answers.rounding[:, 0])).any():
        row = int(lost.argmax())
        raise ExportError(
            f"the exported file answers {got[node.column][row]!r} where the trained module answers"
            f" {known.labels[expected[row].argmax()]!r}; nothing was written. This is a defect of"
            " rnnspec: please report it with the spec"
        )
    return difference, int((answered != expected.argmax(axis=-1)).sum())


def _allowed(rounding: Array) -> Array:
    return TOLERANCE + ROUNDING_FACTOR * rounding


def _checked(node: Output, differences: Array, rounding: Array) -> float:
    """The largest difference, none of which may be above what is allowed there."""
    if not (differences <= _allowed(rounding)).all():  # a NaN is no parity either
        raise ExportError(
            f"{node.column}: the exported file differs from the trained module by"
            f" {differences.max():.1e} (allowed {TOLERANCE:.0e}); nothing was written. This is a"
            " defect of rnnspec: please report it with the spec"
        )
    return float(differences.max(initial=0.0))
