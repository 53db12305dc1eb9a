"""Models of the layers of a stack: the recurrent ones, and those around them.

A layer is named by the key that says what it is. Lists of layers are read from top to bottom; a
layer reads the one before it, or the layers that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.base import LayerName, LayerReads, ListOf, Model, Repeat, Share, Text, Width
from rnnspec.spec.choice import ByName, ByShape
from rnnspec.spec.init import AffineInit
from rnnspec.spec.recurrent import RecurrentLayer


def _axes(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return 0
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return 2 if len(value) > 2 else 1


Extent = Annotated[
    Width | Annotated[tuple[Width, Width], ListOf] | Annotated[tuple[Width, Width, Width], ListOf],
    ByShape("a number of steps, or [steps, features], or of a video [rows, columns]", _axes),
]
Activation = Annotated[
    Literal["none", "relu", "tanh", "sigmoid", "elu", "silu", "gelu", "softplus", "hard_sigmoid"],
    Field(description="Function of each number of the output, after norm and before dropout."),
]
Norm = Annotated[
    Literal["none", "layer", "batch"],
    Field(
        description="Normalisation of the output: 'layer' of each vector (Ba et al., 2016), "
        "'batch' of each channel over the batch (Ioffe and Szegedy, 2015), a fixed factor in the "
        "exported file."
    ),
]
Dropout = Annotated[
    Share, Field(description="Share of the output set to zero while training, at the end.")
]
DropoutPer = Annotated[
    Literal["step", "sequence"],
    Field(
        description="Whether dropout draws a mask for each step, or one for all steps of a "
        "sequence (Gal and Ghahramani, 2016)."
    ),
]
Skip = Annotated[
    Literal["none", "residual"],
    Field(
        description="'residual' adds the layer's input to its output, which must have the same "
        "width and the same steps."
    ),
]

InitOf = Annotated[AffineInit, Field(description="Initializers of the weights and the bias.")]


class ConvLayer(Model):
    """Convolution over time or, with two sizes, over time and features; of a video within each
    frame, or with three sizes over time too. Zeros stand beyond the ends of each row."""

    conv: Width = Field(description="Number of filters.")
    size: Extent = Field(
        default=3,
        description="Steps that a filter spans, or [steps, features]: then a sequence is read as a "
        "grid of its features with one channel. Of the frames of a video [rows, columns] within "
        "each, or [steps, rows, columns].",
    )
    stride: Extent = Field(
        default=1,
        description="Steps, and features, from one output to the next: ceil(T / stride) "
        "steps remain of T. The axes are those of the size; one number is for all of them.",
    )
    dilation: Extent = Field(
        default=1, description="Steps, and features, from one element of a filter to the next."
    )
    groups: Width = Field(
        default=1, description="Parts of the channels that are convolved each on its own."
    )
    causal: bool = Field(
        default=False,
        description="Whether an output reads no later step; otherwise as many as earlier ones.",
    )
    norm: Norm = "none"
    activation: Activation = "none"
    dropout: Dropout = 0.0
    dropout_per: DropoutPer = "step"
    skip: Skip = "none"
    init: InitOf = AffineInit.model_construct()
    repeat: Repeat = 1
    name: LayerName = None
    reads: LayerReads = None


class PoolLayer(Model):
    """The largest or the mean value of neighbouring steps, as far as the row goes."""

    pool: Literal["max", "mean"] = Field(description="Which value of a window is kept.")
    size: Extent = Field(
        default=2,
        description="Steps of a window, or [steps, features]; of the frames of a video "
        "[rows, columns] within each, or [steps, rows, columns].",
    )
    stride: Extent | None = Field(
        default=None,
        description="Steps, and features, from one window to the next: ceil(T / stride) steps "
        "remain of T. Null means the size.",
    )
    name: LayerName = None
    reads: LayerReads = None


class DenseLayer(Model):
    """A dense layer of each step."""

    dense: Width = Field(description="Width of the output.")
    norm: Norm = "none"
    activation: Activation = "none"
    dropout: Dropout = 0.0
    dropout_per: DropoutPer = "step"
    skip: Skip = "none"
    init: InitOf = AffineInit.model_construct()
    repeat: Repeat = 1
    name: LayerName = None
    reads: LayerReads = None


class StackLayer(Model):
    """Neighbouring steps side by side as one step, zeros beyond the end of the row (frame stacking:
    Sak et al., 2015; pyramids: Chan et al., 2016)."""

    stack: Annotated[int, Field(ge=2, le=1000)] = Field(description="Number of steps side by side.")
    stride: Width | None = Field(
        default=None,
        description="Steps from one group to the next: ceil(T / stride) remain of T. Null means as "
        "many as stand side by side.",
    )
    name: LayerName = None
    reads: LayerReads = None


class JoinLayer(Model):
    """Several layers as one."""

    join: Literal["concat", "sum", "mul", "mean"] = Field(
        description="'concat' puts them side by side; the others are their sum, product or mean "
        "element by element, of equal widths."
    )
    name: LayerName = None
    reads: Annotated[tuple[Text, ...], ListOf, Field(min_length=2)] = Field(
        description="Names of two or more layers before this one; 'input' is what the first layer "
        "reads."
    )


class SqueezeLayer(Model):
    """A grid of features and channels, or frames of rows, columns and channels, as plain
    steps."""

    squeeze: Literal["flatten", "mean", "max", "places"] = Field(
        description="'flatten' puts the channels of all features side by side, as layers that read "
        "plain steps do of themselves; 'mean' and 'max' are taken over the features; 'places' "
        "makes a step of each feature of each step, for attention over the places of a picture. "
        "The features of a frame are its places, row by row."
    )
    name: LayerName = None
    reads: LayerReads = None


class NormLayer(Model):
    """Normalisation of each step."""

    norm: Literal["layer", "batch"] = Field(
        description="'layer' takes each vector to mean 0 and variance 1 (Ba et al., 2016), 'batch' "
        "each channel over the batch (Ioffe and Szegedy, 2015); learned vectors scale and shift it."
    )
    name: LayerName = None
    reads: LayerReads = None


class ActivationLayer(Model):
    """A function of each number."""

    activation: Literal[
        "relu", "tanh", "sigmoid", "elu", "silu", "gelu", "softplus", "hard_sigmoid"
    ] = Field(description="The function.")
    name: LayerName = None
    reads: LayerReads = None


class DropoutLayer(Model):
    """Numbers set to zero while training."""

    dropout: Annotated[Share, Field(gt=0.0)] = Field(description="Share of the numbers.")
    dropout_per: DropoutPer = "step"
    name: LayerName = None
    reads: LayerReads = None


Stateless = (
    ConvLayer
    | PoolLayer
    | DenseLayer
    | StackLayer
    | JoinLayer
    | SqueezeLayer
    | NormLayer
    | ActivationLayer
    | DropoutLayer
)
"""The layers that are not recurrent."""
Layer = Annotated[
    RecurrentLayer | AttendLayer | Stateless,
    ByName(
        "cell",
        "attend",
        "conv",
        "pool",
        "dense",
        "stack",
        "join",
        "squeeze",
        "norm",
        "activation",
        "dropout",
    ),
]
"""A layer of a stack. Keys that are settings of other layers name a layer where none of those
before them does."""
