"""Checks of the branches of a model: what each answer reads, by which pooling and head."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import Loc
from rnnspec.spec.branches import (
    branches,
    headed,
    is_attended,
    layers_of,
    layers_under,
    pooled,
    reading,
)
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.head import Head, LastPooling
from rnnspec.spec.outputs import ForecastOutput, Headed, StatesOutput, StepOutput
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import INPUT, Steps
from rnnspec.spec.widths import encoder_layers


def heads_have_answers(spec: Spec) -> Iterator[Finding]:
    """A pooling makes one vector of a sequence, a head answers without a decoder."""
    vectors, answers = pooled(spec), list(headed(spec))
    attended = any(is_attended(each.outputs[0]) and each.pooling for each in branches(spec))
    if not isinstance(spec.pooling, LastPooling) and not attended:
        if not vectors:
            why = f"with {spec.cardinality}, which makes no single vector of all steps"
            if spec.cardinality == "N:1":
                why = "where every answer is chosen among the steps"
            yield no_effect(("pooling",), why)
        elif all(output.pooling is not None for _, output in vectors):
            yield no_effect(("pooling",), "where every answer has a pooling of its own")
    if spec.head == Head():
        return
    if not answers:
        hint = "remove it; see decoder.hidden and decoder.dropout"
        if spec.aligner is not None:
            hint = "remove it; the steps of the encoder are scored as they are"
        yield no_effect(("head",), "beside a decoder", hint)
    elif all(output.head is not None for _, output in answers):
        yield no_effect(("head",), "where every answer has a head of its own")


def branches_have_effects(spec: Spec) -> Iterator[Finding]:
    """A decoder answers a forecast, or frames, by itself; without steps there is nothing to choose
    from."""
    keys: tuple[str, ...]
    for path, output in spec.data.located_outputs:
        forecast = isinstance(output, ForecastOutput) and spec.decoder_ is not None
        if forecast or output is spec.written_frames:
            why, keys = "beside a decoder, which answers it", ("reads", "pooling", "head")
        elif spec.cardinality in ("1:1", "1:N"):
            why, keys = f"with {spec.cardinality}, which has no encoder", ("reads", "pooling")
        else:
            continue
        for key in keys:
            if getattr(output, key, None) is not None:
                yield no_effect((*path, key), why)


def answers_read_what_is_there(spec: Spec) -> Iterator[Finding]:
    """Answers name layers of the encoder that have one number of steps; those of each step have all
    steps of the input, which the layers under them keep."""
    if not spec.encoder.layers:
        return
    known = _values(spec)
    for path, output in reading(spec):
        names = output.reads or ()
        for place, name in enumerate(names):
            if name not in known:
                hint = did_you_mean(name, known) or f"known here are {', '.join(known)}"
                message = f"no layer of the encoder is called {name!r}"
                yield Finding((*path, "reads", place), message, hint)
        read = [(name, known[name]) for name in names if name in known]
        yield from _unequal((*path, "reads"), read)
        if len(set(names)) < len(names):
            yield Finding((*path, "reads"), "names a layer twice", "name each once")


def _values(spec: Spec) -> dict[str, Steps]:
    """What the named layers give, and what the first one reads."""
    layers = encoder_layers(spec)
    named = {each.layer.name: each.gives for each in layers if each.layer.name is not None}
    return {INPUT: layers[0].reads, **named}


def _unequal(path: Loc, read: list[tuple[str, Steps]]) -> Iterator[Finding]:
    for name, steps in read[1:]:
        first, of_first = read[0]
        if (steps.stride, steps.places) != (of_first.stride, of_first.places):
            message = (
                f"{first!r} has one step for {of_first.stride} of the input, and {name!r} for"
                f" {steps.stride}"
            )
            yield Finding(path, message, "name layers of the same strides")
            return


def states_have_steps(spec: Spec) -> Iterator[Finding]:
    """Of an encoder that other answers train."""
    for path, output in spec.data.located_outputs:
        if not isinstance(output, StatesOutput) or is_attended(output):
            continue
        if not spec.data.targets:
            message = "nothing trains a model that answers states alone"
            yield Finding((*path, "as"), message, "answer something else beside them")
        elif spec.cardinality in ("1:1", "1:N"):
            message = f"states are those of an encoder, and {spec.cardinality} has none"
            yield Finding((*path, "as"), message, "remove this output")
        elif spec.data.series is not None:
            message = "states of series are not answered"
            yield Finding((*path, "as"), message, "remove this output, or read rows of lists")
        elif untrained := sorted(layers_under(spec, output.reads) - _trained(spec)):
            layer = spec.in_encoder("layers", untrained[0])
            message = f"reads {layer}, which no other answer depends on"
            key = "as" if output.reads is None else "reads"
            yield Finding((*path, key), message, "read layers that another answer reads too")


def _trained(spec: Spec) -> set[int]:
    """The layers of the encoder that a loss depends on."""
    found = layers_of(spec, Headed)
    for _, output in reading(spec):
        if is_attended(output):
            found |= layers_under(spec, output.reads)
    if spec.decoder_ is not None:
        found |= layers_under(spec, None)
    return found


def rows_of_series_are_steps(spec: Spec) -> Iterator[Finding]:
    """Where rows of a table are the steps of series, no cell is of a whole row."""
    if spec.data.series is None or spec.cardinality != "N:N":
        return
    for path, output in headed(spec):
        if not isinstance(output, StepOutput | ForecastOutput):
            message = f"{output.as_} is of a whole row, and a row here is a step of a series"
            yield Finding((*path, "as"), message, "use tags or frames, or read rows of lists")
