"""Steps of the row that are answered: see `rnnspec.plan.nodes.PositionOutput`.

The best last step is found by the largest score of a first step at or before each: of bounded spans
by MaxPool over the steps, else by a table of all pairs.
"""

from __future__ import annotations

import numpy as np

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import NOWHERE, PositionOutput, TokensInput
from rnnspec.to_onnx.emitter import FLOAT, INT64, STRING, Emitter, Extent
from rnnspec.to_onnx.lowering import BATCH, Lowering, Value, Vector
from rnnspec.to_onnx.outputs import valid_steps
from rnnspec.to_onnx.text import GLUE, end_to_end

NEVER = -np.inf


def lower_position(low: Lowering, node: PositionOutput) -> Value:
    """`<name>` int64 `[B]`, of spans `[B, 2]`; `<name>.probabilities` `[B, T]` or `[B, T, 2]`, and
    where the steps are tokens `<name>.text` string `[B]`."""
    emit, name = low.emit, node.name
    logs = _logs(low, node)
    columns = [_column(emit, logs, mark, f"{name}.of_{mark}") for mark in range(node.marks)]
    if node.marks == 1:
        column = emit.op("ArgMax", columns, f"{name}.choice", axis=1, keepdims=1)
        first = last = column
    else:
        first, last = _best_pair(emit, node, *columns)
        column = emit.concat([first, last], 1, f"{name}.choices")
    places = emit.op("Add", [column, emit.integer(NOWHERE)], f"{name}.places")
    shares = emit.op("Exp", [emit.slice(logs, 1, 2**62, 1, f"{name}.own")], f"{name}.shares")
    rows: list[Extent] = [BATCH]
    steps: list[Extent] = [BATCH, low.steps(node.source).lengths.time_dimension]
    if node.marks == 1:
        places = emit.squeeze(places, 1, f"{name}.place")
        shares = emit.squeeze(shares, 2, f"{name}.shares.flat")
        doc = f"the likeliest step, from 0; {NOWHERE} for none"
    else:
        doc = f"the first and the last step of the likeliest span, from 0; {NOWHERE} for none"
        rows, steps = [*rows, node.marks], [*steps, node.marks]
    told, shares_name, *text = output_names(low.plan, node, low.ids)
    emit.output(places, told, INT64, rows, doc)
    of_what = "" if node.marks == 1 else ", as the first and as the last"
    doc = f"probability of each step{of_what}; 0 past the length"
    emit.output(shares, shares_name, FLOAT, steps, doc)
    if text:
        words = _text(low, node, first, last)
        emit.output(words, text[0], STRING, [BATCH], 'the tokens there as a text; "" of none')
    return Vector(places)


def _logs(low: Lowering, node: PositionOutput) -> str:
    """Log-probabilities `[B, 1 + T, marks]` of none and of each step, -inf past a row's length."""
    emit, name, source = low.emit, node.name, low.steps(node.source)
    scores = source.lengths.by_row(source.name, f"{name}.by_row", 1)
    valid = emit.unsqueeze(valid_steps(low, source, f"{name}.valid"), 2, f"{name}.valid.column")
    never = emit.number(NEVER)
    steps = emit.op("Where", [valid, scores, never], f"{name}.of_steps")
    if node.none:
        nothing = low.canonical(f"{name}.none")
    else:
        empty = emit.op("Equal", [source.lengths.name, emit.integer(0)], f"{name}.empty")
        flat = emit.op("Where", [empty, emit.number(0.0), never], f"{name}.nothing.flat")
        column = emit.op("Unsqueeze", [flat, emit.integers(1, 2)], f"{name}.nothing.column")
        nothing = column
    sizes = [source.lengths.batch(), emit.integers(1, node.marks)]
    shape = emit.concat(sizes, 0, f"{name}.nothing.shape")
    nothing = emit.op("Expand", [nothing, shape], f"{name}.nothing")
    every = emit.concat([nothing, steps], 1, f"{name}.every")
    return emit.op("LogSoftmax", [every], f"{name}.logs", axis=1)


def _column(emit: Emitter, logs: str, mark: int, name: str) -> str:
    """`[B, 1 + T]` of a mark."""
    return emit.op("Gather", [logs, emit.integer(mark)], name, axis=2)


def _best_pair(emit: Emitter, node: PositionOutput, first: str, last: str) -> tuple[str, str]:
    """Int64 `[B, 1]` each: the choices of the best pair, of log-probabilities `[B, 1 + T]`."""
    name = f"{node.name}.pair"
    extent = emit.extent(first, 1, f"{name}.extent")
    steps = emit.range(emit.op("Squeeze", [extent], f"{name}.end"), f"{name}.steps")
    is_step = emit.op("Greater", [steps, emit.integer(0)], f"{name}.is_step")
    within = emit.op("Where", [is_step, first, emit.number(NEVER)], f"{name}.within")
    if node.longest:
        # Not by the pads of MaxPool: ONNX's own evaluator loses those of one side.
        pads = [emit.integers(0, node.longest - 1, 0, 0), emit.number(NEVER)]
        padded = emit.op("Pad", [within, *pads], f"{name}.padded")
        plane = emit.unsqueeze(padded, 1, f"{name}.plane")
        pooled = emit.op("MaxPool", [plane], f"{name}.pooled", kernel_shape=[node.longest])
        best = emit.squeeze(pooled, 1, f"{name}.best")
    else:
        row = emit.unsqueeze(within, 1, f"{name}.row")
        column = emit.unsqueeze(steps, 1, f"{name}.column")
        before = emit.op("LessOrEqual", [steps, column], f"{name}.before")
        table = emit.op("Where", [before, row, emit.number(NEVER)], f"{name}.table")
        best = emit.reduce("ReduceMax", table, 2, f"{name}.best")
    best = emit.op("Where", [is_step, best, first], f"{name}.best_or_none")
    both = emit.op("Add", [best, last], f"{name}.both")
    end = emit.op("ArgMax", [both], f"{name}.last", axis=1, keepdims=1)
    begin = emit.integer(1)
    if node.longest:
        back = emit.op("Add", [end, emit.integer(1 - node.longest)], f"{name}.back")
        begin = emit.op("Max", [back, begin], f"{name}.least")
    begin = emit.op("Min", [begin, end], f"{name}.begin")
    after = emit.op("GreaterOrEqual", [steps, begin], f"{name}.after")
    until = emit.op("LessOrEqual", [steps, end], f"{name}.until")
    legal = emit.op("And", [after, until], f"{name}.legal")
    chosen = emit.op("Where", [legal, first, emit.number(NEVER)], f"{name}.chosen")
    start = emit.op("ArgMax", [chosen], f"{name}.first", axis=1, keepdims=1)
    return start, end


def _text(low: Lowering, node: PositionOutput, first: str, last: str) -> str:
    """String `[B]`: the tokens of the choices from `first` to `last`, `[B, 1]`, joined.

    `pieces` are no text, then the tokens of all rows; a step of the answer is a place among them.
    """
    emit, name, source = low.emit, f"{node.name}.text", low.plan.node(node.tokens)
    assert isinstance(source, TokensInput), f"{node.tokens} has no tokens"
    given = low.tokens[source.column]
    flat = emit.op("Reshape", [given, emit.integers(-1)], f"{name}.flat")
    none = emit.strings(f"{name}.none", [""])
    pieces = later = emit.concat([none, flat], 0, f"{name}.pieces")
    if source.kind != "chars":
        glue = GLUE["words"]
        space = emit.strings(f"{name}.space", [glue])
        glued = emit.op("StringConcat", [space, flat], f"{name}.glued")
        later = emit.concat([none, glued], 0, f"{name}.later")
    time = emit.op("Squeeze", [emit.extent(given, 1, f"{name}.time")], f"{name}.time.flat")
    batch = emit.op("Squeeze", [emit.extent(given, 0, f"{name}.batch")], f"{name}.batch.flat")
    rows = emit.range(batch, f"{name}.rows")
    starts = emit.op("Mul", [rows, time], f"{name}.starts")
    flats = [emit.squeeze(each, 1, f"{name}.{at}") for at, each in enumerate((first, last))]
    away = emit.op("Sub", flats[::-1], f"{name}.away")
    most = emit.op("ReduceMax", [away], f"{name}.most", keepdims=0)
    count = emit.op("Add", [most, emit.integer(1)], f"{name}.count")
    numbers = emit.unsqueeze(emit.range(count, f"{name}.numbers"), 1, f"{name}.by_step")
    own = emit.op("LessOrEqual", [numbers, away], f"{name}.own")
    some = emit.op("Greater", [flats[0], emit.integer(0)], f"{name}.some")
    own = emit.op("And", [own, some], f"{name}.there")
    begin = emit.op("Add", [starts, flats[0]], f"{name}.begin")
    places = emit.op("Add", [numbers, begin], f"{name}.places")
    places = emit.op("Where", [own, places, emit.integer(0)], f"{name}.places.own")
    head = emit.op("Gather", [places, emit.integer(0)], f"{name}.head.place")
    begun = emit.op("Gather", [pieces, head], f"{name}.head")
    return end_to_end(emit, begun, places, later, [BATCH], name)
