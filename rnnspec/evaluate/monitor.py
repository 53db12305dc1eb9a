"""The metric that is watched: which epoch is the best, and what only it needs measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor

from rnnspec.data import Dataset, in_order_batches
from rnnspec.errors import DataError
from rnnspec.evaluate.evaluate import Seen
from rnnspec.evaluate.examples_texts import best
from rnnspec.evaluate.metrics import LARGER_IS_BETTER
from rnnspec.evaluate.metrics.corpus import SHORTEST, CorpusScores
from rnnspec.evaluate.metrics.forecasts import StepSums
from rnnspec.evaluate.prediction_intervals import band_of, promised, within
from rnnspec.objective.settings import LossSettings
from rnnspec.plan import Plan
from rnnspec.plan.copies import copied_column, named
from rnnspec.plan.nodes import ForecastOutput, Output, TextOutput
from rnnspec.spec.metrics import TRAIN_LOSS
from rnnspec.to_torch.search import Texts


@dataclass(frozen=True, slots=True)
class Watched:
    """A metric by its `key` in the lines of metrics.jsonl. Best is the smallest value, or the
    largest one, or the one nearest to `aim`."""

    key: str
    larger: bool = False
    aim: float | None = None

    def cost(self, value: float) -> float:
        """What is small where the value is good; inf for what is no number."""
        if math.isnan(value):
            return math.inf
        if self.aim is not None:
            return abs(value - self.aim)
        return -value if self.larger else value


def watched(metric: str, plan: Plan) -> Watched:
    """Of a metric as a spec names it. The share of true values within a band should be the one that
    the band promises."""
    if metric == TRAIN_LOSS:
        return Watched(metric)
    column, _, name = metric.rpartition(".")
    aim = None
    if name == "coverage":
        (node,) = (n for n in plan.outputs if column in ("", n.column))
        assert isinstance(node, ForecastOutput)
        aim = promised(node)
    return Watched(f"valid.{metric}", name in LARGER_IS_BETTER, aim)


class Extra(Protocol):
    """Measures during a pass what is not measured otherwise."""

    def see(self, seen: Seen) -> None:
        """Take in a batch."""

    def values(self) -> dict[str, float]:
        """The metrics, by their names in the output."""


@dataclass(slots=True)
class TextScores:
    """BLEU and chrF of the texts of an output, whose tokens have these `names`; others are `copied`
    from an input column."""

    node: TextOutput
    names: Sequence[str]
    copied: str = ""
    corpus: CorpusScores = field(init=False)

    def __post_init__(self) -> None:
        self.corpus = CorpusScores(self.node.kind)

    def see(self, seen: Seen) -> None:
        texts, raw = seen.answers[self.node.column], seen.batch.raw
        assert isinstance(texts, Texts) and raw is not None
        for row, answer in enumerate(best(texts)):
            source = raw.input(self.copied, row) if self.copied else ()
            tokens = named(self.names, answer, source or ())
            self.corpus.add(tokens, raw.truth(self.node.column, row), raw.input_digest(row))

    def values(self) -> dict[str, float]:
        return self.corpus.values()


@dataclass(slots=True)
class Coverage:
    """How many true values are within the band of a forecast."""

    node: ForecastOutput
    inside: StepSums = field(default_factory=StepSums)

    def see(self, seen: Seen) -> None:
        parameters = seen.answers[self.node.column]
        assert isinstance(parameters, Tensor)
        true = seen.batch.targets[self.node.column].astype(np.float64)
        band = band_of(self.node, parameters.double().cpu().numpy())
        assert band is not None
        _, lower, upper = band
        self.inside.add(within(lower, upper, true), ~np.isnan(true))

    def values(self) -> dict[str, float]:
        return {"coverage": self.inside.mean}


def extras(plan: Plan, loss_settings: LossSettings) -> dict[str, Extra]:
    """What is to be measured beside the rest on validation rows, by column."""
    found = ((node.column, _extra(plan, node, loss_settings)) for node in plan.outputs)
    return {column: extra for column, extra in found if extra is not None}


def _extra(plan: Plan, node: Output, loss_settings: LossSettings) -> Extra | None:
    output_loss = loss_settings.of(node.column)
    if isinstance(node, TextOutput) and output_loss.tokens:
        return TextScores(node, output_loss.tokens, copied_column(plan, node))
    return Coverage(node) if isinstance(node, ForecastOutput) and output_loss.banded else None


def check_bleu(metrics: Sequence[str], plan: Plan, valid: Dataset | None) -> None:
    """Raises DataError if BLEU is among the metrics and says nothing of the texts of these rows."""
    if valid is None:
        return
    for node in plan.outputs:
        prefix = "" if len(plan.outputs) == 1 else f"{node.column}."
        if not isinstance(node, TextOutput) or f"{prefix}bleu" not in metrics:
            continue
        counts = list(_words(node, valid))
        mean = sum(counts) / max(1, len(counts))
        if mean < SHORTEST:
            raise DataError(
                f"{prefix}bleu cannot be watched: the texts of column {node.column!r} have"
                f" {mean:.1f} words on average in the validation rows, and BLEU counts runs of"
                f" {SHORTEST}; watch {prefix}chrf or {prefix}exact_match"
            )


def _words(node: TextOutput, valid: Dataset) -> Iterator[int]:
    """Of each row's true text."""
    for rows in in_order_batches(valid, 256):
        raw = valid.collate(rows).raw
        assert raw is not None, "validation rows are measured"
        for row in range(len(rows)):
            corpus = CorpusScores(node.kind)
            corpus.add((), raw.truth(node.column, row), None)
            yield corpus.words
