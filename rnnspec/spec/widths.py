"""Widths that a spec alone decides: of layers, of their states, and around a decoder.

The data decide the widths of frames, vectors and keys; what depends on these is None here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from rnnspec.spec.check_layers import cell_named
from rnnspec.spec.decoder import Decoder, NoAttention
from rnnspec.spec.encoder import DEFAULT_EMBED, Layer
from rnnspec.spec.inputs import (
    CategoryInput,
    FramesInput,
    Input,
    KeysInput,
    NumberInput,
    SeriesInput,
    StaticInput,
    TokenInput,
    TokensInput,
    VectorInput,
    WordsInput,
)
from rnnspec.spec.spec import Spec

if TYPE_CHECKING:
    from rnnspec.cells import Cell

INPUTS = "inputs"
"""The size of a cell that is the width of what its layer reads."""


@dataclass(frozen=True, slots=True)
class Sized:
    """One repetition of a layer: its index in the spec, its cell (None: wrong), and the widths of
    its input and output."""

    index: int
    layer: Layer
    cell: Cell | None
    inputs: int | None
    output: int | None

    def state_each_way(self, name: str) -> int | None:
        """The width of a state in one direction."""
        assert self.cell is not None, "a cell that is right has states"
        (size,) = self.cell.states[name]
        known = {"units": self.layer.units, INPUTS: self.inputs, **self.layer.sizes}
        return known.get(size)

    def state(self, name: str) -> int | None:
        """The width of a state before the first step, both directions together."""
        one = self.state_each_way(name)
        return 2 * one if one and self.layer.direction == "bidirectional" else one


def input_width(spec: Spec) -> int | None:
    """Width of the input of the encoder's first layer; None where it depends on the data."""
    widths = [_width_of(spec, source) for source in spec.data.inputs]
    known = [width for width in widths if width is not None]
    return sum(known) if len(known) == len(widths) else None


def _width_of(spec: Spec, source: Input) -> int | None:
    """What one input adds to the width of a step."""
    match source:
        case WordsInput() | TokensInput() if source.spelling is not None:
            cell = cell_named(spec, source.spelling.cell)
            if cell is None or cell.output_size != "units":
                return None
            return (spec.encoder.embed or DEFAULT_EMBED) + 2 * source.spelling.units
        case TokenInput():
            return spec.encoder.embed or DEFAULT_EMBED
        case SeriesInput():
            return 1
        case CategoryInput() | NumberInput():
            return _static(source) if source.join != "state" else 0
        case VectorInput() | FramesInput() | KeysInput():
            return None
        case _:
            assert_never(source)


def output_width(layer: Layer, cell: Cell | None, inputs: int | None) -> int | None:
    """Width of the layer's output; None where it is not known."""
    known = {"units": layer.units, "inputs": inputs, **layer.sizes}
    one = known.get(cell.output_size) if cell else None
    both = layer.direction == "bidirectional" and layer.merge == "concat"
    return 2 * one if one and both else one


def unequal_widths(layer: Layer, before: int, after: int) -> str:
    """The message that a skip connection joins two different widths."""
    return (
        f"{layer.skip} needs one width on either side of the layer, but its input is {before} wide"
        f" and its output {after}"
    )


def sized(spec: Spec, layers: Iterable[Layer], width: int | None) -> list[Sized]:
    """A stack of `layers` whose input has `width` numbers."""
    found = []
    for index, layer in enumerate(layers):
        cell = cell_named(spec, layer.cell)
        for _ in range(layer.repeat):
            output = output_width(layer, cell, width)
            found.append(Sized(index, layer, cell, width, output))
            width = output
    return found


def encoder_layers(spec: Spec) -> list[Sized]:
    return sized(spec, spec.encoder.layers, input_width(spec))


def memory_width(spec: Spec) -> int | None:
    """Width of each step of the encoder that attention reads."""
    layers = encoder_layers(spec)
    return layers[-1].output if layers else None


def decoder_layers(spec: Spec, decoder: Decoder) -> list[Sized]:
    return sized(spec, decoder.layers, _decoder_input(spec, decoder))


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
    return _own_width(spec, decoder) is None and all(
        layer.cell is not None for layer in sized(spec, decoder.layers, None)
    )


def _own_width(spec: Spec, decoder: Decoder) -> int | None:
    """Width of the last layer's output where it does not depend on the input of the first."""
    return sized(spec, decoder.layers, None)[-1].output


def _decoder_input(spec: Spec, decoder: Decoder) -> int | None:
    """Width of the input of the decoder's first layer at each step."""
    parts: list[int | None] = [_previous(spec, decoder)]
    if spec.cardinality == "1:N":
        parts += [_static(each) for each in spec.data.statics if each.join != "state"]
    if decoder.attend == "before" and not isinstance(decoder.attention, NoAttention):
        parts.append(memory_width(spec))
    if decoder.input_feeding:
        parts.append(decoder.hidden or _own_width(spec, decoder))
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _previous(spec: Spec, decoder: Decoder) -> int:
    """Width of the previous answer, with the values of series that are known ahead."""
    if not spec.data.is_forecast:
        return decoder.embed or DEFAULT_EMBED
    known = (isinstance(each, SeriesInput) and each.known for each in spec.data.inputs)
    return 1 + sum(known)


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
