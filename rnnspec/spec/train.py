"""Models of `train:`: the optimizer, the loss, and when to stop."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import MAX_SEED, Count, ListOf, Model, NotNegative, Positive, Share
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
Eps = Annotated[Positive, Field(description="Added to the denominator so that it is never zero.")]


class Adam(Option):
    """Adam (Kingma and Ba, 2015); weight decay is added to the gradient."""

    name: ClassVar[str] = "adam"

    lr: Rate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    weight_decay: NotNegative = Field(default=0.0, description="L2 penalty, added to the gradient.")


class AdamW(Option):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    name: ClassVar[str] = "adamw"

    lr: Rate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    weight_decay: NotNegative = Field(
        default=0.01, description="Share of each weight taken off per step, times the rate."
    )


class SGD(Option):
    """Stochastic gradient descent, with momentum if wanted."""

    name: ClassVar[str] = "sgd"

    lr: Rate = 0.1
    momentum: Share = Field(default=0.0, description="Share of the last step that is kept.")
    nesterov: bool = Field(
        default=False, description="Nesterov's form of momentum; needs a momentum above 0."
    )
    weight_decay: NotNegative = Field(default=0.0, description="L2 penalty, added to the gradient.")


Optimizer = Annotated[Adam | AdamW | SGD, OneOf()]


class EarlyStopping(Model):
    """Stop when a metric on the validation rows has not improved for some epochs."""

    metric: Literal["loss", "accuracy", "macro_f1", "mae", "rmse"] = Field(
        description="The metric watched: loss, accuracy or macro_f1 for a class; loss, mae or "
        "rmse for numbers."
    )
    patience: Count = Field(default=3, description="Epochs without improvement before stopping.")
    min_delta: NotNegative = Field(
        default=0.0, description="Least change that counts as an improvement."
    )


class Train(Model):
    """How the model is trained."""

    epochs: Count = Field(default=10, description="Passes over the training rows, at most.")
    batch: Count = Field(default=32, description="Rows per step of the optimizer.")
    optimizer: Optimizer = Field(
        default=Adam.model_construct(), description="The optimizer: a name, or {name: {settings}}."
    )
    clip_norm: Positive | None = Field(
        default=1.0,
        description="Largest norm of the gradient of all weights together; longer ones are "
        "shortened to it. null means no limit.",
    )
    loss: Literal["auto", "cross_entropy", "mse", "mae", "huber"] = Field(
        default="auto",
        description="What is made small: 'auto' is cross_entropy for a class and mse for numbers.",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="When to stop before the last epoch; null means never."
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = Field(
        default=0, description="Seed of all random numbers: weights, order of rows, dropout."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="Processor threads used; null means one for small layers, and one for each "
        "core where a step is large enough to be shared.",
    )
