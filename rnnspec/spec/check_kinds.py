"""Which inputs and outputs each cardinality takes, and which parts of a spec go with them."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc, SequenceInput
from rnnspec.spec.branches import is_of_another, layers_of
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import (
    AudioInput,
    FramesInput,
    ImageInput,
    KeysInput,
    SeriesInput,
    StaticInput,
    SubwordsInput,
    VideoInput,
)
from rnnspec.spec.outputs import (
    ForecastOutput,
    FramesOutput,
    KeysOutput,
    NextOutput,
    PointedOutput,
    PositionsOutput,
    StatesOutput,
    TagsOutput,
    TextOutput,
)
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.spec import Spec

Written = TextOutput | PositionsOutput
"""What a decoder writes token by token."""
OUTPUTS: dict[str, tuple[str, ...]] = {
    "1:1": ("class", "ordinal", "labels", "number", "vector"),
    "N:1": ("class", "ordinal", "labels", "number", "vector", "position", "span"),
    "1:N": ("words", "chars", "tokens", "frames"),
    "N:N": ("tags", "keys", "frames", "next"),
    "N:M": ("words", "chars", "tokens", "frames", "forecast", "positions"),
}
"""What each cardinality answers."""
BESIDE: dict[str, tuple[str, ...]] = {
    "N:N": OUTPUTS["N:1"],
    "1:N": OUTPUTS["1:1"],
    "N:M": (*OUTPUTS["N:1"], *OUTPUTS["N:N"]),
}
"""What each cardinality answers too, beside one of its own: of whole rows, or of the encoder's
steps."""
WHOLE_ROWS = ("1:1", "1:N")
"""Cardinalities that read whole rows; the others read at least one sequence."""


def inputs_fit_cardinality(spec: Spec) -> Iterator[Finding]:
    whole = spec.cardinality in WHOLE_ROWS
    for path, source in spec.data.located_inputs:
        if source.column in spec.decoder_inputs:
            continue
        if whole and isinstance(source, SequenceInput):
            other = "N:1" if spec.cardinality == "1:1" else "N:M"
            message = f"{source.as_} is a sequence, and {spec.cardinality} reads whole rows"
            hint = f"use category, number or vector, or write 'cardinality: {other}'"
            yield Finding((*path, "as"), message, hint)
        elif (
            isinstance(source, SeriesInput)
            and not spec.data.is_forecast
            and spec.cardinality != "N:N"
        ):
            message = "series are read to be forecast, and no output is 'as: forecast'"
            hint = "answer a forecast with cardinality N:M or each step with N:N, or read frames"
            yield Finding((*path, "as"), message, hint)
    own = [each for each in spec.data.sequences if each.column in spec.decoder_inputs]
    if not whole and own and len(own) == len(spec.data.sequences):
        message = "the encoder of N:M reads a sequence, and the decoder takes all there are"
        yield Finding(("decoder", "inputs"), message, "leave one to the encoder", key=True)
    elif not whole and not spec.data.sequences:
        other = "1:1" if spec.cardinality == "N:1" else "1:N"
        message = f"{spec.cardinality} reads a sequence, and every input is of a whole row"
        hint = "add words, chars, tokens, bytes, subwords, frames, keys, series or audio, or write"
        yield Finding(("cardinality",), message, f"{hint} 'cardinality: {other}'")


def outputs_fit_cardinality(spec: Spec) -> Iterator[Finding]:
    own, beside = OUTPUTS[spec.cardinality], BESIDE.get(spec.cardinality, ())
    has_own = any(output.as_ in own for output in spec.data.outputs)
    allowed = (*own, *beside) if has_own else own
    for path, output in spec.data.located_targets:
        if output.as_ not in allowed:
            others = [name for name, kinds in OUTPUTS.items() if output.as_ in kinds]
            message = f"{spec.cardinality} does not answer {output.as_}"
            if output.as_ in beside:
                message += " alone"
            hint = f"it answers {', '.join(own)}; {output.as_} goes with {' or '.join(others)}"
            yield Finding((*path, "as"), message, hint)


def outputs_go_together(spec: Spec) -> Iterator[Finding]:
    """A decoder writes one answer; forecasts stand beside forecasts."""
    outputs = [each for each in spec.data.located_outputs if each[1].as_ in _answered(spec)]
    written = [each for each in outputs if isinstance(each[1], Written)]
    if spec.written_frames is not None or spec.cardinality == "1:N":
        written += [each for each in outputs if isinstance(each[1], FramesOutput)]
    ahead = [each for each in outputs if isinstance(each[1], ForecastOutput)]
    for path, _ in written[1:]:
        texts = sum(isinstance(each, TextOutput) for _, each in written)
        what = {0: "sequences of frames", len(written): "texts"}.get(texts, "texts and frames")
        if spec.points:
            what = "sequences"
        message = f"a decoder writes one answer, and data.output has {len(written)} {what}"
        yield Finding((*path, "as"), message, "keep one of them in a model")
    for path, output in ahead[1:]:
        first = ahead[0][1]
        assert isinstance(first, ForecastOutput) and isinstance(output, ForecastOutput)
        if spec.decoder_ is not None and output.horizon != first.horizon:
            message = f"the decoder writes {first.horizon} steps of {first.column!r} ahead"
            hint = f"write 'horizon: {first.horizon}', or remove the decoder"
            yield Finding((*path, "horizon"), message, hint)
    for path, output in outputs if ahead else []:
        if not isinstance(output, ForecastOutput | StatesOutput):
            message = f"{output.as_} cannot stand beside a forecast, whose rows are steps of series"
            yield Finding((*path, "as"), message, "answer forecasts alone")


def _answered(spec: Spec) -> tuple[str, ...]:
    return (*OUTPUTS[spec.cardinality], *BESIDE.get(spec.cardinality, ()))


def columns_differ(spec: Spec) -> Iterator[Finding]:
    """Every input has its own column, and so has every output, except the next step, a forecast or
    a reconstruction of an input."""
    inputs: dict[str, str] = {}
    for path, source in spec.data.located_inputs:
        if source.column in inputs:
            message = f"the same column as {inputs[source.column]}"
            yield Finding((*path, "column"), message, "read each column once")
        inputs[source.column] = ".".join(map(str, path))
    outputs: dict[str, str] = {}
    for path, output in spec.data.located_outputs:
        ahead = isinstance(output, NextOutput | ForecastOutput)
        again = output is spec.written_frames
        again &= isinstance(spec.data.input_of(output), FramesInput)
        if isinstance(output, StatesOutput) and output.column in inputs:
            message = f"the name of {inputs[output.column]}, and this is the name of an answer"
            yield Finding((*path, "column"), message, "choose another name")
        elif output.column in inputs and not ahead and not again:
            place = inputs[output.column]
            message = f"the same column as {place}, so the answer is in the question"
            yield Finding((*path, "column"), message, "name the column to be predicted")
        if output.column in outputs:
            message = f"the same column as {outputs[output.column]}"
            yield Finding((*path, "column"), message, "answer each column once")
        outputs[output.column] = ".".join(map(str, path))


def ahead_is_of_an_input(spec: Spec) -> Iterator[Finding]:
    """The next step and a forecast continue a sequence that is read."""
    for path, output in spec.data.located_outputs:
        if not isinstance(output, NextOutput | ForecastOutput) or is_of_another(output):
            continue
        kind = SeriesInput if isinstance(output, ForecastOutput) else SequenceInput
        what = "series" if kind is SeriesInput else "sequence"
        if isinstance(spec.data.input_of(output), AudioInput):
            message = "answers the next step as the data have it, and sound is cut into windows"
            yield Finding((*path, "as"), message, "answer another column")
            continue
        columns = [each.column for each in spec.data.inputs if isinstance(each, kind)]
        if output.column not in columns:
            message = f"'as: {output.as_}' is about a {what} among the inputs, and this is none"
            hint = f"name one of {', '.join(columns)}" if columns else f"read it in as a {what} too"
            yield Finding((*path, "column"), message, hint)


MOST_PIXELS = 1 << 24
"""Pixels of the largest picture or frame: 16 MiB of grey."""


def pictures_have_steps(spec: Spec) -> Iterator[Finding]:
    """The pixels of a step are equally many in all pictures, and pixels are no answers."""
    for path, source in spec.data.located_inputs:
        if not isinstance(source, ImageInput | VideoInput):
            continue
        for at, output in spec.data.located_outputs:
            if isinstance(output, NextOutput) and output.column == source.column:
                steps = source.steps if isinstance(source, ImageInput) else "frames"
                message = f"the next {steps} are pixels, which are not answered"
                hint = "read the pixels as frames, a list of numbers per step"
                yield Finding((*at, "column"), message, hint)
        pixels = (source.height or 1) * (source.width or 1)
        if pixels > MOST_PIXELS:
            message = f"makes {pixels:,} pixels with the width; there may be {MOST_PIXELS:,}"
            yield Finding((*path, "height"), message, "lower both")
        if isinstance(source, VideoInput):
            continue
        side = "height" if source.steps == "columns" else "width"
        if getattr(source, side) is None:
            message = f"key {side!r} is missing: {source.steps} of pixels are the steps"
            hint = f"add '{side}: 32'; pictures of another {side} are resized to it"
            yield Finding(path, message, hint, key=True)


def next_looks_ahead(spec: Spec) -> Iterator[Finding]:
    """A layer that reads backwards has seen the next step."""
    for index in sorted(layers_of(spec, NextOutput)):
        layer = spec.encoder.layers[index]
        if isinstance(layer, RecurrentLayer) and layer.direction != "forward":
            path = ("encoder", "layers", index, "direction")
            message = f"a {layer.direction} layer has read the next step already"
            yield Finding(path, message, "make every layer forward")


def next_keys_follow_keys(spec: Spec) -> Iterator[Finding]:
    """A model of the next keys reads no other sequence beside them."""
    for path, output in spec.data.located_outputs:
        if isinstance(output, NextOutput):
            source = spec.data.input_of(output)
            others = [each for each in spec.data.sequences if each is not source]
            if isinstance(source, KeysInput) and others:
                message = "the next keys are answered from the keys alone"
                yield Finding(path, message, "read no other sequence beside them")


def encoder_reads_sequences(spec: Spec) -> Iterator[Finding]:
    """Whole rows have no encoder, sequences need one."""
    whole = spec.cardinality in WHOLE_ROWS
    if whole and spec.encoder.layers:
        message = f"{spec.cardinality} reads whole rows, so it has no encoder"
        hint = "remove it; hidden layers stand under 'head'"
        if spec.cardinality == "1:N":
            hint = "remove it; recurrent layers stand under 'decoder'"
        yield Finding(("encoder",), message, hint, key=True)
    if not whole and not spec.encoder.layers:
        message = f"key 'encoder' is missing, and {spec.cardinality} reads a sequence with it"
        hint = "add 'encoder: {layers: [{cell: gru, units: 64}]}'"
        yield Finding((), message, hint)


def decoder_writes_sequences(spec: Spec) -> Iterator[Finding]:
    """Texts and frames need a decoder, a forecast may have one, other answers have none."""
    texts = any(isinstance(output, Written) for output in spec.data.outputs)
    texts |= spec.writes_frames
    if spec.decoder_ is None and spec.cardinality in ("1:N", "N:M") and texts:
        message = f"key 'decoder' is missing, which writes the answer of {spec.cardinality}"
        yield Finding((), message, "add 'decoder: {layers: [{cell: gru, units: 64}]}'")
    if spec.decoder_ is not None and spec.cardinality not in ("1:N", "N:M"):
        message = f"{spec.cardinality} writes no sequence of its own length"
        yield Finding(("decoder",), message, "remove it, or change the cardinality", key=True)


def statics_have_layers(spec: Spec) -> Iterator[Finding]:
    """`join` says where a vector of the row enters the recurrent layers."""
    if spec.cardinality != "1:1":
        return
    for path, source in spec.data.located_inputs:
        if isinstance(source, StaticInput) and source.join != "steps":
            yield no_effect((*path, "join"), "with 1:1, which has no steps")


_OTHER_STEPS = "read the text as words, tokens, chars or bytes"


def steps_are_those_of_the_data(spec: Spec) -> Iterator[Finding]:
    """Answers for each step need the steps of the file, and subwords are steps of the model."""
    cut = any(isinstance(each, SubwordsInput) for each in spec.data.inputs)
    for path, output in spec.data.located_outputs:
        if is_of_another(output):
            continue
        of_steps = isinstance(output, TagsOutput | KeysOutput | FramesOutput)
        if cut and of_steps and output is not spec.written_frames:
            message = f"{output.as_} answer each step of the data, and subwords are cut in training"
            yield Finding((*path, "as"), message, _OTHER_STEPS)
        elif isinstance(output, PointedOutput | PositionsOutput):
            yield from _points_at_data(spec, (*path, "as"), output)


def _points_at_data(
    spec: Spec, path: Loc, output: PointedOutput | PositionsOutput
) -> Iterator[Finding]:
    """Steps that a position counts are those of the file."""
    for source in spec.data.sequences:
        if isinstance(source, SubwordsInput):
            message = (
                f"'as: {output.as_}' counts steps of the data, and subwords are cut in training"
            )
            yield Finding(path, message, _OTHER_STEPS)
        elif isinstance(source, AudioInput):
            message = f"'as: {output.as_}' counts steps of the data, and sound is cut into windows"
            yield Finding(path, message, "answer another kind, or read frames")


def steps_of_subwords_are_their_own(spec: Spec) -> Iterator[Finding]:
    """Sequences that are read together have equal numbers of steps; no other sequence has as many
    steps as its subwords."""
    cut = [each for each in spec.data.sequences if isinstance(each, SubwordsInput)]
    if not cut or len(spec.data.sequences) == 1:
        return
    for path, source in spec.data.located_inputs:
        if source is cut[-1]:
            others = [each for each in spec.data.sequences if each is not source]
            message = (
                f"subwords are cut in training, so that they do not have as many steps as"
                f" {others[0].column!r}, which is read beside them step by step"
            )
            yield Finding((*path, "as"), message, _OTHER_STEPS)
