"""Models of `train:`: batches, loss, and stopping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import MAX_SEED, Count, ListOf, Model, NotNegative, Positive, Share, Text
from rnnspec.spec.choice import ByShape, OneOf, by_type
from rnnspec.spec.losses import AUTO, Loss
from rnnspec.spec.optimizers import Adam, Optimizer
from rnnspec.spec.schedules import ConstantRate, Schedule


class EarlyStopping(Model):
    """Stop when a metric has not improved for some epochs, and keep the weights of the best."""

    metric: Text | None = Field(
        default=None,
        description="The metric to monitor, which also chooses the epoch whose weights are kept, "
        "by the names of train.monitor; null means the metric of train.monitor.",
    )
    patience: Count = Field(default=3, description="Epochs without improvement before stopping.")
    min_delta: NotNegative = Field(
        default=0.0,
        description="Least change, since the last improvement, that counts as one; the best weights"
        " are kept whatever it is.",
    )


class TokenBudget(Model):
    """Batches of as many rows as fit a number of steps."""

    tokens: Count = Field(
        description="Most steps of a batch, padding included: words, characters or frames. A "
        "longer row makes a batch of its own."
    )


Batch = Annotated[
    Count | TokenBudget,
    ByShape("a number of rows, or {tokens: 4000}", by_type(int | float, Mapping | TokenBudget)),
]


class Train(Model):
    """How the model is trained."""

    start_from: Text | None = Field(
        default=None,
        description="A build folder whose weights training starts from, by names and shapes of "
        "layers; what does not fit is told and starts anew. Its vocabulary and labels are kept and "
        "grow by those of the new rows, and numbers are scaled as it scaled them. A relative path "
        "starts at the folder of the spec, else at the current one. null draws all weights.",
    )
    freeze: Annotated[tuple[Text, ...], ListOf] = Field(
        default=(),
        description="Layers whose weights stay as they are: names of layers, or of parts of the "
        "plan as 'rnnspec show' lists them (embed, layers.0, answer), * for any letters. Dropout "
        "stays as it is.",
    )
    epochs: Count = Field(default=10, description="Passes over the training rows, at most.")
    batch: Batch = Field(
        default=32,
        description="Rows per step of the optimizer, or {tokens: N} for as many rows as fit N "
        "steps. With several processes it counts the rows of all of them together.",
    )
    accumulate: Count = Field(
        default=1,
        description="Batches whose gradients are added up before the optimizer makes a step, the "
        "same step as for one batch of all their rows, but for the moments of batch norms and the "
        "penalties of layers' outputs, which are of each batch by itself.",
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
    loss: Annotated[Loss, OneOf()] = Field(
        default=AUTO,
        description="The loss of every answer that it fits and that names none of its own: 'auto' "
        "is cross_entropy for classes and labels, and mse for numbers.",
    )
    label_smoothing: Share = Field(
        default=0.0,
        description="Share of the probability of the right class that cross_entropy spreads evenly "
        "over all classes while training (Szegedy et al., 2016).",
    )
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        default=None,
        description="Evaluate and export an exponential moving average of the weights that keeps "
        "this share at each step: 0.999, say; at step n at most (1 + n) / (10 + n), so that the "
        "drawn weights are soon forgotten. null means the weights themselves.",
    )
    average_last: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None,
        description="Evaluate and export the mean of the weights at the ends of this many last "
        "epochs. null means the weights themselves.",
    )
    average_when_stale: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None,
        description="Evaluate and export the mean of the weights after each step, from the epoch "
        "on whose monitored metric is worse than the best of all but this many epochs before it "
        "(NT-ASGD: Merity et al., 2018: 5). null means the weights themselves.",
    )
    monitor: Text | None = Field(
        default=None,
        description="The metric of the validation rows that chooses the best epoch, whose weights "
        "are kept; the lower loss decides between equal ones. Any reported metric, one that "
        "'metrics' can name, or train.loss, the loss of the training rows. null means: accuracy "
        "for a class and for tags, but macro_f1 where class_weights are set, and span_f1 where a "
        "scheme is; rank_error for an ordinal answer; micro_f1 for labels and keys, but "
        "average_precision where their threshold is auto; mae for a number; error_rate for a text; "
        "perplexity for a next token, nll for next keys; mase for a point forecast; loss for all "
        "else, and for several outputs.",
    )
    metrics: Annotated[tuple[Text, ...], ListOf] = Field(
        default=(),
        description="Metrics to measure beside those that always are, by names as for monitor: "
        "auroc, average_precision, accuracy@5, brier and ece of a class or tags; auroc, "
        "average_precision, precision@5, recall@5, ndcg@5, brier and ece of labels and keys; "
        "recall@20, mrr, mrr@20, ndcg@20 and ece of a next token; r2 of numbers; rmsse and wql of "
        "forecasts. What stands after the @ is any number of places.",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="When to stop before the last epoch; null means never."
    )
    precision: Literal["float32", "bfloat16", "float16", "float64", "auto"] = Field(
        default="float32",
        description="Type of the numbers while training. bfloat16 and float16 are mixed with "
        "float32, and used where a trial shows that they are faster; 'auto' is bfloat16 where it "
        "is faster. Weights are kept in float32, or in float64 with float64.",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="Where to train; 'auto' is a GPU if there is one."
    )
    deterministic: bool = Field(
        default=False,
        description="The same numbers in every run, which takes longer on a GPU. On a CPU they are "
        "the same without it, except with a precision that is chosen by trial.",
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
