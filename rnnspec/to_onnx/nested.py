"""Sequences inside the steps of a sequence, at any number of levels: as texts, or as ids of their
tokens."""

from __future__ import annotations

from rnnspec.plan import TextFacts
from rnnspec.plan.facts import PAD, PAD_ID
from rnnspec.plan.nodes import NestedInput, TokensInput, Unnest
from rnnspec.spec.nested import inner_lengths
from rnnspec.to_onnx.axis import on_time_axis, time_major
from rnnspec.to_onnx.emitter import CONTRIB, INT64, STRING, Attributes, Extent
from rnnspec.to_onnx.lengths import Lengths, counted
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
    """Token ids `[T, B, E]`, from texts or, with `ids`, as they come in; E is at least 1. Of more
    levels `[T, B, S, E]`, each of them at least 1, with the numbers of `NestedInput` for what is
    not there."""
    emit, name = low.emit, node.name
    numbers = _given(low, node) if low.ids else _from_texts(low, node, node.inner)
    axes = range(2, 2 + node.levels)
    extents = emit.op("Shape", [numbers], f"{name}.extent", start=2)
    none = emit.op("Equal", [extents, emit.integers(0)], f"{name}.is_empty")
    more = emit.op("Cast", [none], f"{name}.more", to=INT64)
    pads = emit.concat([emit.integers(*(0 for _ in axes)), more], 0, f"{name}.pads")
    filled = emit.op("Pad", [numbers, pads, "", emit.integers(*axes)], f"{name}.filled")
    for level in range(node.levels - 1, 0, -1):
        filled = _where_there(low, node, level, filled, more)
    widths = [0] * node.levels
    return on_time_axis(low, node, time_major(low, filled, f"{name}.numbers", widths))


def _where_there(low: Lowering, node: NestedInput, level: int, numbers: str, more: str) -> str:
    """Token ids `[B, T, …, E]` with those past the end of the sequences of a level as `NestedInput`
    has them. The lengths come in, `[B, T, …]`; onnxruntime refuses those of another shape, and here
    those that are negative or over the extent of their axis are. `more` says how much longer each
    axis was made."""
    emit, inside = low.emit, node.levels - level
    *_, given = inner_lengths(node.column, level + 1)
    name = f"{node.name}.level_{level}"
    doc = f"how many sequences are in each of level {level}, from 0 to the extent of their axis"
    shape: list[Extent] = [BATCH, low.time_extent(node)]
    shape += [_inner(node, above) for above in range(1, level)]
    lengths = emit.input(given, INT64, shape, doc, reserved=True)
    extent = emit.extent(numbers, 1 + level, f"{name}.extent")
    lengths = _within(low, lengths, extent, emit.slice(more, level - 1, level, 0, f"{name}.one"))
    if level > 1:  # of an axis without extent the numbers have one more
        behind = emit.slice(more, 0, level - 1, 0, f"{name}.more")
        pads = emit.concat([emit.integers(*[0] * (level - 1)), behind], 0, f"{name}.pads")
        axes = emit.integers(*range(2, 1 + level))
        lengths = emit.op("Pad", [lengths, pads, "", axes], f"{name}.as_many")
    at = counted(emit, extent, f"{name}.at")
    there = emit.op("Less", [at, emit.unsqueeze(lengths, -1, f"{name}.lengths")], f"{name}.there")
    for further in range(inside):
        there = emit.unsqueeze(there, -1, f"{name}.there_{further}")
    none = emit.integer(-inside)
    return emit.op("Where", [there, numbers, none], f"{name}.numbers")


def _within(low: Lowering, lengths: str, extent: str, more: str) -> str:
    """Lengths that are an error below 0 or over an axis's extent, which was made `more` longer:
    they are looked up among those that there can be."""
    emit, name = low.emit, f"{lengths}.within"
    ends = emit.op("Sub", [emit.op("Add", [extent, emit.integers(1)], f"{name}.all"), more], name)
    below = emit.op("Less", [lengths, emit.integer(0)], f"{name}.below")
    at = emit.op("Where", [below, ends, lengths], f"{name}.at")
    return emit.op("Gather", [counted(emit, ends, f"{name}.known"), at], f"{name}.lengths")


def lower_unnest(low: Lowering, node: Unnest) -> PaddedSequence:
    """Ids `[E, T * B]` of what is in each step, all rows of the first step first; of more levels
    `[S, T * B, E]`."""
    emit, name, source = low.emit, node.name, low.steps(node.source)
    assert low.padded, "the rows are the steps, and no rows are refused"
    nested, level = low.plan.node(node.source), 1
    while isinstance(nested, Unnest):
        nested, level = low.plan.node(nested.source), level + 1
    assert isinstance(nested, NestedInput)
    inside = nested.levels - level
    if inside:
        extents = emit.op("Shape", [source.name], f"{name}.extents", start=2)
        shape = emit.concat([emit.integers(-1), extents], 0, f"{name}.shape")
        by_step = emit.op("Reshape", [source.name, shape], f"{name}.by_step")
        lengths = _counts(low, by_step, inside, name)
    else:
        by_step = emit.op("Flatten", [source.name], f"{name}.by_step", axis=2)
        there = by_step
        if level > 1:  # below 0 is what is in no sequence
            there = emit.op("Max", [by_step, emit.integer(0)], f"{name}.of_some")
            by_step = there
        lengths = lengths_of(low, there, 1, f"{name}.lengths")
    value = emit.transpose(by_step, [1, 0, *range(2, 2 + inside)], name)
    within = "".join(f"_{_inner(nested, above)}" for above in range(1, level))
    rows = f"{ROWS_OF_TOKENS}{of_axis(nested.axis)}{within}"
    axis = Lengths(emit, name, lengths, value, low.padded, rows, derived=True)
    low.axes[name] = axis
    return PaddedSequence(value, axis)


def _counts(low: Lowering, sequences: str, inside: int, name: str) -> str:
    """How many elements, each with `inside` levels in it, the rows `[N, S, …]` have: `[N]`."""
    emit = low.emit
    first = sequences
    for axis in range(1 + inside, 1, -1):
        first = emit.op("Gather", [first, emit.integer(0)], f"{name}.first_{axis}", axis=axis)
    there = emit.op("Greater", [first, emit.integer(-inside)], f"{name}.there")
    flags = emit.op("Cast", [there], f"{name}.flags", to=INT64)
    return emit.reduce("ReduceSum", flags, 1, f"{name}.lengths")


def _given(low: Lowering, node: NestedInput) -> str:
    """Token ids `[B, T, E]`, or of more levels `[B, T, S, E]`, as they come in."""
    doc = (
        f"numbers of the tokens in each step, from 1 to {node.size - 1}, 0 past the end of a step;"
        " past the length of a row any of them"
    )
    shape = [*_steps(low, node), _inner(node, node.levels)]
    numbers = low.emit.input(f"{node.column}.ids", INT64, shape, doc, reserved=True)
    return refuse_negative(low, numbers, node.size, node.name)


def _from_texts(low: Lowering, node: NestedInput, inner: TokensInput) -> str:
    """Token ids `[B, T, E]` of texts `[B, T]`, or of lists of texts `[B, T, E]`."""
    emit, name = low.emit, node.name
    known = low.facts.inputs[node.column]
    assert isinstance(known, TextFacts), f"{node.column} has no vocabulary"
    steps = _steps(low, node)
    whole = [*steps, _inner(node, node.levels)]
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
    if node.levels > 1:
        return _of_levels(low, node, text, table, split, whole)
    there, more = _at_least_one(low, text, name)
    tokens = emit.op("Tokenizer", [more], f"{name}.tokens", CONTRIB, **split)
    padded: list[Extent] = [BATCH, f"{name}.at_least_one", _inner(node, 1)]
    emit.typed(tokens, STRING, padded)
    numbers = numbered(low, inner, tokens, table, padded)
    return emit.slice(numbers, 0, there, 1, f"{name}.within")


def _of_levels(
    low: Lowering,
    node: NestedInput,
    texts: str,
    table: dict[str, int],
    split: Attributes,
    whole: list[Extent],
) -> str:
    """Token ids `[B, T, S, E]` of texts `[B, T, S]`. Tokenizer takes lists of texts, and of no
    texts it makes no axis of tokens: hence one text more, whose tokens are cut off."""
    emit, name = low.emit, node.name
    flat = emit.op("Reshape", [texts, emit.integers(-1)], f"{name}.flat")
    more = emit.concat([flat, emit.strings(f"{name}.nothing", [PAD])], 0, f"{name}.more_texts")
    tokens = emit.op("Tokenizer", [more], f"{name}.tokens", CONTRIB, **split)
    rows: list[Extent] = [f"{name}.texts", whole[-1]]
    emit.typed(tokens, STRING, rows)
    numbers = numbered(low, node.inner, tokens, table, rows)
    own = emit.slice(numbers, 0, -1, 0, f"{name}.own")
    extents = [emit.op("Shape", [texts], f"{name}.steps"), emit.extent(own, 1, f"{name}.most")]
    shape = emit.concat(extents, 0, f"{name}.shape")
    found = emit.op("Reshape", [own, shape], f"{name}.within", allowzero=1)
    return emit.typed(found, INT64, whole)


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


def _steps(low: Lowering, node: NestedInput) -> list[Extent]:
    """The extents of all levels but that of tokens."""
    between = [_inner(node, level) for level in range(1, node.levels)]
    return [BATCH, low.time_extent(node), *between]


def _inner(node: NestedInput, level: int) -> str:
    """The name of the extent of the sequences of a level."""
    return f"{INNER}{level if level > 1 else ''}_{node.column}"
