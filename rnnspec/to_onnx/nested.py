"""Sequences inside the steps of a sequence: as texts, or as ids of their tokens."""

from __future__ import annotations

from rnnspec.plan import TextFacts
from rnnspec.plan.facts import PAD, PAD_ID
from rnnspec.plan.nodes import NestedInput, TokensInput, Unnest
from rnnspec.to_onnx.axis import on_time_axis, time_major
from rnnspec.to_onnx.emitter import CONTRIB, INT64, STRING, Extent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, of_axis
from rnnspec.to_onnx.tokens import (
    ROWS_OF_TOKENS,
    doc_of,
    each_text,
    ids_by_text,
    into_words,
    lengths_of,
    numbered,
    refuse_negative,
)
from rnnspec.to_onnx.unicode import INTO_CHARACTERS, normalized

INNER = "inner"
"""What begins the name of the dimension of what is in a step."""


def lower_nested(low: Lowering, node: NestedInput) -> PaddedSequence:
    """Token ids `[T, B, E]`, from texts or, with `ids`, as they come in; E is at least 1."""
    emit, name = low.emit, node.name
    numbers = _given(low, node) if low.ids else _from_texts(low, node, node.inner)
    extent = emit.extent(numbers, 2, f"{name}.extent")
    none = emit.op("Equal", [extent, emit.integers(0)], f"{name}.is_empty")
    more = emit.op("Cast", [none], f"{name}.more", to=INT64)
    pads = emit.concat([emit.integers(0), more], 0, f"{name}.pads")
    filled = emit.op("Pad", [numbers, pads, "", emit.integers(2)], f"{name}.filled")
    return on_time_axis(low, node, time_major(low, filled, f"{name}.numbers", [0]))


def lower_unnest(low: Lowering, node: Unnest) -> PaddedSequence:
    """Ids `[E, T * B]` of what is in each step, all rows of the first step first."""
    emit, name, source = low.emit, node.name, low.steps(node.source)
    assert low.padded, "the rows are the steps, and no rows are refused"
    nested = low.plan.node(node.source)
    assert isinstance(nested, NestedInput)
    by_step = emit.op("Flatten", [source.name], f"{name}.by_step", axis=2)
    lengths = lengths_of(low, by_step, 1, f"{name}.lengths")
    value = emit.transpose(by_step, [1, 0], name)
    rows = f"{ROWS_OF_TOKENS}{of_axis(nested.axis)}"
    axis = Lengths(emit, name, lengths, value, low.padded, rows, derived=True)
    low.axes[name] = axis
    return PaddedSequence(value, axis)


def _given(low: Lowering, node: NestedInput) -> str:
    """Token ids `[B, T, E]` as they come in."""
    doc = (
        f"numbers of the tokens in each step, from 1 to {node.size - 1}, 0 past the end of a step;"
        " past the length of a row any of them"
    )
    shape: list[Extent] = [BATCH, low.time_extent(node), _inner(node)]
    numbers = low.emit.input(f"{node.column}.ids", INT64, shape, doc, reserved=True)
    return refuse_negative(low, numbers, node.size, node.name)


def _from_texts(low: Lowering, node: NestedInput, inner: TokensInput) -> str:
    """Token ids `[B, T, E]` of texts `[B, T]`, or of lists of texts `[B, T, E]`."""
    emit, name = low.emit, node.name
    known = low.facts.inputs[node.column]
    assert isinstance(known, TextFacts), f"{node.column} has no vocabulary"
    steps: list[Extent] = [BATCH, low.time_extent(node)]
    whole = [*steps, _inner(node)]
    shape = whole if node.kind == "tokens" else steps
    doc = f"of each step {doc_of(inner)}; past the length of a row empty texts"
    text = emit.input(node.column, STRING, shape, doc, reserved=True)
    if node.rule.normalize != "none":
        text = each_text(low, normalized, text, shape, f"{name}.normalized", node.rule.normalize)
    table = ids_by_text(known.vocabulary, node.fold_case and node.kind == "chars")
    table = {PAD: PAD_ID, **table}
    if node.kind == "tokens":
        return numbered(low, inner, text, table, whole)
    split = into_words(node.rule) if node.kind == "words" else INTO_CHARACTERS
    there, more = _at_least_one(low, text, name)
    tokens = emit.op("Tokenizer", [more], f"{name}.tokens", CONTRIB, **split)
    emit.typed(tokens, STRING, [BATCH, f"{name}.at_least_one", _inner(node)])
    numbers = numbered(low, inner, tokens, table, [BATCH, f"{name}.at_least_one", _inner(node)])
    return emit.slice(numbers, 0, there, 1, f"{name}.within")


def _at_least_one(low: Lowering, texts: str, name: str) -> tuple[str, str]:
    """The extent T of texts `[B, T]`, and these with an empty text behind them where T is 0: what
    Tokenizer makes of no texts has no axis of tokens. Pad takes no strings, hence the Gather."""
    emit = low.emit
    there = emit.extent(texts, 1, f"{name}.there")
    none = emit.op("Equal", [there, emit.integers(0)], f"{name}.no_steps")
    missing = emit.op("Cast", [none], f"{name}.missing", to=INT64)
    extents = [emit.extent(texts, 0, f"{name}.rows"), missing]
    shape = emit.concat(extents, 0, f"{name}.missing_extents")
    zeros = emit.op("Expand", [emit.integer(0), shape], f"{name}.missing_zeros")
    nothing = emit.strings(f"{name}.nothing", [PAD])
    added = emit.op("Gather", [nothing, zeros], f"{name}.missing_texts")
    return there, emit.concat([texts, added], 1, f"{name}.at_least_one")


def _inner(node: NestedInput) -> str:
    return f"{INNER}_{node.column}"
