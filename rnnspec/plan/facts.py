"""What a plan takes from the training rows: vocabularies, widths, scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

from rnnspec.spec.text_options import VectorFormat

PAD = ""
"""Entry 0 of every vocabulary: fills the steps past the end of a row; no row contains it."""
PAD_ID = 0
END_ID = 0
"""The end of an answered text, and the mark before its first token. No row contains a pad, so that
its number is free for both."""
UNKNOWN_ID = 1
SPACE = "\u2581"
"""Stands for a space in subwords."""
MOST_LOST = 1e-4
"""Largest error of rounding a feature to float32, as a share of its deviation. float32 has 24 bits:
a feature with a mean of 3,000 deviations is above it. A column above it stays float64 until it has
been centred and scaled, in training, in the module and in the exported file alike."""


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
class VectorFile:
    """Which word vectors are read: the first `most` of a file; `words` is the list of its words, ""
    for a format that has them itself."""

    file: str
    format: VectorFormat
    words: str = ""
    most: int | None = None


@dataclass(frozen=True, slots=True)
class VectorFacts:
    """Vectors of the words of a column that were learned elsewhere, `width` numbers each.

    `first` is the first number whose vector is taken from the file and stays as it is; those of the
    numbers before are trained. `found` of the `words` in training rows have a vector, and `more`
    words are known by the file alone. `left_out` words of it are no UTF-8, or stood before.
    `digest` is of the file.
    """

    source: VectorFile
    digest: str
    width: int
    first: int
    words: int
    found: int
    more: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class TextFacts:
    """A column of text, of lists of tokens or of categories.

    The vocabulary of bytes has 256 entries, `00` to `ff`. In an output, number 0 (`END_ID`) is the
    end of the text. The row of a category is one token long.
    """

    vocabulary: Vocabulary
    longest: int
    """Most tokens in a training row."""
    mean_length: float = 0.0
    """Tokens in a training row, on average."""
    length_deviation: float = 0.0
    characters: Vocabulary | None = None
    """The characters of the tokens if a layer reads their spelling."""
    longest_token: int = 0
    """Most characters in a token, under the same condition."""
    tokenizer: str = ""
    """For subwords, the tokenizer as JSON of the tokenizers library. It gives the numbers of the
    model: 0 and 1 are its pad and its unknown, and the entries follow."""
    vectors: VectorFacts | None = None
    longest_step: int = 0
    """Of sequences nested in steps, the most tokens in a step; the lengths of rows are in steps."""

    def of_rows(self) -> TextFacts:
        """The facts without the words that are known by a file of vectors alone."""
        if self.vectors is None:
            return self
        entries = self.vocabulary.entries
        own = Vocabulary(entries[: len(entries) - self.vectors.more])
        return replace(self, vocabulary=own, vectors=None)


@dataclass(frozen=True, slots=True)
class NumericFacts:
    """A column of numbers: frames, vectors or single numbers (width 1).

    `mean` and `deviation` have `width` entries, over all steps of all training rows; a feature
    that never changes has its absolute value as deviation, 1 if it is 0. With robust scaling they
    are the median and the interquartile range / 1.349. Missing numbers are left out.
    """

    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    longest: int = 1
    """Most steps in a training row; 1 for vectors and numbers."""
    lost: tuple[float, ...] = ()
    """What float32 would lose of each feature, empty for nothing: the root mean square of the
    rounding error over the deviation. For series that are scaled by their windows, over the
    deviation within windows, and the largest of all series."""

    def is_double(self, leaving: int | None = None) -> bool:
        """Whether float32 would lose more than `MOST_LOST` of a feature; feature `leaving` does not
        count."""
        return any(lost > MOST_LOST for at, lost in enumerate(self.lost) if at != leaving)


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """A column of labels, in order of number: one a row or a step, or several. They are sorted by
    name, unless they are `ordered`, as the spec states them."""

    labels: tuple[str, ...]
    counts: tuple[int, ...] = ()
    """Training rows, or steps, of each label."""
    longest: int = 1
    """Most steps in a training row; 1 if a row has one label or one list of labels."""
    most: int = 1
    """Most labels that are on at once."""
    thresholds: tuple[float, ...] = ()
    """Probabilities above which labels are answered, where they were chosen on validation rows once
    the model was trained: one of all labels, or one of each."""
    ordered: bool = False
    weighed: tuple[float, ...] = ()
    """The sum of the weights of these rows, or of the rows of these steps, where rows have weights
    and labels are balanced by them."""


@dataclass(frozen=True, slots=True)
class PositionFacts:
    """A column of steps of the input: how many steps an answer has, in training rows that have
    one."""

    longest: int = 1
    mean_length: float = 1.0
    length_deviation: float = 0.0


@dataclass(frozen=True, slots=True)
class ConstantFacts:
    """A number, a vector or a matrix in a file that the equations of a cell read: its place in the
    file, "" where it is alone there, its shape, and the digest of the file."""

    file: str
    tensor: str
    shape: tuple[int, ...]
    digest: str


def constant_key(file: str, tensor: str) -> str:
    """By which `Facts` knows a constant: as the spec names it."""
    return f"{file}:{tensor}" if tensor else file


ColumnFacts = TextFacts | NumericFacts | ClassFacts | PositionFacts


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one data set: the number of training rows, then facts by column and by series."""

    rows: int
    inputs: Mapping[str, ColumnFacts]
    outputs: Mapping[str, ColumnFacts]
    scales: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """The scale of MASE for columns that are forecast, by column and by name of the series: the
    mean of |v[t] - v[t - season]| in training; None for a series that is too short."""
    constants: Mapping[str, ConstantFacts] = field(default_factory=dict)
    """Of the cells of the spec, by `constant_key`."""
