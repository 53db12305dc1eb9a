"""What the parts of a plan are built with: values that are read, and layers without a cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import assert_never

from rnnspec.errors import DataError
from rnnspec.plan.nodes import (
    Activate,
    Activation,
    BatchNorm,
    Combine,
    Conv,
    Dense,
    Dropout,
    Grid,
    Initializers,
    Join,
    LocalPool,
    Node,
    Normalize,
    Places,
    Residual,
    Squeeze,
    StackSteps,
)
from rnnspec.spec.init import AffineInit, Start, initializer_of
from rnnspec.spec.layers import (
    ActivationLayer,
    ConvLayer,
    DenseLayer,
    DropoutLayer,
    Extent,
    JoinLayer,
    NormLayer,
    PoolLayer,
    SqueezeLayer,
    StackLayer,
    Stateless,
)
from rnnspec.spec.stack import Steps, extent, pair, unequal_widths


@dataclass(frozen=True, slots=True)
class Read:
    """A value that the rest of the model reads: the name of its node, and its numbers at each step.
    A grid has `sides`: its features, or the rows and columns of a frame. Each place has an equal
    part of the numbers."""

    name: str
    width: int
    sides: tuple[int, ...] = ()

    @property
    def features(self) -> int:
        """The places of a step, 1 where there is no grid."""
        return prod(self.sides)

    @property
    def channels(self) -> int:
        """The size of the last axis."""
        return self.width // self.features


def joined(name: str, reads: list[Read], nodes: list[Node]) -> Read:
    """All of `reads` side by side, as one node."""
    if len(reads) == 1:
        return reads[0]
    nodes.append(Join(name, tuple(read.name for read in reads)))
    return Read(name, sum(read.width for read in reads))


def side_by_side(name: str, reads: list[Read], nodes: list[Node]) -> Read:
    """As `joined`; grids of equal sides stay a grid, other grids become plain steps."""
    if len(reads) == 1:
        return reads[0]
    sides = _sides(reads)
    found = joined(name, reads if sides else [flat(read, nodes) for read in reads], nodes)
    return replace(found, sides=sides)


def _sides(reads: list[Read]) -> tuple[int, ...]:
    """The sides that all of these grids have; none where they are no grids, or differ."""
    first, *others = {read.sides for read in reads}
    return () if others else first


def flat(read: Read, nodes: list[Node]) -> Read:
    """A grid as plain steps."""
    if not read.sides:
        return read
    name = f"{read.name}.flat"
    if not any(node.name == name for node in nodes):
        nodes.append(Squeeze(name, read.name, "flatten"))
    return Read(name, read.width)


def affine_init(init: AffineInit) -> Initializers:
    """The initializers that a spec states of a matrix W and a bias b."""
    stated = {"W": init.weights, "b": init.bias}
    return tuple((name, initializer_of(each)) for name, each in stated.items() if each is not None)


def table_init(init: Start | None) -> Initializers:
    """The initializer that a spec states of a table of vectors."""
    return () if init is None else (("table", initializer_of(init)),)


def dropped(
    name: str, rate: float, read: Read, nodes: list[Node], per_sequence: bool = False
) -> Read:
    """`read` after dropout at `rate`, if it is above 0."""
    if not rate:
        return read
    nodes.append(Dropout(name, read.name, rate, per_sequence))
    return replace(read, name=name)


def added(layer: Stateless, name: str, at: str, reads: list[Read], nodes: list[Node]) -> Read:
    """What a layer called `name` gives; its nodes are added. `at` is its place in the spec. Raises
    DataError where it does not fit the width of the data."""
    read = reads[0]
    match layer:
        case ConvLayer():
            read = _read_by(layer, read, nodes)
            return _finished(layer, name, at, read, _conv(layer, name, at, read, nodes), nodes)
        case DenseLayer():
            read = flat(read, nodes)
            activation: Activation = layer.activation if layer.norm == "none" else "none"
            init = affine_init(layer.init)
            nodes.append(Dense(name, read.name, read.width, layer.dense, activation, init))
            return _finished(layer, name, at, read, Read(name, layer.dense), nodes)
        case PoolLayer():
            read = _read_by(layer, read, nodes)
            size, stride = (_extent(each, layer, read) for each in (layer.size, _stride(layer)))
            nodes.append(LocalPool(name, read.name, layer.pool, size, stride))
            return _after_strides(name, read, read.channels, stride)
        case StackLayer():
            read, stride = flat(read, nodes), (layer.stride or layer.stack,)
            nodes.append(StackSteps(name, read.name, read.width, layer.stack, *stride))
            return Read(name, layer.stack * read.width)
        case SqueezeLayer():
            return _squeezed(layer, name, read, nodes)
        case JoinLayer():
            return _join(layer, name, at, reads, nodes)
        case NormLayer():
            return _normed(layer.norm, name, read, nodes)
        case ActivationLayer():
            return _activated(layer.activation, name, read, nodes)
        case DropoutLayer():
            return dropped(name, layer.dropout, read, nodes, layer.dropout_per == "sequence")
        case _:
            assert_never(layer)


def _read_by(layer: ConvLayer | PoolLayer, read: Read, nodes: list[Node]) -> Read:
    """Plain steps for a layer of one size, a grid for others: plain steps as a grid of their
    numbers with one channel."""
    if len(pair(layer.size)) == 1:
        return flat(read, nodes)
    if read.sides:
        return read
    name = f"{read.name}.grid"
    if not any(node.name == name for node in nodes):
        nodes.append(Grid(name, read.name, read.width, 1))
    return Read(name, read.width, (read.width,))


def _extent(value: Extent, layer: ConvLayer | PoolLayer, read: Read) -> tuple[int, ...]:
    return extent(value, layer, Steps(read.channels, read.sides))


def _stride(layer: PoolLayer) -> Extent:
    return layer.stride or layer.size


def _conv(layer: ConvLayer, name: str, at: str, read: Read, nodes: list[Node]) -> Read:
    if read.channels % layer.groups:
        raise DataError(
            f"{at}.groups: the {read.channels} channels of the input cannot be divided equally"
            f" among {layer.groups}"
        )
    size, stride, dilation = (
        _extent(each, layer, read) for each in (layer.size, layer.stride, layer.dilation)
    )
    nodes.append(
        Conv(
            name=name,
            source=read.name,
            inputs=read.channels,
            filters=layer.conv,
            size=size,
            stride=stride,
            dilation=dilation,
            groups=layer.groups,
            causal=layer.causal,
            initializers=affine_init(layer.init),
        )
    )
    return _after_strides(name, read, layer.conv, stride)


def _after_strides(name: str, read: Read, channels: int, stride: tuple[int, ...]) -> Read:
    sides = tuple(-(-side // by) for side, by in zip(read.sides, stride[1:], strict=True))
    return Read(name, channels * prod(sides), sides)


def _finished(
    layer: ConvLayer | DenseLayer, name: str, at: str, source: Read, read: Read, nodes: list[Node]
) -> Read:
    """A layer's norm, activation, dropout and skip."""
    if layer.norm != "none":
        read = _normed(layer.norm, f"{name}.norm", read, nodes)
    if layer.activation != "none" and (layer.norm != "none" or isinstance(layer, ConvLayer)):
        read = _activated(layer.activation, f"{name}.activation", read, nodes)
    per_sequence = layer.dropout_per == "sequence"
    read = dropped(f"{name}.dropout", layer.dropout, read, nodes, per_sequence)
    if layer.skip == "none":
        return read
    if source.width != read.width:
        raise DataError(f"{at}.skip: {unequal_widths(layer.skip, source.width, read.width)}")
    nodes.append(Residual(f"{name}.skip", read.name, source.name))
    return replace(read, name=f"{name}.skip")


def _normed(norm: str, name: str, read: Read, nodes: list[Node]) -> Read:
    kind = BatchNorm if norm == "batch" else Normalize
    nodes.append(kind(name, read.name, read.channels))
    return replace(read, name=name)


def _activated(activation: Activation, name: str, read: Read, nodes: list[Node]) -> Read:
    nodes.append(Activate(name, read.name, activation))
    return replace(read, name=name)


def _squeezed(layer: SqueezeLayer, name: str, read: Read, nodes: list[Node]) -> Read:
    if layer.squeeze == "places":
        nodes.append(Places(name, read.name, read.features))
        return Read(name, read.channels)
    nodes.append(Squeeze(name, read.name, layer.squeeze))
    return Read(name, read.width if layer.squeeze == "flatten" else read.channels)


def _join(layer: JoinLayer, name: str, at: str, reads: list[Read], nodes: list[Node]) -> Read:
    if layer.join == "concat":
        return side_by_side(name, reads, nodes)
    sides = _sides(reads)
    if not sides:
        reads = [flat(read, nodes) for read in reads]
    if len({read.width for read in reads}) > 1:
        widths = ", ".join(str(read.width) for read in reads)
        raise DataError(f"{at}.reads: {layer.join} needs one width, and these are {widths} wide")
    nodes.append(Combine(name, tuple(read.name for read in reads), layer.join))
    return Read(name, reads[0].width, sides)
