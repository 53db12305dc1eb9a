"""Tokens, their characters and labels that come in: as texts, looked up in the graph, or as ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rnnspec.data.decode import WHITE_SPACE, folds
from rnnspec.errors import ExportError
from rnnspec.plan import ClassFacts, TextFacts
from rnnspec.plan.facts import PAD, PAD_ID, UNKNOWN_ID, Vocabulary
from rnnspec.plan.names import TOKENIZER_FILE
from rnnspec.plan.nodes import (
    CategoryInput,
    CharactersInput,
    KeysInput,
    NestedInput,
    PerStep,
    TokenKind,
    TokensInput,
    Unnest,
)
from rnnspec.plan.text_rule import Split, TextRule
from rnnspec.spec.patterns import in_re2, parsed
from rnnspec.to_onnx.axis import nonempty_rows, on_time_axis, padded_where_empty, time_major
from rnnspec.to_onnx.emitter import CONTRIB, FLOAT, INT64, ML, STRING, Attributes, Extent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import (
    BATCH,
    Lowering,
    PaddedSequence,
    Vector,
    of_axis,
    time_dimension,
)
from rnnspec.to_onnx.unicode import INTO_CHARACTERS, folded, normalized
from rnnspec.to_onnx.utf8 import bytes_of

WORDS: Mapping[Split, str] = {
    "whitespace": "texts, split into words at white space as Unicode has it",
    "punctuation": "texts, split into words and single characters of punctuation",
    "regex": "texts, whose words are the matches of",
}
TEXTS: Mapping[TokenKind, str] = {
    "chars": "texts, taken apart into their code points",
    "bytes": "texts, taken apart into the bytes of their UTF-8",
    "tokens": "lists of tokens, padded with empty texts",
}
FIRST_BYTE = UNKNOWN_ID + 1
"""The number of byte 0."""
ROWS_OF_TOKENS, CHARS = "batch_time", "chars"
"""Names of the dimensions of the tokens of a whole batch, and of a token's characters."""
INTO_WORDS: Attributes = {
    # One regular expression (RE2) of all of them: a separator each would be a pass each.
    "separators": ["[" + "".join(rf"\x{{{ord(char):x}}}" for char in WHITE_SPACE) + "]+"],
    "mark": 0,
    "pad_value": PAD,
    "mincharnum": 1,
}


def lower_tokens(low: Lowering, node: TokensInput) -> PaddedSequence:
    """Token ids `[T, B]`, from text or, with `ids`, as they come in."""
    numbers, own = _given(low, node) if low.ids else _from_text(low, node)
    steps = on_time_axis(low, node, time_major(low, numbers, f"{node.name}.numbers"), own)
    return _from_the_end(low, node, steps) if node.reverse else steps


def _from_the_end(low: Lowering, node: TokensInput, steps: PaddedSequence) -> PaddedSequence:
    """Each row from its last token to its first, and pads after them."""
    emit, lengths = low.emit, steps.lengths
    turned = lengths.reversed(steps.name, f"{node.name}.turned")
    own = emit.squeeze(lengths.mask(), 2, f"{node.name}.turned.own")
    choice = [own, turned, emit.integer(PAD_ID)]
    return PaddedSequence(emit.op("Where", choice, f"{node.name}.from_end"), lengths)


def lower_characters(low: Lowering, node: CharactersInput) -> PaddedSequence:
    """Ids `[C, T * B]` of the characters of every token, all rows of the first step first."""
    emit, name = low.emit, node.name
    assert low.padded, "the rows are the tokens, and no rows are refused"
    numbers, lengths = _characters_given(low, node) if low.ids else _characters_of(low, node)
    by_token = emit.op("Flatten", [numbers], f"{name}.by_token", axis=2)
    value = time_major(low, by_token, f"{name}.numbers", other=True)
    rows = f"{ROWS_OF_TOKENS}{of_axis(node.axis)}"
    low.axes[name] = Lengths(emit, name, lengths, value, low.padded, rows)
    return padded_where_empty(low, low.axes[name], value, name)


def lower_per_step(low: Lowering, node: PerStep) -> PaddedSequence:
    """`[T * B, W]` to `[T, B, W]`: the rows are in this order already, or each is turned round."""
    emit, steps = low.emit, low.steps(node.steps)
    nested = isinstance(low.plan.node(node.steps), NestedInput | Unnest)
    attributes = {"end": 2} if nested else {}
    extents = emit.op("Shape", [steps.name], f"{node.name}.extents", **attributes)
    shape = emit.concat([extents, emit.integers(-1)], 0, f"{node.name}.shape")
    value = emit.op("Reshape", [low.vector(node.source), shape], node.name)
    if node.reverse:
        value = steps.lengths.reversed(value, f"{node.name}.from_end")
    return PaddedSequence(value, steps.lengths)


def lower_category(low: Lowering, node: CategoryInput) -> Vector:
    """The id of each row's label, `[B]`."""
    emit, name = low.emit, node.name
    if low.ids:
        doc = f"numbers of the labels, from 0 to {node.size - 1}; {UNKNOWN_ID} is any other label"
        given = emit.input(f"{node.column}.ids", INT64, [BATCH], doc, reserved=True)
        given = refuse_negative(low, given, node.size, name)
    else:
        known = low.facts.inputs[node.column]
        assert isinstance(known, TextFacts), f"{node.column} has no labels"
        doc = "a label a row; one that training never showed, or none, is read as the unknown"
        label = emit.input(node.column, STRING, [BATCH], doc, reserved=True)
        table = ids_by_text(known.vocabulary, fold_case=False)
        given = looked_up(low, label, table, UNKNOWN_ID, f"{name}.looked_up")
    column = nonempty_rows(low, given, f"{name}.rows", INT64)
    return Vector(emit.squeeze(column, 1, f"{name}.number"))


def lower_keys(low: Lowering, node: KeysInput) -> PaddedSequence:
    """1 for each label that is on at a step and 0 for the others: `[T, B, size]`."""
    emit, name, shape = low.emit, node.name, list[Extent]([BATCH, low.time_extent(node)])
    if low.ids:
        doc = "1 for each label that is on at a step, 0 for the others"
        on = emit.input(node.column, FLOAT, [*shape, node.size], doc, reserved=True)
        return on_time_axis(low, node, time_major(low, on, f"{name}.steps", [node.size]))
    known = low.facts.inputs[node.column]
    assert isinstance(known, ClassFacts), f"{node.column} has no labels"
    doc = "the labels that are on at each step, padded with empty texts"
    labels = emit.input(node.column, STRING, [*shape, "keys"], doc, reserved=True)
    # Labels that training has not seen are set beyond the last one, and cut off.
    table = dict(zip(known.labels, range(node.size), strict=True))
    numbers = looked_up(low, labels, table, node.size, f"{name}.looked_up")
    extents = emit.op("Shape", [labels], f"{name}.extents")
    extent = emit.op("Slice", [extents, emit.integers(0), emit.integers(2)], f"{name}.extent")
    wide_shape = emit.concat([extent, emit.integers(node.size + 1)], 0, f"{name}.wide_shape")
    pieces = [
        emit.op("Expand", [emit.number(0.0), wide_shape], f"{name}.off"),
        numbers,
        emit.op("Expand", [emit.number(1.0), extents], f"{name}.ones"),
    ]
    flags = emit.op("ScatterElements", pieces, f"{name}.flags", axis=2)
    on = emit.slice(flags, 0, node.size, 2, f"{name}.on")
    return on_time_axis(low, node, time_major(low, on, f"{name}.steps", [node.size]))


def ids_by_text(vocabulary: Vocabulary, fold_case: bool) -> dict[str, int]:
    """The id of each text that has one.

    With `fold_case`, every code point whose lower case has an entry has an id too.
    """
    numbers = dict(zip(vocabulary.entries, range(UNKNOWN_ID + 1, len(vocabulary)), strict=True))
    if fold_case:
        numbers |= {
            chr(code): numbers[chr(lower)]
            for code, lower in folds().items()
            if chr(lower) in numbers
        }
    return numbers


def looked_up(low: Lowering, texts: str, numbers: dict[str, int], default: int, name: str) -> str:
    """The id of each text, `default` where it has none."""
    return low.emit.op(
        "LabelEncoder",
        [texts],
        name,
        ML,
        keys_strings=list(numbers),
        values_int64s=list(numbers.values()),
        default_int64=default,
    )


def refuse_negative(low: Lowering, numbers: str, size: int, name: str) -> str:
    """Ids that are an error where one is negative: Gather would count it from the table's end."""
    emit = low.emit
    below = emit.op("Less", [numbers, emit.integer(0)], f"{name}.below")
    return emit.op("Where", [below, emit.integer(size), numbers], f"{name}.given")


def _given(low: Lowering, node: TokensInput) -> tuple[str, str]:
    """Token ids `[B, T]` as they come in."""
    made = f", made by {TOKENIZER_FILE}" if node.kind == "subwords" else ""
    doc = f"numbers of the tokens{made}, from 0 to {node.size - 1}; past the length any of them"
    name = f"{node.column}.ids"
    numbers = low.emit.input(name, INT64, [BATCH, low.time_extent(node)], doc, reserved=True)
    return refuse_negative(low, numbers, node.size, node.name), ""


def _from_text(low: Lowering, node: TokensInput) -> tuple[str, str]:
    """Token ids `[B, T]` of texts `[B]`, with their lengths `[B]`; or of lists of texts `[B, T]`,
    whose lengths are an input."""
    emit, name = low.emit, node.name
    known = low.facts.inputs[node.column]
    assert isinstance(known, TextFacts), f"{node.column} has no vocabulary"
    numbers = ids_by_text(known.vocabulary, node.fold_case and node.kind == "chars")
    if node.kind == "subwords":
        raise ExportError(
            f"column {node.column!r} is read as subwords, which no operator of onnxruntime makes of"
            f" a text; export it with --ids, which writes {TOKENIZER_FILE} beside the model: the"
            " tokenizers library makes the token numbers with it"
        )
    shape: list[Extent] = [BATCH, low.time_extent(node)] if node.kind == "tokens" else [BATCH]
    text = emit.input(node.column, STRING, shape, doc_of(node), reserved=True)
    if node.rule.normalize != "none":
        text = each_text(low, normalized, text, shape, f"{name}.normalized", node.rule.normalize)
    if node.kind == "tokens":
        low.tokens[node.column] = text
        return numbered(low, node, text, numbers), ""
    split = into_words(node.rule) if node.kind == "words" else INTO_CHARACTERS
    tokens = emit.op("Tokenizer", [text], f"{name}.tokens", CONTRIB, **split)
    if node.kind == "bytes":
        emit.typed(tokens, STRING, [BATCH, f"{CHARS}{of_axis(node.axis)}"])
        found, lengths = bytes_of(emit, tokens, FIRST_BYTE, name)
        return emit.typed(found, INT64, [BATCH, time_dimension(node.axis)]), lengths
    low.tokens[node.column] = emit.typed(tokens, STRING, [BATCH, time_dimension(node.axis)])
    found = numbered(low, node, tokens, {PAD: PAD_ID, **numbers})
    return found, lengths_of(low, found, 1, f"{name}.lengths")


def doc_of(node: TokensInput) -> str:
    """What a caller gives."""
    rule = node.rule
    doc = WORDS[rule.split] if node.kind == "words" else TEXTS[node.kind]
    if rule.split == "regex":
        doc += f" {rule.pattern}"
    form = "" if rule.normalize == "none" else f", in {rule.normalize.upper()}"
    return doc + form + (", lower-cased" if node.fold_case else "")


def into_words(rule: TextRule) -> Attributes:
    """How Tokenizer splits texts; StringSplit knows no white space but U+0020."""
    if rule.split == "whitespace":
        return INTO_WORDS
    expression = in_re2(parsed(rule.expression()))
    return {"tokenexp": expression, "mark": 0, "pad_value": PAD, "mincharnum": 1}


def numbered(
    low: Lowering,
    node: TokensInput,
    tokens: str,
    numbers: dict[str, int],
    shape: Sequence[Extent] = (),
) -> str:
    """The numbers of tokens `[B, T]`, or of another `shape`. Both forms of a token are looked up at
    once: the table is large where there are two."""
    emit, name = low.emit, f"{node.name}.looked_up"
    lower = _folded(low, node, tokens, shape or [BATCH, time_dimension(node.axis)])
    if not node.or_lower:
        return looked_up(low, lower, numbers, UNKNOWN_ID, name)
    both = emit.concat([tokens, lower], 0, f"{name}.both_forms")
    found = looked_up(low, both, numbers, UNKNOWN_ID, f"{name}.both")
    first, second = emit.ops("Split", [found], [f"{name}.own", f"{name}.lower"], num_outputs=2)
    unknown = emit.op("Equal", [first, emit.integer(UNKNOWN_ID)], f"{name}.is_unknown")
    return emit.op("Where", [unknown, second, first], name)


def _folded(low: Lowering, node: TokensInput, tokens: str, shape: Sequence[Extent]) -> str:
    """Tokens in lower case; those of one character have it in their table."""
    if node.kind == "chars" or not (node.fold_case or node.or_lower):
        return tokens
    return each_text(low, folded, tokens, shape, f"{node.name}.folded")


def each_text(
    low: Lowering,
    changed: Callable[..., str],
    texts: str,
    shape: Sequence[Extent],
    name: str,
    *settings: str,
) -> str:
    """Texts of any shape, changed by a function for texts `[N]`."""
    emit = low.emit
    if len(shape) == 1:
        return emit.typed(changed(emit, texts, *settings, name), STRING, shape)
    flat = emit.op("Reshape", [texts, emit.integers(-1)], f"{name}.flat")
    found = changed(emit, flat, *settings, name)
    extents = emit.op("Shape", [texts], f"{name}.shape")
    whole = emit.op("Reshape", [found, extents], f"{name}.whole", allowzero=1)
    return emit.typed(whole, STRING, shape)


def lengths_of(low: Lowering, numbers: str, axis: int, name: str) -> str:
    """The number of ids above 0, which is the pad's."""
    own = low.emit.op("Sign", [numbers], f"{name}.own")
    return low.emit.reduce("ReduceSum", own, axis, name)


def _characters_given(low: Lowering, node: CharactersInput) -> tuple[str, str]:
    """Ids `[T, B, C]` and lengths `[T * B]` as they come in."""
    emit, name, steps = low.emit, node.name, low.steps(node.steps)
    doc = f"numbers of the characters of each token, from 0 to {node.size - 1}"
    time = low.time_extent(node)
    shape: list[Extent] = [BATCH, time, f"{CHARS}{of_axis(node.axis)}"]
    given = emit.input(node.key, INT64, shape, doc, reserved=True)
    doc = "number of characters of each token"
    lengths = emit.input(f"{node.key}.lengths", INT64, [BATCH, time], doc, reserved=True)
    checked = refuse_negative(low, given, node.size, name)
    turned = []
    for value, order in ((checked, [1, 0, 2]), (lengths, [1, 0])):
        major = emit.transpose(value, order, f"{value}.step_major")
        pads = [major, steps.lengths.padding(), "", emit.integers(0)]
        turned.append(emit.op("Pad", pads, f"{value}.padded"))
    return turned[0], emit.op("Reshape", [turned[1], emit.integers(-1)], f"{name}.lengths")


def _characters_of(low: Lowering, node: CharactersInput) -> tuple[str, str]:
    """Numbers `[T, B, C]` and lengths `[T * B]` of the tokens' texts, of as many steps as their
    numbers have. Pad takes no strings, hence the Gather of no text by as many indices as there are
    to add."""
    emit, name, steps = low.emit, node.name, low.steps(node.steps)
    known = low.facts.inputs[node.column]
    assert isinstance(known, TextFacts) and known.characters is not None
    tokens = low.tokens[node.column]
    turned = emit.transpose(tokens, [1, 0], f"{name}.step_major")
    wanted = emit.extent(steps.name, 0, f"{name}.wanted")
    there = emit.extent(turned, 0, f"{name}.there")
    missing = emit.op("Sub", [wanted, there], f"{name}.missing")
    extents = [emit.op("Max", [missing, emit.integers(0)], f"{name}.more"), steps.lengths.batch()]
    shape = emit.concat(extents, 0, f"{name}.more_extents")
    zeros = emit.op("Expand", [emit.integer(0), shape], f"{name}.more_zeros")
    nothing = emit.strings(f"{name}.nothing", [PAD])
    added = emit.op("Gather", [nothing, zeros], f"{name}.more_tokens")
    enough = emit.concat([turned, added], 0, f"{name}.enough")
    whole = emit.slice(enough, 0, wanted, 0, f"{name}.tokens")
    spelled = emit.op("Tokenizer", [whole], f"{name}.spelled", CONTRIB, **INTO_CHARACTERS)
    time, chars = f"{time_dimension(node.axis)}_padded", f"{CHARS}{of_axis(node.axis)}"
    emit.typed(spelled, STRING, [time, BATCH, chars])
    table = {PAD: PAD_ID, **ids_by_text(known.characters, fold_case=False)}
    numbers = looked_up(low, spelled, table, UNKNOWN_ID, f"{name}.looked_up")
    lengths = lengths_of(low, numbers, 2, f"{name}.lengths")
    return numbers, emit.op("Reshape", [lengths, emit.integers(-1)], f"{name}.each_length")
