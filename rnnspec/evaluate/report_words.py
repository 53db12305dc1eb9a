"""What the metrics mean, in a sentence each, and which of them matter most."""

from __future__ import annotations

from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    TextOutput,
)

EXPLAINED = {
    "loss": "What training makes small; with several outputs their weighted sum.",
    "accuracy": "Share of answers that are right.",
    "macro_f1": "F1 (of precision and recall) of each class, averaged: rare classes count as much"
    " as frequent ones.",
    "micro_f1": "F1 (of precision and recall) of all labels counted together.",
    "span_f1": "F1 of whole spans: right only with the right start, end and kind.",
    "nll": "Mean surprise of a row or step: -ln of the probability of all its true labels.",
    "perplexity": "Among how many equally likely tokens the model hesitates, on average; a token"
    " that is not in the vocabulary counts with the probability of the unknown.",
    "bits": "Mean surprise of a token, in bits.",
    "token_accuracy": "Share of tokens that are right, each after the true ones before it.",
    "exact_match": "Share of answers that are right as a whole.",
    "error_rate": "Tokens to insert, delete or change to get from the answers to the true texts,"
    " as a share of their tokens.",
    "bleu": "Runs of up to four words that the answer shares with true texts, from 0 to 1"
    " (sacrebleu).",
    "chrf": "Runs of up to six characters that the answer shares with true texts, from 0 to 1"
    " (sacrebleu).",
    "mae": "Mean size of the error.",
    "rmse": "Root of the mean squared error: large errors count more.",
    "mase": "Mean size of the error, as a multiple of how much the series changes in a season, over"
    " its training rows.",
    "smape": "Mean size of the error as a share of the values, from 0 to 2.",
    "skill": "How much smaller the mean error is than that of the naive forecast, the value of a"
    " season ago: 1 is perfect, 0 is no better.",
    "scaled_skill": "As skill, with each error divided by the scale of its series, as for MASE:"
    " series of large and of small numbers weigh alike.",
    "pinball": "Mean loss of the quantiles: the error, weighted by the probability of the side it"
    " falls on.",
    "coverage": "Share of true values within the band.",
}
SHARES = frozenset(
    {
        "accuracy",
        "macro_f1",
        "micro_f1",
        "span_f1",
        "exact_match",
        "token_accuracy",
        "error_rate",
        "coverage",
        "skill",
        "scaled_skill",
    }
)
"""Metrics that are read as a percentage."""


def main_metrics(node: Output) -> tuple[str, ...]:
    """The metrics of an output that matter most, the first one most."""
    match node:
        case ClassOutput() if node.ahead:
            return ("perplexity", "bits", "accuracy")
        case ClassOutput():
            return ("span_f1", "accuracy", "macro_f1")
        case LabelsOutput() if node.ahead:
            return ("nll", "micro_f1", "exact_match")
        case LabelsOutput():
            return ("micro_f1", "nll", "exact_match")
        case NumericOutput():
            return ("mae", "skill", "rmse")
        case TextOutput():
            return ("exact_match", "error_rate", "bleu", "chrf")
        case ForecastOutput():
            return ("mae", "skill", "mase", "coverage")


def value_text(metric: str, value: float) -> str:
    """`93.8 %` or `0.0123`."""
    if value != value:
        return "not a number"
    if metric in SHARES:
        text = f"{100 * value:.1f} %"
    else:
        text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "\u2212")
