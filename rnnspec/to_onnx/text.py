"""Text outputs: the search around the decoder's body, and token ids turned into text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

import numpy as np

from rnnspec.plan import nodes
from rnnspec.plan.copies import copied_columns, copied_inputs
from rnnspec.plan.facts import END_ID, SPACE, TextFacts
from rnnspec.plan.kinds import answers_ids
from rnnspec.plan.names import UNKNOWN, answer_name, attended, attended_names, attention_suffixes
from rnnspec.plan.stream_states import HELD
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.copying import ExtendedVocabulary, beside_pads
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, STRING, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, TIME, Lowering, Vector
from rnnspec.to_onnx.rows import Rows, rows_of
from rnnspec.to_onnx.sampling_rng import seed_input
from rnnspec.to_onnx.search import beam, greedy
from rnnspec.to_onnx.search.loop import ANSWER, SearchResult, Task, limits_of
from rnnspec.to_onnx.search.prompt import search_start
from rnnspec.to_onnx.search.writing import write_on
from rnnspec.to_onnx.written_bytes import Held, byte_pieces, decoded, decoded_so_far

GLUE: Mapping[nodes.TextKind, str] = {"words": " ", "chars": "", "bytes": "", "subwords": ""}
"""What stands between the tokens of a text, by kind; a list of tokens is not joined."""


def lower_text(low: Lowering, node: nodes.TextOutput) -> Vector:
    """`<name>` string `[B]`, of tokens `[B, U]`, or with ids `<name>.ids` int64 `[B, U]` and
    `<name>.lengths` `[B]`; `<name>.scores` `[B]`; `<name>.attention` `[B, U, T]` if asked for.
    With `n_best` above 1 all but the last have a dimension of answers after the batch's."""
    decoder = low.plan.node(node.source)
    assert isinstance(decoder, nodes.Decoder), f"{node.name} reads no decoder"
    found = searched(low, node, decoder)
    answer_text(low, node, found, "log-probability of the answer, end mark included")
    if low.attention:
        _answer_attention(low, node, found)
    return Vector(found.log_probs)


def answer_text(
    low: Lowering, node: nodes.WrittenOutput, found: SearchResult, doc_of_scores: str
) -> None:
    """The outputs that every text has."""
    name, count = answer_name(low.plan, node), node.search.n_best
    if isinstance(node, nodes.AlignedOutput):
        keep_written(low, node, found)
    several: list[Extent] = [BATCH, count] if count > 1 else [BATCH]
    if isinstance(node, nodes.TextOutput) and node.reverse:
        found = replace(found, numbers=_in_order(low, node, found))
    if answers_ids(node, low.ids):
        doc = f"numbers of the tokens answered, {END_ID} past the end"
        if isinstance(node, nodes.TextOutput) and node.copies:
            of = ", then ".join(map(repr, copied_columns(low.plan, node)))
            doc += f"; {node.size} + j is the token at step j, from 0, of {of}"
        output(low, found.numbers, f"{name}.ids", INT64, [*several, ANSWER], doc)
        doc = "number of tokens answered, without the end mark"
        output(low, found.lengths, f"{name}.lengths", INT64, several, doc)
    elif node.kind == "tokens":
        tokens = _tokens(low, node, found)
        output(low, tokens, name, STRING, [*several, ANSWER], 'tokens, "" past the end')
    else:
        own = _OWN.get(node.kind, _joined)
        text = own(low, node, found, several)
        doc = "the text answered"
        if goes_on(low, node):
            text, doc = _behind_chunks(low, node, found, text), "what the chunk adds to the text"
        output(low, text, name, STRING, several, doc)
    output(low, found.log_probs, f"{name}.scores", FLOAT, several, doc_of_scores)


def output(low: Lowering, value: str, name: str, kind: int, shape: list[Extent], doc: str) -> None:
    low.emit.output(low.emit.op("Identity", [value], f"{name}.value"), name, kind, shape, doc)


def keep_written(low: Lowering, node: nodes.AlignedOutput, found: SearchResult) -> None:
    """Of words written chunk by chunk, whether there have been any."""
    kept, emit, chunks = f"{node.name}.written", low.emit, low.chunks
    if chunks is not None and chunks.has(kept):
        some = emit.op("Sign", [found.lengths], f"{kept}.some")
        now = emit.cast(some, INT64, FLOAT, f"{kept}.now")
        chunks.after(kept, emit.op("Max", [chunks.before(kept), now], f"{kept}.so_far"))


def goes_on(low: Lowering, node: nodes.WrittenOutput) -> bool:
    """Whether a chunk adds to the text that those before it gave."""
    prompt = isinstance(node, nodes.TextOutput) and node.prompt
    return low.chunks is not None and bool(prompt or isinstance(node, nodes.AlignedOutput))


def _behind_chunks(low: Lowering, node: nodes.WrittenOutput, found: SearchResult, text: str) -> str:
    """The text of a chunk, with a space before its first word if there have been words."""
    kept, emit, chunks = f"{node.name}.glue", low.emit, low.streaming()
    if not GLUE[node.kind]:
        return text
    some = emit.op("Sign", [found.lengths], f"{kept}.here")
    if isinstance(node, nodes.TextOutput):
        before = _had_tokens(low, node)
    else:
        written = chunks.before(f"{node.name}.written")
        before = emit.cast(written, FLOAT, INT64, f"{kept}.number")
    glued = emit.op("Mul", [some, before], f"{kept}.glued")
    glue = emit.strings(f"{kept}.kinds", ["", " "])
    space = emit.op("Gather", [glue, glued], f"{kept}.space")
    return emit.op("StringConcat", [space, text], f"{node.name}.text.behind")


def _had_tokens(low: Lowering, node: nodes.TextOutput) -> str:
    """Int64 `[B]`: 1 where tokens were read or written before what a chunk adds."""
    emit, name = low.emit, f"{node.name}.had"
    both = [low.streaming().before(f"{node.name}.begun"), low.steps(node.prompt).lengths.name]
    return emit.op("Sign", [emit.op("Max", both, f"{name}.so_far")], f"{name}.tokens")


def searched(low: Lowering, node: nodes.SearchedOutput, decoder: nodes.Decoder) -> SearchResult:
    search = node.search
    if low.chunks is not None and isinstance(node, nodes.TextOutput) and node.prompt:
        return write_on(low, node, decoder)
    wide = search if isinstance(search, nodes.Beam) and search.width > 1 else None
    rows = rows_of(low, decoder, wide.width if wide else 1)
    attention = low.attention or bool(wide and wide.coverage_penalty)
    body = Body(low, decoder, rows, attention)
    start = search_start(low, node, decoder, body, rows)
    limits = limits_of(low, node.name, search)
    task = Task(low, node, body, rows, start, limits, ExtendedVocabulary(low, node))
    match search:
        case nodes.Beam() if wide:
            return beam.search(task, wide)
        case nodes.Greedy() | nodes.Beam():  # a beam of width 1 finds the same
            return greedy.search(task, greedy.arg_max(node.name))
        case nodes.Sample():
            return greedy.search(task, greedy.sampler(task, search, seed_input(low)))
        case _:
            assert_never(search)


def _in_order(low: Lowering, node: nodes.TextOutput, found: SearchResult) -> str:
    """The numbers of texts that were written from their ends, the one written last first."""
    emit, name, several = low.emit, f"{node.name}.in_order", node.search.n_best > 1
    numbers, lengths = found.numbers, found.lengths
    if several:  # onnxruntime reverses along the first two axes alone
        extent = emit.op("Shape", [numbers], f"{name}.extent", start=2)
        shape = emit.concat([emit.integers(-1), extent], 0, f"{name}.shape")
        numbers = emit.op("Reshape", [numbers, shape], f"{name}.flat")
        lengths = emit.op("Reshape", [lengths, emit.integers(-1)], f"{name}.lengths")
    turned = emit.op(
        "ReverseSequence", [numbers, lengths], f"{name}.turned", batch_axis=0, time_axis=1
    )
    # Some versions leave rows without a step unwritten.
    some = emit.unsqueeze(emit.op("Cast", [lengths], f"{name}.some", to=BOOL), 1, f"{name}.any")
    turned = emit.op("Where", [some, turned, numbers], f"{name}.or_nothing")
    if several:
        whole = emit.op("Shape", [found.numbers], f"{name}.whole")
        turned = emit.op("Reshape", [turned, whole], f"{name}.each")
    return turned


def _entries(low: Lowering, node: nodes.WrittenOutput) -> list[str]:
    """The text of each id; the end mark has none."""
    known = low.facts.outputs[node.column]
    assert isinstance(known, TextFacts), f"{node.column} has no vocabulary"
    found = ["", UNKNOWN, *known.vocabulary.entries]
    assert len(found) == node.size, f"{node.column} has another vocabulary"
    return found


def _tokens(low: Lowering, node: nodes.WrittenOutput, found: SearchResult) -> str:
    emit, name = low.emit, node.name
    texts, numbers = emit.strings(f"{name}.entries", _entries(low, node)), found.numbers
    if isinstance(node, nodes.TextOutput) and node.copies:
        source, numbers = _source(low, node, found)
        texts = emit.concat([texts, source], 0, f"{name}.entries.all")
    tokens = emit.op("Gather", [texts, numbers], f"{name}.tokens")
    if isinstance(node, nodes.TextOutput) and node.reverse:
        return _before_tokens(low, node, tokens, found.lengths)
    if isinstance(node, nodes.TextOutput) and node.prompt and not goes_on(low, node):
        return _after_tokens(low, node, tokens)
    return tokens


def _source(low: Lowering, node: nodes.TextOutput, found: SearchResult) -> tuple[str, str]:
    """The tokens of all rows' sources as they were given, `[B * T]`, row by row; and the ids
    answered.

    Copied ids become places in the vocabulary followed by these tokens, for one Gather: Gather of
    onnxruntime is right for single texts only, not for rows of them.
    """
    emit, name, numbers = low.emit, f"{node.name}.source", found.numbers
    sources = copied_inputs(low.plan, node)
    given, *others = (low.tokens[each.column] for each in sources)
    if others:
        rank = 3 if node.search.n_best > 1 else 2
        numbers = beside_pads(low, numbers, sources[:-1], node.size, f"{name}.numbers", rank=rank)
        given = emit.concat([given, *others], 1, f"{name}.every")
    flat = emit.op("Reshape", [given, emit.integers(-1)], f"{name}.flat")
    extents = emit.op("Shape", [given], f"{name}.extents")
    batch, time = (
        emit.op("Gather", [extents, emit.integer(axis)], f"{name}.extent") for axis in (0, 1)
    )
    rows = emit.range(batch, f"{name}.rows")
    starts = emit.op("Mul", [rows, time], f"{name}.starts")
    axes = emit.integers(*range(1, 3 if node.search.n_best > 1 else 2))
    starts = emit.op("Unsqueeze", [starts, axes], f"{name}.starts.each")
    moved = emit.op("Add", [numbers, starts], f"{name}.moved")
    known = emit.op("Less", [found.numbers, emit.integer(node.size)], f"{name}.known")
    return flat, emit.op("Where", [known, found.numbers, moved], f"{name}.places")


def _after_tokens(low: Lowering, node: nodes.TextOutput, tokens: str) -> str:
    """The tokens of the prompt as they were given, without pads, then the tokens answered."""
    emit, time = low.emit, low.axes[TIME]
    rows, given, flat = _flat_tokens(low, node, tokens)
    lengths = rows.repeated(emit.unsqueeze(time.name, 1, f"{node.name}.after_prompt.lengths"))
    return _one_after_other(low, node, rows, given, flat, lengths)


def _before_tokens(low: Lowering, node: nodes.TextOutput, tokens: str, lengths: str) -> str:
    """The tokens answered, then those of the prompt as they were given."""
    rows, given, flat = _flat_tokens(low, node, tokens)
    name = f"{node.name}.after_prompt.lengths"
    column = low.emit.op("Reshape", [lengths, low.emit.integers(-1, 1)], name)
    return _one_after_other(low, node, rows, flat, given, column)


def _flat_tokens(low: Lowering, node: nodes.TextOutput, tokens: str) -> tuple[Rows, str, str]:
    """All rows of answers; the tokens of the prompt and those answered, of each of them."""
    emit, name, time = low.emit, f"{node.name}.after_prompt", low.axes[TIME]
    prompt, count = low.plan.node(node.prompt), node.search.n_best
    assert isinstance(prompt, nodes.TokensInput), f"{node.prompt} is no prompt"
    rows = Rows(emit, time.batch(), count)
    if count == 1:
        return rows, prompt.column, tokens
    # Gather of onnxruntime takes only the first text of each row
    apart = emit.unsqueeze(prompt.column, 1, f"{name}.apart")
    repeated = emit.op("Expand", [apart, emit.integers(1, count, 1)], f"{name}.repeated")
    given = _flat(low, rows, repeated, f"{name}.given")
    return rows, given, _flat(low, rows, tokens, f"{name}.flat")


def _one_after_other(
    low: Lowering, node: nodes.TextOutput, rows: Rows, given: str, flat: str, lengths: str
) -> str:
    """The first `lengths` `[R, 1]` of the tokens `given` `[R, W]`, then those of `flat`."""
    emit, name, count = low.emit, f"{node.name}.after_prompt", node.search.n_best
    blank = emit.strings(f"{name}.blank", [""])
    blanks = rows.filled(blank, f"{name}.blanks", 1)
    every = emit.concat([given, flat, blanks], 1, f"{name}.every")
    most = emit.extent(given, 1, f"{name}.most")
    end = emit.extent(every, 1, f"{name}.end")
    last = emit.op("Sub", [end, emit.integers(1)], f"{name}.last")
    places = rows.numbers(last)
    own = emit.op("Less", [places, lengths], f"{name}.own")
    pads = emit.op("Sub", [most, lengths], f"{name}.pads")
    later = emit.op("Add", [places, pads], f"{name}.later")
    within = emit.op("Min", [later, last], f"{name}.within")
    order = emit.op("Where", [own, places, within], f"{name}.order")
    found = emit.pick(every, order, f"{name}.found")
    if count > 1:
        parts = [emit.integers(-1, count), last]
        shape = emit.concat(parts, 0, f"{name}.shape.each")
        found = emit.op("Reshape", [found, shape], f"{name}.found.each")
    return found


def _flat(low: Lowering, rows: Rows, texts: str, name: str) -> str:
    """`[B * n, W]` of `[B, n, W]`."""
    emit = low.emit
    extent = emit.extent(texts, 2, f"{name}.extent")
    shape = emit.concat([rows.count(), extent], 0, f"{name}.shape")
    return emit.op("Reshape", [texts, shape], name)


def _joined(
    low: Lowering, node: nodes.WrittenOutput, found: SearchResult, shape: list[Extent]
) -> str:
    """One text for each answer."""
    emit, name, entries = low.emit, f"{node.name}.text", _entries(low, node)
    last, numbers = len(shape), found.numbers
    order = [last, *range(last)]
    texts = emit.strings(f"{name}.entries", entries)
    later, glue = texts, GLUE[node.kind]
    if glue:
        later = emit.strings(f"{name}.later", ["", *(f"{glue}{entry}" for entry in entries[1:])])
    if isinstance(node, nodes.TextOutput) and node.copies:
        source, numbers = _source(low, node, found)
        texts = emit.concat([texts, source], 0, f"{name}.entries.all")
        glued = source
        if glue:
            space = emit.strings(f"{name}.space", [glue])
            glued = emit.op("StringConcat", [space, source], f"{name}.source.later")
        later = emit.concat([later, glued], 0, f"{name}.later.all")
    by_step = emit.transpose(numbers, order, f"{name}.numbers")
    first_numbers = emit.op("Gather", [by_step, emit.integer(0)], f"{name}.first.numbers")
    begun = emit.op("Gather", [texts, first_numbers], f"{name}.first")
    if isinstance(node, nodes.TextOutput) and node.reverse:
        whole = end_to_end(emit, begun, by_step, later, shape, name)
        return _before_prompt(low, node, whole, glue, len(shape))
    if isinstance(node, nodes.TextOutput) and node.prompt and not goes_on(low, node):
        begun = _after_prompt(low, node, begun, glue, len(shape))
    return end_to_end(emit, begun, by_step, later, shape, name)


def _of_bytes(
    low: Lowering, node: nodes.WrittenOutput, found: SearchResult, shape: list[Extent]
) -> str:
    """The prompt, then the bytes answered as UTF-8."""
    emit, name, rank = low.emit, f"{node.name}.text", len(shape)
    if goes_on(low, node):
        return _of_more_bytes(low, node, found)
    by_step = emit.transpose(found.numbers, [rank, *range(rank)], f"{name}.numbers")
    by_step = decoded(emit, by_step, rank + 1, f"{name}.bytes")
    pieces = emit.strings(f"{name}.entries", byte_pieces())
    first = emit.op("Gather", [by_step, emit.integer(0)], f"{name}.first.numbers")
    begun = emit.op("Gather", [pieces, first], f"{name}.first")
    assert isinstance(node, nodes.TextOutput), "bytes are written on from a prompt"
    if node.reverse:
        whole = end_to_end(emit, begun, by_step, pieces, shape, name)
        return _before_prompt(low, node, whole, "", rank)
    begun = _after_prompt(low, node, begun, "", rank)
    return end_to_end(emit, begun, by_step, pieces, shape, name)


def _of_more_bytes(low: Lowering, node: nodes.WrittenOutput, found: SearchResult) -> str:
    """What a chunk adds: whole characters, and U+FFFD for one that was begun where it can have no
    more bytes, as text came or the row has ended."""
    assert isinstance(node, nodes.TextOutput), "bytes are written on from a prompt"
    emit, name, chunks = low.emit, f"{node.name}.text", low.streaming()
    kept, none = f"{node.name}{HELD}", emit.integer(END_ID)
    came = low.steps(node.prompt).lengths.name
    apart = emit.op("Greater", [came, emit.integer(0)], f"{name}.apart")
    last = emit.op("Equal", [chunks.given(f"{node.name}.waits"), none], f"{name}.ended")
    last = emit.op("Or", [last, chunks.end], f"{name}.last")
    held = Held(chunks.before(kept), apart, last)
    by_step, after = decoded_so_far(emit, held, found.numbers, found.lengths, f"{name}.bytes")
    chunks.after(kept, after)
    pieces = emit.strings(f"{name}.entries", byte_pieces())
    first = emit.op("Gather", [by_step, emit.integer(0)], f"{name}.first.numbers")
    begun = emit.op("Gather", [pieces, first], f"{name}.first")
    return end_to_end(emit, begun, by_step, pieces, [BATCH], name)


def _of_subwords(
    low: Lowering, node: nodes.WrittenOutput, found: SearchResult, shape: list[Extent]
) -> str:
    """What the numbers of the prompt and of the answer stand for. The first of all begins without
    a space: it is looked up behind the others."""
    assert isinstance(node, nodes.TextOutput), "subwords are written on from a prompt"
    emit, name, rank = low.emit, f"{node.name}.text", len(shape)
    plain = [entry.replace(SPACE, " ") for entry in _entries(low, node)]
    pieces = [*plain, *(entry.removeprefix(" ") for entry in plain)]
    by_step = emit.transpose(found.numbers, [rank, *range(rank)], f"{name}.numbers")
    parts = [by_step] if goes_on(low, node) else _with_prompt(low, node, by_step, rank)
    whole = emit.concat(parts, 0, f"{name}.whole.numbers")
    some = emit.op("Greater", [whole, emit.integer(END_ID)], f"{name}.some")
    some = emit.op("Cast", [some], f"{name}.some.number", to=INT64)
    count = emit.op("CumSum", [some, emit.integer(0)], f"{name}.count")
    if goes_on(low, node):
        count = emit.op("Add", [count, _had_tokens(low, node)], f"{name}.count.so_far")
    is_first = emit.op("Equal", [count, emit.integer(1)], f"{name}.is_first")
    behind = emit.op("Add", [whole, emit.integer(len(plain))], f"{name}.behind")
    whole = emit.op("Where", [is_first, behind, whole], f"{name}.looked_up")
    texts = emit.strings(f"{name}.entries", pieces)
    first = emit.op("Gather", [whole, emit.integer(0)], f"{name}.first.numbers")
    begun = emit.op("Gather", [texts, first], f"{name}.first")
    return end_to_end(emit, begun, whole, texts, shape, name)


def _with_prompt(low: Lowering, node: nodes.TextOutput, by_step: str, rank: int) -> list[str]:
    """The numbers of the prompt and those answered `[U, …]`, in the order of the text."""
    emit, name, tokens = low.emit, f"{node.name}.text", low.steps(node.prompt)
    lengths = emit.unsqueeze(tokens.lengths.name, 0, f"{name}.lengths")
    extent = emit.squeeze(emit.extent(tokens.name, 0, f"{name}.extent"), 0, f"{name}.steps")
    places = emit.unsqueeze(emit.range(extent, f"{name}.range"), 1, f"{name}.places")
    own = emit.op("Less", [places, lengths], f"{name}.own")
    given = emit.op("Where", [own, tokens.name, emit.integer(END_ID)], f"{name}.given")
    if rank > 1:
        given = emit.unsqueeze(given, 2, f"{name}.given.each")
        answers = emit.op("Shape", [by_step], f"{name}.answers", start=2, end=3)
        times = emit.concat([emit.integers(1, 1), answers], 0, f"{name}.times")
        given = emit.op("Tile", [given, times], f"{name}.given.all")
    if node.reverse:  # the tokens of the prompt stand from the last to the first
        last = [emit.integers(each) for each in (-1, -(2**62), 0, -1)]
        return [by_step, emit.op("Slice", [given, *last], f"{name}.given.in_order")]
    return [given, by_step]


_OWN = {"bytes": _of_bytes, "subwords": _of_subwords}
"""Kinds of text that are put together by rules of their own."""


def end_to_end(
    emit: Emitter, begun: str, by_step: str, pieces: str, shape: list[Extent], name: str
) -> str:
    """`begun` `[B]` or `[B, n]`, and the pieces of all further steps of numbers `[U, …]`.

    A loop joins neighbours until one is left: there are as many rounds as U has binary digits. The
    end mark, of no text, fills up to a power of 2.
    """
    rest = emit.slice(by_step, 1, 2**62, 0, f"{name}.rest")
    powers = emit.constant(2 ** np.arange(32), f"{name}.powers")
    extent = emit.extent(rest, 0, f"{name}.extent")
    larger = emit.op("Greater", [extent, powers], f"{name}.larger")
    larger = emit.op("Cast", [larger], f"{name}.larger.numbers", to=INT64)
    trips = emit.op("ReduceSum", [larger], f"{name}.trips", keepdims=0)
    power = emit.op("Gather", [powers, trips], f"{name}.power")
    fill = emit.op("Sub", [power, extent], f"{name}.fill")
    none = emit.integers(*(0 for _ in shape))
    starts = emit.integers(0, *(0 for _ in shape))
    pads = emit.concat([starts, fill, none], 0, f"{name}.pads")
    filled = emit.op("Pad", [rest, pads, emit.integer(END_ID)], f"{name}.filled")
    parts = emit.op("Gather", [pieces, filled], f"{name}.parts")
    loop = Loop(emit, name)
    before = loop.state(f"{name}.parts", parts, STRING, ["parts", *shape])
    halves = [
        loop.emit.op("Slice", [before, *map(emit.integers, (start, 2**62, 0, 2))], f"{name}.{what}")
        for start, what in ((0, "first"), (1, "second"))
    ]
    both = loop.emit.op("StringConcat", halves, f"{name}.both")
    after: list[Extent] = ["fewer_parts", *shape]
    (whole,), _ = loop.close(trips, loop.going, [both], after=[after])
    whole = emit.squeeze(whole, 0, f"{name}.rest.text")
    return emit.op("StringConcat", [begun, whole], f"{name}.whole")


def _after_prompt(low: Lowering, node: nodes.TextOutput, first: str, glue: str, rank: int) -> str:
    """The prompt as it was given, then the first token."""
    prompt, first = _beside_prompt(low, node, first, glue, rank)
    return low.emit.op("StringConcat", [prompt, first], f"{node.name}.text.prompt.begun")


def _before_prompt(low: Lowering, node: nodes.TextOutput, text: str, glue: str, rank: int) -> str:
    """A text that was written from its end, then the prompt as it was given."""
    prompt, glued = _beside_prompt(low, node, text, glue, rank, before=True)
    return low.emit.op("StringConcat", [glued, prompt], f"{node.name}.text.prompt.ended")


def _beside_prompt(
    low: Lowering, node: nodes.TextOutput, first: str, glue: str, rank: int, before: bool = False
) -> tuple[str, str]:
    """The prompt, and what stands beside it, with the glue between them where both have tokens."""
    emit, name = low.emit, f"{node.name}.text.prompt"
    given = low.plan.node(node.prompt)
    assert isinstance(given, nodes.TokensInput), f"{node.prompt} is no prompt"
    prompt = given.column
    if rank > 1:
        prompt = emit.unsqueeze(prompt, 1, f"{name}.each")
    if glue:
        blank = emit.strings(f"{name}.blank", [""])
        space = emit.strings(f"{name}.space", [glue])
        starts = emit.op("Equal", [prompt, blank], f"{name}.is_empty")
        ends = emit.op("Equal", [first, blank], f"{name}.is_end")
        none = emit.op("Or", [starts, ends], f"{name}.no_glue")
        between = emit.op("Where", [none, blank, space], f"{name}.glue")
        both = [first, between] if before else [between, first]
        first = emit.op("StringConcat", both, f"{name}.glued")
    return prompt, first


def _answer_attention(low: Lowering, node: nodes.TextOutput, found: SearchResult) -> None:
    """`<name>.attention` `[B, U, T]`, of several sources one of each by its name."""
    emit, start = low.emit, low.emit.integers(0)
    sources, name = attended_names(low.plan, node), answer_name(low.plan, node)
    assert sources and found.weights, f"{node.name} has no attention"
    for attend, source, suffix in zip(
        attended(low.plan, node), sources, attention_suffixes(low.plan, node), strict=True
    ):
        weights = found.weights
        if source:
            own = emit.extent(low.steps(attend.memory).name, 0, f"{node.name}{suffix}.steps")
            end = emit.op("Add", [start, own], f"{node.name}{suffix}.end")
            weights = emit.slice(weights, start, end, 2, f"{node.name}{suffix}.own")
            start = end
        of = f" that {source!r} reads" if source else ""
        doc = f"weights of the steps of the input{of} at each step of the answer"
        time = low.steps(attend.memory).lengths.time_dimension
        told = _weights(low, node, attend, weights, found, f"{node.name}{suffix}")
        output(low, told, f"{name}{suffix}", FLOAT, [BATCH, ANSWER, time], doc)


def _weights(
    low: Lowering,
    node: nodes.TextOutput,
    attend: nodes.Attend,
    weights: str,
    found: SearchResult,
    name: str,
) -> str:
    """The weights, 0 past the answer and the row's length; as many steps as came in."""
    emit, lengths, numbers = low.emit, low.steps(attend.memory).lengths, found.numbers
    if node.search.n_best > 1:
        numbers = emit.op("Gather", [numbers, emit.integer(0)], f"{name}.best", axis=1)
    own = emit.transpose(lengths.mask(), [1, 2, 0], f"{name}.own_steps")
    real = emit.op("Greater", [numbers, emit.integer(END_ID)], f"{name}.real")
    column = emit.unsqueeze(real, 2, f"{name}.column")
    both = emit.op("And", [own, column], f"{name}.both")
    weights = emit.op("Where", [both, weights, emit.number(0.0)], f"{name}.told")
    return emit.slice(weights, 0, lengths.time(), 2, f"{name}.in_time")
