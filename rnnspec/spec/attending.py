"""The layer of an encoder that attends to the steps of another encoder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import LayerName, LayerReads, ListOf, Model, Text, Width
from rnnspec.spec.choice import OneOf, Option


class DotScore(Option, name="dot"):
    """x · m, of equal widths (Parikh et al., 2016; Chen et al., 2017)."""


class GeneralScore(Option, name="general"):
    """x · (W m) (Luong et al., 2015)."""


class AdditiveScore(Option, name="additive"):
    """v · tanh(W_q x + W_m m + b) (Bahdanau et al., 2015)."""

    units: Width | None = Field(
        default=None,
        description="Width of the hidden layer that scores each pair of steps; null means the "
        "width of the layer's input.",
    )


class MultiHeadScore(Option, name="multi_head"):
    """Scaled dot products in several heads (Vaswani et al., 2017)."""

    heads: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="Number of heads.")
    units: Width | None = Field(
        default=None,
        description="Width of all heads together, a multiple of their number; null means the width "
        "of the layer's input.",
    )


class PoolingScore(Option, name="pooling"):
    """As the other encoder's `pooling` says, whatever x is: its one vector, at each step x."""


Score = Annotated[DotScore | GeneralScore | AdditiveScore | MultiHeadScore | PoolingScore, OneOf()]
Meeting = Literal["concat", "context", "difference", "product", "cosine", "manhattan"]
"""How a step x and its context c meet."""


class AttendLayer(Model):
    """Attention over the steps of another encoder: of each step x a mean c of those steps, by their
    scores, the context."""

    attend: Text = Field(
        description="The encoder whose last layer is attended to, or NAME.LAYER for a layer of its "
        "by name, NAME.input for what its first layer reads. Encoders may attend to each other's "
        "layers that wait for no attention themselves."
    )
    score: Score = Field(
        default=GeneralScore.model_construct(),
        description="How much a step m of the other encoder bears on the step x.",
    )
    combine: Annotated[tuple[Meeting, ...], ListOf] = Field(
        default=("concat",),
        min_length=1,
        description="How the step x and its context c meet, side by side in this order: 'concat' "
        "is x and c, 'context' c alone, 'difference' |x - c| and 'product' x * c, element by "
        "element, 'cosine' the cosine of their angle, 'manhattan' exp(-sum |x - c|).",
    )
    name: LayerName = None
    reads: LayerReads = None

    @property
    def encoder(self) -> str:
        """The encoder that is attended to."""
        return self.attend.partition(".")[0]

    @property
    def pools(self) -> bool:
        """Whether it attends to the one vector of the other encoder."""
        return isinstance(self.score, PoolingScore)

    @property
    def layer(self) -> str:
        """The name of its layer, "" for the last one."""
        return self.attend.partition(".")[2]

    def of(self, encoder: str) -> AttendLayer:
        """The same over another encoder."""
        place = f"{encoder}.{self.layer}" if self.layer else encoder
        return self.model_copy(update={"attend": place})
