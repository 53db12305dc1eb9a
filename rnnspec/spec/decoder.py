"""Models of `decoder:`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import ListOf, Model, Share, Text, Width
from rnnspec.spec.choice import ByShape, OneOf, Option, Valued, by_type
from rnnspec.spec.init import Start
from rnnspec.spec.layers import Layer
from rnnspec.spec.search import (
    CtcGreedySearch,
    CtcStrategy,
    GreedySearch,
    StepLimit,
    Strategy,
    TransducerGreedySearch,
    TransducerStrategy,
)


class EncoderStart(Option, name="encoder"):
    """The last states of the encoder, unchanged: the widths must fit."""


class DenseStart(Option, name="dense"):
    """The last states of the encoder, or the row's vectors, through a dense layer."""

    activation: Literal["none", "relu", "tanh", "gelu"] = Field(
        default="tanh", description="Function after the dense layer."
    )


class LearnedStart(Option, name="learned"):
    """Weights, the same for all rows."""


class ZeroStart(Option, name="zeros"):
    """States of 0."""


class AutoStart(Option, name="auto"):
    """As 'encoder' where the widths fit, else as 'dense'."""


StartFrom = Annotated[AutoStart | EncoderStart | DenseStart | LearnedStart | ZeroStart, OneOf()]

Units = Annotated[
    Width | None,
    Field(
        description="Width of the hidden layer that scores each step; null means the width of the "
        "query."
    ),
]
Coverage = Annotated[
    bool, Field(description="Whether the sum of all earlier weights of a step enters its score.")
]


class NoAttention(Option, name="none"):
    """The decoder sees only the last states of the encoder."""


class AdditiveAttention(Option, name="additive"):
    """v · tanh(W_q q + W_m m + b) (Bahdanau et al., 2015)."""

    units: Units = None
    coverage: Coverage = False


class DotAttention(Option, name="dot"):
    """q · m, of equal widths (Luong et al., 2015)."""


class GeneralAttention(Option, name="general"):
    """q · (W m) (Luong et al., 2015)."""


class ConcatAttention(Option, name="concat"):
    """v · tanh(W [q; m]) (Luong et al., 2015)."""

    units: Units = None
    coverage: Coverage = False


class MultiHeadAttention(Option, name="multi_head"):
    """Scaled dot products in several heads (Vaswani et al., 2017)."""

    heads: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="Number of heads.")
    units: Width | None = Field(
        default=None,
        description="Width of all heads together, a multiple of their number; null means the width "
        "of the query.",
    )


class LocationAttention(Option, name="location"):
    """Additive, with a convolution of the last step's weights (Chorowski et al., 2015)."""

    units: Units = None
    filters: Width = Field(default=8, description="Number of filters of the convolution.")
    kernel: Annotated[int, Field(ge=1, le=1001)] = Field(
        default=15, description="Width of each filter in steps, an odd number."
    )


class MonotonicAttention(Option, name="monotonic"):
    """Expected weights of an attention that only moves forward (Raffel et al., 2017)."""

    units: Units = None


Attention = Annotated[
    NoAttention
    | AdditiveAttention
    | DotAttention
    | GeneralAttention
    | ConcatAttention
    | MultiHeadAttention
    | LocationAttention
    | MonotonicAttention,
    OneOf(),
]

EmbedInit = Annotated[
    Start | None,
    Field(
        description="Initializer of the learned vectors; null means the spec's init, or normal "
        "with deviation 1."
    ),
]
Rate = Annotated[float, Field(ge=0.0, le=1.0)]


class ConstantForcing(Valued, name="constant"):
    """The same share in all of training."""

    value: Rate = Field(description="Share of steps that read the true previous token.")


class LinearForcing(Option, name="linear"):
    """Linearly from one share to another over all epochs."""

    start: Rate = Field(default=1.0, description="Share in the first step of training.")
    end: Rate = Field(default=0.5, description="Share after the last.")


class ExponentialForcing(Option, name="exponential"):
    """k to the power of the epochs done (Bengio et al., 2015)."""

    k: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(default=0.9, description="The base.")


class InverseSigmoidForcing(Option, name="inverse_sigmoid"):
    """k / (k + exp(epochs / k)) (Bengio et al., 2015)."""

    k: Annotated[float, Field(ge=1.0)] = Field(
        default=5.0, description="The larger, the later the fall."
    )


TeacherForcing = Annotated[
    Rate
    | Annotated[
        ConstantForcing | LinearForcing | ExponentialForcing | InverseSigmoidForcing, OneOf()
    ],
    ByShape("a share from 0 to 1, or a schedule", by_type(int | float, other=1)),
]


class CountedLength(Model):
    """As many steps as a number of the row says."""

    column: Text = Field(
        description="An input 'as: number' that holds the number of frames; rounded to a whole one."
    )


FrameCount = Annotated[int, Field(ge=1, le=100_000)]
WrittenLength = Annotated[
    Literal["learned", "input"] | FrameCount | CountedLength,
    ByShape(
        "learned, input, a number of frames, or {column: NAME}",
        by_type(str, int, Mapping | CountedLength),
    ),
]


Copied = Annotated[
    Text | Annotated[tuple[Text, ...], ListOf, Field(min_length=1)],
    ByShape("a column, or a list of columns", by_type(str, list | tuple)),
]


class Decoder(Model):
    """The part that writes the answer step by step, fed with its own answers."""

    name: ClassVar[str] = "recurrent"

    embed: Width | None = Field(
        default=None,
        description="Width of the learned vector of each token answered; null means 64.",
    )
    embed_dropout: Share = Field(
        default=0.0, description="Share of the learned vectors' entries set to zero while training."
    )
    embed_init: EmbedInit = None
    tied: bool = Field(
        default=False,
        description="Whether the learned vectors of the tokens are also the matrix that scores "
        "them: the width before the scores must be the width of the vectors.",
    )
    layers: Annotated[tuple[Layer, ...], ListOf, Field(min_length=1)] = Field(
        description="The layers, first the one nearest to the input: forward, and with "
        "the states of start_from before the first step."
    )
    start_from: StartFrom = Field(
        default=AutoStart.model_construct(), description="The states before the first step."
    )
    attention: Attention = Field(
        default=NoAttention.model_construct(),
        description="How the decoder reads the steps of the encoder.",
    )
    attend: Literal["after", "before"] = Field(
        default="after",
        description="The query of attention: 'after' is the output of the layers (Luong et al., "
        "2015), which is faster, as all steps are trained at once. 'before' is their output of the "
        "step before, and the context is an input of the layers (Bahdanau et al., 2015).",
    )
    input_feeding: bool = Field(
        default=False,
        description="Whether the input of the scores at one step is also an input of the next step "
        "(Luong et al., 2015, section 3.3).",
    )
    context_dropout: Share = Field(
        default=0.0, description="Share of the context of attention set to zero while training."
    )
    copy_from: Copied | None = Field(
        default=None,
        alias="copy",
        description="Input column whose tokens may be copied into the answer, also tokens that the "
        "vocabulary lacks (See et al., 2017): words or tokens into words or tokens, chars into "
        "chars. Of several encoders, [question, passage] copies from either: each column is read "
        "by an encoder of its own, and a token that several have is one token. Null means none. "
        "Needs attention.",
    )
    hidden: Width | None = Field(
        default=None,
        description="Width of the tanh layer from the output of the layers and the context of "
        "attention to the scores; null means the width of the last layer with attention, and no "
        "such layer without.",
    )
    dropout: Share = Field(
        default=0.0, description="Share of the input of the scores set to zero while training."
    )
    teacher_forcing: TeacherForcing = Field(
        default=1.0,
        description="Share of steps that read the true previous token in training, the others the "
        "model's own: a number, or a schedule over training.",
    )
    length: WrittenLength = Field(
        default="learned",
        description="How many frames are written: 'learned', until a unit of the decoder says stop "
        "(Shen et al., 2018), as the end mark of a text does; 'input', as many as the input has "
        "steps; a number; or {column: NAME}, an input of the row that says how many.",
    )
    reverse: bool = Field(
        default=False,
        description="Whether frames are written from the last to the first, which an autoencoder "
        "finds easier (Srivastava et al., 2015); answers are in the order of the data.",
    )
    feedback: Literal["answers", "none"] = Field(
        default="answers",
        description="What a decoder of frames or of a forecast reads before each step: 'answers' "
        "is the one before, 'none' nothing of its own answers; of a forecast the last value of the "
        "past stands at every step then, and all steps are computed at once in training.",
    )
    inputs: Annotated[tuple[Text, ...], ListOf] = Field(
        default=(),
        description="Input columns of frames or keys, with a value for each step that is written, "
        "which the decoder reads beside the frame before and the encoder does not: known controls. "
        "Needs 'length: input'.",
    )
    max_steps: StepLimit = Field(
        default="auto",
        description="Most tokens or frames answered: a number, 'auto' (of tokens the mean and four "
        "deviations of the training rows' lengths, and no less than the longest; of frames the "
        "longest), or {times: 2.0, plus: 10} of the input's length.",
    )
    min_steps: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=0, description="Fewest tokens or frames answered."
    )
    strategy: Strategy = Field(
        default=GreedySearch.model_construct(), description="The search for an answer."
    )

    @property
    def copied(self) -> tuple[str, ...]:
        """The columns whose tokens may be copied, in the order of their numbers."""
        given = self.copy_from
        return given if isinstance(given, tuple) else () if given is None else (given,)


TooShort = Annotated[
    Literal["error", "skip"],
    Field(
        description="What a row means whose answer does not fit into its steps: with CTC it takes "
        "a step for each token, and one more between two equal ones; with a transducer any step at "
        "all. 'error' refuses it, 'skip' leaves it out of the loss."
    ),
]


class Ctc(Model):
    """How the steps are aligned with the tokens."""

    too_short: TooShort = "error"


class CtcDecoder(Model):
    """An alignment: each step of the encoder answers a token or none (Graves et al., 2006)."""

    name: ClassVar[str] = "ctc"

    ctc: Ctc = Field(
        description="Connectionist temporal classification: a token, or the blank, at each step of "
        "the encoder; equal neighbours are one token. No more tokens than steps are answered."
    )
    strategy: CtcStrategy = Field(
        default=CtcGreedySearch.model_construct(), description="The search for an answer."
    )


class Transducer(Model):
    """How tokens are written along the steps."""

    symbols: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=4,
        description="Most tokens answered at one step of the encoder; in a beam, of all steps "
        "together for each step.",
    )
    too_short: TooShort = "error"


class TransducerDecoder(Model):
    """A recurrent network over the tokens so far, joined with each step of the encoder (Graves,
    2012)."""

    name: ClassVar[str] = "transducer"

    transducer: Transducer = Field(
        description="An alignment in which each step of the encoder answers any number of tokens, "
        "each of them by the step and by the tokens before it."
    )
    embed: Width | None = Field(
        default=None, description="Width of the learned vector of each token before; null means 64."
    )
    embed_dropout: Share = Field(
        default=0.0, description="Share of the learned vectors' entries set to zero while training."
    )
    embed_init: EmbedInit = None
    layers: Annotated[tuple[Layer, ...], ListOf, Field(min_length=1)] = Field(
        description="The recurrent layers over the tokens before: the prediction network."
    )
    hidden: Width | None = Field(
        default=None,
        description="Width of the tanh layer that joins a step of the encoder with the prediction "
        "network; null means the width of the last layer.",
    )
    strategy: TransducerStrategy = Field(
        default=TransducerGreedySearch.model_construct(), description="The search for an answer."
    )


def _kind_of_decoder(value: object) -> int:
    keys = value if isinstance(value, Mapping) else ()
    if "ctc" in keys or isinstance(value, CtcDecoder):
        return 1
    return 2 if "transducer" in keys or isinstance(value, TransducerDecoder) else 0


AnyDecoder = Annotated[
    Decoder | CtcDecoder | TransducerDecoder, ByShape("the keys of a decoder", _kind_of_decoder)
]
