"""Losses: of `train`, and of single answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rnnspec.spec.base import NotNegative, Positive, Share
from rnnspec.spec.choice import OneOf, Option


class AutoLoss(Option, name="auto"):
    """Cross-entropy for classes and labels, the squared error for numbers."""


class CrossEntropy(Option, name="cross_entropy"):
    """-ln of the probability of the true class; of several labels the sum over all of them."""


class Focal(Option, name="focal"):
    """Cross-entropy times (1 - p)^gamma, with p the probability of what is true, so that what is
    answered surely already counts less (Lin et al., 2017)."""

    gamma: NotNegative = Field(
        default=2.0, description="How much less; with 0 the loss is cross_entropy."
    )


class SquaredError(Option, name="mse"):
    """The squared error, in units of the scaled numbers; it is least at the mean."""


class AbsoluteError(Option, name="mae"):
    """The absolute error, in units of the scaled numbers; it is least at the median."""


class Huber(Option, name="huber"):
    """Half the squared error up to `delta`, beyond it delta times what the absolute error is above
    half of delta, in units of the scaled numbers (Huber, 1964)."""

    delta: Positive = Field(
        default=1.0,
        description="Error, in units of the scaled numbers, from which on it counts linearly.",
    )


OfClasses = AutoLoss | CrossEntropy | Focal
OfNumbers = AutoLoss | SquaredError | AbsoluteError | Huber
Loss = AutoLoss | CrossEntropy | Focal | SquaredError | AbsoluteError | Huber
_ABOUT = "Loss of this answer: 'auto' is that of train.loss where it fits."
ClassLoss = Annotated[OfClasses, OneOf(), Field(description=_ABOUT)]
NumberLoss = Annotated[OfNumbers, OneOf(), Field(description=_ABOUT)]
NextLoss = Annotated[Loss, OneOf(), Field(description=_ABOUT)]
Smoothing = Annotated[
    Share | None,
    Field(description="As train.label_smoothing, of this answer alone; null means as there."),
]
AUTO = AutoLoss.model_construct()
