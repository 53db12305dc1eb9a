"""Checks that everything a spec asks for is read by something, and is there to be read."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.decoder import LearnedStart, NoAttention, ZeroStart
from rnnspec.spec.encoder import Layer
from rnnspec.spec.explain import Loc
from rnnspec.spec.finding import Finding
from rnnspec.spec.inputs import SubwordsInput
from rnnspec.spec.outputs import FramesOutput, KeysOutput, TagsOutput
from rnnspec.spec.spec import Spec

AFTER_A_LAYER = ("merge", "norm", "dropout", "skip")
"""Keys of a layer about what is made of its outputs, not of its states."""


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


def vectors_reach_a_state(spec: Spec) -> Iterator[Finding]:
    """A vector that is to make first states needs a layer that starts from it."""
    if spec.cardinality == "1:N":
        chosen = spec.decoder.start_from if spec.decoder else None
        taken = isinstance(chosen, LearnedStart | ZeroStart)
        why = "decoder.start_from says otherwise"
    else:
        layers = spec.encoder.layers
        taken = bool(layers) and all(layer.initial_state.name != "zeros" for layer in layers)
        why = "every layer has an initial_state of its own"
    for index, source in enumerate(spec.data.inputs):
        join = getattr(source, "join", "steps")
        if taken and join != "steps" and spec.cardinality != "1:1":
            path: Loc = (*spec.data.input_path(index), "join")
            message = f"'{join}' makes first states of it, and {why}"
            yield Finding(path, message, "write 'join: steps'")


def last_states_are_all_that_is_read(spec: Spec) -> Iterator[Finding]:
    """Without attention a decoder sees the encoder's states, not what is made of its outputs."""
    decoder, layers = spec.decoder, spec.encoder.layers
    if decoder is None or not layers or not isinstance(decoder.attention, NoAttention):
        return
    last = layers[-1]
    for key in AFTER_A_LAYER:
        default = Layer.model_fields[key].default
        if last.repeat == 1 and getattr(last, key) != default:
            path: Loc = ("encoder", "layers", len(layers) - 1, key)
            message = "has no effect without attention: the decoder reads this layer's states alone"
            yield Finding(path, message, "remove it, or add 'attention: additive'", key=True)


def missing_numbers_have_a_mean(spec: Spec) -> Iterator[Finding]:
    """A missing number comes to stand for a mean, which the model only keeps to scale by."""
    for index, source in enumerate(spec.data.inputs):
        missing = getattr(source, "missing", "error")
        if missing != "error" and getattr(source, "scale", "") == "none":
            path: Loc = (*spec.data.input_path(index), "missing")
            message = (
                f"'{missing}' needs the mean of the training rows, and 'scale: none' keeps none"
            )
            yield Finding(path, message, "write 'scale: standard', or fill in the data")
