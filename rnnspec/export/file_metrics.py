"""The metrics of an exported graph on the validation rows: its answers, in onnxruntime, against the
truth.

The graph reads and answers numbers (`ids`). Metrics that are of each true token after the true ones
before it are the module's alone: a file that writes texts does not answer them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rnnspec.data import Batch, Dataset
from rnnspec.data.pictures import in_place
from rnnspec.evaluate.metrics import (
    ClassMetrics,
    ForecastMetrics,
    FramesMetrics,
    LabelsMetrics,
    Metrics,
    NumericMetrics,
    PointerMetrics,
    PositionMetrics,
    TagMetrics,
    TextMetrics,
)
from rnnspec.evaluate.metrics.times import ended
from rnnspec.evaluate.outputs import metrics_of
from rnnspec.export.probes import lengths_of_axes
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Plan, nodes
from rnnspec.plan.kinds import INPUT_TRAITS
from rnnspec.plan.names import SEED, draws, first_sequence, output_names, steps_in
from rnnspec.run.feeds import Feeds
from rnnspec.run.session import Arrays, Session
from rnnspec.store.folder import Trained
from rnnspec.to_torch.frames import true_lengths

MOST_ROWS = 2000
"""Most rows, or windows of streams, that are measured: taken evenly from all there are."""
ROWS = 64
"""Rows of a batch."""
TINY = 1e-30
"""What a probability of 0 counts as where its logarithm is taken."""


@dataclass(frozen=True, slots=True)
class Question:
    """A batch of validation rows as the graph takes it, and what is known of its answers."""

    batch: Batch
    feeds: Feeds
    naive: Mapping[str, tuple[Any, Any]]
    plan: Plan


def questions(trained: Trained, plan: Plan, data: Dataset) -> list[Question]:
    """The validation rows of `data` in batches, at most `MOST_ROWS`; rows of streams in windows,
    each of which begins with the first states."""
    found = []
    for batch in _batches(trained, data):
        naive = {name: (each.forecast, each.scale) for name, each in data.naive(batch).items()}
        found.append(Question(batch, feeds_of_batch(plan, batch), naive, plan))
    return found


def _batches(trained: Trained, data: Dataset) -> Iterator[Batch]:
    settings = trained.spec.train
    if settings.window is None:
        chosen = np.unique(np.linspace(0, data.rows - 1, min(data.rows, MOST_ROWS)).astype(int))
        for start in range(0, len(chosen), ROWS):
            yield data.collate(chosen[start : start + ROWS])
        return
    assert isinstance(settings.batch, int)
    left = MOST_ROWS
    for batch, lanes, _ in data.documents(settings.batch, settings.window):
        yield batch
        left -= len(lanes)
        if left <= 0:
            return


def feeds_of_batch(plan: Plan, batch: Batch) -> Feeds:
    """A batch as a graph with `ids` takes it."""
    feeds: Feeds = {}
    for node in plan.inputs:
        values, lengths = batch.inputs[node.key]
        names = INPUT_TRAITS[type(node)].names(node, True)
        more = _inner_lengths(node, values) if isinstance(node, nodes.NestedInput) else [lengths]
        feeds |= dict(zip(names, (_fed(node, values), *more), strict=False))
    feeds |= lengths_of_axes(plan, {key: own for key, (_, own) in batch.inputs.items()}, True)
    if any(map(draws, plan.outputs)):
        feeds[SEED] = np.arange(len(next(iter(feeds.values()))), dtype=np.int64)
    return feeds


def _fed(node: nodes.Input, values: NDArray[Any]) -> NDArray[Any]:
    match node:
        case nodes.SeriesInput() | nodes.FutureInput():
            return values[..., 0]
        case nodes.VectorInput() if node.single:
            return values[:, 0]
        case nodes.ImageInput():
            return np.ascontiguousarray(in_place(values, node.picture))
        case nodes.NestedInput():
            found: NDArray[Any] = np.maximum(values, 0)  # below 0 is what is not there
            return found
        case _:
            return values


def _inner_lengths(node: nodes.NestedInput, values: NDArray[Any]) -> list[NDArray[np.int64]]:
    """How many sequences are in each of the levels above that of tokens, the outer ones first."""
    found = []
    for level in range(1, node.levels):
        first = values.reshape(*values.shape[: level + 2], -1)[..., 0]
        found.append((first > level - node.levels).sum(-1, dtype=np.int64))
    return found


def metrics_of_file(
    session: Session, trained: Trained, plan: Plan, data: Dataset, asked: list[Question]
) -> dict[str, float]:
    """The metrics of every output by name; those of several outputs begin with the column."""
    settings = loss_settings_of(trained.spec, trained.facts)
    sums = {
        node.column: metrics_of(
            node, settings.of(node.column), tuple(data.new.get(node.column, ()))
        )
        for node in plan.targets
    }
    for question in asked:
        got = session.run(question.feeds)
        for node in plan.targets:
            names = output_names(plan, node, True)
            answers = Answers(node, [got[name] for name in names], question)
            ADD[type(node)](sums[node.column], answers)
    found: dict[str, float] = {}
    for column, each in sums.items():
        prefix = "" if len(sums) == 1 else f"{column}."
        found |= {prefix + name: value for name, value in each.values().items()}
    return found


# ---------------------------------------------------------------- by kind of output


@dataclass(frozen=True, slots=True)
class Answers:
    """The outputs of the graph that stand for `node`, in the order of `output_names`."""

    node: Any
    got: list[NDArray[Any]]
    question: Question

    @property
    def targets(self) -> Tensor:
        found = torch.from_numpy(np.asarray(self.question.batch.targets[self.node.column]))
        of_times = isinstance(self.node, nodes.NumericOutput) and self.node.censored
        return ended(found) if of_times else found

    def tensor(self, place: int) -> Tensor:
        return torch.from_numpy(self.got[place])

    @property
    def naive(self) -> tuple[Any, Any]:
        return self.question.naive.get(self.node.column, (None, None))


def _add_classes(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, ClassMetrics)
    shares = answers.tensor(1)
    sums.add_logits(shares.double().clamp(min=TINY).log(), answers.targets)
    _add_shares(sums, shares, answers)


def _add_paths(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, ClassMetrics)
    shares = F.one_hot(answers.tensor(0).clamp(min=0), answers.node.classes).float()
    _add_shares(sums, shares.masked_fill(answers.tensor(1).isnan(), torch.nan), answers)


def _add_shares(sums: ClassMetrics, shares: Tensor, answers: Answers) -> None:
    if isinstance(sums, TagMetrics):
        sums.add(shares, answers.targets, None)
    else:
        sums.add(shares, answers.targets)


def _add_labels(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, LabelsMetrics)
    shares, new = answers.tensor(1), answers.question.batch.new.get(answers.node.column)
    exact = shares.double()
    logits = exact.clamp(min=TINY).log() - (1 - exact).clamp(min=TINY).log()
    sums.add_logits(logits, answers.targets)
    sums.add(shares, answers.targets, new)


def _add_numbers(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, NumericMetrics)
    targets = answers.targets
    sums.add(answers.tensor(0).reshape(targets.shape), targets, *answers.naive)


def _add_forecast(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, ForecastMetrics)
    point = answers.tensor(0)
    parameters = answers.tensor(1) if answers.node.quantiles else point[..., None]
    sums.add(point, answers.targets, parameters, *answers.naive)


def _add_positions(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, PositionMetrics)
    found, shares = answers.tensor(0), answers.tensor(1)
    rows = len(answers.targets)
    broken = shares.reshape(rows, -1).isnan().any(1)
    sums.add(found.reshape(answers.targets.shape) + 1, answers.targets, broken)


def _add_pointers(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, PointerMetrics)
    rows = len(answers.targets)
    steps, lengths, scores = answers.got
    broken = np.isnan(scores.reshape(rows, -1)[:, 0]).tolist()
    numbers = (steps + nodes.FIRST_STEP).reshape(rows, -1, steps.shape[-1])[:, 0].tolist()
    counts = lengths.reshape(rows, -1)[:, 0].tolist()
    told = [row[:count] for row, count in zip(numbers, counts, strict=True)]
    sums.add(told, answers.targets, broken)


def _add_texts(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, TextMetrics)
    rows = len(answers.targets)
    numbers, lengths, scores = answers.got[:3]
    best = numbers.reshape(rows, -1, numbers.shape[-1])[:, 0].tolist()
    counts = lengths.reshape(rows, -1)[:, 0].tolist()
    sums.not_finite += int(np.isnan(scores.reshape(rows, -1)[:, 0]).sum())
    found = [row[:count] for row, count in zip(best, counts, strict=True)]
    sums.add_texts(found, answers.targets)


def _add_frames(sums: Metrics, answers: Answers) -> None:
    assert isinstance(sums, FramesMetrics)
    targets, node = answers.targets, answers.node
    steps, batch = None, answers.question.batch
    if node.length == "input":
        first = first_sequence(answers.question.plan)
        assert first is not None
        steps = torch.from_numpy(np.asarray(steps_in(first, batch.inputs[first.key][1])))
    lengths = true_lengths(node, targets, steps)
    scores = answers.tensor(3) if node.read else None
    sums.add(answers.tensor(0), answers.tensor(1), targets, lengths, scores)


ADD: Mapping[type[nodes.Target], Callable[[Metrics, Answers], None]] = {
    nodes.ClassOutput: _add_classes,
    nodes.ChainOutput: _add_paths,
    nodes.LabelsOutput: _add_labels,
    nodes.NumericOutput: _add_numbers,
    nodes.ForecastOutput: _add_forecast,
    nodes.FramesOutput: _add_frames,
    nodes.PositionOutput: _add_positions,
    nodes.PointerOutput: _add_pointers,
    nodes.TextOutput: _add_texts,
    nodes.CtcOutput: _add_texts,
    nodes.TransducerOutput: _add_texts,
}
"""How the answers of a graph are added to the metrics of each type of output."""


def answers_alike(one: Arrays, other: Arrays, rows: int) -> int:
    """How many of the rows have the same labels, texts or token numbers in both."""
    same = np.ones(rows, bool)
    for name, value in one.items():
        if value.dtype.kind not in "OUi":
            continue
        if value.shape != other[name].shape:  # other texts, longer or shorter
            same &= _same_rows(value, other[name], rows)
        else:
            same &= (value == other[name]).reshape(rows, -1).all(axis=1)
    return int(same.sum())


def _same_rows(one: NDArray[Any], other: NDArray[Any], rows: int) -> NDArray[np.bool_]:
    pairs = zip(one, other, strict=True)
    return np.array([_filled(a) == _filled(b) for a, b in pairs], np.bool_).reshape(rows)


def _filled(value: NDArray[Any]) -> list[Any]:
    """The values of a row without what fills it up."""
    return [each for each in value.ravel().tolist() if each not in ("", 0, -1)]
