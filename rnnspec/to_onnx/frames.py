"""Frames of moving pictures: the rows of one batch, `[T * B, rows, columns, C]`, so that what
reads each on its own takes them as they are."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.plan.nodes import shapes
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence


def sides_of(low: Lowering, name: str) -> list[int]:
    """The extents of the value of node `name` behind rows and steps."""
    return [side for side in shapes(low.plan)[name][2:] if isinstance(side, int)]


def are_frames(low: Lowering, name: str) -> bool:
    """Whether the value of node `name` has rows and columns at each step."""
    return len(sides_of(low, name)) == 3


def folded(low: Lowering, name: str, value: str) -> str:
    """The `value` of node `name`, `[T, B, …]`, as `[T * B, rows, columns, C]`."""
    return low.emit.op("Reshape", [value, low.emit.integers(-1, *sides_of(low, name))], name)


def unfolded(low: Lowering, frames: PaddedSequence, sides: Sequence[int], name: str) -> str:
    """`[T * B, …]` as `[T, B, *sides]`."""
    emit = low.emit
    extents = [emit.integers(-1), frames.lengths.batch(), emit.integers(*sides)]
    return emit.op("Reshape", [frames.name, emit.concat(extents, 0, f"{name}.shape")], name)
