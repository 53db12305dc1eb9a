"""Classes and tags, and the spans that tags mark."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.report.model.figures import Value


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class or tag. `rows` of it occur; None where a share has nothing to be a share of."""

    label: str
    precision: Value
    recall: Value
    f1: Value
    rows: int


@dataclass(frozen=True, slots=True)
class ClassTable:
    """How each class fares, drawn from the lowest F1 up. `of` is what `rows` counts."""

    title: str
    classes: tuple[ClassRow, ...]
    of: str = "rows"
    text: str = ""


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """`counts[t][a]`: rows of class `labels[t]` that were answered as `labels[a]`."""

    title: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    of: str = "rows"
    text: str = ""


@dataclass(frozen=True, slots=True)
class TagExample:
    """One row: a true and an answered tag for each token. `place` says where the row stands."""

    tokens: tuple[str, ...]
    true: tuple[str, ...]
    answered: tuple[str, ...]
    place: str = ""


@dataclass(frozen=True, slots=True)
class TagExamples:
    title: str
    examples: tuple[TagExample, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens from `first` to before `end` that are one thing of a `kind`, "" where kinds have no
    names."""

    first: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class SpanExample:
    """One row with its true and its answered spans. `joint` stands between two tokens; `tags` are
    those that mark the spans."""

    tokens: tuple[str, ...]
    true: tuple[Span, ...]
    answered: tuple[Span, ...]
    place: str = ""
    joint: str = " "
    tags: TagExample | None = None


@dataclass(frozen=True, slots=True)
class SpanExamples:
    title: str
    examples: tuple[SpanExample, ...]
    text: str = ""
