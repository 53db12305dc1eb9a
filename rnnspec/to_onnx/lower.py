"""Plan and weights to an ONNX model.

Inputs, with `batch` and `time` free, by the names of `rnnspec.plan.names`:

- a text as words, characters or bytes: string `<column>` [batch]; a list of tokens: string
  `<column>` [batch, time]. With `ids`, int64 `<column>.ids` [batch, time], and of spelled
  tokens `<column>.characters` [batch, time, chars] and its `.lengths` [batch, time], of tokens
  that may be copied `<column>.copies` [batch, time] (see `CopiesInput`).
- nested texts: string `<column>` [batch, time], of tokens [batch, time, inner], padded with "";
  with `ids` int64 `<column>.ids` [batch, time, inner], 0 past the end of each step.
- a category: string `<column>` [batch], with `ids` int64 `<column>.ids` [batch].
- keys: string `<column>` [batch, time, keys], padded with ""; with `ids` float `<column>`
  [batch, time, labels] of 0 and 1.
- frames: float `<column>` [batch, time, width]; a series: float `<column>` [batch, time], and
  `<column>.future` [batch, horizon]; a vector: float `<column>` [batch, width] or [batch].
  NaN is a missing number. Columns that the plan calls `double` are double in place of float,
  as are the numbers that answer them.
- labels of the steps of series: string `<column>` [batch, time], and `<column>.future` [batch,
  horizon] of those ahead; with `ids` int64 `<column>.ids` and `<column>.future.ids`.
- the times of steps, for the calendar: int64 `<column>` [batch, time], seconds since 1970, and
  `<column>.future` [batch, horizon].
- sound: float `<column>` [batch, samples], and int64 `<column>.lengths` [batch] in samples.
- int64 `<first sequence>.lengths` [batch], from 0 to `time`, of all sequences alike, unless the
  first one is a text that the model takes apart itself; of several encoders for the first
  sequence of each, from 0 to `time_<encoder>`. What stands past a length changes nothing.
- int64 `seed` [batch] where answers are drawn.

A batch of no rows is an error of the run.

Outputs: a class is `<column>` [batch] or, of each step, [batch, time], its label, with `ids`
its number, and `<column>.probabilities` [..., classes]; of labels that are answered together
also their log-probability `<column>.scores` [batch]; labels are `<column>` [..., labels], ""
where one is off, with `ids` 1 and 0, and `.probabilities`; numbers are `<column>` [batch],
[batch, width] or [batch, time, width]; a forecast is `<column>.forecast` [batch, horizon] and
what its distribution has besides; frames that a decoder writes are `<column>` [batch, steps,
width] with int64 `.lengths` [batch], and of an input that is answered again `.errors` [batch,
steps] and `.scores` [batch]. A text is `<column>` [batch], of tokens [batch, steps], with
`ids` int64 `<column>.ids` [batch, steps] (those that were copied by step of the source: see
`TextOutput`) and `.lengths` [batch], and its log-probability is `.scores` [batch]; several
answers to a row are a dimension after the batch's. With `attention`, `.attention` [batch,
steps, time] are the weights behind the best answer, and of texts by CTC or a transducer
`.alignment` [batch, steps, 2] the first and the last step of each of its tokens, -1 past the
end. Past the length of a row stand "" and 0, in place of the number of a class -1. With `ids`
no text comes in, is computed or goes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from rnnspec import __version__
from rnnspec.errors import ExportError
from rnnspec.plan import Facts, nodes
from rnnspec.plan import weights as weights_of_plan
from rnnspec.plan.names import (
    SEED,
    draws,
    input_names,
    later_name,
    lengths_names,
    output_names,
    stepwise_answer,
)
from rnnspec.plan.nodes import Node, Plan, shared_weights
from rnnspec.plan.portable import check_portable
from rnnspec.plan.stream import JOINED, JOINED_AFTER, Stream
from rnnspec.to_onnx import (
    attending,
    audio,
    calendar,
    categories,
    chain,
    convolution,
    copying,
    forecast,
    lags,
    layer,
    nested,
    numbers,
    outputs,
    pictures,
    recurrent,
    seasonal,
    streamed,
    tokens,
)
from rnnspec.to_onnx.chunks import Chunks
from rnnspec.to_onnx.ctc import lower_ctc
from rnnspec.to_onnx.decoder import lower_decoder, needs_memory_step
from rnnspec.to_onnx.emitter import INT64, Emitter, fix_extent
from rnnspec.to_onnx.idle import without_idle
from rnnspec.to_onnx.inline import without_loops_of_one
from rnnspec.to_onnx.inner import into_bodies
from rnnspec.to_onnx.lowering import BATCH, Demand, Lowering, Value, demands, entry_of, reads_last
from rnnspec.to_onnx.opsets import HIGHEST, IR_OF_OPSET, LOWEST, needed
from rnnspec.to_onnx.pointers import lower_pointer
from rnnspec.to_onnx.pointwise import POINTWISE, Scope
from rnnspec.to_onnx.pool import lower_pool
from rnnspec.to_onnx.positions import lower_position
from rnnspec.to_onnx.shared import merge_equal
from rnnspec.to_onnx.text import lower_text
from rnnspec.to_onnx.transducer import lower_transducer
from rnnspec.to_onnx.written_frames import lower_written_frames

LOWERINGS: Mapping[type[Node], Callable[[Lowering, Any], Value]] = {
    nodes.TokensInput: tokens.lower_tokens,
    nodes.CharactersInput: tokens.lower_characters,
    nodes.NestedInput: nested.lower_nested,
    nodes.Unnest: nested.lower_unnest,
    nodes.CopiesInput: copying.lower_copies,
    nodes.CategoryInput: tokens.lower_category,
    nodes.KeysInput: tokens.lower_keys,
    nodes.FramesInput: numbers.lower_frames,
    nodes.AudioInput: audio.lower_audio,
    nodes.ImageInput: pictures.lower_image,
    nodes.Elapsed: numbers.lower_elapsed,
    nodes.VectorInput: numbers.lower_vector,
    nodes.SeriesInput: numbers.lower_series,
    nodes.Observed: numbers.lower_observed,
    nodes.LastValues: numbers.lower_last_values,
    nodes.WindowMoments: numbers.lower_moments,
    nodes.FutureInput: numbers.lower_future,
    nodes.SeasonAgo: seasonal.lower_season_ago,
    nodes.Lags: lags.lower_lags,
    nodes.LagsAhead: lags.lower_lags_ahead,
    nodes.Latest: lags.lower_latest,
    nodes.CalendarInput: calendar.lower_calendar,
    nodes.CalendarFuture: calendar.lower_calendar_future,
    nodes.CategoriesInput: categories.lower_categories,
    nodes.CategoriesFuture: categories.lower_categories_future,
    nodes.AheadFlat: categories.lower_ahead_flat,
    nodes.Attend: attending.lower_attend,
    nodes.Recurrent: layer.lower_recurrent,
    nodes.Conv: convolution.lower_conv,
    nodes.LocalPool: convolution.lower_local_pool,
    nodes.StackSteps: convolution.lower_stack_steps,
    nodes.Places: convolution.lower_places,
    nodes.PerStep: tokens.lower_per_step,
    nodes.FinalState: recurrent.lower_final_state,
    nodes.Pool: lower_pool,
    nodes.ClassOutput: outputs.lower_class,
    nodes.ChainOutput: chain.lower_chain,
    nodes.LabelsOutput: outputs.lower_labels,
    nodes.NumericOutput: outputs.lower_numeric,
    nodes.StatesOutput: outputs.lower_states,
    nodes.PositionOutput: lower_position,
    nodes.PointerOutput: lower_pointer,
    nodes.Decoder: lower_decoder,
    nodes.TextOutput: lower_text,
    nodes.CtcOutput: lower_ctc,
    nodes.TransducerOutput: lower_transducer,
    nodes.ForecastOutput: forecast.lower_forecast,
    nodes.FramesOutput: lower_written_frames,
}
"""The node types of the graph that are not pointwise (see `rnnspec.to_onnx.pointwise`)."""


def to_onnx(
    plan: Plan,
    facts: Facts,
    weights: Mapping[str, NDArray[np.floating]],
    *,
    generic: bool = False,
    ids: bool = False,
    opset: int | None = None,
    attention: bool = False,
    stream: Stream | None = None,
    narrow: bool = False,
    portable: bool = False,
) -> ModelProto:
    """The model that computes `plan` with `weights`, by their canonical names; its inputs and
    outputs stand above.

    With `portable` the graph has `ids`, and only what every runtime answers right: operators of the
    standard, and masks in the place of lengths that recurrent operators are told.

    `generic` lowers every cell from its equations (Scan) instead of by a native operator, `narrow`
    those that are faster so once `rnnspec.to_onnx.small` has brought the weights to 8 bits. `opset`
    is the lowest that the operators need, from 17 to 21, or one from there on.

    With `stream`, that of the plan, the graph answers a chunk of each row: beside the chunk come in
    the states that the chunk before left, or 0, and those after it go out (`StreamState`), as one
    tensor `state` and `stateN` if it is `joined`. If it goes by the `step`, no lengths come in.
    Where answers read ahead, bool `end` [batch] says which rows end, and int64 `<answer>.lengths`
    [batch] how many steps are answered.

    Raises ExportError if weights are missing or of another shape, if an input and an output have
    the same name, or for an opset that is not offered or too low.
    """
    if opset is not None and opset not in IR_OF_OPSET:
        raise ExportError(f"opset {opset} is not offered; choose one from {LOWEST} to {HIGHEST}")
    emit, demand = Emitter(), demands(plan)
    chunks, ids = None if stream is None else Chunks(emit, stream), ids or portable
    if portable:
        check_portable(plan)
    if chunks is not None:
        demand |= _of_states(plan, chunks.stream, demand)
    emit.reserve(_interface(plan, ids, attention, chunks))
    low = Lowering(
        plan=plan,
        facts=facts,
        weights=_checked(plan, weights),
        shared=shared_weights(plan),
        emit=emit,
        demands=demand,
        ids=ids,
        generic=generic,
        padded=_padded(plan, generic, demand, stream, narrow, portable),
        attention=attention,
        chunks=chunks,
        narrow=narrow,
        portable=portable,
    )
    if chunks is not None:
        chunks.enter()
    _lower_nodes(low)
    if chunks is not None:
        streamed.keep_begun(low)
        _answered_steps(low, chunks.stream)
        chunks.leave()
    model = emit.model(plan.name, f"{plan.name}, {plan.cardinality}", __version__)
    if low.step:
        without_loops_of_one(model)
    if low.shared:
        merge_equal(model.graph)
    into_bodies(model.graph)
    return _at_opset(model, opset)


def _lower_nodes(low: Lowering) -> None:
    """Emits all nodes in their order; of a stream each reads its sources at the same step."""
    scope = Scope(low, low.emit, low.values.__getitem__)
    for node in low.plan.nodes:
        before = {} if low.chunks is None else streamed.in_step(low, node)
        later = {name: low.values[name] for name in before}
        low.values.update(before)
        if type(node) in POINTWISE:
            low.values[node.name] = POINTWISE[type(node)](scope, node)
        else:
            low.values[node.name] = entry_of(_lowerings(low, node), node, "a graph")(low, node)
        low.values.update(later)


def _at_opset(model: ModelProto, opset: int | None) -> ModelProto:
    """`model` at an opset, or the lowest that it needs. Raises ExportError for one too low."""
    least = needed(model)
    lowest = max(least.values(), default=LOWEST)
    if opset is not None and opset < lowest:
        kinds = ", ".join(sorted(kind for kind, each in least.items() if each > opset))
        raise ExportError(
            f"opset {opset} is too low: {kinds} of this model need{'s' * (',' not in kinds)}"
            f" {lowest}; leave out --opset, which takes the lowest"
        )
    (standard,) = (each for each in model.opset_import if not each.domain)
    standard.version = opset or lowest
    model.ir_version = IR_OF_OPSET[standard.version]
    return model


def add_metadata(model: ModelProto, metadata: Mapping[str, str]) -> None:
    """Set `metadata_props` of `model`; keys that are there already are replaced."""
    known = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, {**known, **metadata})


def with_batch(model: ModelProto, rows: int) -> ModelProto:
    """A copy of `model` that answers just `rows` rows in each call."""
    found = ModelProto()
    found.CopyFrom(model)
    fix_extent(found.graph, BATCH, rows)
    without_idle(found)
    return found


def _lowerings(low: Lowering, node: Node) -> Mapping[type[Node], Callable[[Lowering, Any], Value]]:
    """The table that a node is lowered by: what has steps of a stream by one of its own."""
    if low.chunks is None or type(node) not in streamed.STREAMED:
        return LOWERINGS
    lags = low.chunks.stream.lags
    own = node.name in lags or any(source in lags for source in node.sources())
    return streamed.STREAMED if own else LOWERINGS


def _of_states(plan: Plan, stream: Stream, demand: Mapping[str, Demand]) -> Mapping[str, Demand]:
    """What is read of recurrent layers, whose states are all kept."""
    return {
        node.name: replace(demand[node.name], final_states=frozenset(node.cell.states))
        for node in plan.nodes
        if isinstance(node, nodes.Recurrent) and node.name in stream.of_nodes
    }


def _answered_steps(low: Lowering, stream: Stream) -> None:
    """How many steps a chunk answers, where they are not its own."""
    for node in low.plan.outputs:
        if stream.answers_later(node) and stepwise_answer(node):
            name = later_name(low.plan, node)
            lengths = low.steps(node.source).lengths.name
            left = low.emit.op("Identity", [lengths], f"{node.name}.answered")
            doc = "how many steps of each row the chunk answers"
            low.emit.output(left, name, INT64, [BATCH], doc)


def _interface(plan: Plan, ids: bool, attention: bool, chunks: Chunks | None) -> list[str]:
    """Names of all inputs and outputs. Raises ExportError if two are the same."""
    names = [name for node in plan.inputs for name in input_names(node, ids)]
    names += [name for node in plan.outputs for name in output_names(plan, node, ids, attention)]
    by_step = chunks is not None and chunks.stream.step
    lengths = () if by_step else lengths_names(plan, ids).values()
    names += filter(None, [*lengths, SEED if any(map(draws, plan.outputs)) else ""])
    if chunks is not None:
        names += chunks.names()
        later = [node for node in plan.outputs if chunks.stream.answers_later(node)]
        names += [later_name(plan, node) for node in later if stepwise_answer(node)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        joined = chunks is not None and chunks.stream.joined and {JOINED, JOINED_AFTER} & {*twice}
        raise ExportError(
            f"two inputs or outputs of the model would be called {', '.join(map(repr, twice))};"
            f" {'leave out --state joined, or ' if joined else ''}rename the column in the data and"
            " in the spec"
        )
    return names


def _padded(
    plan: Plan,
    generic: bool,
    demand: Mapping[str, Demand],
    stream: Stream | None,
    narrow: bool,
    portable: bool,
) -> bool:
    """Whether some operator of the graph will not take an empty time axis."""
    of_stream = stream is not None
    for node in plan.nodes:
        match node:
            case nodes.Recurrent() if generic or layer.needs_time_step(
                node, demand[node.name], of_stream, narrow, portable
            ):
                return True
            case nodes.Pool(kind="last") if not reads_last(plan, node):
                return True
            case nodes.Pool(kind="max"):  # by ReduceMax, as of a chunk the largest weight is
                return True
            case nodes.Pool(kind="attention") if of_stream:
                return True
            case nodes.Conv() | nodes.LocalPool() | nodes.StackSteps() | nodes.Attend():
                return True
            case nodes.Decoder() if needs_memory_step(node):
                return True
            case nodes.CtcOutput(search=nodes.PrefixBeam()):  # a Loop of no trips has no batch
                return True
            case nodes.TransducerOutput():
                return True
            case nodes.FramesOutput(length="input"):
                return True
            case (
                nodes.CharactersInput() | nodes.Unnest() | nodes.ChainOutput() | nodes.AudioInput()
            ):
                return True
            case nodes.FramesInput(missing="previous"):
                return True
            case nodes.SeriesInput(missing="previous") | nodes.Observed():
                return True
            case nodes.Latest():
                return True
    return False


def _checked(
    plan: Plan, weights: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.float32]]:
    """The plan's weights in float32, shared ones by each of their names. Raises ExportError for
    missing ones and wrong shapes."""
    wrong = []
    for weight in weights_of_plan(plan):
        if weight.name not in weights:
            wrong.append(f"{weight.name} is missing")
        elif weights[weight.name].shape != weight.shape:
            found = list(weights[weight.name].shape)
            wrong.append(f"{weight.name} has shape {found}, the plan needs {list(weight.shape)}")
    if wrong:
        raise ExportError(f"the weights do not fit the model: {'; '.join(wrong)}")
    own = {
        weight.name: np.asarray(weights[weight.name], np.float32)
        for weight in weights_of_plan(plan)
    }
    return own | {name: own[of] for name, of in shared_weights(plan).items()}
