"""A search through settings."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.report.model.figures import Value


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a search: a value for each setting as text, empty where it has none; how it
    ended, and after how many `epochs`; `note` says why, if it ended early."""

    name: str
    settings: tuple[str, ...]
    value: Value
    state: str
    epochs: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrialTable:
    """The trials of a search in their order, drawn from the best `metric` down."""

    title: str
    trials: tuple[Trial, ...]
    settings: tuple[str, ...] = ()
    metric: str = "metric"
    larger_is_better: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of a whole by name, the largest first; `of` says what of."""

    title: str
    shares: tuple[tuple[str, float], ...]
    of: str = "the whole"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting beside the metric, one point a trial: `places` are its numbers, or those of its
    `options`, from 0. `pruned` trials are drawn apart, and the `best` one, by its place in these
    lists, is marked."""

    name: str
    places: tuple[float, ...]
    values: tuple[Value, ...]
    pruned: tuple[bool, ...]
    best: int | None = None
    options: tuple[str, ...] = ()
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    title: str
    settings: tuple[Setting, ...]
    metric: str = "metric"
    text: str = ""
