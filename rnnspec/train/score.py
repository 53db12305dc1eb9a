"""How well the best weights of a build do on validation rows, or on another file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rnnspec.data import Reading, encode
from rnnspec.data.encode import Part
from rnnspec.data.readers import Format, format_of
from rnnspec.errors import DataError
from rnnspec.plan import ClassFacts
from rnnspec.to_torch import Model
from rnnspec.train.build import CACHE
from rnnspec.train.evaluate import evaluate
from rnnspec.train.folder import Trained
from rnnspec.train.goals import goals_of
from rnnspec.train.metrics import ClassMetrics

MISTAKES = 10
"""Most pairs of classes that are listed as mistaken for each other."""


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
        seen = self.rows + self.answered
        return 2 * self.hits / seen if seen else None


@dataclass(frozen=True, slots=True)
class Mistake:
    """`rows` of class `label` that were answered as `answer`."""

    label: str
    answer: str
    rows: int


@dataclass(frozen=True, slots=True)
class Scores:
    """What `evaluate_build` found on `rows` rows of `file`.

    `share` is the part of the file that was kept for validation, 0 for all of it. `classes` in
    order of number and `mistakes`, most frequent first, by output column.
    """

    file: Path
    share: float
    rows: int
    metrics: Mapping[str, float]
    classes: Mapping[str, tuple[ClassScore, ...]]
    mistakes: Mapping[str, tuple[Mistake, ...]]


def evaluate_build(trained: Trained, file: Path | None = None) -> Scores:
    """The best weights' metrics on `file`, or without one on the spec's validation rows.

    Raises DataError for a file that is missing, lacks a column or holds a label that training
    never showed, and if the spec names no validation rows and `file` is None.
    """
    file, format, share = _rows(trained, file)
    if trained.spec.train.threads:
        torch.set_num_threads(trained.spec.train.threads)
    model = Model(trained.plan)
    model.load_canonical(trained.weights)
    with _cache(trained) as cache:
        part: Part = "valid" if share else "all"
        reading = Reading.of(trained.spec, format)
        data = encode(trained.plan, trained.facts, file, reading, cache, part, share)
        goals = goals_of(trained.spec, trained.facts)
        metrics, sums = evaluate(model, data, trained.spec.train, goals)
        rows = data.rows
    classes: dict[str, tuple[ClassScore, ...]] = {}
    mistakes: dict[str, tuple[Mistake, ...]] = {}
    for column, found in sums.items():
        known = trained.facts.outputs[column]
        if isinstance(found, ClassMetrics) and isinstance(known, ClassFacts):
            classes[column] = class_scores(found.confusion, known.labels)
            mistakes[column] = most_mistaken(found.confusion, known.labels)
    return Scores(file, share, rows, metrics, classes, mistakes)


def class_scores(confusion: Tensor, labels: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """A score for each label; `confusion` is rows by true and answered class."""
    numbers = zip(
        labels,
        confusion.sum(1).tolist(),
        confusion.sum(0).tolist(),
        confusion.diagonal().tolist(),
        strict=True,
    )
    return tuple(ClassScore(*of_label) for of_label in numbers)


def most_mistaken(
    confusion: Tensor, labels: tuple[str, ...], most: int = MISTAKES
) -> tuple[Mistake, ...]:
    """The pairs of classes with the most rows beside the diagonal, most first."""
    beside = confusion.clone().fill_diagonal_(0).flatten()
    counts, places = beside.sort(descending=True, stable=True)
    return tuple(
        Mistake(labels[place // len(labels)], labels[place % len(labels)], count)
        for count, place in zip(counts[:most].tolist(), places[:most].tolist(), strict=True)
        if count
    )


def _rows(trained: Trained, file: Path | None) -> tuple[Path, Format, float]:
    """File, its format, and the share of its rows that is meant (0: all)."""
    data = trained.spec.data
    if file is not None:
        return file, _format(file, data.format), 0.0
    if data.valid is None:
        raise DataError(
            f"{trained.folder.path}: its spec names no validation rows; name a file with --data"
        )
    if isinstance(data.valid, float):
        return trained.data_folder / data.train, data.format, data.valid
    return trained.data_folder / data.valid, data.format, 0.0


def _format(file: Path, of_spec: Format) -> Format:
    """By the ending of the name, where that says something, else as the spec has it."""
    try:
        return format_of(file)
    except DataError:
        return format_of(file, of_spec)


@contextmanager
def _cache(trained: Trained) -> Iterator[Path]:
    """The builds' own cache; for a build that was moved away from it, one for this time."""
    beside = trained.folder.path.resolve().parent.parent / CACHE
    if beside.is_dir():
        yield beside
    else:
        with tempfile.TemporaryDirectory(prefix="rnnspec-") as folder:
            yield Path(folder)
