"""Metrics over a whole data set, added up batch by batch: one file a kind of answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from rnnspec.evaluate.metrics.classes import ClassMetrics, LabelsMetrics
from rnnspec.evaluate.metrics.forecasts import ForecastMetrics
from rnnspec.evaluate.metrics.frames import FramesMetrics
from rnnspec.evaluate.metrics.numbers import NumericMetrics
from rnnspec.evaluate.metrics.positions import PointerMetrics, PositionMetrics
from rnnspec.evaluate.metrics.tags import Lanes, TagMetrics
from rnnspec.evaluate.metrics.texts import TextMetrics
from rnnspec.spec.named_metrics import column_and_metric, general, level_of, places_of

__all__ = [
    "METRICS",
    "ClassMetrics",
    "ForecastMetrics",
    "FramesMetrics",
    "LabelsMetrics",
    "Lanes",
    "MetricInfo",
    "Metrics",
    "NumericMetrics",
    "PointerMetrics",
    "PositionMetrics",
    "TagMetrics",
    "TextMetrics",
    "info_of",
    "not_finite_warnings",
]

Metrics: TypeAlias = (
    ClassMetrics
    | LabelsMetrics
    | NumericMetrics
    | PointerMetrics
    | PositionMetrics
    | TagMetrics
    | TextMetrics
    | ForecastMetrics
    | FramesMetrics
)
"""Sums of one output."""


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What a metric means, whether a larger value is better, and whether it is read as a
    percentage."""

    explanation: str
    larger_is_better: bool = False
    percentage: bool = False


METRICS: Mapping[str, MetricInfo] = {
    "loss": MetricInfo("What training makes small; with several outputs their weighted sum."),
    "accuracy": MetricInfo("Share of answers that are right.", True, True),
    "macro_f1": MetricInfo(
        "F1 (of precision and recall) of each class, averaged: rare classes count as much as"
        " frequent ones.",
        True,
        True,
    ),
    "rank_error": MetricInfo("How many places the answer is off, on average."),
    "kappa": MetricInfo(
        "Agreement beyond chance, where an answer is wrong by the square of how many places it is"
        " off: 1 is perfect, 0 is chance (Cohen's kappa with quadratic weights).",
        True,
    ),
    "micro_f1": MetricInfo(
        "F1 (of precision and recall) of all labels counted together.", True, True
    ),
    "span_f1": MetricInfo(
        "F1 of whole spans: right only with the right start, end and kind.", True, True
    ),
    "nll": MetricInfo(
        "Mean surprise of a row or step: -ln of the probability of all its true labels."
    ),
    "perplexity": MetricInfo(
        "Among how many equally likely tokens the model hesitates, on average; a token that is not"
        " in the vocabulary counts with the probability of the unknown."
    ),
    "bits": MetricInfo("Mean surprise of a token, in bits."),
    "token_accuracy": MetricInfo(
        "Share of tokens that are right, each after the true ones before it.", True, True
    ),
    "exact_match": MetricInfo("Share of answers that are right as a whole.", True, True),
    "token_f1": MetricInfo(
        "F1 (of precision and recall) of the steps that the answered and the true span have in"
        " common, averaged over rows (as for SQuAD).",
        True,
        True,
    ),
    "place_accuracy": MetricInfo(
        "Share of the places of the true lists at which the answer has the right step.", True, True
    ),
    "error_rate": MetricInfo(
        "Tokens to insert, delete or change to get from the answers to the true texts, as a share"
        " of their tokens.",
        percentage=True,
    ),
    "bleu": MetricInfo(
        "Runs of up to four words that the answer shares with true texts, from 0 to 1 (sacrebleu).",
        True,
    ),
    "chrf": MetricInfo(
        "Runs of up to six characters that the answer shares with true texts, from 0 to 1"
        " (sacrebleu).",
        True,
    ),
    "mae": MetricInfo("Mean size of the error."),
    "rmse": MetricInfo("Root of the mean squared error: large errors count more."),
    "mase": MetricInfo(
        "Mean size of the error, as a multiple of how much the series changes in a season, over its"
        " training rows."
    ),
    "smape": MetricInfo("Mean size of the error as a share of the values, from 0 to 2."),
    "skill": MetricInfo(
        "How much smaller the mean error is than that of the naive forecast, the value of a season"
        " ago: 1 is perfect, 0 is no better.",
        True,
        True,
    ),
    "scaled_skill": MetricInfo(
        "As skill, with each error divided by the scale of its series, as for MASE: series of large"
        " and of small numbers weigh alike.",
        True,
        True,
    ),
    "pinball": MetricInfo(
        "Mean loss of the quantiles: the error, weighted by the probability of the side it falls"
        " on."
    ),
    "length_error": MetricInfo("Mean difference of the number of frames from the true one."),
    "score": MetricInfo(
        "Mean score of a row: how far the answer is from the input, by the mean of the squared"
        " differences in units of the deviation."
    ),
    "coverage": MetricInfo("Share of true values within the band.", percentage=True),
    "auroc": MetricInfo(
        "How often a row of a class is given a higher probability of it than another row, the mean"
        " over classes: 0.5 is chance (the area under the ROC curve).",
        True,
    ),
    "average_precision": MetricInfo(
        "Precision, averaged over the rows of a class as they are found by falling probability; the"
        " mean over classes.",
        True,
    ),
    "accuracy@k": MetricInfo("Share of answers that are right within the first k.", True, True),
    "precision@k": MetricInfo("Share of the likeliest k labels that are true.", True, True),
    "recall@k": MetricInfo("Share of what is true that is among the likeliest k.", True, True),
    "mrr": MetricInfo("Mean of 1 / the place of what is true.", True),
    "mrr@k": MetricInfo("Mean of 1 / the place of what is true, 0 beyond place k.", True),
    "ndcg@k": MetricInfo(
        "How far up what is true stands among the first k, from 0 to 1 (normalised discounted"
        " cumulative gain).",
        True,
    ),
    "brier": MetricInfo("Mean squared distance of the probabilities from what is true."),
    "ece": MetricInfo(
        "How far probabilities are from the shares that are right, on average (expected calibration"
        " error).",
        percentage=True,
    ),
    "slot_error": MetricInfo(
        "Slots that the answers lack, and those that they have too many, as a share of the true"
        " ones.",
        percentage=True,
    ),
    "concordance": MetricInfo(
        "How often, of two rows of which it is known, the one that ends first has the shorter"
        " answer: 0.5 is chance (Harrell's concordance index).",
        True,
    ),
    "crps": MetricInfo(
        "How far the distribution is from the true value, on average, in its unit: of a point the"
        " error (continuous ranked probability score)."
    ),
    "coverage@k": MetricInfo(
        "Share of true values within the interval that should hold k % of them.", percentage=True
    ),
    "r2": MetricInfo("Share of the variance of the true numbers that is explained: R².", True),
    "rmsse": MetricInfo(
        "Root of the mean squared error over that of the seasonal-naive forecast before, the mean"
        " over series.",
        False,
    ),
    "wql": MetricInfo(
        "Weighted quantile loss: twice the pinball loss over the sum of the true sizes, the mean"
        " over quantiles.",
        False,
    ),
}
"""By name, with `k` for a number of places; of several outputs the names of an output's metrics
start with its column."""


def info_of(metric: str) -> MetricInfo | None:
    """What is known of a metric, whose name may start with its column; None of what is none."""
    name = column_and_metric(metric)[1]
    info, k, level = METRICS.get(general(name)), places_of(name), level_of(name)
    shown = k if level is None else f"{100 * level:.8g}"
    if info is None or shown is None:
        return info
    return replace(info, explanation=re.sub(r"\bk\b", str(shown), info.explanation))


def not_finite_warnings(sums: Mapping[str, Metrics]) -> Iterator[str]:
    """A sentence for each output with answers that are not finite where a true one is known: its
    metrics are NaN."""
    for column, metrics in sums.items():
        if metrics.not_finite:
            count = metrics.not_finite
            answers = f"{count:,} answers are" if count > 1 else "1 answer is"
            yield (
                f"{column}: {answers} no finite number, so metrics are none either; the weights or"
                " the values that were read are beyond float32: look for huge numbers in these"
                " rows, or train with a lower train.optimizer lr or with train.clip_norm"
            )
