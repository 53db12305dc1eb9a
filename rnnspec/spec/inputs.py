"""Models of `data.input`: how a column is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.functional_validators import BeforeValidator

from rnnspec.spec.audio import Augment, Features
from rnnspec.spec.base import (
    MAX_WIDTH,
    ListOf,
    MaxSize,
    MinCount,
    Model,
    OfColumn,
    Scale,
    SequenceInput,
    Share,
    Text,
    Width,
    spec_error,
)
from rnnspec.spec.calendar import CalendarInput
from rnnspec.spec.choice import ByKey, ByShape, by_type, describe
from rnnspec.spec.nested import NestedInput
from rnnspec.spec.pictures import PictureAugmentKey
from rnnspec.spec.text_options import FoldCase, Normalize, Split, VectorsKey, WhitespaceSplit

Missing = Annotated[
    Literal["error", "mean", "previous"],
    Field(
        description="What a missing number (null, or an empty field of CSV) is read as: 'error' "
        "refuses it, 'mean' takes the mean of the training rows, 'previous' the last value of the "
        "same feature before it in the row, and the mean where there is none. Of a series 'mean' "
        "is the centre of its scale: the median with 'robust', the mean of the steps read with "
        "'window' and 'level', and 0 with 'mean', as DeepAR reads it."
    ),
]
Joined = Annotated[
    Literal["steps", "state", "both"],
    Field(
        description="Where the recurrent layers see it: 'steps' puts it beside the input of every "
        "step, 'state' makes the states before the first step from it by a dense layer, 'both' "
        "does both."
    ),
]


class Spelling(Model):
    """A small recurrent encoder of each word's own characters, both ways, whose last states join
    the word's learned vector."""

    embed: Width = Field(default=32, description="Width of the learned vector of each character.")
    cell: Text = Field(default="lstm", description="The cell that reads the characters.")
    units: Width = Field(default=32, description="Width of its state, per direction.")
    dropout: Share = Field(
        default=0.0, description="Share of the characters' vectors set to zero while training."
    )


SpellingKey = Annotated[
    Spelling | None,
    Field(description="Encoder of each word's own characters beside its vector; null means none."),
]


class TokenInput(SequenceInput):
    """Base of inputs whose steps are entries of a vocabulary."""

    as_: Literal["words", "tokens", "chars", "bytes", "subwords"] = Field(
        alias="as", description="How the column is read."
    )


class WordsInput(TokenInput):
    """Text as a sequence of words: split at white space unless `split` says else, one step per
    word."""

    as_: Literal["words"] = Field(alias="as", description="How the column is read.")
    normalize: Normalize = "none"
    split: Split = WhitespaceSplit.model_construct()
    fold_case: FoldCase = False
    min_count: MinCount = 1
    max_size: MaxSize = None
    vectors: VectorsKey = None
    spelling: SpellingKey = None


class TokensInput(TokenInput):
    """A list of texts as a sequence of tokens: one step per text."""

    as_: Literal["tokens"] = Field(alias="as", description="How the column is read.")
    normalize: Normalize = "none"
    fold_case: FoldCase = False
    min_count: MinCount = 1
    max_size: MaxSize = None
    vectors: VectorsKey = None
    spelling: SpellingKey = None


class CharsInput(TokenInput):
    """Text as a sequence of characters: one step per Unicode code point."""

    as_: Literal["chars"] = Field(alias="as", description="How the column is read.")
    normalize: Normalize = "none"
    min_count: MinCount = 1
    max_size: MaxSize = None
    fold_case: bool = Field(
        default=False, description="Whether upper and lower case are read as the same character."
    )


class BytesInput(TokenInput):
    """Text as a sequence of the bytes of its UTF-8: one step per byte."""

    as_: Literal["bytes"] = Field(alias="as", description="How the column is read.")


class SubwordsInput(TokenInput):
    """Text as a sequence of subwords, byte-pair encoding trained on the training rows."""

    as_: Literal["subwords"] = Field(alias="as", description="How the column is read.")
    size: Annotated[int, Field(ge=300, le=1_000_000)] = Field(
        default=8000, description="Most subwords in the vocabulary."
    )


class FramesInput(SequenceInput):
    """A sequence of numeric vectors, all of the same width: one step per vector."""

    as_: Literal["frames"] = Field(alias="as", description="How the column is read.")
    scale: Scale = "standard"
    missing: Missing = "error"
    elapsed: Annotated[int, Field(ge=0, lt=MAX_WIDTH)] | None = Field(
        default=None,
        description="Place, from 0, of the element of each vector that is the time since the step "
        "before. It is not scaled, and only cells with the input dt see it.",
    )


class KeysInput(SequenceInput):
    """A sequence of steps with several labels on at once: a list of lists of labels."""

    as_: Literal["keys"] = Field(alias="as", description="How the column is read.")


Channels = Annotated[
    Literal[1, 3],
    Field(
        description="1 for grey, (19595 R + 38470 G + 7471 B + 32768) / 65536 rounded down (ITU-R "
        "601), 3 for red, green and blue."
    ),
]
PixelScale = Annotated[
    Literal["unit", "standard", "none"],
    Field(
        description="Scaling inside the model: 'unit' divides by 255, 'standard' subtracts the "
        "mean and divides by the standard deviation, each measured per channel on the training "
        "rows; 'none' leaves 0 to 255."
    ),
]
Invert = Annotated[
    bool,
    Field(
        description="Whether each value v is read as 255 - v, so that dark ink on white paper is "
        "large numbers on 0, which is what convolutions have beyond the edges."
    ),
]


class ImageInput(SequenceInput):
    """A picture, given by the path of its file or as an array of whole numbers from 0 to 255: one
    step per column of pixels, or per row of them, as a grid of pixels with channels."""

    as_: Literal["image"] = Field(alias="as", description="How the column is read.")
    height: Width | None = Field(
        default=None,
        description="Pixels from top to bottom. A picture of another height is resized before the "
        "model sees it, by Pillow's bilinear filter; null keeps the proportions.",
    )
    width: Width | None = Field(
        default=None,
        description="Pixels from left to right. A picture of another width is resized before the "
        "model sees it, by Pillow's bilinear filter; null keeps the proportions.",
    )
    channels: Channels = 1
    steps: Literal["columns", "rows"] = Field(
        default="columns",
        description="What the steps are: 'columns' from left to right, each of 'height' pixels, or "
        "'rows' from top to bottom, each of 'width' pixels.",
    )
    scale: PixelScale = "unit"
    invert: Invert = False
    augment: PictureAugmentKey = None


class VideoInput(SequenceInput):
    """A moving picture, given by the path of a folder of pictures (in the order of their names,
    numbers in them by their value) or of an .npy file, or as a list of frames, each the path of a
    picture or whole numbers from 0 to 255, in the order of the list: one step per frame, all its
    pixels side by side, row by row, or as rows and columns for layers that read them."""

    as_: Literal["video"] = Field(alias="as", description="How the column is read.")
    height: Width = Field(
        description="Pixels from top to bottom. Frames of another size are resized before the "
        "model sees them, by Pillow's bilinear filter."
    )
    width: Width = Field(
        description="Pixels from left to right. Frames of another size are resized before the "
        "model sees them, by Pillow's bilinear filter."
    )
    channels: Channels = 1
    scale: PixelScale = "unit"
    invert: Invert = False
    augment: PictureAugmentKey = None


class CategoryInput(OfColumn):
    """One label for the whole row, as a learned vector; in a table of series the same in all steps
    that are read."""

    as_: Literal["category"] = Field(alias="as", description="How the column is read.")
    min_count: MinCount = 1
    embed: Width = Field(default=16, description="Width of the learned vector of each label.")
    unknown: Share = Field(
        default=0.0,
        description="Share of the rows whose label is read as unknown while training, so that "
        "labels that no training row has, such as new series, have a vector that was learned.",
    )
    join: Joined = "steps"


class NumberInput(OfColumn):
    """One number for the whole row; in a table of series the same in all steps that are read."""

    as_: Literal["number"] = Field(alias="as", description="How the column is read.")
    scale: Scale = "standard"
    missing: Missing = "error"
    join: Joined = "steps"


class VectorInput(OfColumn):
    """A list of numbers for the whole row, as long in every row; in a table of series the same in
    all steps that are read."""

    as_: Literal["vector"] = Field(alias="as", description="How the column is read.")
    scale: Scale = "standard"
    missing: Missing = "error"
    join: Joined = "steps"


class CategoriesInput(SequenceInput):
    """One label at each step of series, as a learned vector: a holiday, a promotion, the weather.
    An empty cell, and a label that no training row has, are read as the unknown."""

    as_: Literal["categories"] = Field(alias="as", description="How the column is read.")
    min_count: MinCount = 1
    embed: Width = Field(default=16, description="Width of the learned vector of each label.")
    unknown: Share = Field(
        default=0.0,
        description="Share of the steps whose label is read as unknown while training, so that "
        "labels that no training row has have a vector that was learned.",
    )
    known: bool = Field(
        default=False,
        description="Whether its labels over the horizon are known beforehand, and read too.",
    )


OBSERVED = 2
"""Numbers of a step that say whether one is known: `observed`."""


MAX_LAG = 50_000
Lag = Annotated[int, Field(ge=1, le=MAX_LAG)]
DifferenceLag = Annotated[
    Lag | Literal["seasonal"],
    ByShape("a number of steps, or seasonal", by_type(int | float, other=1)),
]


def _one_or_several(value: object) -> object:
    if isinstance(value, list | tuple):
        return value
    if value == "seasonal" or (type(value) is int and 1 <= value <= MAX_LAG):
        return (value,)
    message = f"expected a number of steps, 'seasonal' or a list of them, found {describe(value)}"
    raise spec_error(message, "write 1, seasonal, or [1, 7]")


Differences = Annotated[
    tuple[DifferenceLag, ...],
    ListOf,
    BeforeValidator(
        _one_or_several, json_schema_input_type=DifferenceLag | tuple[DifferenceLag, ...]
    ),
]


class SeriesInput(SequenceInput):
    """A column of a table whose rows are the steps of one or many series: its past is read."""

    as_: Literal["series"] = Field(alias="as", description="How the column is read.")
    transform: Literal["none", "log"] = Field(
        default="none",
        description="What is scaled and learned in place of the numbers: their natural logarithm, "
        "'log', of numbers above 0 that grow and swing by shares of themselves; answers are in the "
        "unit of the data all the same.",
    )
    difference: Differences = Field(
        default=(),
        description="What is scaled and learned in place of the numbers, or of their logarithms: "
        "their differences from those so many steps before, of one lag after the other; 'seasonal' "
        "is the season of the forecast of the column. Answers are summed up, in the unit of the "
        "data all the same. For them the file reads as many steps more as the lags are together.",
    )
    scale: Literal["standard", "robust", "window", "level", "mean", "none"] = Field(
        default="standard",
        description="Scaling inside the model: 'standard' by mean and deviation of the training "
        "rows, 'robust' by their median and interquartile range / 1.349, 'window' by mean and "
        "deviation of the steps read, 'level' by their mean and the deviation that training "
        "windows have from theirs, 'mean' by the mean size of the steps read, 'none' not at all.",
    )
    missing: Missing = "error"
    observed: bool = Field(
        default=False,
        description="Whether the model also reads, at each step, if the number is known, and how "
        "many steps ago the last known one was; needs 'missing'.",
    )
    known: bool = Field(
        default=False,
        description="Whether its values over the horizon are known beforehand, and read too.",
    )
    lags: Annotated[tuple[Lag, ...], ListOf] = Field(
        default=(),
        description="Also read, at each step that is read and at each step ahead, its values so "
        "many steps before. For them the file reads as many steps more as the longest lag has; "
        "values before the first step are read as 'missing: mean' says. Ahead of what is known, "
        "the value is that of one more lag before.",
    )


class AudioInput(SequenceInput):
    """Sound as a sequence of features, one step a window: the path of a wav or flac file, relative
    to the file of the data, or a list of samples. The features are part of the model."""

    as_: Literal["audio"] = Field(alias="as", description="How the column is read.")
    rate: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        description="Samples a second that the model reads."
    )
    features: Features = Field(description="What is made of each window of samples.")
    channels: Literal["mean", "first"] = Field(
        default="mean", description="What is read of several channels: their mean, or the first."
    )
    resample: Literal["refuse", "soxr"] = Field(
        default="refuse",
        description="What becomes of a file of another rate: it is refused, or resampled by soxr "
        "(quality HQ) before the model reads it.",
    )
    normalize: Literal["learned", "utterance", "none"] = Field(
        default="learned",
        description="Scaling of the features: 'learned' by their mean and deviation in the "
        "training rows, 'utterance' by those of the row itself, 'none' not at all.",
    )
    augment: Augment | None = Field(
        default=None, description="What training changes in each row; null means nothing."
    )


Input = Annotated[
    WordsInput
    | TokensInput
    | CharsInput
    | BytesInput
    | SubwordsInput
    | FramesInput
    | KeysInput
    | ImageInput
    | VideoInput
    | CategoryInput
    | NumberInput
    | VectorInput
    | SeriesInput
    | CalendarInput
    | CategoriesInput
    | AudioInput
    | NestedInput,
    ByKey("as"),
]
StaticInput = CategoryInput | NumberInput | VectorInput
"""Inputs of whole rows."""
