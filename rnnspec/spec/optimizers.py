"""Models of `train.optimizer`.

Formulas and defaults are the ones of torch's optimizers of the same names, except the rate of
`sgd`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import ListOf, NotNegative, Positive, Share
from rnnspec.spec.choice import OneOf, Option

Betas = Annotated[
    tuple[Share, Share],
    ListOf,
    Field(
        description="Decay per step of the running mean of the gradient and of its square, each "
        "below 1."
    ),
]
Rate = Annotated[Positive, Field(description="Learning rate.")]
Decayed = Annotated[
    Literal["all", "matrices"],
    Field(
        description="Which weights decay: all of them, or matrices only, which leaves out biases, "
        "norms, embeddings and first states."
    ),
]
Eps = Annotated[Positive, Field(description="Added to the denominator so that it is never zero.")]
Penalty = Annotated[NotNegative, Field(description="L2 penalty, added to the gradient.")]
Momentum = Annotated[Share, Field(description="Share of the last step that is kept.")]


class AdamSettings(Option):
    """Base of Adam and of what differs from it in the formula alone."""

    lr: Rate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    weight_decay: Penalty = 0.0
    weight_decay_on: Decayed = "all"


class Adam(AdamSettings, name="adam"):
    """Adam (Kingma and Ba, 2015); weight decay is added to the gradient."""


class AdamW(AdamSettings, name="adamw"):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    weight_decay: NotNegative = Field(
        default=0.01, description="Share of each weight taken off per step, times the rate."
    )


class NAdam(Option, name="nadam"):
    """Adam with Nesterov's momentum (Dozat, 2016)."""

    lr: Rate = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    momentum_decay: NotNegative = Field(
        default=4e-3, description="How fast the momentum rises to the first of the betas."
    )
    weight_decay: Penalty = 0.0
    weight_decay_on: Decayed = "all"


class RAdam(AdamSettings, name="radam"):
    """Adam whose first steps are rectified, in the place of a warm-up (Liu et al., 2020)."""


class SGD(Option, name="sgd"):
    """Stochastic gradient descent, with momentum if wanted."""

    lr: Rate = 0.1
    momentum: Momentum = 0.0
    nesterov: bool = Field(
        default=False, description="Nesterov's form of momentum; needs a momentum above 0."
    )
    weight_decay: Penalty = 0.0
    weight_decay_on: Decayed = "all"


class RMSprop(Option, name="rmsprop"):
    """Gradients divided by the root of the running mean of their squares (Tieleman and Hinton,
    2012, Neural Networks for Machine Learning, lecture 6.5)."""

    lr: Rate = 1e-2
    alpha: Share = Field(
        default=0.99, description="Decay per step of the running mean of the squared gradient."
    )
    eps: Eps = 1e-8
    momentum: Momentum = 0.0
    centered: bool = Field(
        default=False,
        description="Divide by the running standard deviation, without the mean of the gradient "
        "(Graves, 2013).",
    )
    weight_decay: Penalty = 0.0
    weight_decay_on: Decayed = "all"


class Adagrad(Option, name="adagrad"):
    """Gradients divided by the root of the sum of all their squares (Duchi et al., 2011)."""

    lr: Rate = 1e-2
    lr_decay: NotNegative = Field(
        default=0.0, description="At step n, from 0, the rate is divided by 1 + n times this."
    )
    eps: Eps = 1e-10
    weight_decay: Penalty = 0.0
    weight_decay_on: Decayed = "all"


Optimizer = Annotated[Adam | AdamW | NAdam | RAdam | SGD | RMSprop | Adagrad, OneOf()]
