"""The settings of losses and metrics in a spec, with the facts that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import assert_never

from rnnspec.plan.facts import ClassFacts, Facts
from rnnspec.plan.names import names_of
from rnnspec.spec import ClassOutput, OrdinalOutput, Spec, TagsOutput
from rnnspec.spec.decoder import (
    ConstantForcing,
    ExponentialForcing,
    InverseSigmoidForcing,
    LinearForcing,
)
from rnnspec.spec.losses import AUTO, Loss
from rnnspec.spec.metrics import LOSS, default_metric, loss_of, monitored_metrics, smoothing_of
from rnnspec.spec.named_metrics import named_further
from rnnspec.spec.outputs import Scheme

Weighed = ClassOutput | OrdinalOutput | TagsOutput
"""Outputs whose labels may have weights."""
Forcing = float | ConstantForcing | LinearForcing | ExponentialForcing | InverseSigmoidForcing


@dataclass(frozen=True, slots=True)
class Slots:
    """Tokens that stand for values: those that begin with `mark`. `tokens` by number."""

    mark: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutputLoss:
    """What the loss and the metrics of one output depend on.

    `weight` in the whole loss; `class_weights`, empty for all 1. `span_labels`: the labels of tags
    that mark spans by a `scheme`, empty for other outputs. `tokens`: the vocabulary of a text whose
    BLEU or chrF is monitored, empty for others. `coverage`: the coverage of a forecast is
    monitored. `metrics`: further ones that are named (`rnnspec.spec.named_metrics`).
    `slots` of a delexicalised text. `loss`, and the share of `smoothing` of its classes.
    """

    weight: float = 1.0
    class_weights: tuple[float, ...] = ()
    span_labels: tuple[str, ...] = ()
    scheme: Scheme = "none"
    tokens: tuple[str, ...] = ()
    coverage: bool = False
    metrics: tuple[str, ...] = ()
    slots: Slots | None = None
    loss: Loss = AUTO
    smoothing: float = 0.0


@dataclass(frozen=True, slots=True)
class LossSettings:
    """The settings of each output by column, `other` for those that are not there; `forcing`, the
    share of steps that are given the true token before them in training; and the metric to
    `monitor` where `train` names none."""

    outputs: Mapping[str, OutputLoss] = field(default_factory=dict)
    forcing: Forcing = 1.0
    monitor: str = LOSS
    other: OutputLoss = OutputLoss()

    def of(self, column: str) -> OutputLoss:
        return self.outputs.get(column, self.other)


def loss_settings_of(spec: Spec, facts: Facts) -> LossSettings:
    """The loss settings of a spec with the facts of its training rows."""
    found: dict[str, OutputLoss] = {}
    further = named_further(spec)
    for output in spec.data.targets:
        known = facts.outputs[output.column]
        weights: tuple[float, ...] = ()
        spans: tuple[str, ...] = ()
        scheme: Scheme = "none"
        if isinstance(output, ClassOutput | OrdinalOutput | TagsOutput) and isinstance(
            known, ClassFacts
        ):
            weights = _class_weights(output.class_weights, known)
            if isinstance(output, TagsOutput) and output.scheme != "none":
                spans, scheme = known.labels, output.scheme
        names, mark = _monitored_of(spec, output.column), getattr(output, "slots", None)
        tokens = tuple(names_of(known)) if names & {"bleu", "chrf"} else ()
        found[output.column] = OutputLoss(
            output.weight,
            weights,
            spans,
            scheme,
            tokens,
            "coverage" in names,
            further[output.column],
            Slots(mark, tuple(names_of(known))) if mark else None,
            loss_of(spec, output),
            smoothing_of(spec, output),
        )
    forcing = 1.0 if spec.decoder is None else spec.decoder.teacher_forcing
    return LossSettings(found, forcing, default_metric(spec))


def _monitored_of(spec: Spec, column: str) -> set[str]:
    """The metrics of an output that are monitored."""
    prefix = f"{column}." if len(spec.data.targets) > 1 else ""
    names = monitored_metrics(spec.train, default_metric(spec))
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def _class_weights(chosen: str | Mapping[str, float], known: ClassFacts) -> tuple[float, ...]:
    if chosen == "none":
        return ()
    if isinstance(chosen, str):
        counts = known.weighed or known.counts
        rows = sum(counts)
        return tuple(rows / (len(known.labels) * (count or 1)) for count in counts)
    return tuple(chosen.get(label, 1.0) for label in known.labels)


def forcing_at(chosen: Forcing, epochs_done: float, epochs: int) -> float:
    """The share of true tokens after `epochs_done` epochs, a fraction included.

    `exponential` and `inverse_sigmoid`: Bengio et al. 2015, section 2.4.
    """
    match chosen:
        case float() | int():
            return float(chosen)
        case ConstantForcing():
            return chosen.value
        case LinearForcing():
            done = min(1.0, epochs_done / epochs)
            return chosen.start + (chosen.end - chosen.start) * done
        case ExponentialForcing():
            return float(chosen.k**epochs_done)
        case InverseSigmoidForcing():
            return chosen.k / (chosen.k + exp(min(700.0, epochs_done / chosen.k)))
        case _:
            assert_never(chosen)
