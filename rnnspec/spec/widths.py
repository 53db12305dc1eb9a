"""Widths that a spec alone decides: of the inputs, of the stacks, and around a decoder.

The data decide the widths of frames, vectors and keys; what depends on these is None here.
"""

from __future__ import annotations

from typing import assert_never

from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.audio import width_of
from rnnspec.spec.calendar import CalendarInput
from rnnspec.spec.check_layers import cell_named
from rnnspec.spec.decoder import Decoder, NoAttention, TransducerDecoder
from rnnspec.spec.encoder import DEFAULT_EMBED
from rnnspec.spec.inner_views import inner_spec
from rnnspec.spec.inputs import (
    OBSERVED,
    AudioInput,
    CategoriesInput,
    CategoryInput,
    FramesInput,
    ImageInput,
    Input,
    KeysInput,
    NumberInput,
    SeriesInput,
    StaticInput,
    TokenInput,
    TokensInput,
    VectorInput,
    VideoInput,
    WordsInput,
)
from rnnspec.spec.layers import ConvLayer, DenseLayer, Layer, PoolLayer, StackLayer
from rnnspec.spec.nested import NestedInput
from rnnspec.spec.outputs import ForecastOutput
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import CONTEXT, INPUT, Sized, Steps, pair, side_by_side, sized
from rnnspec.spec.views import beside_encoders, views


def input_steps(spec: Spec) -> Steps:
    """What the encoder's first layer reads: all inputs side by side."""
    own = spec.decoder_inputs
    read = [
        each
        for each in spec.data.inputs
        if getattr(each, "join", "steps") != "state" and each.column not in own
    ]
    return side_by_side([_steps_of(spec, source) for source in read] or [Steps(0)])


def _steps_of(spec: Spec, source: Input) -> Steps:
    if isinstance(source, ImageInput):
        features = source.height if source.steps == "columns" else source.width
        return Steps(source.channels, (features,))
    if isinstance(source, VideoInput):
        return Steps(source.channels, (source.height, source.width))
    return Steps(_width_of(spec, source))


def _width_of(spec: Spec, source: Input) -> int | None:
    """What one input adds to the width of a step."""
    match source:
        case WordsInput() | TokensInput() if source.spelling is not None:
            cell = cell_named(spec, source.spelling.cell)
            if cell is None or cell.output_size != "units":
                return None
            embed = _embed(spec, source)
            return None if embed is None else embed + 2 * source.spelling.units
        case TokenInput():
            return _embed(spec, source)
        case SeriesInput():
            return 1 + OBSERVED * source.observed + len(source.lags)
        case CalendarInput():
            return source.width
        case CategoriesInput():
            return source.embed
        case CategoryInput() | NumberInput():
            return _static(source)
        case NestedInput():
            return encoder_layers(inner_spec(spec, source))[-1].output
        case AudioInput():
            return width_of(source.features, source.rate)
        case VectorInput() | FramesInput() | KeysInput() | ImageInput() | VideoInput():
            return None
        case _:
            assert_never(source)


def _embed(spec: Spec, source: TokenInput) -> int | None:
    """The width of a token's vector; that of vectors from a file is known by the file."""
    if isinstance(source, WordsInput | TokensInput) and source.vectors is not None:
        return None
    return spec.encoder.embed or DEFAULT_EMBED


def encoder_layers(spec: Spec) -> list[Sized]:
    steps = input_steps(spec)
    return sized(spec, spec.encoder.layers, steps, contexts=spec.context_widths)


def layers_of_encoders(spec: Spec) -> dict[str, list[Sized]]:
    """The layers of each of several encoders, by its name, where those that attend know the width
    of what they find there."""
    return _together(spec)[0]


def contexts_of(spec: Spec) -> dict[str, int | None]:
    """The widths of what layers of several encoders attend to, by their `attend`."""
    return _together(spec)[1]


def _together(spec: Spec) -> tuple[dict[str, list[Sized]], dict[str, int | None]]:
    found: dict[str, list[Sized]] = {}
    known: dict[str, int | None] = {}
    views_of = list(views(spec))
    attended = {
        layer.attend: layer
        for view in views_of
        for layer in view.spec.encoder.layers
        if isinstance(layer, AttendLayer)
    }
    for _ in range(1 + len(attended)):  # each round knows what the round before has found
        found = {
            view.name: sized(
                view.spec, view.spec.encoder.layers, input_steps(view.spec), contexts=known
            )
            for view in views_of
        }
        known = {
            name: step_width(found.get(layer.encoder, []), layer.layer)
            for name, layer in attended.items()
        }
    return found, known


def step_width(layers: list[Sized], name: str) -> int | None:
    """The numbers of a step of a layer by its name, "" for the last one, as far as the spec
    decides."""
    if not layers or name == INPUT:
        return layers[0].inputs if layers else None
    named = [each.output for each in layers if name in ("", each.layer.name)]
    return named[-1] if named else None


def reads_frames(spec: Spec) -> bool:
    """Whether a layer reads the frames of a video as rows and columns of pixels."""
    layers = encoder_layers(spec)
    return any(len(each.reads.sides) == 2 and not _flattens(each.layer) for each in layers)


def _flattens(layer: Layer) -> bool:
    """Whether a layer reads grids as plain steps."""
    if isinstance(layer, ConvLayer | PoolLayer):
        return len(pair(layer.size)) == 1
    return isinstance(layer, RecurrentLayer | DenseLayer | StackLayer)


def memory_width(spec: Spec) -> int | None:
    """Width of what attention reads of an encoder's steps, of several side by side."""
    widths = memory_widths(spec)
    known = [width for width in widths if width is not None]
    return sum(known) if known and len(known) == len(widths) else None


def memory_widths(spec: Spec) -> list[int | None]:
    """Width of each step of each encoder."""
    stacks = layers_of_encoders(spec).values() if spec.encoders else [encoder_layers(spec)]
    return [layers[-1].output for layers in stacks if layers]


def decoder_layers(spec: Spec, decoder: Decoder) -> list[Sized]:
    source, context = Steps(_decoder_input(spec, decoder)), {CONTEXT: Steps(memory_width(spec))}
    return sized(spec, decoder.layers, source, context)


def prediction_layers(spec: Spec, transducer: TransducerDecoder) -> list[Sized]:
    return sized(spec, transducer.layers, Steps(transducer.embed or DEFAULT_EMBED))


def top_width(spec: Spec, decoder: Decoder) -> int | None:
    """Width of the output of the decoder's last layer, the query of attention."""
    return decoder_layers(spec, decoder)[-1].output


def scored_width(spec: Spec, decoder: Decoder) -> int | None:
    """Width of the input of the decoder's scores."""
    return decoder.hidden or top_width(spec, decoder)


def fed_without_end(spec: Spec, decoder: Decoder) -> bool:
    """Whether input feeding makes the width of the decoder's input depend on itself: the output of
    its cells is as wide as their input."""
    if not decoder.input_feeding or decoder.hidden is not None:
        return False
    cells = (
        each.cell
        for each in sized(spec, decoder.layers, Steps(None))
        if isinstance(each.layer, RecurrentLayer)
    )
    return _own_width(spec, decoder) is None and None not in cells


def _own_width(spec: Spec, decoder: Decoder) -> int | None:
    """Width of the last layer's output where it does not depend on the input of the first."""
    return sized(spec, decoder.layers, Steps(None))[-1].output


def _decoder_input(spec: Spec, decoder: Decoder) -> int | None:
    """Width of the input of the decoder's first layer at each step."""
    parts: list[int | None] = [_previous(spec, decoder), *[None] * len(decoder.inputs)]
    if spec.cardinality == "1:N":
        parts += [_static(each) for each in spec.data.statics if each.join != "state"]
    if spec.encoders:
        parts += [_static(each) for each in beside_encoders(spec)]
    if decoder.attend == "before" and not isinstance(decoder.attention, NoAttention):
        parts.append(memory_width(spec))
    if decoder.input_feeding:
        parts.append(decoder.hidden or _own_width(spec, decoder))
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _previous(spec: Spec, decoder: Decoder) -> int | None:
    """Width of the previous answers, with the values of series that are known ahead; that of frames
    is known by the data."""
    if spec.writes_frames:
        return 1 if decoder.feedback == "none" else None
    if not spec.data.is_forecast:
        return decoder.embed or DEFAULT_EMBED
    ahead = [each for each in spec.data.inputs if spec.data.read_ahead(each)]
    fed = sum(isinstance(output, ForecastOutput) for output in spec.data.outputs)
    lagged = sum(len(each.lags) for each in spec.data.inputs if isinstance(each, SeriesInput))
    return fed + sum(map(_known, ahead)) + lagged


def _known(source: Input) -> int:
    """Width of what is known of a step ahead."""
    match source:
        case CalendarInput():
            return source.width
        case CategoriesInput():
            return source.embed
        case _:
            return 1


def _static(source: StaticInput) -> int | None:
    """Width of the vector of an input of whole rows."""
    match source:
        case CategoryInput():
            return source.embed
        case NumberInput():
            return 1
        case VectorInput():
            return None
        case _:
            assert_never(source)
