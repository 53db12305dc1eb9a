"""Pictures: bytes `[batch, height, width, channels]` in the file, of moving pictures `[batch, time,
height, width, channels]`, a grid `[T, B, F, C]` inside."""

from __future__ import annotations

from rnnspec.plan.nodes import ImageInput
from rnnspec.to_onnx.axis import on_time_axis
from rnnspec.to_onnx.emitter import FLOAT, UINT8, Extent
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, time_dimension


def lower_image(low: Lowering, node: ImageInput) -> PaddedSequence:
    """The pixels as the plan says, scaled in float32."""
    emit, name, picture = low.emit, node.name, node.picture
    time = time_dimension(node.axis)
    sides: list[Extent] = [time, picture.features]
    order = [1, 0, 2, 3]
    if picture.steps == "columns":
        sides, order = [picture.features, time], [2, 0, 1, 3]
    elif picture.steps == "frames":
        assert picture.height is not None and picture.width is not None
        sides, order = [time, picture.height, picture.width], [1, 0, 2, 3, 4]
    doc = f"pixels from 0 to 255, {picture.steps} are the steps; past the length anything"
    shape: list[Extent] = [BATCH, *sides, picture.channels]
    given = emit.input(node.column, UINT8, shape, doc, reserved=True)
    turned = emit.transpose(given, order, f"{name}.time_major")
    extents = emit.integers(-1, 0, picture.features, picture.channels)
    pixels = emit.op("Reshape", [turned, extents], f"{name}.pixels")
    read = on_time_axis(low, node, emit.op("Cast", [pixels], f"{name}.float", to=FLOAT))
    return PaddedSequence(_scaled(low, node, read.name), read.lengths)


def _scaled(low: Lowering, node: ImageInput, values: str) -> str:
    emit, name = low.emit, node.name
    if node.invert:
        values = emit.op("Sub", [emit.number(255.0), values], f"{name}.inverted")
    if node.scale == "unit":
        return emit.op("Div", [values, emit.number(255.0)], f"{name}.unit")
    if node.scale == "none":
        return values
    centred = emit.op("Sub", [values, low.canonical(f"{name}.mean")], f"{name}.centred")
    return emit.op("Div", [centred, low.canonical(f"{name}.deviation")], f"{name}.scaled")
