"""What is known of columns: their entries in a spec and their facts, and the texts they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnspec.plan import NumericFacts, TextFacts, Vocabulary
from rnnspec.plan.facts import ColumnFacts

WORDS = ("one", "two", "three")
LETTERS = tuple("abcde")
TOKENS = ("T1", "T2", "T3", "T4")


@dataclass(frozen=True, slots=True)
class Kind:
    """The entry of a column of its own in a spec, without its name, and its facts."""

    entry: Mapping[str, Any]
    facts: ColumnFacts


def text(entries: Sequence[str], **more: Any) -> TextFacts:
    return TextFacts(Vocabulary(tuple(entries)), 5, 3.0, 0.5, **more)


def numbers(width: int) -> NumericFacts:
    mean = tuple(0.5 - 0.7 * i for i in range(width))
    return NumericFacts(width, mean, tuple(1.5 + 0.3 * i for i in range(width)), longest=5)


def doubles(width: int) -> NumericFacts:
    """Numbers of which float32 would lose too much: they come in as doubles."""
    return replace(numbers(width), lost=(1.0,) * width)


def colours(channels: int) -> NumericFacts:
    """The facts of pictures."""
    return NumericFacts(channels, (100.0, 130.0, 90.0)[:channels], (60.0, 50.0, 70.0)[:channels], 5)
