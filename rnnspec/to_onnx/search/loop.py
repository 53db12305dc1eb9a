"""What a search is given, and its result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from rnnspec.plan.names import first_sequences
from rnnspec.plan.nodes import FramesOutput, Search, SearchedOutput
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.copying import ExtendedVocabulary
from rnnspec.to_onnx.emitter import INT64, Emitter
from rnnspec.to_onnx.lowering import Lowering, time_dimension
from rnnspec.to_onnx.rows import Rows, State

ANSWER = "steps"
"""Name of the dimension of the steps of an answer."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answers of a search.

    `numbers` int64 `[B, U]` are the ids, END_ID past the end, `lengths` int64 `[B]` count them
    without the end mark, `log_probs` float `[B]` are the true log-probabilities, and `weights`
    `[B, U, T]` those of attention, "" unless asked for. With `n_best` above 1 a dimension of
    answers follows the batch's; the weights are of the best answer.
    """

    numbers: str
    lengths: str
    log_probs: str
    weights: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The most steps: of all rows, int64 `[]`, at least 1; and of each, int64 `[B]`, "" where it is
    the same number for all."""

    trips: str
    rows: str


@dataclass(frozen=True, slots=True)
class SearchStart:
    """Where a search begins: the token before its first step, int64 `[R]`, and states of the body.

    `prompt` int64 `[B, P]` are the tokens read, aligned at the end with -1 before them, "" where
    there is no prompt.
    """

    previous: str
    states: list[State]
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A search for the text of `node`: the decoder's `body` runs on `rows`."""

    low: Lowering
    node: SearchedOutput
    body: Body
    rows: Rows
    start: SearchStart
    limits: Limits
    vocabulary: ExtendedVocabulary

    @property
    def name(self) -> str:
        return self.node.name


def limits_of(low: Lowering, name: str, search: Search | FramesOutput) -> Limits:
    """`limit + floor(factor * lengths)`, in double precision; the lengths of several encoders
    together."""
    emit = low.emit
    if not search.factor:
        return Limits(emit.integer(search.limit), "")
    lengths, *others = (low.axes[time_dimension(each)].name for each in first_sequences(low.plan))
    for other in others:
        lengths = emit.op("Add", [lengths, other], f"{name}.lengths.all")
    exact = emit.op("Cast", [lengths], f"{name}.lengths", to=TensorProto.DOUBLE)
    factor = emit.constant(np.array(search.factor, np.float64), f"{name}.factor")
    product = emit.op("Mul", [exact, factor], f"{name}.product")
    whole = emit.op("Cast", [product], f"{name}.whole", to=INT64)
    rows = emit.op("Add", [whole, emit.integer(search.limit)], f"{name}.most")
    return Limits(emit.op("ReduceMax", [rows], f"{name}.trips", keepdims=0), rows)


def trimmed(emit: Emitter, steps: str, lengths: str, name: str) -> str:
    """The first steps of `[U, …]`: as many as the longest of `lengths`, at least one."""
    longest = emit.op("ReduceMax", [lengths], f"{name}.longest", keepdims=0)
    end = emit.op("Max", [longest, emit.integer(1)], f"{name}.end")
    extent = emit.unsqueeze(end, 0, f"{name}.extent")
    return emit.slice(steps, 0, extent, 0, name)
