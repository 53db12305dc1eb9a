"""Nodes for the columns of the data. Sequences carry their lengths; vectors have none.

Each docstring says what a caller gives for the node: `(values, lengths)` under the node's `key`, in
`Batch.inputs` and in the torch module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rnnspec.plan.nodes.node import ColumnNode, Shape, Shapes, State, Weight, named, scaling
from rnnspec.plan.text_rule import PLAIN, TextRule
from rnnspec.spec.pictures import Flip

PictureSteps = Literal["columns", "rows", "frames"]
PixelScale = Literal["unit", "standard", "none"]
TokenKind = Literal["words", "chars", "bytes", "subwords", "tokens"]
Missing = Literal["error", "mean", "previous"]
"""What replaces a missing number (null; NaN in a model's input): nothing, it is an error; the mean
of the training rows, 0 after scaling; or the last value of its feature before it in the row, and
the mean if there is none. Of a series it is the centre of its scale, always 0 after scaling: the
median of robust scaling, the mean of a window, and 0 where a window is divided by its mean size, as
GluonTS's DeepAR reads it."""
WindowKind = Literal["window", "level", "mean"]
NOISE = {False: 1e-6, True: 1e-13}
"""Share of the mean absolute value below which the deviation of a window is rounding error, by
`double`: some ten times the rounding of float32, and the limit of the facts in float64."""


@dataclass(frozen=True, slots=True)
class TokensInput(ColumnNode):
    """Text of `column` as token numbers `[B, T]` below `size`, with its lengths `[B]`.

    `words` are split by the `rule`; `chars` are code points; `bytes` are UTF-8, with number 2 +
    byte; `subwords` are made by the tokenizer in the facts; `tokens` come as a list. The text, or
    each token, is first brought into the normal form of the rule. With `fold_case`, what is looked
    up is lower-cased, code point by code point; with `or_lower`, only a token that is not known as
    it is.

    With `reverse` the value of a row of n tokens is x[n-1], …, x[0], so that all layers read from
    the end of the text: the backward language model of a pair (Peters et al. 2018, section 3.1).
    """

    kind: TokenKind
    size: int
    fold_case: bool
    rule: TextRule = PLAIN
    or_lower: bool = False
    reverse: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis)


@dataclass(frozen=True, slots=True)
class CharactersInput(ColumnNode):
    """The characters of each token of the `words` or `tokens` in `column`: numbers `[B, T, C]`
    below `size`, with their lengths `[B, T]` (0 past the length of the row).

    Its value is a sequence of `B * T` rows, one for each token, and `C` steps; `PerStep` makes one
    step of each token again. `steps` is the `TokensInput` with the tokens.
    """

    steps: str
    size: int

    @property
    def key(self) -> str:
        return f"{self.column}.characters"

    def shape(self, shapes: Shapes) -> Shape:
        return ("W", "C")


@dataclass(frozen=True, slots=True)
class CopiesInput(ColumnNode):
    """What an answer may copy from the `words`, `chars` or `tokens` of `column`: numbers `[B, T]`,
    with their lengths `[B]`.

    A token in the vocabulary of the output column `answers` has its number there, below `size`; any
    other has `size` + the first step, from 0, with the same token (`rnnspec.plan.copies`). 0 is
    nothing to copy. ~number is a token that may not be answered: one of `banned`, tokens that the
    vocabulary lacks. `steps` is the `TokensInput` with the tokens.

    `after` are the `CopiesInput`s before it, where several columns are copied from: steps are those
    of the row's own tokens of all these columns, one after the other, and then of this one.
    """

    steps: str
    kind: TokenKind
    answers: str
    size: int
    banned: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.column}.copies"

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis)


def extended(size: int, copies: Sequence[str], shapes: Shapes) -> str | int:
    """How many numbers an answer may have: `size`, and one for each step of these inputs."""
    steps = [str(shapes[name][1]) for name in copies]
    return " + ".join([str(size), *steps]) if steps else size


@dataclass(frozen=True, slots=True)
class NestedInput(ColumnNode):
    """Sequences inside the steps of `column`: token numbers `[B, T, E]` below `size`, 0 past the
    end of a step's own sequence, with the lengths `[B]` of the rows.

    Each step is a text or a list that becomes tokens as that of a `TokensInput` does. Its sequence
    is as long as it has numbers above 0; `Unnest` gives these sequences.

    With more `levels` than 1, each step is a sequence of sequences: `[B, T, S, E]`, and so on. Past
    the end of a sequence whose elements have k levels inside them, all numbers are -k. So an
    element with k levels inside is there if its first number is above -k; one of no levels is a
    token. An empty sequence inside is told from none.
    """

    kind: TokenKind
    size: int
    fold_case: bool
    rule: TextRule = PLAIN
    or_lower: bool = False
    levels: int = 1

    @property
    def inner(self) -> TokensInput:
        """What reads one step."""
        return TokensInput(
            self.name, self.column, self.kind, self.size, self.fold_case, self.rule, self.or_lower
        )

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis, *(f"E.{level}" for level in range(1, self.levels)), "E")


@dataclass(frozen=True, slots=True)
class CategoryInput(ColumnNode):
    """The label in `column` as a number `[B]` below `size`; a label that no training row has, or a
    missing one, is the unknown. While training, each is with the probability `unknown`, so that its
    vector learns."""

    size: int
    unknown: float = 0.0

    def shape(self, shapes: Shapes) -> Shape:
        return ("B",)


@dataclass(frozen=True, slots=True)
class FramesInput(ColumnNode):
    """Vectors of `column`, `[B, T, width]`, with their lengths `[B]`; (v - mean) / deviation if
    `scaled`.

    With `double`, here and in other nodes, numbers of which float32 would lose too much
    (`plan.facts.MOST_LOST`) are float64 until they are scaled; their mean is the sum of the weights
    `mean` and `rest`, the rounding error of the mean in float32.

    Element `elapsed` of each vector, if any, is left out: it is the value of an `Elapsed` node. The
    value is `[B, T, features]`.
    """

    width: int
    scaled: bool
    elapsed: int | None = None
    missing: Missing = "error"
    double: bool = False

    @property
    def features(self) -> int:
        """Width of the value."""
        return self.width if self.elapsed is None else self.width - 1

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, self.features, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis, self.features)

    def carried(self) -> tuple[State, ...] | None:
        return _last_known(self.missing, self.features)


@dataclass(frozen=True, slots=True)
class Picture:
    """What pictures are brought to: `height` and `width` in pixels (None: as it comes out where the
    other is given), `channels` 1 or 3, and whether `steps` are columns or rows of pixels or, of a
    moving picture, frames."""

    height: int | None
    width: int | None
    channels: int
    steps: PictureSteps

    @property
    def features(self) -> int:
        """Pixels of a step."""
        if self.steps == "frames":
            assert self.height is not None and self.width is not None, "frames have both sides"
            return self.height * self.width
        found = self.height if self.steps == "columns" else self.width
        assert found is not None, f"{self.steps} have no extent"
        return found


@dataclass(frozen=True, slots=True)
class PictureAugmentation:
    """What training draws anew for each row, on pixels from 0 to 255; see
    `rnnspec.spec.pictures.PictureAugment`.

    The order: each side that `flip` names is turned round, or not; the picture is moved by dx and
    dy, whole numbers within +- `shift`, with 0 where nothing was; v becomes m + (1 + c) (v - m),
    m the mean of the row and c within +- `contrast`; 255 b is added, b within +- `brightness`;
    normal noise is added, with a deviation of 255 `noise`; numbers are cut off at 0 and 255, if any
    of the last three is on. Of an image the steps of a row are a side, as far as its length goes.
    """

    flip: Flip = "none"
    shift: int = 0
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageInput(ColumnNode):
    """Pictures of `column` as bytes `[B, T, features, channels]`, with their lengths `[B]`: the
    grid of pixels whose steps are the columns, from left to right, or the rows, from the top; of
    moving pictures the frames, whose features are all pixels, row by row.

    Each byte v, or 255 - v if `invert`, is scaled: `unit` v / 255, `standard` (v - mean) /
    deviation of its channel over the training rows (of the inverted ones if `invert`), `none` v.
    What `augment` says, training does between the two.
    """

    double: ClassVar[bool] = False

    picture: Picture
    scale: PixelScale
    invert: bool = False
    augment: PictureAugmentation | None = None

    def weights(self) -> Iterator[Weight]:
        if self.scale == "standard":
            yield from scaling(self, self.picture.channels, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis, self.picture.features, self.picture.channels)


@dataclass(frozen=True, slots=True)
class Elapsed(ColumnNode):
    """Element `index` of each vector of the frames in `column`, not scaled: `[B, T]`, the time
    since the step before."""

    index: int

    def shape(self, shapes: Shapes) -> Shape:
        frames = [n for n in shapes.nodes.values() if isinstance(n, FramesInput)]
        fits = any((n.column, n.elapsed) == (self.column, self.index) for n in frames)
        assert fits, f"{self.name} is not taken out of {self.column}"
        return ("B", self.axis)


@dataclass(frozen=True, slots=True)
class KeysInput(ColumnNode):
    """The labels that are on at each step, from `column`: `[B, T, size]` of 0 and 1, with lengths
    `[B]`. A label that no training row has is left out."""

    size: int

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis, self.size)


@dataclass(frozen=True, slots=True)
class VectorInput(ColumnNode):
    """Numbers of `column`, `[B, width]`; (v - mean) / deviation if `scaled`. `single` columns hold
    one number for each row."""

    width: int
    scaled: bool = False
    single: bool = False
    missing: Missing = "error"
    double: bool = False

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, self.width, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.width)


@dataclass(frozen=True, slots=True)
class SeriesInput(ColumnNode):
    """The past of the series in `column`, one number a step: `[B, T, 1]`, with lengths `[B]`.

    (v - mean) / deviation by the training rows if `scaled`; (v - centre) / scale by the row's own
    window if `moments` names a node of them. With `log`, here, in its moments, in what is known
    ahead and in its forecast, v is the natural logarithm of the number. With `differences` of the
    lags in them v is that of the number, or of its logarithm (`plan.nodes.differences`), of which
    the first steps, which have none, are 0, the mean.
    """

    scaled: bool
    moments: str = ""
    missing: Missing = "error"
    double: bool = False
    log: bool = False
    differences: tuple[int, ...] = ()

    def sources(self) -> Iterator[str]:
        yield from named(self.moments)

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, 1, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis, 1)

    def carried(self) -> tuple[State, ...] | None:
        return None if self.differences else _last_known(self.missing, 1)


@dataclass(frozen=True, slots=True)
class Observed(ColumnNode):
    """Which numbers of the series in `column` are known, `[B, T, 2]`: 1 where one is and else 0,
    and ln(1 + g), g the steps since the last known one: 0 at a known number, and t + 1 at step t
    from 0 where none is known yet (Che et al. 2018, GRU-D, section 2.2: masks and intervals)."""

    double: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", "T", 2)

    def carried(self) -> tuple[State, ...] | None:
        return None


@dataclass(frozen=True, slots=True)
class WindowMoments(ColumnNode):
    """Centre and scale of the past of the series in `column`, `[B, 2]`, in float64.

    - `window`: the mean and the standard deviation (Kim et al. 2022, RevIN, without the constant
      that is added to the variance there, which has the unit of the data). A deviation of at most
      `NOISE` times the mean absolute value m is rounding error: a constant window has the scale m.
    - `level`: the mean, and the deviation of the facts, which is that of training windows from
      their means.
    - `mean`: 0 and m (Salinas et al. 2020, DeepAR, equation 4 without the 1).

    If m is 0 too, the scale comes from the training rows: their deviation for `window`, the root of
    their mean square for `mean`. So answers scale with a series that is multiplied by a number, and
    relative errors do not change, except for windows of zeros, which have no unit of their own.

    Missing numbers are left out; with `previous`, only those without a value before them. In a row
    without any number, centre and scale are those of the training rows, the centre of `mean` 0.
    With `steps` only the last ones of them count, where those before are read by lags alone.
    """

    kind: WindowKind
    missing: Missing = "error"
    double: bool = False
    log: bool = False
    steps: int = 0

    def weights(self) -> Iterator[Weight]:
        yield from scaling(self, 1, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", 2)

    def carried(self) -> tuple[State, ...] | None:
        return None


@dataclass(frozen=True, slots=True)
class FutureInput(ColumnNode):
    """The known values ahead of the series in `column`, `[B, horizon, 1]`: a sequence on the axis
    of the answer, equally long in all rows. Scaled like its `SeriesInput`. With `flat`, the value
    is a vector `[B, horizon]`.

    Missing numbers follow the rule of the past: by `previous` a number is the last known value
    before it, where the row's past (`past` is the `SeriesInput`) counts.
    """

    horizon: int
    scaled: bool
    moments: str = ""
    flat: bool = False
    missing: Missing = "error"
    past: str = ""
    double: bool = False
    log: bool = False

    @property
    def key(self) -> str:
        return f"{self.column}.future"

    def sources(self) -> Iterator[str]:
        yield from named(self.moments, self.past)

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, 1, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.horizon) if self.flat else ("B", "U", 1)

    def carried(self) -> tuple[State, ...] | None:
        return None


def _last_known(missing: Missing, features: int) -> tuple[State, ...]:
    """The values that replace missing numbers by the rule `previous`."""
    return (State("last", (features,)),) if missing == "previous" else ()
