"""A prompt, read before the first step of the search: the states that it leaves."""

from __future__ import annotations

from dataclasses import replace

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Decoder, PointerOutput, SearchedOutput, TextOutput, TokensInput
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.emitter import INT64
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.loop import SearchStart


def search_start(
    low: Lowering, node: SearchedOutput, decoder: Decoder, body: Body, rows: Rows
) -> SearchStart:
    """After the end mark, or after the tokens of the prompt. `body` is the body of the search."""
    mark = low.emit.integer(END_ID)
    if isinstance(node, PointerOutput) or not node.prompt:
        return SearchStart(rows.filled(mark, f"{node.name}.mark"), body.states)
    return _read(low, node, decoder, rows)


def _read(low: Lowering, node: TextOutput, decoder: Decoder, rows: Rows) -> SearchStart:
    """A loop over the tokens but the last, which is the one before the first step."""
    emit, name, tokens = low.emit, f"{node.name}.prompt", low.steps(node.prompt)
    lengths, single = tokens.lengths, Rows(emit, rows.batch)
    body = Body(low, decoder, single)
    one = emit.integer(1)
    mark = single.filled(emit.integer(END_ID), f"{name}.mark")
    line = emit.unsqueeze(mark, 0, f"{name}.first")
    fed = emit.concat([line, tokens.name], 0, f"{name}.after_mark")
    # The token before the first step stands, with the mark before them, at place `length`.
    place = emit.unsqueeze(lengths.name, 0, f"{name}.length")
    last = emit.op("GatherElements", [fed, place], f"{name}.last.line", axis=0)
    previous = emit.squeeze(last, 0, f"{name}.last")
    count = lengths.name
    if decoder.whole_prompt:
        fed = tokens.name
        less = emit.op("Sub", [count, one], f"{name}.less")
        count = emit.op("Max", [less, emit.integer(0)], f"{name}.count")
    if not body.states:  # the token before is all that a step reads
        return SearchStart(rows.repeated(previous), [], history(low, node, tokens))
    longest = emit.op("ReduceMax", [count], f"{name}.longest", keepdims=0)
    loop = Loop(emit, name)
    before = loop.carried(body.states, BATCH)
    inner = loop.emit
    token = inner.op("Gather", [fed, loop.step], f"{name}.token")
    output = body.step(inner, single, loop.step, token, before)
    active = inner.op("Less", [loop.step, count], f"{name}.active")
    column = inner.unsqueeze(active, 1, f"{name}.column")
    following = [
        inner.op("Where", [column, new, old], f"{name}.kept")
        for new, old in zip(output.states, before, strict=True)
    ]
    states, _ = loop.close(longest, loop.going, following)
    return SearchStart(
        rows.repeated(previous),
        [replace(s, initial=rows.repeated(v)) for s, v in zip(body.states, states, strict=True)],
        history(low, node, tokens),
    )


def history(low: Lowering, node: TextOutput, prompt: PaddedSequence) -> str:
    """Int64 `[B, P]`: the tokens of each row at the end, -1 before them. What is read but not
    answered is the unknown."""
    emit, name, tokens = low.emit, f"{node.name}.prompt", prompt.name
    source = low.plan.node(node.prompt)
    assert isinstance(source, TokensInput), f"{node.prompt} is no prompt"
    if source.size > node.size:
        known = emit.op("Less", [tokens, emit.integer(node.size)], f"{name}.answered")
        inputs = [known, tokens, emit.integer(UNKNOWN_ID)]
        tokens = emit.op("Where", inputs, f"{name}.or_unknown")
    return _aligned(low, name, tokens, prompt.lengths.name)


def _aligned(low: Lowering, name: str, tokens: str, lengths: str) -> str:
    """Int64 `[B, P]`: the tokens of each row at the end, -1 before them."""
    emit = low.emit
    extent = emit.extent(tokens, 0, f"{name}.extent")
    end = emit.op("Squeeze", [extent], f"{name}.end")
    numbers = emit.range(end, f"{name}.numbers")
    column = emit.unsqueeze(lengths, 1, f"{name}.lengths.column")
    shift = emit.op("Sub", [column, end], f"{name}.shift")
    places = emit.op("Add", [numbers, shift], f"{name}.places")
    real = emit.op("GreaterOrEqual", [places, emit.integer(0)], f"{name}.real")
    within = emit.op("Max", [places, emit.integer(0)], f"{name}.within")
    by_row = emit.transpose(tokens, [1, 0], f"{name}.by_row")
    found = emit.pick(by_row, within, f"{name}.moved")
    aligned = emit.op("Where", [real, found, emit.integer(-1)], f"{name}.aligned")
    return emit.typed(aligned, INT64, [BATCH, "prompt"])
