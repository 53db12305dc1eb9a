"""What a plan needs to know of the data, from training rows: vocabularies, widths, scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

PAD = ""
"""Entry 0 of every vocabulary: stands past the end of a row, never in one."""
PAD_ID = 0
END_ID = 0
"""The end of a text that is answered, and the mark before its first token: no row holds a pad."""
UNKNOWN_ID = 1
MOST_LOST = 1e-4
"""Share of its deviation that rounding to float32 may take from a feature. float32 has 24 bits: a
mean of 3,000 deviations is above it. A column of which more is lost is float64 until it has been
centred and scaled, in training, in the module and in the exported file alike."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Entries of a text column in order of number.

    Number 0 is the pad, number 1 the unknown (named `<unknown>` where a name is shown), entries
    from the data follow from number 2 on.
    """

    entries: tuple[str, ...]
    _numbers: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = {entry: number for number, entry in enumerate(self.entries, start=2)}
        object.__setattr__(self, "_numbers", numbers)

    def __len__(self) -> int:
        """Numbers in use, pad and unknown included."""
        return len(self.entries) + 2

    def numbers(self, tokens: Sequence[str]) -> list[int]:
        """The number of each token; tokens that are not in the vocabulary are unknown."""
        return list(map(self._numbers.get, tokens, repeat(UNKNOWN_ID)))


@dataclass(frozen=True, slots=True)
class TextFacts:
    """A column of text, of lists of tokens or of categories.

    Of bytes, the vocabulary has 256 entries, `00` to `ff`; of a text to be answered, number 0
    (`END_ID`) is the end of the text. A category's row is one token long.
    """

    vocabulary: Vocabulary
    longest: int
    """Most tokens in a training row."""
    mean_length: float = 0.0
    """Tokens in a training row, on average."""
    length_deviation: float = 0.0
    characters: Vocabulary | None = None
    """Of the tokens, where they are spelled."""
    longest_token: int = 0
    """Most characters in a token, where they are spelled."""
    tokenizer: str = ""
    """Of subwords: the tokenizer as the JSON of the tokenizers library. The numbers it gives are
    those of the model: 0 and 1 are its pad and its unknown, and the entries follow."""


@dataclass(frozen=True, slots=True)
class NumericFacts:
    """A column of numbers: frames, vectors or single numbers (width 1).

    `mean` and `deviation` have `width` entries, over all steps of all training rows; a feature
    that never changes has its own size for a deviation, 1 if it is 0. Of a column with robust
    scaling, they are the median and the interquartile range / 1.349. Missing numbers are left out.
    """

    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    longest: int = 1
    """Most steps in a training row; 1 for vectors and numbers."""
    lost: tuple[float, ...] = ()
    """What float32 would lose of each feature, empty for nothing: the root mean square of its
    rounding over the deviation, of a series that is scaled by its window over the deviation within
    windows, of the series where that is most."""

    def is_double(self, leaving: int | None = None) -> bool:
        """Whether float32 would lose more than `MOST_LOST` of a feature, other than `leaving`."""
        return any(lost > MOST_LOST for at, lost in enumerate(self.lost) if at != leaving)


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """A column of labels, in order of number (sorted by name): one a row or a step, or several."""

    labels: tuple[str, ...]
    counts: tuple[int, ...] = ()
    """Training rows, or steps, of each label."""
    longest: int = 1
    """Most steps in a training row; 1 where there is one label or one list of them a row."""
    most: int = 1
    """Most labels on at once."""


ColumnFacts = TextFacts | NumericFacts | ClassFacts


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one data set: number of training rows, of each column by its part, and of each
    series."""

    rows: int
    inputs: Mapping[str, ColumnFacts]
    outputs: Mapping[str, ColumnFacts]
    scales: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """Of what is answered ahead of series, by column and by name of the series: the mean of
    |v[t] - v[t - season]| in training, the scale of MASE; None of a series too short for one."""
