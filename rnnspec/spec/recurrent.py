"""Models of a recurrent layer, its initial states and its initializers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import (
    Identifier,
    LayerName,
    LayerReads,
    Model,
    NotNegative,
    Repeat,
    Share,
    Text,
    Width,
)
from rnnspec.spec.choice import OneOf, Option, Valued
from rnnspec.spec.init import Init


class ZeroState(Option, name="zeros"):
    """The states before the first step are 0."""


class LearnedState(Option, name="learned"):
    """The states before the first step are weights, the same for all rows."""


class GivenState(Valued, name="column"):
    """The first state before the first step is a vector of the row; the others are 0."""

    needs: ClassVar[tuple[str, str]] = ("the name of a column", "start")
    value: Text = Field(
        description="Column that holds, for each row, as many numbers as the first state of the "
        "cell is wide."
    )


InitialState = Annotated[ZeroState | LearnedState | GivenState, OneOf()]


class LayerInit(Model):
    """Initializers of the parameters of a layer's cell, where the cell itself names none."""

    input: Init | None = Field(
        default=None, description="Matrices applied to x; null means uniform within 1/sqrt(units)."
    )
    recurrent: Init | None = Field(
        default=None, description="All other matrices; null means uniform within 1/sqrt(units)."
    )
    bias: Init | None = Field(
        default=None,
        description="Vectors and single numbers; null means uniform within 1/sqrt(units).",
    )


class RecurrentLayer(Model):
    """One recurrent layer of a stack."""

    cell: Text = Field(
        description="The cell: a built-in one (rnn, lstm, gru and more) or a name under 'cells:'."
    )
    units: Width = Field(description="Width of the state, per direction.")
    heads: Width = Field(
        default=1,
        description="How often the cell runs side by side, each time with weights of its own and "
        "units/heads units. All heads read the whole step; what is applied to a state is "
        "applied to that head's, so that such a matrix is block-diagonal (Beck et al., 2024).",
    )
    direction: Literal["forward", "reverse", "bidirectional"] = Field(
        default="forward",
        description="Order in which steps are read: 'forward' from the first to the last, "
        "'reverse' from the last to the first (answers keep time order), 'bidirectional' both "
        "ways, giving twice the width.",
    )
    merge: Literal["concat", "sum", "mean", "mul"] = Field(
        default="concat",
        description="How 'bidirectional' makes one output of two: side by side, or their "
        "element-wise sum, mean or product, which keeps the width.",
    )
    sizes: dict[Identifier, Width] = Field(
        default={}, description="A number for each further size of the cell, beside units."
    )
    repeat: Repeat = 1
    initial_state: InitialState = Field(
        default=ZeroState.model_construct(),
        description="The states before the first step: 0, learned weights, or {column: NAME}.",
    )
    norm: Literal["none", "layer"] = Field(
        default="none",
        description="Normalisation of the output of each step: 'layer' takes it to mean 0 and "
        "variance 1, then scales and shifts it by learned vectors (Ba et al., 2016).",
    )
    dropout: Share = Field(
        default=0.0,
        description="Share of this layer's outputs set to zero while training, after norm and "
        "before skip.",
    )
    dropout_per: Literal["step", "sequence"] = Field(
        default="step",
        description="Whether dropout draws a mask for each step, or one for all steps of a "
        "sequence (Gal and Ghahramani, 2016).",
    )
    skip: Literal["none", "residual", "highway"] = Field(
        default="none",
        description="Skip connection around the layer: 'residual' adds its input to its output, "
        "'highway' mixes them by a learned gate. Both need an input as wide as the output.",
    )
    recurrent_dropout: Share = Field(
        default=0.0,
        description="Share of each state set to zero, the same elements at all steps, where it "
        "enters the products of the recurrence, while training (Gal and Ghahramani, 2016).",
    )
    zoneout: Share = Field(
        default=0.0,
        description="Share of each state that keeps its old value in a step while training; "
        "answers take the mean of both cases (Krueger et al., 2016).",
    )
    weight_drop: Share = Field(
        default=0.0,
        description="Share of the elements of the recurrent matrices set to zero while training, "
        "the same for all rows and steps of a batch (Merity et al., 2018).",
    )
    init: LayerInit = Field(
        default=LayerInit.model_construct(),
        description="Initializers of the cell's parameters, where the cell itself names none.",
    )
    forget_bias: float | None = Field(
        default=None,
        description="Initial value of the forget gate's bias b_f; null means as the other biases.",
    )
    l2: NotNegative = Field(
        default=0.0,
        description="Factor of half the sum of squares of the cell's trained weights, which is "
        "added to the loss.",
    )
    activation_l2: NotNegative = Field(
        default=0.0,
        description="Factor of the mean square of this layer's outputs after dropout, which is "
        "added to the loss (Merity et al., 2018: 2).",
    )
    temporal_l2: NotNegative = Field(
        default=0.0,
        description="Factor of the mean square of the change of this layer's outputs, before "
        "dropout, from step to step, which is added to the loss (Merity et al., 2018: 1).",
    )
    name: LayerName = None
    reads: LayerReads = None
