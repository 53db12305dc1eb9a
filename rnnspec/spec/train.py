"""Models of `train:`: the batches, the loss, and when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import MAX_SEED, Count, Model, NotNegative, Positive, Share, Text
from rnnspec.spec.choice import ByShape
from rnnspec.spec.optimizers import Adam, Optimizer
from rnnspec.spec.schedules import ConstantRate, Schedule


class EarlyStopping(Model):
    """Stop when a metric has not improved for some epochs, and keep the best one's weights."""

    metric: Text | None = Field(
        default=None,
        description="The metric watched, which also tells whose weights are kept, as train.monitor "
        "names it; null means that of train.monitor.",
    )
    patience: Count = Field(default=3, description="Epochs without improvement before stopping.")
    min_delta: NotNegative = Field(
        default=0.0, description="Least change that counts as an improvement."
    )


class TokenBudget(Model):
    """Batches of as many rows as fit a number of steps."""

    tokens: Count = Field(
        description="Most steps of a batch, padding included: words, characters or frames. A row "
        "longer than that makes a batch of its own."
    )


def _rows_or_budget(value: object) -> int | None:
    if isinstance(value, Mapping | TokenBudget):
        return 1
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else None


Batch = Annotated[
    Count | TokenBudget, ByShape("a number of rows, or {tokens: 4000}", _rows_or_budget)
]


class Train(Model):
    """How the model is trained."""

    epochs: Count = Field(default=10, description="Passes over the training rows, at most.")
    batch: Batch = Field(
        default=32,
        description="Rows per step of the optimizer, or {tokens: N} for as many rows as fit N "
        "steps. With several processes it is what all of them take together.",
    )
    accumulate: Count = Field(
        default=1,
        description="Batches whose gradients are added up before the optimizer makes a step, which "
        "is that of one batch of all their rows.",
    )
    window: Count | None = Field(
        default=None,
        description="Truncated backpropagation through time: steps of a stream that are read "
        "before each step of the optimizer; states are carried on from window to window. null "
        "reads whole rows.",
    )
    optimizer: Optimizer = Field(
        default=Adam.model_construct(), description="The optimizer: a name, or {name: {settings}}."
    )
    schedule: Schedule = Field(
        default=ConstantRate.model_construct(),
        description="How the learning rate changes: a name, or {name: {settings}}.",
    )
    clip_norm: Positive | None = Field(
        default=1.0,
        description="Largest norm of the gradient of all weights together; longer ones are "
        "shortened to it. null means no limit.",
    )
    clip_value: Positive | None = Field(
        default=None,
        description="Largest absolute value of each entry of the gradient; larger ones are cut to "
        "it, before clip_norm. null means no limit.",
    )
    loss: Literal["auto", "cross_entropy", "mse", "mae", "huber"] = Field(
        default="auto",
        description="What is made small: 'auto' is cross_entropy for a class and mse for numbers.",
    )
    label_smoothing: Share = Field(
        default=0.0,
        description="Share of the probability of the right class that cross_entropy spreads evenly "
        "over all classes while training (Szegedy et al., 2016).",
    )
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        default=None,
        description="Evaluate and export an exponential moving average of the weights, of which "
        "this share stays at each step: 0.999, say. null means the weights themselves.",
    )
    average_last: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None,
        description="Evaluate and export the mean of the weights at the ends of the last so many "
        "epochs. null means the weights themselves.",
    )
    monitor: Text | None = Field(
        default=None,
        description="The metric of the validation rows by which an epoch is the best and its "
        "weights are kept; of equal ones the lower loss decides. Any that is reported, or "
        "train.loss, that of the training rows. null means: accuracy of a class and of tags, but "
        "macro_f1 where class_weights are set, and span_f1 where a scheme is; micro_f1 of labels "
        "and keys; mae of a number; error_rate of a text; perplexity of a next token, nll of next "
        "keys; mase of a point forecast; and loss of all else, of several outputs too.",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="When to stop before the last epoch; null means never."
    )
    precision: Literal["float32", "bfloat16", "float16", "float64", "auto"] = Field(
        default="float32",
        description="Type of the numbers while training. bfloat16 and float16 are mixed with "
        "float32, and used where a trial shows that the machine gains by it; 'auto' is bfloat16 "
        "where that is faster. Weights are kept in float32, with float64 in float64.",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="Where to train; 'auto' is a GPU if there is one."
    )
    deterministic: bool = Field(
        default=False,
        description="The same numbers in every run, which takes longer on a GPU. On a CPU they are "
        "without it, but for a precision that is chosen by trial.",
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = Field(
        default=0,
        description="Seed of all random numbers: weights, order of rows, dropout, and "
        "which rows a share (data.valid) keeps for validation.",
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="Processor threads used; null means one for small layers, and where a step is "
        "large enough to be shared one for each core, but no more than OMP_NUM_THREADS, torch's "
        "own setting and the quota of the container allow.",
    )
