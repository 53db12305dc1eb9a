"""Inputs: text or token numbers or frames in, time-major sequences out.

A batch of no rows makes the native recurrent operators abort the whole process. Each input
therefore passes one Reshape whose shape has both a copied batch dimension and a `-1`: for no rows
the missing extent cannot be worked out and onnxruntime raises an exception. It moves no data.
"""

from __future__ import annotations

from rnnspec.data.decode import folds
from rnnspec.plan import TextFacts
from rnnspec.plan.facts import PAD, PAD_ID, UNKNOWN_ID, Vocabulary
from rnnspec.plan.nodes import Elapsed, FramesInput, Input, TokensInput, VectorInput
from rnnspec.to_onnx.emitter import CONTRIB, FLOAT, INT64, STRING, Attributes, Extent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.values import BATCH, TIME, Lowering, Steps, Vector

SPLITTING = {
    "words": "split into words at spaces (U+0020) and nowhere else",
    "chars": "taken apart into its code points",
}


def lower_tokens(low: Lowering, node: TokensInput) -> Steps:
    """Token numbers `[T, B]`, from text or, if so asked, as they come in."""
    emit = low.emit
    if low.ids:
        doc = f"numbers of the tokens, from 0 to {node.size - 1}; past the length any of them"
        numbers = emit.input(f"{node.column}.ids", INT64, [BATCH, TIME], doc, reserved=True)
        lengths = _lengths_input(low, node)
        numbers = _refused_below_zero(low, node, numbers)
    else:
        numbers, lengths = _from_text(low, node)
    turned = emit.op("Transpose", [numbers], f"{node.name}.time_major", {"perm": [1, 0]})
    sequence = emit.op("Reshape", [turned, emit.integers(-1, 0)], f"{node.name}.numbers")
    return _sequence(low, node, sequence, lengths)


def lower_frames(low: Lowering, node: FramesInput) -> Steps:
    """Frames `[T, B, features]`, scaled inside the model if the plan says so."""
    emit, raw = low.emit, _frames(low, node)
    values = raw.name
    if node.elapsed is not None:
        others = [index for index in range(node.width) if index != node.elapsed]
        values = emit.op(
            "Gather", [values, emit.integers(*others)], f"{node.name}.features", {"axis": 2}
        )
    if node.scaled:
        mean, deviation = f"{node.name}.mean", f"{node.name}.deviation"
        centred = emit.op("Sub", [values, low.canonical(mean)], f"{node.name}.centred")
        values = emit.op("Div", [centred, low.canonical(deviation)], f"{node.name}.scaled")
    return Steps(values, raw.lengths)


def lower_vector(low: Lowering, node: VectorInput) -> Vector:
    """Numbers `[B, width]` as they come in."""
    doc = f"{node.width} numbers a row in the units of the data"
    shape: list[Extent] = [BATCH, node.width]
    return Vector(low.emit.input(node.column, FLOAT, shape, doc, reserved=True))


def lower_elapsed(low: Lowering, node: Elapsed) -> Steps:
    """Element `index` of each frame, `[T, B, 1]`."""
    emit = low.emit
    (frames,) = (n for n in low.plan.inputs if n.column == node.column)
    assert isinstance(frames, FramesInput), f"{node.column} has no frames"
    raw = _frames(low, frames)
    bounds = map(emit.integers, (node.index, node.index + 1, 2))
    return Steps(emit.op("Slice", [raw.name, *bounds], node.name), raw.lengths)


def _frames(low: Lowering, node: FramesInput) -> Steps:
    """The input itself, `[T, B, width]`: emitted by the first node that reads it."""
    if node.column in low.frames:
        return low.frames[node.column]
    emit = low.emit
    doc = f"steps of {node.width} numbers in the units of the data; past the length anything"
    shape: list[Extent] = [BATCH, TIME, node.width]
    frames = emit.input(node.column, FLOAT, shape, doc, reserved=True)
    lengths = _lengths_input(low, node)
    turned = emit.op("Transpose", [frames], f"{node.name}.time_major", {"perm": [1, 0, 2]})
    sequence = emit.op("Reshape", [turned, emit.integers(-1, 0, node.width)], f"{node.name}.frames")
    low.frames[node.column] = _sequence(low, node, sequence, lengths)
    return low.frames[node.column]


def interface(node: Input, ids: bool) -> tuple[str, ...]:
    """Names of the model's inputs that stand for `node`."""
    if isinstance(node, VectorInput):
        return (node.column,)
    lengths = f"{node.column}.lengths"
    if isinstance(node, FramesInput):
        return (node.column, lengths)
    return (f"{node.column}.ids", lengths) if ids else (node.column,)


def look_up(vocabulary: Vocabulary, fold_case: bool) -> tuple[list[str], list[int]]:
    """Keys and numbers of the lookup table, the pad first; any other text is unknown.

    With `fold_case`, every code point that has an entry once lower-cased is a key too.
    """
    numbers = dict(zip(vocabulary.entries, range(UNKNOWN_ID + 1, len(vocabulary)), strict=True))
    if fold_case:
        numbers |= {
            chr(code): numbers[chr(lower)]
            for code, lower in folds().items()
            if chr(lower) in numbers
        }
    return [PAD, *numbers], [PAD_ID, *numbers.values()]


def _lengths_input(low: Lowering, node: TokensInput | FramesInput) -> str:
    doc = "number of steps of each row, from 0 to the extent of the time axis"
    return low.emit.input(f"{node.column}.lengths", INT64, [BATCH], doc, reserved=True)


def _refused_below_zero(low: Lowering, node: TokensInput, numbers: str) -> str:
    """Gather counts negative numbers from the table's end; out of its range they are an error."""
    emit = low.emit
    below = emit.op("Less", [numbers, emit.integer(0)], f"{node.name}.below")
    outside = emit.integer(node.size)
    return emit.op("Where", [below, outside, numbers], f"{node.name}.given")


def _from_text(low: Lowering, node: TokensInput) -> tuple[str, str]:
    """Token numbers `[B, T]` and lengths `[B]` of texts `[B]`."""
    emit, name = low.emit, node.name
    known = low.facts.inputs[node.column]
    assert isinstance(known, TextFacts), f"{node.column} has no vocabulary"
    folded = ", lower-cased" if node.fold_case else ""
    doc = f"texts, {SPLITTING[node.kind]}{folded}"
    text = emit.input(node.column, STRING, [BATCH], doc, reserved=True)
    keys, values = look_up(known.vocabulary, node.fold_case)
    table: Attributes = {
        "keys_strings": keys,
        "values_int64s": values,
        "default_int64": UNKNOWN_ID,
    }
    if node.kind == "words":  # without a delimiter StringSplit splits at runs of spaces
        tokens, lengths = emit.ops("StringSplit", [text], [f"{name}.tokens", f"{name}.lengths"])
        emit.typed(tokens, STRING, [BATCH, TIME])
        numbers = emit.op("LabelEncoder", [tokens], f"{name}.looked_up", table, "ai.onnx.ml")
        return numbers, lengths
    splitting: Attributes = {"separators": [""], "mark": 0, "pad_value": PAD, "mincharnum": 1}
    tokens = emit.op("Tokenizer", [text], f"{name}.tokens", splitting, CONTRIB)
    emit.typed(tokens, STRING, [BATCH, TIME])
    numbers = emit.op("LabelEncoder", [tokens], f"{name}.looked_up", table, "ai.onnx.ml")
    # No character is the pad, so those with a number above 0 are the row's own.
    own = emit.op("Sign", [numbers], f"{name}.own")
    lengths = emit.op("ReduceSum", [own, emit.integers(1)], f"{name}.lengths", {"keepdims": 0})
    return numbers, lengths


def _sequence(low: Lowering, node: TokensInput | FramesInput, name: str, lengths: str) -> Steps:
    rows = Lengths(low.emit, node.name, lengths, name, low.padded)
    if low.padded:
        emit = low.emit
        pads = [name, rows.padding(), "", emit.integers(0)]
        name = emit.op("Pad", pads, f"{node.name}.padded")
    return Steps(name, rows)
