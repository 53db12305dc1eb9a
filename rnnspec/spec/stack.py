"""What each layer of a stack reads and gives, as far as the spec alone decides it.

The data decide the widths of frames, vectors and keys; what depends on these is None here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, assert_never

from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.check_layers import cell_named
from rnnspec.spec.layers import (
    ActivationLayer,
    ConvLayer,
    DenseLayer,
    DropoutLayer,
    Extent,
    JoinLayer,
    Layer,
    NormLayer,
    PoolLayer,
    SqueezeLayer,
    StackLayer,
)
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.spec import Spec

if TYPE_CHECKING:
    from rnnspec.cells import Cell

INPUTS = "inputs"
"""The size of a cell that is the width of what its layer reads."""
INPUT, CONTEXT = "input", "context"
"""What layers may read beside one another: what the first layer reads and, in a decoder, the
context of attention."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The value of a layer: `channels` numbers at each step or, of a grid, at each place of its
    `sides`: the features of a step, or the rows and columns of a frame. Of T steps of the input
    there are ceil(T / stride), `places` for each."""

    channels: int | None
    sides: tuple[int | None, ...] = ()
    stride: int = 1
    places: int | None = 1

    @property
    def features(self) -> int | None:
        """How many numbers each channel has at a step; None where the data decide."""
        known = [side for side in self.sides if side]
        return prod(known) if len(known) == len(self.sides) else None

    @property
    def width(self) -> int | None:
        """The numbers at each step; None where the data decide."""
        if not self.sides:
            return self.channels
        return self.channels * self.features if self.channels and self.features else None

    def flat(self) -> Steps:
        """A grid as plain steps."""
        return replace(self, channels=self.width, sides=())

    def read_by(self, layer: ConvLayer | PoolLayer) -> Steps:
        """What a layer makes of them: with one size plain steps, else a grid, which plain steps
        are of their numbers with one channel."""
        if len(pair(layer.size)) == 1:
            return self.flat()
        return self if self.sides else replace(self, channels=1, sides=(self.channels,))


@dataclass(frozen=True, slots=True)
class Sized:
    """One repetition of a layer: its index in the spec, its cell (None: it has none, or a wrong
    one), and what it reads and gives."""

    index: int
    layer: Layer
    cell: Cell | None
    reads: Steps
    gives: Steps

    @property
    def inputs(self) -> int | None:
        return self.reads.width

    @property
    def output(self) -> int | None:
        return self.gives.width

    def state_each_way(self, name: str) -> int | None:
        """The width of a state in one direction."""
        assert self.cell is not None, "a cell that is right has states"
        assert isinstance(self.layer, RecurrentLayer)
        return _number_of(self.cell.state_size(name), self.layer, self.inputs)

    def state(self, name: str) -> int | None:
        """The width of a state before the first step, both directions together."""
        one = self.state_each_way(name)
        assert isinstance(self.layer, RecurrentLayer)
        return 2 * one if one and self.layer.direction == "bidirectional" else one


def sized(
    spec: Spec,
    layers: Iterable[Layer],
    source: Steps,
    others: Mapping[str, Steps] | None = None,
    contexts: Mapping[str, int | None] | None = None,
) -> list[Sized]:
    """A stack of `layers` over `source`; `others` may be read by their names. `contexts`: the width
    of what each name stands for that a layer attends to."""
    found = []
    known, before = {INPUT: source, **(others or {})}, source
    for index, layer in enumerate(layers):
        cell = cell_named(spec, layer.cell) if isinstance(layer, RecurrentLayer) else None
        read = side_by_side([known.get(name, before) for name in layer.reads or ()] or [before])
        if isinstance(layer, JoinLayer) and layer.join != "concat":
            read = known.get(layer.reads[0], before)
        for _ in range(repeats(layer)):
            before = given(layer, cell, read, contexts or {})
            found.append(Sized(index, layer, cell, read, before))
            read = before
        if layer.name is not None:
            known[layer.name] = before
    return found


def repeats(layer: Layer) -> int:
    """How many layers like this one follow one another."""
    return layer.repeat if isinstance(layer, RecurrentLayer | ConvLayer | DenseLayer) else 1


def side_by_side(reads: list[Steps]) -> Steps:
    """Several values as one: grids of equally many features stay a grid."""
    if len(reads) == 1:
        return reads[0]
    first = reads[0]
    if are_grids(reads):
        return replace(first, channels=_sum(each.channels for each in reads))
    return replace(first.flat(), channels=_sum(each.width for each in reads))


def are_grids(reads: list[Steps]) -> bool:
    """Whether the values are grids of equally many features."""
    return all(each.sides and each.sides == reads[0].sides for each in reads)


def _sum(widths: Iterable[int | None]) -> int | None:
    total = 0
    for width in widths:
        if width is None:
            return None
        total += width
    return total


def given(
    layer: Layer, cell: Cell | None, read: Steps, contexts: Mapping[str, int | None]
) -> Steps:
    """What a layer gives for what it reads, and for what it attends to (see `sized`)."""
    match layer:
        case RecurrentLayer():
            return replace(read.flat(), channels=output_width(layer, cell, read.width))
        case ConvLayer():
            read = read.read_by(layer)
            return replace(_fewer(read, extent(layer.stride, layer, read)), channels=layer.conv)
        case PoolLayer():
            read = read.read_by(layer)
            return _fewer(read, extent(layer.stride or layer.size, layer, read))
        case DenseLayer():
            return replace(read.flat(), channels=layer.dense)
        case StackLayer():
            read = read.flat()
            width = read.width * layer.stack if read.width else None
            stride = read.stride * (layer.stride or layer.stack)
            return replace(read, channels=width, stride=stride)
        case SqueezeLayer():
            return _squeezed(layer, read)
        case AttendLayer():
            context = None if layer.pools else contexts.get(layer.attend)
            return replace(read.flat(), channels=met_width(layer, read.width, context))
        case JoinLayer() | NormLayer() | ActivationLayer() | DropoutLayer():
            return read
        case _:
            assert_never(layer)


def met_width(layer: AttendLayer, width: int | None, context: int | None = None) -> int | None:
    """The numbers that a step has after an attention, of its own `width` and that of its
    context."""
    parts = (
        {"concat": width and context and width + context, "context": context}.get(
            kind, 1 if kind in ONE_NUMBER else width
        )
        for kind in layer.combine
    )
    return _sum(parts)


ONE_NUMBER = ("cosine", "manhattan")
"""What two vectors meet in, as one number."""


def _squeezed(layer: SqueezeLayer, read: Steps) -> Steps:
    plain = replace(read, sides=())
    if layer.squeeze == "flatten":
        return read.flat()
    return replace(plain, places=read.features) if layer.squeeze == "places" else plain


def _fewer(read: Steps, stride: tuple[int, ...]) -> Steps:
    """After strides along the steps and, of a grid, along its sides."""
    sides = zip(read.sides, stride[1:], strict=False)
    fewer = tuple(side and -(-side // by) for side, by in sides)
    return replace(read, stride=read.stride * stride[0], sides=fewer)


def pair(value: Extent) -> tuple[int, ...]:
    """One number for the steps, or one for each axis."""
    return (value,) if isinstance(value, int) else value


def extent(value: Extent, layer: ConvLayer | PoolLayer, read: Steps) -> tuple[int, ...]:
    """A setting of a layer with a number for the steps and for each side of what it reads. Two
    numbers are of the rows and columns of frames, one at a time."""
    axes = len(pair(layer.size))
    found = pair(value) * axes if len(pair(value)) == 1 else pair(value)
    return (1, *found) if axes == len(read.sides) == 2 else found


def output_width(layer: RecurrentLayer, cell: Cell | None, inputs: int | None) -> int | None:
    """Width of the layer's output; None where it is not known."""
    one = _number_of(cell.output_size, layer, inputs) if cell else None
    both = layer.direction == "bidirectional" and layer.merge == "concat"
    return 2 * one if one and both else one


def _number_of(size: str, layer: RecurrentLayer, inputs: int | None) -> int | None:
    """The number behind a size of the cell of a layer; None where it is not known."""
    from rnnspec.cells.sizes import Numbers

    known = {"units": layer.units // layer.heads, **layer.sizes}
    known |= {} if inputs is None else {INPUTS: inputs}
    try:
        return layer.heads * Numbers(known)[size]
    except (KeyError, ValueError):
        return None


def unequal_tied(width: int, embed: int) -> str:
    return (
        f"the answer is made of {width} numbers and the learned vectors are {embed} wide, but they"
        " share one matrix"
    )


def unequal_widths(skip: str, before: int, after: int) -> str:
    """The message that a skip connection joins two different widths."""
    return (
        f"{skip} needs one width on either side of the layer, but its input is {before} wide"
        f" and its output {after}"
    )
