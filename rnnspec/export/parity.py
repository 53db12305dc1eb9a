"""The proof: an exported file in onnxruntime against the trained module in torch."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.export.compare import ALLOWED, Answers, Figures, compare
from rnnspec.export.frame_paths import compare_drawn_frames
from rnnspec.export.frames import FramesAnswers, compare_frames
from rnnspec.export.intervals import compare_intervals
from rnnspec.export.paths import PathAnswers, compare_paths
from rnnspec.export.positions import compare_positions
from rnnspec.export.probes import Batch, Probe
from rnnspec.export.sample_paths import Asked, compare_sampled
from rnnspec.export.texts import Question, compare_texts
from rnnspec.plan import Facts
from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import (
    ChainOutput,
    ForecastOutput,
    FramesOutput,
    NumberedOutput,
    NumericOutput,
    Output,
    PositionOutput,
)
from rnnspec.run.chunks import Answering
from rnnspec.run.interface import interface
from rnnspec.run.results import with_labels
from rnnspec.to_torch import Model
from rnnspec.to_torch.chain import ChainOutput as ChainModule
from rnnspec.to_torch.chain import Paths
from rnnspec.to_torch.frames import Frames
from rnnspec.to_torch.positions import Positions
from rnnspec.to_torch.search import Texts

ROUNDINGS = 8
"""How many modules with other roundings an answer that differs is held against."""
_Answer = torch.Tensor | Paths | Texts | Frames | Positions


@dataclass(frozen=True, slots=True)
class Parity:
    """The figures of the proof.

    `difference` is the largest over all answers, of probabilities or of numbers in units of their
    deviation; `rounding` the largest between the module in float32 and in float64. `ties` counts
    labels and texts that differ only because two of them are equal within the tolerance. `tokens`
    of texts were the same one by one, their log-probabilities within `score_difference`.
    """

    batches: int
    rows: int
    difference: float
    rounding: float
    tolerance: float
    ties: int
    tokens: int = 0
    score_difference: float = 0.0
    reference: str = ""
    """Of a portable file, how it did in the reference evaluator of ONNX."""

    def as_json(self) -> str:
        found = asdict(self)
        if not self.reference:
            del found["reference"]
        return json.dumps(found)

    def summary(self) -> str:
        """One line for people."""
        parts = [f"{self.rows} rows in {self.batches} batches answered as by the trained module"]
        if self.tokens:
            parts.append(f"{self.tokens} tokens one by one")
            parts.append(f"their log-probabilities within {self.score_difference:.1e}")
        if self.difference or not self.tokens:
            parts.append(f"largest difference {self.difference:.1e} (allowed {self.tolerance:.0e})")
        if self.ties:
            parts.append(f"{self.ties} ties")
        return f"{', '.join(parts)}; float32 itself rounds by {self.rounding:.1e}"


def prove(
    session: Answering, model: Model, facts: Facts, probes: Iterable[Probe], ids: bool
) -> Parity:
    """Answer every probe in both. Raises ExportError at the first that differs."""
    exact = copy.deepcopy(model).double()
    asked = interface(model.plan, facts, ids).outputs
    batches, rows, figures = 0, 0, Figures()
    for probe in probes:
        got = with_labels(asked, session.run(probe.feeds))
        figures += _Compared(exact, facts, probe, got, ids).figures(model)
        batches, rows = batches + 1, rows + len(probe.lengths)
    return Parity(
        batches,
        rows,
        figures.difference,
        figures.rounding,
        ALLOWED,
        figures.ties,
        figures.tokens,
        figures.score,
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    """A probe, what the file answers, and the module in float64."""

    exact: Model
    facts: Facts
    probe: Probe
    got: Mapping[str, NDArray[Any]]
    ids: bool

    def figures(self, model: Model) -> Figures:
        """Raises ExportError where an answer differs.

        What float32 costs a row is measured by the module in float32, and there rounding may come
        out near 0 by chance, while an unstable recurrence makes more of that of the file. So what
        differs is held against the module with other roundings too. Texts are held against such
        modules token by token (`rnnspec.export.texts`).
        """
        expected, precise = self._answers(model), self._answers(self.exact)
        figures = Figures()
        for node in model.plan.outputs:
            column = node.column
            try:
                figures += self._output(model, node, expected[column], precise[column])
            except ExportError:
                otherwise = None
                if not isinstance(node, NumberedOutput):
                    otherwise = self._rounded_otherwise(model, node, precise[column])
                if otherwise is None:
                    raise
                figures += otherwise
        return figures

    def _rounded_otherwise(self, model: Model, node: Output, precise: _Answer) -> Figures | None:
        """One output held against modules with other roundings; None if it differs from all."""
        for other in _with_other_roundings(model):
            with contextlib.suppress(ExportError):
                return self._output(other, node, self._answers(other)[node.column], precise)
        return None

    def _answers(self, model: Model) -> Mapping[str, _Answer]:
        aligned = any(name.endswith(".alignment") for name in self.got)
        return _answers(model, self.probe, aligned)

    def _output(self, model: Model, node: Output, one: _Answer, other: _Answer) -> Figures:
        """One output of a module in float32."""
        exact, facts, probe, got = self.exact, self.facts, self.probe, self.got
        if isinstance(node, NumberedOutput):
            assert isinstance(one, Texts) and isinstance(other, Texts)
            question = Question(exact, node, inputs_of(exact, probe.batch), probe.seeds)
            return compare_texts(question, facts, probe, one, other, got, self.ids)
        if isinstance(node, ChainOutput):
            assert isinstance(one, Paths) and isinstance(other, Paths)
            return _paths(exact, node, facts, probe, one, other, got)
        if isinstance(node, ForecastOutput | FramesOutput) and node.paths:
            given, precise = (inputs_of(each, probe.batch) for each in (model, exact))
            seeds = torch.from_numpy(probe.seeds)
            drawn = Asked(model, exact, given, precise, seeds)
            if isinstance(node, ForecastOutput):
                return compare_sampled(drawn, node, facts, got)
            return compare_drawn_frames(drawn, node, facts, got)
        if isinstance(node, FramesOutput):
            assert isinstance(one, Frames) and isinstance(other, Frames)
            told = [got[name] for name in output_names(model.plan, node, self.ids)]
            return compare_frames(node, facts, FramesAnswers(one, other, told))
        if isinstance(node, PositionOutput):
            assert isinstance(one, Positions) and isinstance(other, Positions)
            told = [got[name] for name in output_names(model.plan, node, self.ids)]
            return compare_positions(node, probe.steps(node), one, other, told)
        assert isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
        moments = exact.moments(node.column, inputs_of(exact, probe.batch))
        answers = Answers(
            one.double().numpy(),
            other.numpy(),
            got,
            probe.steps(node),
            None if moments is None else moments.numpy(),
        )
        figures = compare(model.plan, node, facts, answers)
        if isinstance(node, NumericOutput | ForecastOutput):
            figures += compare_intervals(model.plan, node, facts, answers, probe.seeds)
        return figures


@torch.inference_mode()
def _with_other_roundings(model: Model) -> Iterator[Model]:
    """The module with each weight moved by about a rounding of float32, in several ways."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(ROUNDINGS):
        other = copy.deepcopy(model)
        for weight in other.parameters():
            shift = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            weight.mul_(1 + 2.0**-23 * shift)
        yield other


@torch.inference_mode()
def _paths(
    exact: Model,
    node: ChainOutput,
    facts: Facts,
    probe: Probe,
    expected: Paths,
    precise: Paths,
    got: Mapping[str, NDArray[Any]],
) -> Figures:
    """The comparison of a path of labels."""
    module = exact.output(node.column)
    assert isinstance(module, ChainModule)
    scores = exact.scores(node.column, inputs_of(exact, probe.batch))
    found = [got[name] for name in output_names(exact.plan, node, False)]
    lengths = torch.from_numpy(probe.steps(node))
    answers = PathAnswers(expected, precise, scores, found, lengths)
    return compare_paths(node, module, facts, answers)


@torch.inference_mode()
def _answers(model: Model, probe: Probe, aligned: bool) -> Mapping[str, _Answer]:
    seeds = torch.from_numpy(probe.seeds)
    return model.answers(inputs_of(model, probe.batch), seeds, aligned=aligned)


def inputs_of(model: Model, batch: Batch) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A batch as tensors, numbers in float32 as precise as the model's."""
    dtype = next(model.parameters()).dtype
    found = {}
    for key, (values, lengths) in batch.items():
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        found[key] = (
            tensor.to(dtype) if tensor.dtype == torch.float32 else tensor,
            torch.from_numpy(lengths),
        )
    return found
