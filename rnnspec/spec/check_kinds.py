"""Which inputs and outputs each cardinality takes, and which parts of a spec go with them."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.explain import Finding, Loc
from rnnspec.spec.head import Head, LastPooling
from rnnspec.spec.inputs import (
    KeysInput,
    SequenceInput,
    SeriesInput,
    StaticInput,
    SubwordsInput,
)
from rnnspec.spec.outputs import (
    ForecastOutput,
    FramesOutput,
    KeysOutput,
    NextOutput,
    TagsOutput,
)
from rnnspec.spec.spec import Spec

OUTPUTS: dict[str, tuple[str, ...]] = {
    "1:1": ("class", "labels", "number", "vector"),
    "N:1": ("class", "labels", "number", "vector"),
    "1:N": ("words", "chars", "tokens"),
    "N:N": ("tags", "keys", "frames", "next"),
    "N:M": ("words", "chars", "tokens", "forecast"),
}
"""What each cardinality answers."""
WRITTEN = ("words", "chars", "tokens")
"""Outputs that a decoder writes token by token."""


def inputs_fit_cardinality(spec: Spec) -> Iterator[Finding]:
    """1:1 and 1:N read whole rows, the others at least one sequence."""
    whole = spec.cardinality in ("1:1", "1:N")
    forecasts = any(isinstance(each, ForecastOutput) for each in spec.data.outputs)
    for index, source in enumerate(spec.data.inputs):
        path: Loc = (*spec.data.input_path(index), "as")
        if whole and isinstance(source, SequenceInput):
            other = "N:1" if spec.cardinality == "1:1" else "N:M"
            message = f"{source.as_} is a sequence, and {spec.cardinality} reads whole rows"
            hint = f"use category, number or vector, or write 'cardinality: {other}'"
            yield Finding(path, message, hint)
        elif isinstance(source, SeriesInput) and not forecasts and spec.cardinality != "N:N":
            message = "series are read to be forecast, and no output is 'as: forecast'"
            hint = "answer a forecast with cardinality N:M or each step with N:N, or read frames"
            yield Finding(path, message, hint)
    if not whole and not spec.data.sequences:
        other = "1:1" if spec.cardinality == "N:1" else "1:N"
        message = f"{spec.cardinality} reads a sequence, and every input is of a whole row"
        hint = "add words, chars, tokens, bytes, subwords, frames, keys or series, or write"
        yield Finding(("cardinality",), message, f"{hint} 'cardinality: {other}'")


def outputs_fit_cardinality(spec: Spec) -> Iterator[Finding]:
    allowed = OUTPUTS[spec.cardinality]
    for index, output in enumerate(spec.data.outputs):
        if output.as_ not in allowed:
            fits = [name for name, kinds in OUTPUTS.items() if output.as_ in kinds]
            message = f"{spec.cardinality} does not answer {output.as_}"
            hint = f"it answers {', '.join(allowed)}; {output.as_} goes with {' or '.join(fits)}"
            yield Finding((*spec.data.output_path(index), "as"), message, hint)


def outputs_go_together(spec: Spec) -> Iterator[Finding]:
    """A decoder writes one answer, and so do forecasts and the next step."""
    outputs = spec.data.outputs
    alone = (*WRITTEN, "forecast", "next")
    for index, output in enumerate(outputs):
        if len(outputs) > 1 and output.as_ in alone and output.as_ in OUTPUTS[spec.cardinality]:
            message = f"{output.as_} cannot be one of several outputs"
            yield Finding((*spec.data.output_path(index), "as"), message, "make it the only one")


def columns_differ(spec: Spec) -> Iterator[Finding]:
    """Inputs are columns of their own; so are outputs, but for what lies ahead of an input."""
    inputs: dict[str, str] = {}
    for index, source in enumerate(spec.data.inputs):
        path = spec.data.input_path(index)
        if source.column in inputs:
            message = f"the same column as {inputs[source.column]}"
            yield Finding((*path, "column"), message, "read each column once")
        inputs[source.column] = ".".join(map(str, path))
    taken: dict[str, str] = {}
    for index, output in enumerate(spec.data.outputs):
        path = spec.data.output_path(index)
        ahead = isinstance(output, NextOutput | ForecastOutput)
        if output.column in inputs and not ahead:
            place = inputs[output.column]
            message = f"the same column as {place}, so the answer is in the question"
            yield Finding((*path, "column"), message, "name the column to be predicted")
        if output.column in taken:
            message = f"the same column as {taken[output.column]}"
            yield Finding((*path, "column"), message, "answer each column once")
        taken[output.column] = ".".join(map(str, path))


def ahead_is_of_an_input(spec: Spec) -> Iterator[Finding]:
    """The next step, and a forecast, are of a sequence that is read."""
    for index, output in enumerate(spec.data.outputs):
        if not isinstance(output, NextOutput | ForecastOutput):
            continue
        path: Loc = (*spec.data.output_path(index), "column")
        found = [each for each in spec.data.inputs if each.column == output.column]
        kind = SeriesInput if isinstance(output, ForecastOutput) else SequenceInput
        what = "series" if kind is SeriesInput else "sequence"
        if not any(isinstance(each, kind) for each in found):
            message = f"'as: {output.as_}' is about a {what} among the inputs, and this is none"
            names = [e.column for e in spec.data.inputs if isinstance(e, kind)]
            hint = f"name one of {', '.join(names)}" if names else f"read it in as a {what} too"
            yield Finding(path, message, hint)


def next_looks_ahead(spec: Spec) -> Iterator[Finding]:
    """A layer that reads backwards has seen the step it is asked for."""
    if not any(isinstance(output, NextOutput) for output in spec.data.outputs):
        return
    for index, layer in enumerate(spec.encoder.layers):
        if layer.direction != "forward":
            path = ("encoder", "layers", index, "direction")
            message = f"a {layer.direction} layer has read the next step already"
            yield Finding(path, message, "make every layer forward")


def encoder_reads_sequences(spec: Spec) -> Iterator[Finding]:
    """1:1 and 1:N have no encoder, the others need one."""
    whole = spec.cardinality in ("1:1", "1:N")
    if whole and spec.encoder.layers:
        message = f"{spec.cardinality} reads whole rows, so it has no encoder"
        hint = (
            "remove it; hidden layers stand under 'head'"
            if spec.cardinality == "1:1"
            else ("remove it; recurrent layers stand under 'decoder'")
        )
        yield Finding(("encoder",), message, hint, key=True)
    if not whole and not spec.encoder.layers:
        message = f"key 'encoder' is missing, and {spec.cardinality} reads a sequence with it"
        hint = "add 'encoder: {layers: [{cell: gru, units: 64}]}'"
        yield Finding((), message, hint)


def decoder_writes_sequences(spec: Spec) -> Iterator[Finding]:
    """Texts need a decoder; what is no sequence has none; a forecast may have one."""
    kinds = {output.as_ for output in spec.data.outputs}
    if spec.decoder is None and spec.cardinality in ("1:N", "N:M") and kinds <= set(WRITTEN):
        message = f"key 'decoder' is missing, which writes the answer of {spec.cardinality}"
        yield Finding((), message, "add 'decoder: {layers: [{cell: gru, units: 64}]}'")
    if spec.decoder is not None and spec.cardinality not in ("1:N", "N:M"):
        message = f"{spec.cardinality} writes no sequence of its own length"
        yield Finding(("decoder",), message, "remove it, or change the cardinality", key=True)


def is_pooled(spec: Spec) -> bool:
    """Whether a pooling makes one vector of a sequence: for one answer, or a direct forecast."""
    return spec.cardinality == "N:1" or (spec.cardinality == "N:M" and spec.decoder is None)


def heads_have_answers(spec: Spec) -> Iterator[Finding]:
    """A pooling makes one vector of a sequence, a head answers without a decoder."""
    if not isinstance(spec.pooling, LastPooling) and not is_pooled(spec):
        message = f"has no effect with {spec.cardinality}, which makes no one vector of all steps"
        yield Finding(("pooling",), message, "remove it", key=True)
    if spec.head != Head() and spec.decoder is not None:
        message = "has no effect beside a decoder"
        hint = "remove it; see decoder.hidden and decoder.dropout"
        yield Finding(("head",), message, hint, key=True)


def statics_have_layers(spec: Spec) -> Iterator[Finding]:
    """Where a vector of the row goes is a question of recurrent layers alone."""
    if spec.cardinality != "1:1":
        return
    for index, source in enumerate(spec.data.inputs):
        if isinstance(source, StaticInput) and source.join != "steps":
            path = (*spec.data.input_path(index), "join")
            yield Finding(path, "has no effect with 1:1, which has no steps", "remove it", key=True)


def next_keys_follow_keys(spec: Spec) -> Iterator[Finding]:
    """A model of the next keys reads no other sequence beside them."""
    for index, output in enumerate(spec.data.outputs):
        if isinstance(output, NextOutput):
            source = next((e for e in spec.data.inputs if e.column == output.column), None)
            others = [e for e in spec.data.sequences if e is not source]
            if source is not None and others and isinstance(source, KeysInput):
                message = "the next keys are answered from the keys alone"
                path: Loc = spec.data.output_path(index)
                yield Finding(path, message, "read no other sequence beside them")


def steps_are_those_of_the_data(spec: Spec) -> Iterator[Finding]:
    """Answers for each step need steps that the file knows: those of subwords are the model's."""
    cut = any(isinstance(each, SubwordsInput) for each in spec.data.inputs)
    for index, output in enumerate(spec.data.outputs):
        if cut and isinstance(output, TagsOutput | KeysOutput | FramesOutput):
            path: Loc = (*spec.data.output_path(index), "as")
            message = f"{output.as_} answer each step of the data, and subwords are cut in training"
            yield Finding(path, message, "read the text as words, tokens, chars or bytes")


def steps_of_subwords_are_their_own(spec: Spec) -> Iterator[Finding]:
    """Sequences that are read together have as many steps; those of subwords are cut in training,
    to be like no others."""
    cut = [each for each in spec.data.sequences if isinstance(each, SubwordsInput)]
    if not cut or len(spec.data.sequences) == 1:
        return
    for index, source in enumerate(spec.data.inputs):
        if source is cut[-1]:
            others = [each for each in spec.data.sequences if each is not source]
            path: Loc = (*spec.data.input_path(index), "as")
            message = (
                f"subwords are cut in training, so that they do not have as many steps as"
                f" {others[0].column!r}, which is read beside them step by step"
            )
            yield Finding(path, message, "read the text as words, tokens, chars or bytes")
