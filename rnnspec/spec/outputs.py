"""Models of `data.output`: the columns that are answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from pydantic.functional_validators import AfterValidator

from rnnspec.spec.base import (
    Count,
    ListOf,
    MaxSize,
    MinCount,
    Model,
    OfColumn,
    Positive,
    Scale,
    Text,
    spec_error,
)
from rnnspec.spec.choice import ByKey, ByShape, by_type
from rnnspec.spec.distributions import Distribution, Paths, PointDistribution, Probability
from rnnspec.spec.head import FixedPooling, Head, Pooling
from rnnspec.spec.losses import AUTO, ClassLoss, NextLoss, NumberLoss, Smoothing

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


OutputReads = Annotated[
    tuple[Text, ...] | None,
    ListOf,
    Field(
        min_length=1,
        description="Names of the layers of the encoder that the answer is made of, side by side; "
        "'input' is what the first layer reads. Null means the last layer. Of several encoders an "
        "answer about steps names the one whose they are: NAME is its last layer, NAME.LAYER one "
        "by name.",
    ),
]
OutputPooling = Annotated[
    Pooling | None,
    Field(
        description="How the states of all steps become one vector for this answer; null means as "
        "'pooling' of the spec says."
    ),
]
OutputHead = Annotated[
    Head | None,
    Field(
        description="Dense layers of this answer alone; null means those of 'head' of the spec, "
        "which answers of one value share."
    ),
]


ClassWeights = Annotated[
    Literal["none", "balanced"] | dict[str, Positive],
    ByShape("none, balanced, or a mapping of labels to weights", by_type(str, Mapping)),
    Field(
        description="Factor of the loss of each label: 'none' is 1 for all, 'balanced' is rows / "
        "(labels * rows of the label), where a row counts as often as it weighs (data.weight), or a"
        " mapping of labels to factors, 1 for the others."
    ),
]
Answered = Annotated[
    Distribution,
    Field(
        description="What is answered of each number: itself, quantiles, or the parameters of a "
        "distribution, which is trained by its likelihood."
    ),
]
POINT = PointDistribution.model_construct()
Level = Annotated[float, Field(ge=0.01, le=0.9999)]
Intervals = Annotated[
    tuple[Level, ...],
    ListOf,
    Field(
        max_length=20,
        description="Shares of the true values, rising: for each, an exported file answers between "
        "which two numbers the distribution has that share, with as much below as above.",
    ),
]
Samples = Annotated[
    Annotated[int, Field(ge=1, le=10_000)] | None,
    Field(
        description="How many draws from the distribution of each number an exported file answers; "
        "rows have a seed each."
    ),
]
Scheme = Literal["none", "bio", "iob1", "bioes", "io"]


class ChosenThreshold(Model):
    """A threshold for each label, chosen on the validation rows."""

    auto: Literal["label"] = Field(
        description="'label' chooses a threshold for each label by itself, the one with its largest"
        " F1."
    )


Threshold = Annotated[
    Probability | Literal["auto"] | ChosenThreshold,
    ByShape(
        "a probability, auto, or {auto: label}",
        by_type(int | float, str, Mapping | ChosenThreshold),
    ),
    Field(
        description="Probability above which a label is answered. 'auto' chooses it on the "
        "validation rows once the model is trained, the one with the largest F1 of all labels "
        "together, and {auto: label} one for each label; builds and exported files keep what was "
        "chosen."
    ),
]


Season = Annotated[
    Count,
    Field(
        description="Steps of a season, after which numbers repeat: for the naive forecast of the "
        "baseline (the last value for 1), and for MASE."
    ),
]


class ClassOutput(OfColumn):
    """One label out of the labels of the training rows. Another label, in rows that are measured,
    counts as wrong and is left out of the loss."""

    as_: Literal["class"] = Field(alias="as", description="What the column holds.")
    missing: MissingTarget = "error"
    class_weights: ClassWeights = "none"
    loss: ClassLoss = AUTO
    label_smoothing: Smoothing = None
    weight: Weight = 1.0
    reads: OutputReads = None
    pooling: OutputPooling = None
    head: OutputHead = None


def _ordered(labels: tuple[str | int, ...]) -> tuple[str, ...]:
    """The labels as texts. Raises a ValidationError for one that stands there twice."""
    found = tuple(map(str, labels))
    for place, label in enumerate(found):
        if label in found[:place]:
            raise spec_error(f"{label!r} is named twice", "name each label once")
    return found


OrderedLabels = Annotated[
    tuple[Annotated[Text | int, ByShape("a text or a whole number", by_type(str, int))], ...],
    ListOf,
    Field(
        min_length=2,
        description="All labels, from the lowest to the highest, as in [low, mid, high].",
    ),
    AfterValidator(_ordered),
]


class OrdinalOutput(OfColumn):
    """One label out of several that have an order: grades, stars, stages. It is answered by
    proportional odds: one number is learned, and where the labels end on its scale."""

    as_: Literal["ordinal"] = Field(alias="as", description="What the column holds.")
    labels: OrderedLabels
    missing: MissingTarget = "error"
    class_weights: ClassWeights = "none"
    loss: ClassLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    pooling: OutputPooling = None
    head: OutputHead = None


class LabelsOutput(OfColumn):
    """Several labels at once: a list of labels, which may be empty; in CSV and TSV as JSON, or a
    text of labels with a separator between. A label that no training row has, in rows that are
    measured, counts as wrong and is left out of the loss."""

    as_: Literal["labels"] = Field(alias="as", description="What the column holds.")
    separator: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="What stands between the labels of a cell that is a text, such as ';': a text "
        "without it is one label, and white space around a label is left off. ' ' stands for any "
        "white space; null means that every cell is a list.",
    )
    threshold: Threshold = 0.5
    missing: MissingTarget = "error"
    loss: ClassLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    pooling: OutputPooling = None
    head: OutputHead = None


class NumberOutput(OfColumn):
    """One number; answers are in the units of the data."""

    as_: Literal["number"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"
    distribution: Answered = POINT
    intervals: Intervals = ()
    samples: Samples = None
    missing: MissingTarget = "error"
    loss: NumberLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    pooling: OutputPooling = None
    head: OutputHead = None


class VectorOutput(OfColumn):
    """A list of numbers, as long in every row; answers are in the units of the data."""

    as_: Literal["vector"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"
    distribution: Answered = POINT
    intervals: Intervals = ()
    samples: Samples = None
    missing: MissingTarget = "error"
    loss: NumberLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    pooling: OutputPooling = None
    head: OutputHead = None


NoPosition = Annotated[
    bool,
    Field(
        description="Whether a row may have none: null, or an empty field of CSV, is then an "
        "answer like any other, with a learned score, and told as -1."
    ),
]


class PositionOutput(OfColumn):
    """One step of the input, by its number from 0; -1 of a row without steps. Every step of a row
    has a score, and no row is cut: a number past the end of its own row is an error."""

    as_: Literal["position"] = Field(alias="as", description="What the column holds.")
    none: NoPosition = False
    missing: MissingTarget = "error"
    loss: ClassLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    head: OutputHead = None


class SpanOutput(OfColumn):
    """Neighbouring steps of the input: the list of the first and the last one, both by number from
    0 and both part of the span; in CSV as JSON, or two columns that data.table joins. [-1, -1] of a
    row without steps."""

    as_: Literal["span"] = Field(alias="as", description="What the column holds.")
    max_span: Count | None = Field(
        default=None,
        description="Most steps of a span that is answered; null means as many as the row has.",
    )
    none: NoPosition = False
    missing: MissingTarget = "error"
    loss: ClassLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    head: OutputHead = None


class PositionsOutput(OfColumn):
    """Steps of the input, one after the other: a list of their numbers from 0, of any length and in
    any order. A decoder points at each of them (Vinyals et al., 2015)."""

    as_: Literal["positions"] = Field(alias="as", description="What the column holds.")
    once: bool = Field(
        default=False,
        description="Whether no step is answered twice: the search then chooses among the steps "
        "that are left.",
    )
    loss: ClassLoss = AUTO
    weight: Weight = 1.0


class TagsOutput(OfColumn):
    """One label for each step of the input: a list of labels, or in a table of series one a row;
    null, or an empty field of CSV, leaves a step out of loss and metrics."""

    as_: Literal["tags"] = Field(alias="as", description="What the column holds.")
    scheme: Scheme = Field(
        default="none",
        description="Whether labels mark spans, whose F1 is then measured: 'bio' with B-PER, I-PER "
        "and O, as conlleval counts them (an I-PER may begin a span); 'iob1' likewise, where B-PER "
        "only stands after a span of its kind; 'io' with I-PER and O alone, "
        "where neighbours of one kind are one span; 'bioes' also with E-PER at the end and S-PER "
        "for a single step, where only whole spans count. Spans are defined as in seqeval, for "
        "'bioes' in its strict mode. A step that is left out counts as if it were not there.",
    )
    crf: bool = Field(
        default=False,
        description="Whether the labels of a row are answered together, as the likeliest path "
        "through a linear chain (a conditional random field): what may follow what is learned, and "
        "what the scheme forbids is never answered. Probabilities are then those of each label at "
        "its step under the chain, and the score is the log-probability of the whole path.",
    )
    labels: Annotated[
        OrderedLabels | None,
        Field(
            description="All labels, from the lowest to the highest, as in [low, mid, high], where "
            "they have an order: each step is then answered by proportional odds, as by ordinal."
        ),
    ] = None
    class_weights: ClassWeights = "none"
    loss: ClassLoss = AUTO
    label_smoothing: Smoothing = None
    weight: Weight = 1.0
    reads: OutputReads = None
    head: OutputHead = None


class KeysOutput(OfColumn):
    """Several labels for each step of the input: a list of lists of labels."""

    as_: Literal["keys"] = Field(alias="as", description="What the column holds.")
    threshold: Threshold = 0.5
    loss: ClassLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    head: OutputHead = None


class FramesOutput(OfColumn):
    """A vector for each step of the input, all of the same width; in a table of series one number
    a row, and an empty one is left out of loss and metrics. With a decoder a sequence of vectors of
    its own length; in the column of an input of frames that input again, with its errors."""

    as_: Literal["frames"] = Field(alias="as", description="What the column holds.")
    scale: Scale = "standard"
    distribution: Answered = POINT
    intervals: Intervals = ()
    samples: Samples = None
    paths: Paths = None
    missing: Annotated[
        Literal["error", "skip"],
        Field(
            description="What a null among the frames of a row means, in place of a number or of a "
            "frame: 'error' refuses it, 'skip' leaves it out of loss and metrics; a decoder that "
            "is fed with it reads the mean."
        ),
    ] = "error"
    anomaly: Text | None = Field(
        default=None,
        description="Column of 0 and 1 that says which rows are anomalous, where an input is "
        "answered again: 'evaluate' then says how well the score tells them apart (AUROC). It is "
        "read by 'evaluate' alone.",
    )
    loss: NumberLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    head: OutputHead = None


class NextOutput(OfColumn):
    """The next step of the input in the same column: of text language modelling, of frames or a
    series their next numbers."""

    as_: Literal["next"] = Field(alias="as", description="What is answered.")
    direction: Literal["forward", "reverse"] = Field(
        default="forward",
        description="'forward' reads a text from its beginning and answers the token after each; "
        "'reverse' reads it from its end and answers the token before each, as the backward model "
        "of a pair does. All layers read in this direction.",
    )
    distribution: Answered = POINT
    intervals: Intervals = ()
    samples: Samples = None
    season: Season = 1
    loss: NextLoss = AUTO
    label_smoothing: Smoothing = None
    weight: Weight = 1.0
    reads: OutputReads = None
    head: OutputHead = None


class TextOutput(OfColumn):
    """Base of outputs that a decoder writes token by token."""

    as_: Literal["words", "chars", "tokens"] = Field(
        alias="as", description="How the text is written."
    )
    min_count: MinCount = 1
    max_size: MaxSize = None
    loss: ClassLoss = AUTO
    label_smoothing: Smoothing = None
    weight: Weight = 1.0


Slots = Annotated[
    Annotated[str, Field(min_length=1)] | None,
    Field(
        description="How the tokens begin that stand for values, as in 'SLOT_': a text with such "
        "tokens is delexicalised, and 'slot_error' is measured of it, the slots that are missing "
        "and those that are too many, as a share of the true ones (Wen et al., 2015). null means "
        "that there are none."
    ),
]


class WordsOutput(TextOutput):
    """A text, written word by word."""

    as_: Literal["words"] = Field(alias="as", description="How the text is written.")
    slots: Slots = None


class CharsOutput(TextOutput):
    """A text, written character by character."""

    as_: Literal["chars"] = Field(alias="as", description="How the text is written.")


class TokensOutput(TextOutput):
    """A list of texts, answered one by one."""

    as_: Literal["tokens"] = Field(alias="as", description="How the list is answered.")
    slots: Slots = None


class ForecastOutput(OfColumn):
    """The values ahead of a series that is among the inputs."""

    as_: Literal["forecast"] = Field(alias="as", description="What is answered.")
    horizon: Annotated[int, Field(ge=1, le=100_000)] = Field(description="Number of steps ahead.")
    distribution: Answered = POINT
    intervals: Intervals = ()
    samples: Samples = None
    paths: Paths = None
    season: Season = 1
    residual: Literal["none", "last", "seasonal"] = Field(
        default="none",
        description="What the model learns: the values ahead, or how far each is from the last "
        "value read ('last'), or from the value one season before ('seasonal'), as the series is "
        "scaled.",
    )
    loss: NumberLoss = AUTO
    weight: Weight = 1.0
    reads: OutputReads = None
    pooling: OutputPooling = None
    head: OutputHead = None


class StatesOutput(Model):
    """The states of a layer of the encoder, as vectors: for searching, or as the input of another
    model. Nothing trains them but the other answers."""

    column: Annotated[
        Text, Field(description="Name of the answer. It stands in no file of the data.")
    ]
    as_: Literal["states"] = Field(alias="as", description="What is answered.")
    reads: OutputReads = None
    pooling: Annotated[
        FixedPooling | None,
        Field(
            description="How the states of all steps become one vector for each row; null answers "
            "those of each step."
        ),
    ] = None


RowOutput = ClassOutput | OrdinalOutput | LabelsOutput | NumberOutput | VectorOutput
"""Answers of whole rows, made of one vector."""
StepOutput = TagsOutput | KeysOutput | FramesOutput | NextOutput
"""Answers of each step."""
PointedOutput = PositionOutput | SpanOutput
"""Answers of whole rows that are made of a score at each step."""
Headed = RowOutput | PointedOutput | StepOutput | ForecastOutput
"""Answers that a head makes; a forecast, unless a decoder does."""
Distributed = NumberOutput | VectorOutput | FramesOutput | NextOutput | ForecastOutput
"""Answers of numbers, which may have a distribution."""
Target = Headed | WordsOutput | CharsOutput | TokensOutput | PositionsOutput
"""Answers whose true values stand in the data, which train the model."""
Output = Annotated[
    ClassOutput
    | OrdinalOutput
    | LabelsOutput
    | NumberOutput
    | VectorOutput
    | PositionOutput
    | SpanOutput
    | PositionsOutput
    | TagsOutput
    | KeysOutput
    | FramesOutput
    | NextOutput
    | WordsOutput
    | CharsOutput
    | TokensOutput
    | ForecastOutput
    | StatesOutput,
    ByKey("as"),
]
