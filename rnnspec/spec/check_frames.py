"""Checks of meaning of a decoder that writes frames."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.decoder import CountedLength, Decoder
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import FramesInput, KeysInput, NumberInput
from rnnspec.spec.metrics import distribution_of
from rnnspec.spec.outputs import FramesOutput
from rnnspec.spec.spec import Spec

OF_FRAMES = ("length", "reverse", "feedback", "inputs")
"""Keys of a decoder about frames."""
OF_TOKENS = ("embed", "embed_dropout", "embed_init", "tied", "copy_from", "strategy")
"""Keys of a decoder about tokens."""
OF_LENGTHS = ("max_steps", "min_steps")
"""Keys about answers that end by themselves."""


def keys_of_the_decoder_fit_the_answer(spec: Spec) -> Iterator[Finding]:
    """Keys about tokens have no effect on numbers, and keys about frames on texts and forecasts."""
    decoder = spec.decoder
    if decoder is None:
        return
    if spec.data.is_forecast:
        yield from _idle(decoder, (*OF_TOKENS, *OF_LENGTHS), "on a forecast, which has no tokens")
    if spec.writes_frames:
        yield from _idle(decoder, OF_TOKENS, "on frames, which are no tokens")
    elif spec.data.is_forecast:
        names = tuple(name for name in OF_FRAMES if name != "feedback")
        yield from _idle(decoder, names, "on a forecast: it is about 'as: frames'")
    else:
        what = "positions" if spec.points else "a text"
        yield from _idle(decoder, OF_FRAMES, f"on {what}: it is about 'as: frames'")


def _idle(decoder: Decoder, names: tuple[str, ...], why: str) -> Iterator[Finding]:
    for name in names:
        if getattr(decoder, name) != Decoder.model_fields[name].default:
            key = Decoder.model_fields[name].alias or name
            yield no_effect(("decoder", key), why)


def frames_have_a_length(spec: Spec) -> Iterator[Finding]:
    """What a length is taken from is there, and what bounds a learned one has one to bound."""
    decoder = spec.decoder
    if decoder is None or not spec.writes_frames:
        return
    path: Loc = ("decoder", "length")
    if decoder.length == "input" and not spec.data.sequences:
        message = "counts the steps of the input, and 1:N reads whole rows"
        yield Finding(path, message, "use learned, a number, or {column: NAME}")
    if isinstance(decoder.length, CountedLength):
        yield from _counted(spec, decoder.length.column)
    if decoder.length != "learned":
        why = f"with 'length: {_told(decoder)}', which says how many frames there are"
        yield from _idle(decoder, OF_LENGTHS, why)


def _told(decoder: Decoder) -> str:
    length = decoder.length
    return f"{{column: {length.column}}}" if isinstance(length, CountedLength) else str(length)


def _counted(spec: Spec, column: str) -> Iterator[Finding]:
    path: Loc = ("decoder", "length", "column")
    numbers = [each for each in spec.data.inputs if isinstance(each, NumberInput)]
    found = next((each for each in numbers if each.column == column), None)
    if found is None:
        message = f"there is no input 'as: number' called {column!r} that says how many frames"
        names = ", ".join(each.column for each in numbers)
        add = f"add the input {{column: {column}, as: number}}"
        hint = f"name one of {names}" if names else add
        yield Finding(path, message, hint)
    elif found.missing != "error":
        message = f"a row without a number in {column!r} would have no length"
        yield Finding(path, message, "set missing of this input to error")


def own_inputs_have_steps(spec: Spec) -> Iterator[Finding]:
    """What the decoder reads by itself has a value for each step that it writes."""
    decoder = spec.decoder
    if decoder is None or not decoder.inputs or not spec.writes_frames:
        return
    known = [each for each in spec.data.inputs if isinstance(each, FramesInput | KeysInput)]
    for place, name in enumerate(decoder.inputs):
        path: Loc = ("decoder", "inputs", place)
        found = next((each for each in known if each.column == name), None)
        if found is None:
            names = ", ".join(each.column for each in known)
            hint = f"name one of {names}" if names else "add one to data.input"
            yield Finding(path, f"there is no input of frames or keys called {name!r}", hint)
        elif spec.written_frames is not None and spec.written_frames.column == name:
            message = f"{name!r} is what the decoder is to write"
            yield Finding(path, message, "leave it to the encoder")
        elif isinstance(found, FramesInput) and found.elapsed is not None:
            message = f"{name!r} holds times between steps, which a decoder takes as equal"
            yield Finding(path, message, "remove elapsed from this input")
    if len(set(decoder.inputs)) < len(decoder.inputs):
        yield Finding(("decoder", "inputs"), "names a column twice", "name each once")
    if decoder.length != "input":
        message = "have a value for each step of the input, and as many frames are to be written"
        yield Finding(("decoder", "inputs"), message, "write 'length: input'", key=True)


def nulls_are_of_lists(spec: Spec) -> Iterator[Finding]:
    """Rows of a table have no lists of frames, and an input that is answered again says itself what
    a null is."""
    for path, output in spec.data.located_outputs:
        if not isinstance(output, FramesOutput) or output.missing == "error":
            continue
        at = (*path, "missing")
        if spec.data.series is not None:
            why = "in a table of series, where an empty cell is left out in any case"
            yield no_effect(at, why)
        elif output is spec.written_frames and spec.data.input_of(output) is not None:
            why = f"on {output.column!r}, which is an input: its own 'missing' says what a null is"
            yield no_effect(at, why)


def feedback_is_forced(spec: Spec) -> Iterator[Finding]:
    """Without feedback no true answer can be given."""
    decoder = spec.decoder
    if decoder is None or decoder.feedback == "answers":
        return
    if not spec.writes_frames and not spec.data.is_forecast:
        return
    if decoder.teacher_forcing != Decoder.model_fields["teacher_forcing"].default:
        yield no_effect(("decoder", "teacher_forcing"), "with 'feedback: none'")


def frames_are_not_aligned(spec: Spec) -> Iterator[Finding]:
    if spec.aligner is not None and spec.writes_frames:
        message = "aligns tokens, and frames are none"
        hint = "write a decoder with layers: 'decoder: {layers: [{cell: gru, units: 64}]}'"
        yield Finding(("decoder", spec.aligner.name), message, hint, key=True)


def anomalies_have_scores(spec: Spec) -> Iterator[Finding]:
    """Only an input that is answered again has a score."""
    for path, output in spec.data.located_outputs:
        if not isinstance(output, FramesOutput) or output.anomaly is None:
            continue
        if output is not spec.written_frames or spec.data.input_of(output) is None:
            why = "where no input is answered again, whose errors could be a score"
            yield no_effect((*path, "anomaly"), why)


def reconstructions_keep_their_steps(spec: Spec) -> Iterator[Finding]:
    """An input that is answered again has as many frames as it was read with."""
    decoder = spec.decoder
    if decoder is None or not spec.writes_frames:
        return
    for path, output in spec.data.located_outputs:
        source = spec.data.input_of(output)
        if output is not spec.written_frames or not isinstance(source, FramesInput):
            continue
        if decoder.length != "input":
            message = f"answers the input {output.column!r} again, which has its own steps"
            hint = "write 'length: input' under 'decoder'"
            yield Finding((*path, "column"), message, hint)
        unscaled = distribution_of(output).name == "beta"
        if output.scale != source.scale and not unscaled:
            message = f"the input {output.column!r} has 'scale: {source.scale}'"
            yield Finding((*path, "scale"), message, f"write 'scale: {source.scale}' here too")
