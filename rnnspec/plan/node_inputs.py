"""Nodes that bring the columns of the data in. Sequences carry their lengths; vectors have none.

What a caller must give for a node, by name, is in each docstring: `Batch.inputs` and the torch
module know it as `(values, lengths)` under the node's `key`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TokenKind = Literal["words", "chars", "bytes", "subwords", "tokens"]
Missing = Literal["error", "mean", "previous"]
"""What a missing number (null; NaN in a model's input) stands for: nothing, it is an error; the
mean of the training rows, after scaling 0; or the last value of its feature before it in the row,
the mean where there is none. A value scaled by its window has its centre for a mean, also 0."""
WindowKind = Literal["window", "mean"]
NOISE = {False: 1e-6, True: 1e-13}
"""Share of its mean size below which the deviation of a window is rounding, by `double`: some ten
times what float32 rounds by, and what the facts take for rounding in float64."""


@dataclass(frozen=True, slots=True)
class TokensInput:
    """Text of `column` as token numbers `[B, T]` below `size`, with its lengths `[B]`.

    `words` are separated by white space (`rnnspec.data.decode.WHITE_SPACE`); `chars` are code
    points, lower-cased one by one if `fold_case`; `bytes` are those of UTF-8, number 2 + byte;
    `subwords` are those of the tokenizer in the facts; `tokens` come as a list.
    """

    name: str
    column: str
    kind: TokenKind
    size: int
    fold_case: bool

    @property
    def key(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class CharactersInput:
    """The characters of each token of the `words` or `tokens` in `column`: numbers `[B, T, C]`
    below `size`, with their lengths `[B, T]` (0 past the length of the row).

    Its value is a sequence of `B * T` rows, one a token, and `C` steps; `PerStep` puts what was
    made of them back in place. `steps` is the `TokensInput` that has the tokens.
    """

    name: str
    column: str
    steps: str
    size: int

    @property
    def key(self) -> str:
        return f"{self.column}.characters"


@dataclass(frozen=True, slots=True)
class CopiesInput:
    """What an answer may copy from the `words`, `chars` or `tokens` of `column`: numbers `[B, T]`,
    with their lengths `[B]`.

    That of a token that is among the `size` numbers of the vocabulary of the output column
    `answers`; of any other `size` + the first step, from 0, that holds the same token
    (`rnnspec.plan.copies`). 0 is nothing to copy. ~number stands for a token that may not be
    answered: one of `banned`, tokens that the vocabulary lacks. `steps` is the `TokensInput` that
    has the tokens.
    """

    name: str
    column: str
    steps: str
    kind: TokenKind
    answers: str
    size: int
    banned: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.column}.copies"


@dataclass(frozen=True, slots=True)
class CategoryInput:
    """The label in `column` as a number `[B]` below `size`; one that training never showed, or a
    missing one, is the unknown."""

    name: str
    column: str
    size: int

    @property
    def key(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class FramesInput:
    """Vectors of `column`, `[B, T, width]`, with their lengths `[B]`; (v - mean) / deviation if
    `scaled`.

    `double` ones, here and in other nodes, are float64 where float32 would lose too much of them
    (`plan.facts.MOST_LOST`), and float32 once they are scaled; their mean is the sum of the weights
    `mean` and `rest`, which has what float32 rounds off the mean.

    Element `elapsed` of each vector, if any, is taken out: an `Elapsed` node has it. The value is
    `[B, T, features]`.
    """

    name: str
    column: str
    width: int
    scaled: bool
    elapsed: int | None = None
    missing: Missing = "error"
    double: bool = False

    @property
    def key(self) -> str:
        return self.column

    @property
    def features(self) -> int:
        """Width of the value."""
        return self.width if self.elapsed is None else self.width - 1


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Element `index` of each vector of the frames in `column`, as it stands in the data: `[B, T]`,
    the time since the step before."""

    name: str
    column: str
    index: int

    @property
    def key(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class KeysInput:
    """The labels that are on at each step, from `column`: `[B, T, size]` of 0 and 1, with lengths
    `[B]`. A label that training never showed is left out."""

    name: str
    column: str
    size: int

    @property
    def key(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class VectorInput:
    """Numbers of `column`, `[B, width]`; (v - mean) / deviation if `scaled`. `single` columns hold
    one number a row."""

    name: str
    column: str
    width: int
    scaled: bool = False
    single: bool = False
    missing: Missing = "error"
    double: bool = False

    @property
    def key(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class SeriesInput:
    """The past of the series in `column`, one number a step: `[B, T, 1]`, with lengths `[B]`.

    (v - mean) / deviation by the training rows if `scaled`; (v - centre) / scale by the row's own
    window if `moments` names a node of them.
    """

    name: str
    column: str
    scaled: bool
    moments: str = ""
    missing: Missing = "error"
    double: bool = False

    @property
    def key(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class WindowMoments:
    """Centre and scale of the past of the series in `column`, `[B, 2]`, in float64.

    `window`: its mean, and its standard deviation (Kim et al. 2022, RevIN, without what is added to
    the variance there, for that has the unit of the data). A deviation of at most `NOISE` of the
    mean size m of the values is none: the scale of a window that stands still is m. `mean`: 0, and
    m (Salinas et al. 2020, DeepAR, equation 4 but for the 1). Where m is 0 too, what the training
    rows have stands for the scale: of `window` their deviation, of `mean` the root of their mean
    square. So all answers and all relative errors stay as they are if a series is multiplied by a
    number, but for windows of zeros, which have no unit of their own.

    Missing numbers are left out, with `previous` those that have no value before them. Of a row of
    no steps, or of none but missing ones, both are those of the training rows, the centre of `mean`
    0.
    """

    name: str
    column: str
    kind: WindowKind
    missing: Missing = "error"
    double: bool = False

    @property
    def key(self) -> str:
        return self.column


@dataclass(frozen=True, slots=True)
class FutureInput:
    """The known values ahead of the series in `column`, `[B, horizon, 1]`: a sequence on the axis
    of the answer, all rows as long. Scaled as its `SeriesInput` is. With `flat`, the value is a
    vector `[B, horizon]`.

    A missing number is read as in the past: by the rule `previous` as the last known value before
    it, the last of the row's past (`past` is the `SeriesInput`) included.
    """

    name: str
    column: str
    horizon: int
    scaled: bool
    moments: str = ""
    flat: bool = False
    missing: Missing = "error"
    past: str = ""
    double: bool = False

    @property
    def key(self) -> str:
        return f"{self.column}.future"
