"""Rows with what is answered to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnspec.report.model.figures import Value
from rnnspec.report.model.labels import Span


@dataclass(frozen=True, slots=True)
class Example:
    """One row. `right` None: it is right if the answer equals what was expected.

    `score` is what the model says of its answer (a probability, a log-probability, an error), named
    by `Examples.score`; `place` says where the row stands.
    """

    input: str
    expected: str
    answered: str
    score: Value = None
    right: bool | None = None
    place: str = ""
    picture: bytes = b""
    """The picture that was read, as PNG."""
    marked: Marked | None = None
    """The input with what is expected and answered marked in it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The tokens of a row, `joint` between two of them, with the places that are expected and
    answered, None of none; `beside` is what else was read."""

    tokens: tuple[str, ...]
    expected: Span | None
    answered: Span | None
    joint: str = " "
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows right and wrong. `differ` is the unit in which a wrong answer is set against the
    expected one; `nothing` for answers that are right or wrong as a whole (classes, numbers)."""

    title: str
    examples: tuple[Example, ...]
    differ: Literal["characters", "words", "nothing"] = "characters"
    score: str = "score"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A token, and where it lies on the axis of an input, from `start` to `end`."""

    token: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class AlignedExample:
    """A picture of one row's input (PNG) over an axis from 0 to `length`, and the tokens that were
    read along it.

    `extent` is how far the picture reaches on the axis. `height`: in pixels, where the picture has
    the proportions of its axis, else 0. `low` and `high` name the lower and the upper edge. `true`
    lies along the same axis where the answer is wrong and the true tokens can be aligned.
    `expected` are the true tokens.
    """

    picture: bytes
    length: float
    extent: float
    answered: tuple[Stretch, ...]
    expected: tuple[str, ...]
    true: tuple[Stretch, ...] = ()
    height: float = 0
    low: str = ""
    high: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class AlignedExamples:
    """What was read along sounds or pictures. `unit` is that of the axis (`s`, `pixels`);
    `joint` stands between two tokens of a text."""

    title: str
    examples: tuple[AlignedExample, ...]
    unit: str = "s"
    joint: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the model wrote after `prompt`, or `before` it; `how` says with which strategy, seed and
    so on."""

    prompt: str
    text: str
    how: str = ""
    before: bool = False


@dataclass(frozen=True, slots=True)
class Generated:
    title: str
    generations: tuple[Generation, ...]
    text: str = ""
