"""What one kind of output needs to be evaluated, and what is found of an output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.data import Batch, Naive
from rnnspec.evaluate.examples import Rows
from rnnspec.evaluate.metrics import Lanes
from rnnspec.objective.objective import Forward
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan import Plan
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.nodes import Output
from rnnspec.report.model import Calibration, HorizonRow, Section, SeriesRow
from rnnspec.to_torch import Model


@dataclass(frozen=True, slots=True)
class MeasuredBatch:
    """A batch that is measured.

    `answers` by column, once they are made: probabilities, numbers, parameters of forecasts, or
    `Texts`. `rows`: the numbers of its rows, None for a window of streams, which has `lanes`.
    `naive`: naive forecasts by column, where numbers ahead of their own past are answered.
    `series`: the series that each row belongs to, if any. `greedy`: texts are written greedily,
    whatever the model's strategy. `own`: the raw numbers of all forecasts after the model's own
    answers, or their paths, once they are made. `times` by column: of targets of which some had not
    ended, which are the negatives of their times, and NaN among the targets.
    """

    batch: Batch
    forward: Forward
    answers: dict[str, object]
    rows: NDArray[np.int64] | None = None
    lanes: Lanes | None = None
    naive: Mapping[str, Naive] = field(default_factory=dict)
    series: NDArray[np.int64] | None = None
    greedy: bool = False
    own: dict[str, Tensor] = field(default_factory=dict)
    times: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def seeds(self) -> Tensor:
        """The seeds `[B]` of answers that are drawn: the numbers of the rows, as for a file."""
        rows = len(next(iter(self.batch.targets.values())))
        return torch.from_numpy(np.arange(rows) if self.rows is None else self.rows)

    def tensor(self, column: str) -> Tensor:
        """The answers of an output that are one tensor."""
        answers = self.answers[column]
        assert isinstance(answers, Tensor)
        return answers.cpu()


class Examples(Protocol):
    """Keeps a few rows of an output while all rows are measured."""

    def see(self, measured: MeasuredBatch) -> None:
        """Take in a batch."""

    def sections(self) -> tuple[Section, ...]:
        """The rows, as sections of a report."""


class CostlyMetrics(Protocol):
    """Metrics that cost too much to be measured after every epoch, unless one is monitored."""

    def see(self, measured: MeasuredBatch) -> None:
        """Take in a batch."""

    def values(self) -> dict[str, float]:
        """The metrics by name."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: its `rows`, the rows `answered` as it, and the `hits`, which are both."""

    label: str
    rows: int
    answered: int
    hits: int

    @property
    def precision(self) -> float | None:
        """hits / answered; None where no row is answered so."""
        return self.hits / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """hits / rows; None where no row is of the class."""
        return self.hits / self.rows if self.rows else None

    @property
    def f1(self) -> float | None:
        """2 hits / (rows + answered); None where there is neither."""
        either = self.rows + self.answered
        return 2 * self.hits / either if either else None


@dataclass(frozen=True, slots=True)
class Mistake:
    """`rows` of class `label` that were answered as `answer`."""

    label: str
    answer: str
    rows: int


@dataclass(frozen=True, slots=True)
class OutputScore:
    """How well one output does. What its kind does not have is empty.

    `metrics`: as `evaluate` gives them, and those that need whole texts. `baseline`: the same
    metrics of `baseline_name`. `classes`: in order of number, and `classes_title` is their title in
    a report. `mistakes`: the most frequent first. `confusion[t][a]`: how often class t was answered
    as class a. `of`: what is counted (rows, steps, windows). `spans`: one entry a kind of span,
    with spans in place of rows. `new`: labels that no training row has, and how often each occurs;
    they count as wrong. `horizon`: mean absolute errors by step ahead. `series`: errors of each
    series, in the order of the file. `greedy`: metrics of texts written greedily, where the model
    searches otherwise. `sections`: examples, as a report shows them. `calibration`: of classes and
    labels, where their probabilities are finite.
    """

    node: Output
    metrics: Mapping[str, float]
    baseline: Mapping[str, float] = field(default_factory=dict)
    baseline_name: str = ""
    classes: tuple[ClassScore, ...] = ()
    classes_title: str = "Classes"
    mistakes: tuple[Mistake, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    of: str = "rows"
    spans: tuple[ClassScore, ...] = ()
    new: Mapping[str, int] = field(default_factory=dict)
    horizon: tuple[HorizonRow, ...] = ()
    series: tuple[SeriesRow, ...] = ()
    greedy: Mapping[str, float] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True)
class OutputKind:
    """The evaluation of the outputs of one node type; `rnnspec.evaluate.outputs` lists all.

    Nodes, sums and examples are Any here: each is of the kind's own type.
    """

    metrics: Callable[[Any, OutputLoss, Sequence[str]], Any]
    """Fresh sums of the metrics, for a node, its loss, and the labels that no training row has."""
    add: Callable[[Any, Any, Model, MeasuredBatch], object]
    """Adds a batch to the sums of a node; the answers."""
    examples: Callable[[Any, ColumnFacts, Rows, Model, Sequence[str], OutputLoss], Examples]
    """What keeps a few rows; the last two are those labels and the loss."""
    score: Callable[[Any, ColumnFacts, Any, Any, Mapping[str, int]], OutputScore]
    """The score from facts, sums, examples and the labels that no training row has, by number, and
    how often each occurs."""
    main_metrics: Callable[[Any], tuple[str, ...]]
    """The metrics that matter most, the first one most."""
    explained: Callable[[Any], Mapping[str, str]] = lambda node: {}
    """Explanations of metrics that are more precise than those of `METRICS`."""
    costly: Callable[[Any, Plan, OutputLoss], CostlyMetrics | None] = lambda node, plan, loss: None
    """What else is to be measured after every epoch, because it is monitored."""
