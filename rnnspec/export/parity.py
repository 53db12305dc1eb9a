"""The proof: an exported file in onnxruntime against the trained module in torch."""

from __future__ import annotations

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

TOLERANCE = 1e-5
"""Largest difference allowed: of probabilities, or of numbers in units of their deviation."""


@dataclass(frozen=True, slots=True)
class Parity:
    """What the proof saw. `difference` is the largest over all answers; `ties` counts labels that
    differ only because two probabilities are equal within the tolerance."""

    batches: int
    rows: int
    difference: float
    tolerance: float
    ties: int

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.rows} rows in {self.batches} batches answered as by the trained module,"
            f" largest difference {self.difference:.1e} (allowed {self.tolerance:.0e})"
        )


def prove(
    session: Session,
    model: Model,
    facts: Facts,
    probes: Iterable[Probe],
    ids: bool,
) -> Parity:
    """Answer every probe in both. Raises ExportError at the first that differs."""
    batches = rows = ties = 0
    worst = 0.0
    for probe in probes:
        with torch.inference_mode():
            expected = model.answers(
                {
                    c: (torch.from_numpy(v), torch.from_numpy(n))
                    for c, (v, n) in probe.padded.items()
                }
            )
        got = session.run(feeds(probe, ids))
        for node in model.plan.outputs:
            difference, tied = _compare(node, facts, expected[node.column].numpy(), got)
            worst, ties = max(worst, difference), ties + tied
        batches, rows = batches + 1, rows + len(next(iter(probe.padded.values()))[1])
    return Parity(batches, rows, worst, TOLERANCE, ties)


def feeds(probe: Probe, ids: bool) -> dict[str, NDArray[np.generic]]:
    """A probe by the names of the file's inputs."""
    found: dict[str, NDArray[np.generic]] = {}
    for column, (values, lengths) in probe.padded.items():
        if column in probe.text and not ids:
            found[column] = np.array(probe.text[column], dtype=object)
            continue
        found[f"{column}.ids" if column in probe.text else column] = values
        found[f"{column}.lengths"] = lengths
    return found


def _compare(
    node: Output,
    facts: Facts,
    expected: NDArray[np.floating],
    got: dict[str, NDArray[np.generic]],
) -> tuple[float, int]:
    """Largest difference of one output on one batch, and labels that differ by a tie."""
    if isinstance(node, NumericOutput):
        known = facts.outputs[node.column]
        assert isinstance(known, NumericFacts)
        answers = np.asarray(got[node.column], np.float64).reshape(expected.shape)
        unit = np.asarray(known.deviation) if node.scaled else 1.0
        # An offset far larger than the deviation costs float32 digits in both back ends alike.
        unit = np.maximum(unit, np.abs(expected))
        return _checked(node, np.abs(answers - expected) / unit), 0
    assert isinstance(node, ClassOutput)
    known = facts.outputs[node.column]
    assert isinstance(known, ClassFacts)
    probabilities = np.asarray(got[f"{node.column}.probabilities"], np.float64)
    difference = _checked(node, np.abs(probabilities - expected))
    rows = np.arange(len(expected))
    answered = np.array([known.labels.index(label) for label in got[node.column]])
    lost = expected.max(axis=-1) - expected[rows, answered]
    if (lost > 2 * TOLERANCE).any():
        row = int(lost.argmax())
        raise ExportError(
            f"the exported file answers {got[node.column][row]!r} where the trained module answers"
            f" {known.labels[expected[row].argmax()]!r}; nothing was written. This is a defect of"
            " rnnspec: please report it with the spec"
        )
    return difference, int((answered != expected.argmax(axis=-1)).sum())


def _checked(node: Output, differences: NDArray[np.floating]) -> float:
    worst = float(differences.max(initial=0.0))
    if not worst <= TOLERANCE:  # a NaN is no parity either
        raise ExportError(
            f"{node.column}: the exported file differs from the trained module by {worst:.1e}"
            f" (allowed {TOLERANCE:.0e}); nothing was written. This is a defect of rnnspec: please"
            " report it with the spec"
        )
    return worst
