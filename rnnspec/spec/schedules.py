"""Models of `train.schedule`: schedules of the learning rate.

A step is a step of the optimizer. Every schedule multiplies the optimizer's `lr`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rnnspec.spec.base import MAX_COUNT, Count, NotNegative, Text
from rnnspec.spec.choice import OneOf, Option

Warmup = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_COUNT,
        description="Steps over which the rate first rises evenly from 0 to the optimizer's lr.",
    ),
]
Floor = Annotated[
    float, Field(ge=0.0, lt=1.0, description="Share of the optimizer's lr that is left at the end.")
]
Factor = Annotated[float, Field(gt=0.0, lt=1.0)]


class ConstantRate(Option, name="constant"):
    """The optimizer's lr to the last step."""

    warmup: Warmup = 0


class Cosine(Option, name="cosine"):
    """Down to the floor along half a cosine over all epochs (Loshchilov and Hutter, 2017)."""

    warmup: Warmup = 0
    floor: Floor = 0.0


class Linear(Option, name="linear"):
    """Down to the floor evenly over all epochs."""

    warmup: Warmup = 0
    floor: Floor = 0.0


class InverseSqrt(Option, name="inverse_sqrt"):
    """After the warm-up, lr * sqrt(warmup / step) (Vaswani et al., 2017)."""

    warmup: Count = Field(
        default=4000,
        description="Steps over which the rate first rises evenly from 0 to the optimizer's lr.",
    )


class StepDown(Option, name="step"):
    """Times the factor at the end of epoch `after`, and again after each `every` epochs."""

    warmup: Warmup = 0
    every: Count = Field(default=1, description="Epochs from one fall of the rate to the next.")
    factor: Factor = Field(default=0.5, description="What the rate is multiplied by each time.")
    after: Count = Field(default=1, description="Epoch at whose end the rate falls first.")


class Plateau(Option, name="plateau"):
    """Times the factor whenever a metric has stopped improving."""

    warmup: Warmup = 0
    metric: Text | None = Field(
        default=None,
        description="The metric to monitor; null means the one that train.monitor or "
        "train.early_stopping names, or loss.",
    )
    factor: Factor = Field(default=0.5, description="What the rate is multiplied by each time.")
    patience: Count = Field(default=2, description="Epochs without improvement before it falls.")
    min_delta: NotNegative = Field(
        default=0.0, description="Least change, since the last improvement, that counts as one."
    )
    floor: Floor = 0.0


Schedule = Annotated[ConstantRate | Cosine | Linear | InverseSqrt | StepDown | Plateau, OneOf()]
