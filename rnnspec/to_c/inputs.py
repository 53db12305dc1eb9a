"""The columns that a program reads: numbers scaled, missing ones replaced, numbers of tokens."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnnspec.errors import ExportError
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.nodes import (
    CategoriesInput,
    CategoryInput,
    Elapsed,
    FramesInput,
    ImageInput,
    KeysInput,
    SeriesInput,
    TokensInput,
    VectorInput,
)
from rnnspec.to_c.lowering import Argument, CType, Lowering, Value
from rnnspec.to_c.text import loop, number, wide_number

Scaled = FramesInput | SeriesInput | VectorInput


def argument(
    low: Lowering, column: str, key: str, kind: CType, width: int, words: str, of_row: bool = False
) -> Argument:
    """The argument of a column, a new one the first time."""
    for known in low.inputs:
        if known.key == key:
            return known
    name = low.names.new(column)
    low.inputs.append(Argument(name, column, key, kind, width, words, of_row))
    return low.inputs[-1]


def lower_tokens(low: Lowering, node: TokensInput) -> Value:
    """The number of a token; one that there is not is the unknown."""
    return _number(low, node, "the number of a token", False)


def lower_category(low: Lowering, node: CategoryInput) -> Value:
    return _number(low, node, "the number of a label", True)


def lower_categories(low: Lowering, node: CategoriesInput) -> Value:
    """The number of the label of a step."""
    return _number(low, node, "the number of a label", False)


def _number(
    low: Lowering, node: TokensInput | CategoryInput | CategoriesInput, words: str, of_row: bool
) -> Value:
    words = f"{words}, below {node.size}"
    given = argument(low, node.column, node.key, "int32_t", 0, words, of_row)
    low.lines(of_row).append(
        f"{given.name} = {given.name} >= 0 && {given.name} < {node.size}"
        f" ? {given.name} : {UNKNOWN_ID};"
    )
    return Value(given.name, (), of_row)


def lower_keys(low: Lowering, node: KeysInput) -> Value:
    words = "1 for each label that is on, else 0"
    given = argument(low, node.column, node.key, "float", node.size, words)
    return Value(given.name, (node.size,))


def lower_image(low: Lowering, node: ImageInput) -> Value:
    """The pixels of a step, scaled."""
    picture = node.picture
    extents = (picture.features, picture.channels)
    words = f"the pixels of one of the {picture.steps}, the channels of each side by side"
    given = argument(low, node.column, node.key, "uint8_t", extents[0] * extents[1], words)
    found = low.buffer(node, extents)
    byte = f"{given.name}[j]"
    value = f"(float)(255 - {byte})" if node.invert else f"(float){byte}"
    if node.scale == "unit":
        value = f"{value} / 255.0f"
    if node.scale == "standard":
        mean, deviation = (
            low.table("float", f"{node.name}.{each}", low.weight(node, each))
            for each in ("mean", "deviation")
        )
        at = f"j % {picture.channels}" if picture.channels > 1 else "0"
        value = f"({value} - {mean}[{at}]) / {deviation}[{at}]"
    return low.put(found, loop(found.size, [f"{found.name}[j] = {value};"]))


def _frames(low: Lowering, column: str) -> Argument:
    (node,) = (n for n in low.plan.inputs if isinstance(n, FramesInput) and n.column == column)
    kind: CType = "double" if node.double else "float"
    words = f"{node.width} numbers in the units of the data{_or_missing(node)}"
    return argument(low, column, node.key, kind, node.width, words)


def lower_elapsed(low: Lowering, node: Elapsed) -> Value:
    return Value(f"(float){_frames(low, node.column).name}[{node.index}]", ())


def lower_frames(low: Lowering, node: FramesInput) -> Value:
    given = _frames(low, node.column)
    found = low.buffer(node)
    at = "j"
    if node.elapsed is not None:  # it is left out
        at = f"j < {node.elapsed} ? j : j + 1" if node.elapsed else "j + 1"
    return low.put(found, _scaled(low, node, found, f"{given.name}[{at}]", node.features))


def lower_series(low: Lowering, node: SeriesInput) -> Value:
    if node.log:
        raise ExportError(
            f"column {node.column!r} is read as its logarithm, and there is no C for that: export"
            " it with --onnx, for onnxruntime"
        )
    words = f"a number in the unit of the data{_or_missing(node)}"
    given = argument(low, node.column, node.key, "double" if node.double else "float", 1, words)
    found = low.buffer(node)
    return low.put(found, _scaled(low, node, found, f"{given.name}[j]", 1))


def lower_vector(low: Lowering, node: VectorInput) -> Value:
    """Numbers of the row, scaled where a stream begins."""
    words = f"{node.width} numbers in the units of the data{_or_missing(node)}"
    kind: CType = "double" if node.double else "float"
    given = argument(low, node.column, node.key, kind, node.width, words, of_row=True)
    name = low.names.new(node.name)
    low.fields.append(f"float {name}[{node.width}];")
    found = Value(f"state->{name}", (node.width,), True)
    return low.put(found, _scaled(low, node, found, f"{given.name}[j]", node.width))


def _or_missing(node: Scaled) -> str:
    return "" if node.missing == "error" else ", NaN where one is missing"


def _scaled(low: Lowering, node: Scaled, into: Value, given: str, width: int) -> Iterable[str]:
    """`(v - mean) / deviation`; a missing number is the last one before it, if that is the rule
    and there is one, else the mean."""
    kind = "double" if node.double else "float"
    written = wide_number if node.double else number
    missing = "rs_missing_double" if node.double else "rs_missing"
    mean, deviation = np.zeros(width), np.ones(width)
    centre, scale = "", ""
    if node.scaled:
        mean, deviation = low.weight(node, "mean"), low.weight(node, "deviation")
        if node.double:
            mean = mean + low.weight(node, "rest")
        centre = _at_place(low, kind, f"{node.name}.mean", mean)
        scale = _at_place(low, kind, f"{node.name}.deviation", deviation)
    lines = [f"{kind} v = {given};"]
    if node.missing == "previous":
        last = low.states(node)["last"]
        begin = centre or written(0.0)
        low.begin += loop(width, [f"{last}[j] = {begin};"])
        lines += [f"v = {missing}(v) ? {last}[j] : v;", f"{last}[j] = v;"]
    elif node.missing == "mean":
        lines.append(f"v = {missing}(v) ? {centre or written(0.0)} : v;")
    value = f"(v - {centre}) / {scale}" if node.scaled else "v"
    value = f"(float)({value})" if node.double else value
    return loop(width, [*lines, f"{into.name}[j] = {value};"])


def _at_place(low: Lowering, kind: str, name: str, values: np.ndarray) -> str:
    return f"{low.table(kind, name, values)}[j]"
