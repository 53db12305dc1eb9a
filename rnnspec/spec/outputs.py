"""Models of `data.output`: the columns that are answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import Column, Count, ListOf, MaxSize, MinCount, Model, Positive, Scale
from rnnspec.spec.choice import ByKey, ByShape, OneOf, Option, Valued

Probability = Annotated[float, Field(gt=0.0, lt=1.0)]
Weight = Annotated[
    Positive, Field(description="Factor of this answer's loss in the loss of all answers together.")
]
MissingTarget = Annotated[
    Literal["error", "skip"],
    Field(
        description="What a missing answer (null, or an empty field of CSV) means: 'error' refuses "
        "it, 'skip' leaves it out of loss and metrics."
    ),
]


class PointDistribution(Option):
    """One number, the mean or the median, depending on the loss."""

    name: ClassVar[str] = "point"


class QuantilesDistribution(Valued):
    """Quantiles of the value at these probabilities, by the pinball loss."""

    name: ClassVar[str] = "quantiles"
    needs: ClassVar[tuple[str, str]] = ("a list of probabilities", "[0.1, 0.5, 0.9]")
    value: Annotated[tuple[Probability, ...], ListOf, Field(min_length=1, max_length=99)] = Field(
        description="Probabilities, rising, among them 0.5: the median is the point forecast."
    )


class GaussianDistribution(Option):
    """A normal distribution: mean and deviation."""

    name: ClassVar[str] = "gaussian"


class StudentTDistribution(Option):
    """A Student-t distribution: location, scale and degrees of freedom above 2."""

    name: ClassVar[str] = "student_t"


class NegativeBinomialDistribution(Option):
    """A negative binomial distribution, for counts: mean and dispersion."""

    name: ClassVar[str] = "negative_binomial"


Distribution = Annotated[
    PointDistribution
    | QuantilesDistribution
    | GaussianDistribution
    | StudentTDistribution
    | NegativeBinomialDistribution,
    OneOf(),
]


def _none_balanced_or_mapping(value: object) -> int | None:
    if isinstance(value, str):
        return 0
    return 1 if isinstance(value, Mapping) else None


ClassWeights = Annotated[
    Literal["none", "balanced"] | dict[str, Positive],
    ByShape("none, balanced, or a mapping of labels to weights", _none_balanced_or_mapping),
    Field(
        description="Factor of the loss of each label: 'none' is 1 for all, 'balanced' is rows / "
        "(labels * rows of the label), or a mapping of labels to factors, 1 for the others."
    ),
]
Scheme = Literal["none", "bio", "bioes", "io"]
Threshold = Annotated[
    Probability, Field(description="Probability above which a label is answered.")
]


Season = Annotated[
    Count,
    Field(
        description="Steps of a season, after which numbers repeat: for the naive forecast of the "
        "baseline (the last value for 1), and for MASE."
    ),
]


class ClassOutput(Model):
    """One label out of the labels of the training rows. Another label, in rows that are measured,
    counts as wrong and is left out of the loss."""

    column: Column
    as_: Literal["class"] = Field(alias="as", description="What the column holds.")
    missing: MissingTarget = "error"
    class_weights: ClassWeights = "none"
    weight: Weight = 1.0


class LabelsOutput(Model):
    """Several labels at once: a list of labels, which may be empty; in CSV and TSV as JSON, or a
    text of labels with a separator between. A label that no training row has, in rows that are
    measured, counts as wrong and is left out of the loss."""

    column: Column
    as_: Literal["labels"] = Field(alias="as", description="What the column holds.")
    separator: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="What stands between the labels of a cell that is a text, such as ';': a text "
        "without it is one label, and white space around a label is left off. ' ' stands for any "
        "white space; null means that every cell is a list.",
    )
    threshold: Threshold = 0.5
    missing: MissingTarget = "error"
    weight: Weight = 1.0


class NumberOutput(Model):
    """One number; answers are in the units of the data."""

    column: Column
    as_: Literal["number"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"
    missing: MissingTarget = "error"
    weight: Weight = 1.0


class VectorOutput(Model):
    """A list of numbers, as long in every row; answers are in the units of the data."""

    column: Column
    as_: Literal["vector"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"
    missing: MissingTarget = "error"
    weight: Weight = 1.0


class TagsOutput(Model):
    """One label for each step of the input: a list of labels, or in a table of series one a row;
    null, or an empty field of CSV, leaves a step out of loss and metrics."""

    column: Column
    as_: Literal["tags"] = Field(alias="as", description="What the column holds.")
    scheme: Scheme = Field(
        default="none",
        description="Whether labels mark spans, whose F1 is then measured: 'bio' with B-PER, I-PER "
        "and O, as conlleval counts them (an I-PER may begin a span); 'io' with I-PER and O alone, "
        "where neighbours of one kind are one span; 'bioes' also with E-PER at the end and S-PER "
        "for a single step, where only whole spans count. Spans are defined as in seqeval, for "
        "'bioes' in its strict mode. A step that is left out counts as if it were not there.",
    )
    class_weights: ClassWeights = "none"
    weight: Weight = 1.0


class KeysOutput(Model):
    """Several labels for each step of the input: a list of lists of labels."""

    column: Column
    as_: Literal["keys"] = Field(alias="as", description="What the column holds.")
    threshold: Threshold = 0.5
    weight: Weight = 1.0


class FramesOutput(Model):
    """A vector for each step of the input, all of the same width; in a table of series one number
    a row, and an empty one is left out of loss and metrics."""

    column: Column
    as_: Literal["frames"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"
    weight: Weight = 1.0


class NextOutput(Model):
    """The next step of the input in the same column: of text language modelling, of frames or a
    series their next numbers."""

    column: Column
    as_: Literal["next"] = Field(alias="as", description="What is answered.")
    season: Season = 1
    weight: Weight = 1.0


class WordsOutput(Model):
    """A text, written word by word."""

    column: Column
    as_: Literal["words"] = Field(alias="as", description="How the text is written.")
    min_count: MinCount = 1
    max_size: MaxSize = None
    weight: Weight = 1.0


class CharsOutput(Model):
    """A text, written character by character."""

    column: Column
    as_: Literal["chars"] = Field(alias="as", description="How the text is written.")
    min_count: MinCount = 1
    max_size: MaxSize = None
    weight: Weight = 1.0


class TokensOutput(Model):
    """A list of texts, answered one by one."""

    column: Column
    as_: Literal["tokens"] = Field(alias="as", description="How the list is answered.")
    min_count: MinCount = 1
    max_size: MaxSize = None
    weight: Weight = 1.0


class ForecastOutput(Model):
    """The values ahead of a series that is among the inputs."""

    column: Column
    as_: Literal["forecast"] = Field(alias="as", description="What is answered.")
    horizon: Annotated[int, Field(ge=1, le=100_000)] = Field(description="Number of steps ahead.")
    distribution: Distribution = Field(
        default=PointDistribution.model_construct(),
        description="What is answered of each step ahead: one number, quantiles, or the parameters "
        "of a distribution.",
    )
    season: Season = 1
    weight: Weight = 1.0


Output = Annotated[
    ClassOutput
    | LabelsOutput
    | NumberOutput
    | VectorOutput
    | TagsOutput
    | KeysOutput
    | FramesOutput
    | NextOutput
    | WordsOutput
    | CharsOutput
    | TokensOutput
    | ForecastOutput,
    ByKey("as"),
]
TextOutput = WordsOutput | CharsOutput | TokensOutput
"""Outputs that a decoder writes token by token."""
