"""Metrics that are measured where they are named, of each kind of output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from rnnspec.evaluate.metrics.calibration import Brier, Calibration
from rnnspec.evaluate.metrics.classes import with_new
from rnnspec.evaluate.metrics.determination import Determination
from rnnspec.evaluate.metrics.frames import side_by_side
from rnnspec.evaluate.metrics.of_series import ScaledSquares, WeightedPinball
from rnnspec.evaluate.metrics.places import PlaceMetrics, RankMetrics, ranks
from rnnspec.evaluate.metrics.ranking import ScoreCounts
from rnnspec.evaluate.metrics.texts import true_numbers
from rnnspec.evaluate.metrics.times import ConcordanceSums
from rnnspec.evaluate.outputs.distributions import OfDistributions
from rnnspec.evaluate.outputs.kind import CostlyMetrics, MeasuredBatch
from rnnspec.evaluate.outputs.next_tokens import best
from rnnspec.evaluate.outputs.positions import FirstPlaces
from rnnspec.objective.settings import LossSettings, OutputLoss, Slots
from rnnspec.plan.copies import copied_columns, named
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    FramesOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    PositionOutput,
    WrittenOutput,
)
from rnnspec.report import model as report
from rnnspec.spec.named_metrics import CONCORDANCE, SLOT_ERROR, general
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import Frames
from rnnspec.to_torch.outputs import ForecastOutput as ForecastModule
from rnnspec.to_torch.search import Texts

OF_SCORES = ("auroc", "average_precision")
OF_PLACES = ("accuracy@k", "precision@k", "recall@k", "mrr", "mrr@k", "ndcg@k")
Calibrating = ClassOutput | LabelsOutput
"""Outputs with a probability for each class or label."""


class Part(Protocol):
    """Some of the metrics of classes or labels."""

    def add(self, shares: Tensor, true: Tensor, more: Tensor) -> None:
        """Probabilities `[n, size]`. Of classes `true` `[n]` are their numbers, from `size` on
        those that cannot be answered; of labels `true` `[n, size]` says which are true, and `more`
        `[n]` how many that cannot be answered."""

    def values(self) -> dict[str, float]:
        """The metrics by name."""


@dataclass(slots=True)
class NamedMetrics:
    """The further metrics of an output of classes or labels."""

    node: Calibrating
    parts: Sequence[Part]

    def see(self, measured: MeasuredBatch) -> None:
        shares, true, more = flat_answers(self.node, measured)
        for part in self.parts:
            part.add(shares, true, more)

    def values(self) -> dict[str, float]:
        return {name: value for part in self.parts for name, value in part.values().items()}


def flat_answers(node: Calibrating, measured: MeasuredBatch) -> tuple[Tensor, Tensor, Tensor]:
    """The arguments of `Part.add`: of rows or steps with a true answer."""
    shares = measured.answers[node.column]
    assert isinstance(shares, Tensor)
    shares, targets = shares.flatten(0, -2), measured.forward.targets[node.column]
    more = torch.zeros(targets.shape[: 2 if node.steps else 1], device=targets.device)
    if isinstance(node, ClassOutput):
        numbers = with_new(targets.flatten(), node.classes)
        known = numbers >= 0
        return shares[known], numbers[known], more.flatten()[known]
    new = measured.batch.new.get(node.column)
    if new is not None:
        places = torch.from_numpy(new[:, :-1]).to(targets.device).unbind(1)
        more.index_put_(places, torch.ones(len(new), device=targets.device), accumulate=True)
    flat = targets.flatten(0, -2)
    known = ~flat.isnan().any(1)
    return shares[known], flat[known] > 0.5, more.flatten()[known]


# ---------------------------------------------------------------- parts


@dataclass(slots=True)
class Scores:
    """AUROC and average precision."""

    node: Calibrating
    names: Sequence[str]
    counts: ScoreCounts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = ScoreCounts(_size(self.node))

    def add(self, shares: Tensor, true: Tensor, more: Tensor) -> None:
        if true.dim() == 1:
            true = true[:, None] == torch.arange(_size(self.node), device=true.device)
        self.counts.add(shares.float().cpu().numpy(), true.cpu().numpy())

    def values(self) -> dict[str, float]:
        found = {"auroc": self.counts.auroc, "average_precision": self.counts.average_precision}
        return {name: found[name]() for name in self.names}


@dataclass(slots=True)
class Ranks:
    """Metrics of the place of the one true class."""

    node: ClassOutput
    metrics: RankMetrics

    def add(self, shares: Tensor, true: Tensor, more: Tensor) -> None:
        never = true >= shares.shape[1]
        places = ranks(shares, true.masked_fill(never, 0))
        if self.node.ahead:  # the unknown stands for many tokens and equals none
            never = never | (true == UNKNOWN_ID)
        self.metrics.add(places.masked_fill(never, 0))

    def values(self) -> dict[str, float]:
        return self.metrics.values()


@dataclass(slots=True)
class Places:
    """Metrics of the first places among labels."""

    metrics: PlaceMetrics

    def add(self, shares: Tensor, true: Tensor, more: Tensor) -> None:
        self.metrics.add(shares, true, more)

    def values(self) -> dict[str, float]:
        return self.metrics.values()


@dataclass(slots=True)
class Calibrated:
    """How far probabilities are from what is true: of a class the one that is answered, of labels
    all of them."""

    node: Calibrating
    names: Sequence[str] = ()
    bins: Calibration = field(default_factory=Calibration)
    brier: Brier = field(default_factory=Brier)

    def add(self, shares: Tensor, true: Tensor, more: Tensor) -> None:
        if true.dim() == 2:
            self.bins.add(shares.flatten(), true.flatten())
            self.brier.add_labels(shares, true)
            return
        best = shares.max(1)
        hits = best.indices == true
        if isinstance(self.node, ClassOutput) and self.node.ahead:
            hits &= true != UNKNOWN_ID
        self.bins.add(best.values, hits)
        self.brier.add_classes(shares, true)

    def values(self) -> dict[str, float]:
        found = {"ece": self.bins.ece, "brier": self.brier.value}
        return {name: found[name] for name in self.names}


def _size(node: Calibrating) -> int:
    return node.classes if isinstance(node, ClassOutput) else node.labels


def _parts(node: Calibrating, names: Sequence[str]) -> Iterable[Part]:
    if some := [name for name in names if name in OF_SCORES]:
        yield Scores(node, some)
    if some := [name for name in names if general(name) in OF_PLACES]:
        if isinstance(node, ClassOutput):
            yield Ranks(node, RankMetrics(some))
        else:
            yield Places(PlaceMetrics(some))
    if some := [name for name in names if name in ("ece", "brier")]:
        yield Calibrated(node, some)


ANSWERED = (
    "Of answers with about the same probability, the share that is right: on the line the"
    " probabilities are what they say, below it the model is too sure."
)
LABELLED = (
    "Of labels with about the same probability, the share that is true: on the line the"
    " probabilities are what they say."
)


def calibrations(model: Model) -> dict[str, NamedMetrics]:
    """What measures the calibration of each output of classes or labels that are no next tokens."""
    return {
        node.column: NamedMetrics(node, (Calibrated(node),))
        for node in model.plan.targets
        if isinstance(node, ClassOutput | LabelsOutput) and not node.ahead
    }


def calibration_of(found: NamedMetrics) -> report.Calibration:
    """The reliability diagram."""
    (part,) = found.parts
    assert isinstance(part, Calibrated)
    bins = tuple(report.CalibrationBin(*each) for each in part.bins.bins())
    steps, of_classes = found.node.steps, isinstance(found.node, ClassOutput)
    of = ("steps" if steps else "rows") if of_classes else "probabilities"
    text = ANSWERED if of_classes else LABELLED
    return report.Calibration("Calibration", bins, part.bins.ece, of, text)


# ---------------------------------------------------------------- numbers


@dataclass(slots=True)
class Explained:
    """R² of numbers, or of the point forecast over all steps ahead."""

    node: NumericOutput | ForecastOutput | FramesOutput
    model: Model
    sums: Determination = field(init=False)

    def __post_init__(self) -> None:
        self.sums = Determination(1 if isinstance(self.node, ForecastOutput) else self.node.width)

    def see(self, measured: MeasuredBatch) -> None:
        answers, module = measured.answers[self.node.column], self.model.output(self.node.column)
        targets = measured.forward.targets[self.node.column]
        if isinstance(answers, Frames):
            assert isinstance(self.node, FramesOutput)
            lengths = self.model.true_lengths(self.node, measured.forward.inputs, targets)
            answers, targets = side_by_side(answers.values, answers.lengths, targets, lengths)
        assert isinstance(answers, Tensor)
        if isinstance(module, ForecastModule):
            answers = module.expected(answers)
        width = len(self.sums.mean)
        true = targets.double().cpu().numpy()
        found = answers.double().cpu().numpy()
        self.sums.add(found.reshape(-1, width), true.reshape(-1, width))

    def values(self) -> dict[str, float]:
        return {"r2": self.sums.r2}


@dataclass(slots=True)
class InOrder:
    """Whether answers tell which of two times ends first."""

    column: str
    sums: ConcordanceSums = field(default_factory=ConcordanceSums)

    def see(self, measured: MeasuredBatch) -> None:
        times = measured.times[self.column]
        self.sums.add(measured.tensor(self.column).flatten(), times.cpu().flatten())

    def values(self) -> dict[str, float]:
        return {CONCORDANCE: self.sums.value}


@dataclass(slots=True)
class OfSeries:
    """`rmsse` and `wql` of forecasts: see `rnnspec.evaluate.metrics.of_series`."""

    node: ForecastOutput
    model: Model
    names: Sequence[str]
    squares: ScaledSquares = field(default_factory=ScaledSquares)
    pinball: WeightedPinball = field(init=False)

    def __post_init__(self) -> None:
        self.pinball = WeightedPinball(self.node.quantiles)

    def see(self, measured: MeasuredBatch) -> None:
        column, module = self.node.column, self.model.output(self.node.column)
        answers, naive = measured.answers[column], measured.naive.get(column)
        assert isinstance(answers, Tensor) and isinstance(module, ForecastModule)
        true = measured.forward.targets[column].double().cpu().numpy()
        if naive is not None and naive.square is not None and measured.series is not None:
            point = module.expected(answers).double().cpu().numpy()
            self.squares.add(point, true, naive.square, measured.series)
        if self.node.quantiles:
            self.pinball.add(answers.double().cpu().numpy(), true)

    def values(self) -> dict[str, float]:
        found = {"rmsse": self.squares.value, "wql": self.pinball.value}
        return {name: found[name] for name in self.names}


# ---------------------------------------------------------------- texts


@dataclass(slots=True)
class SlotErrors:
    """The slot error rate of delexicalised texts, (missing + redundant) / true slots (Wen et al.
    2015, section 4.1): a slot that stands twice where it should stand once is redundant once. A row
    of several true texts has the slots of its own."""

    node: WrittenOutput
    slots: Slots
    copied: tuple[str, ...] = ()
    wrong: int = 0
    true: int = 0

    def see(self, measured: MeasuredBatch) -> None:
        texts, raw = measured.answers[self.node.column], measured.batch.raw
        assert isinstance(texts, Texts)
        for row, answer in enumerate(best(texts)):
            source = raw.of_inputs(self.copied, row) if raw else ()
            self.add(named(self.slots.tokens, answer, source), self._truth(measured, row))

    def add(self, answer: Sequence[str], true: Sequence[str]) -> None:
        """The tokens of an answer and of the true text."""
        found, wanted = self._counts(answer), self._counts(true)
        self.wrong += (found - wanted).total() + (wanted - found).total()
        self.true += wanted.total()

    def _truth(self, measured: MeasuredBatch, row: int) -> Sequence[str]:
        """As it stands in the file, or where that is not kept by its numbers."""
        if measured.batch.raw is not None:
            return measured.batch.raw.truth(self.node.column, row)
        numbers = true_numbers(measured.batch.targets[self.node.column][row].tolist())
        return [self.slots.tokens[number] for number in numbers]

    def _counts(self, tokens: Sequence[str]) -> Counter[str]:
        return Counter(token for token in tokens if token.startswith(self.slots.mark))

    def values(self) -> dict[str, float]:
        return {SLOT_ERROR: self.wrong / self.true if self.true else float("nan")}


# ---------------------------------------------------------------- of all outputs


def named_metrics_of(
    model: Model, settings: LossSettings, named: Mapping[str, Sequence[str]] | None = None
) -> dict[str, tuple[CostlyMetrics, ...]]:
    """What measures the further metrics, by column: those of the `settings`, or those `named`."""
    found = {}
    for node in model.plan.targets:
        loss = settings.of(node.column)
        names = loss.metrics if named is None else named.get(node.column, ())
        found[node.column] = tuple(_measuring(node, names, model, loss))
    return {column: of for column, of in found.items() if of}


def _measuring(
    node: Output, names: Sequence[str], model: Model, loss: OutputLoss
) -> Iterable[CostlyMetrics]:
    if isinstance(node, ClassOutput | LabelsOutput):
        if parts := tuple(_parts(node, names)):
            yield NamedMetrics(node, parts)
    elif isinstance(node, NumericOutput | ForecastOutput | FramesOutput) and "r2" in names:
        yield Explained(node, model)
    elif isinstance(node, PositionOutput) and names:
        yield FirstPlaces(node, names)
    elif isinstance(node, WrittenOutput) and loss.slots is not None:
        yield SlotErrors(node, loss.slots, copied_columns(model.plan, node))
    if CONCORDANCE in names:
        yield InOrder(node.column)
    if isinstance(node, NumericOutput | ForecastOutput | FramesOutput):
        of_law = [name for name in names if name == "crps" or name.startswith("coverage@")]
        if of_law:
            yield OfDistributions(node, model, of_law)
    if isinstance(node, ForecastOutput):
        of_series = [name for name in names if name in ("rmsse", "wql")]
        if of_series:
            yield OfSeries(node, model, of_series)


def named_values(found: Mapping[str, Sequence[CostlyMetrics]]) -> dict[str, dict[str, float]]:
    """The metrics by column and name."""
    return {
        column: {name: value for each in of for name, value in each.values().items()}
        for column, of in found.items()
    }
