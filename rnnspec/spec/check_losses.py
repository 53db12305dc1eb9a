"""Checks of the losses of answers."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.distributions import censored_by
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import KeysInput
from rnnspec.spec.losses import Focal
from rnnspec.spec.metrics import (
    CLASSIFYING,
    answers_numbers,
    can_be_smoothed,
    distribution_of,
    loss_of,
    losses_of,
)
from rnnspec.spec.outputs import NumberOutput, OrdinalOutput, TagsOutput, Target, TextOutput
from rnnspec.spec.spec import Spec


def loss_fits_output(spec: Spec) -> Iterator[Finding]:
    """The loss of `train` is one of some output that names none."""
    name = spec.train.loss.name
    if name == "auto":
        return
    own = [each for each in spec.data.targets if each.loss.name == "auto"]
    known = dict.fromkeys(loss for output in own for loss in losses_of(spec, output))
    if name in known:
        return
    fits = any(name in losses_of(spec, output) for output in spec.data.targets)
    if fits:
        yield no_effect(("train", "loss"), "where every answer that it fits has a loss of its own")
        return
    kinds = ", ".join(dict.fromkeys(output.as_ for output in spec.data.targets))
    why = " and ".join(
        dict.fromkeys(filter(None, (_why(spec, each) for each in spec.data.targets)))
    )
    hint = f"use auto or {', '.join(known)}" if known else "use auto"
    yield Finding(("train", "loss"), f"{name} does not fit 'as: {kinds}'{why and ', ' + why}", hint)


def losses_fit_answers(spec: Spec) -> Iterator[Finding]:
    """The loss of an output is one of its kind."""
    for path, output in spec.data.located_targets:
        name, known = output.loss.name, losses_of(spec, output)
        if name == "auto" or name in known:
            continue
        if known:
            hint = f"use auto or {', '.join(known)}"
            yield Finding((*path, "loss"), f"{name} does not fit the answer", hint)
        else:
            yield no_effect((*path, "loss"), _why(spec, output))


def _why(spec: Spec, output: Target) -> str:
    """Why an output has a loss that cannot be chosen; "" for one whose loss can be."""
    distribution = distribution_of(output).name
    if distribution != "point":
        loss = "the pinball loss" if distribution == "quantiles" else "its likelihood"
        return f"with 'distribution: {distribution}', which is trained by {loss}"
    if isinstance(output, TagsOutput) and output.crf:
        return "with 'crf', whose loss is of a whole row"
    if isinstance(output, TextOutput) and spec.aligner is not None:
        return f"with decoder.{spec.aligner.name}, whose loss is not of single tokens"
    if isinstance(output, TextOutput) and spec.decoder and spec.decoder.copied:
        return "with decoder.copy, where not every token can be answered for a row"
    return ""


def weights_are_of_labels(spec: Spec) -> Iterator[Finding]:
    """Of labels that the spec states, the weights are of these."""
    for path, output in spec.data.located_targets:
        if not isinstance(output, OrdinalOutput | TagsOutput):
            continue
        labels = output.labels
        if labels is None or isinstance(output.class_weights, str):
            continue
        for label in output.class_weights:
            if label not in labels:
                message = f"{label!r} is none of the labels {', '.join(map(str, labels))}"
                at = (*path, "class_weights", label)
                yield Finding(at, message, "name one of them, or remove it", key=True)


def ordered_tags_are_of_steps_alone(spec: Spec) -> Iterator[Finding]:
    """Labels with an order mark no spans, and what follows what is not learned of them."""
    for path, output in spec.data.located_targets:
        if not isinstance(output, TagsOutput) or output.labels is None:
            continue
        at = (*path, "labels")
        if output.crf:
            message = "have an order at each step by itself, and 'crf' answers whole rows"
            yield Finding(at, message, "remove one of them", key=True)
        elif output.scheme != "none":
            message = f"have an order, and those of 'scheme: {output.scheme}' mark spans"
            yield Finding(at, message, "remove one of them", key=True)


def times_have_a_column_of_their_own(spec: Spec) -> Iterator[Finding]:
    """Whether a time had ended is said once a row, in a column that nothing else reads."""
    columns = [each.column for each in (*spec.data.inputs, *spec.data.outputs)]
    for path, output in spec.data.located_targets:
        censored = censored_by(distribution_of(output))
        at = (*path, "distribution", "weibull", "censored")
        if censored is None:
            continue
        if not isinstance(output, NumberOutput):
            message = f"says it once a row, and 'as: {output.as_}' has several numbers"
            yield Finding(at, message, "remove it, or answer one number", key=True)
        if censored in columns:
            message = "a column that is read or answered, and this one is known afterwards alone"
            yield Finding(at, message, "name a column of its own")


def smoothing_has_classes(spec: Spec) -> Iterator[Finding]:
    """Label smoothing is of the cross-entropy of one class out of several."""
    for path, output in spec.data.located_targets:
        if getattr(output, "label_smoothing", None) and not can_be_smoothed(spec, output):
            yield no_effect((*path, "label_smoothing"), _not_smoothed(spec, output))
    whole = spec.train.label_smoothing
    if not whole or any(_takes_smoothing(spec, output) for output in spec.data.targets):
        return
    reasons = [_not_smoothed(spec, each) for each in spec.data.targets if each.as_ in CLASSIFYING]
    own = "where every answer of a class has a share of its own"
    found = [reason or own for reason in reasons]
    why = next(iter(found), "where no class is answered")
    yield no_effect(("train", "label_smoothing"), why)


def _takes_smoothing(spec: Spec, output: Target) -> bool:
    """Whether the smoothing of `train` is that of an output."""
    own = getattr(output, "label_smoothing", None)
    return own is None and can_be_smoothed(spec, output)


def _not_smoothed(spec: Spec, output: Target) -> str:
    """Why an output has no smoothing; "" for one that can have it."""
    if can_be_smoothed(spec, output):
        return ""
    if not (why := _why(spec, output)) and isinstance(loss_of(spec, output), Focal):
        return "with the focal loss, which is of the true class alone"
    if isinstance(output, TagsOutput) and output.labels is not None:
        return "with 'labels' in their order, whose neighbours are likelier by themselves"
    several = isinstance(spec.data.input_of(output), KeysInput)
    if answers_numbers(spec, output) or several:
        return "where no class is answered"
    return why
