"""Plan and weights to a program in C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.plan import Facts, nodes
from rnnspec.plan.nodes import Node, Plan, shapes
from rnnspec.plan.stream import Stream, stream_of
from rnnspec.plan.stream_states import Lag
from rnnspec.to_c import convolution, forecast, inputs, layers, outputs, recurrent
from rnnspec.to_c.functions import FUNCTIONS
from rnnspec.to_c.lowering import Lowering, Value
from rnnspec.to_c.products import as_int8
from rnnspec.to_c.program import Program, program
from rnnspec.to_c.text import comment, identifier

Weights = Mapping[str, NDArray[np.floating]]
LOWERINGS: Mapping[type[Node], Callable[[Lowering, Any], Value]] = {
    nodes.TokensInput: inputs.lower_tokens,
    nodes.CategoryInput: inputs.lower_category,
    nodes.CategoriesInput: inputs.lower_categories,
    nodes.KeysInput: inputs.lower_keys,
    nodes.ImageInput: inputs.lower_image,
    nodes.FramesInput: inputs.lower_frames,
    nodes.Elapsed: inputs.lower_elapsed,
    nodes.VectorInput: inputs.lower_vector,
    nodes.SeriesInput: inputs.lower_series,
    nodes.Embed: layers.lower_embed,
    nodes.Dropout: layers.lower_dropout,
    nodes.Normalize: layers.lower_normalize,
    nodes.Ordinal: layers.lower_ordinal,
    nodes.Residual: layers.lower_residual,
    nodes.Highway: layers.lower_highway,
    nodes.Dense: layers.lower_dense,
    nodes.Scores: layers.lower_scores,
    nodes.Join: layers.lower_join,
    nodes.Activate: layers.lower_activate,
    nodes.Combine: layers.lower_combine,
    nodes.Pool: layers.lower_pool,
    nodes.Recurrent: recurrent.lower_recurrent,
    nodes.Conv: convolution.lower_conv,
    nodes.LocalPool: convolution.lower_local_pool,
    nodes.BatchNorm: convolution.lower_batch_norm,
    nodes.Grid: convolution.lower_reshaped,
    nodes.Unflatten: convolution.lower_reshaped,
    nodes.Squeeze: convolution.lower_squeeze,
    nodes.ClassOutput: outputs.lower_class,
    nodes.LabelsOutput: outputs.lower_labels,
    nodes.NumericOutput: outputs.lower_numeric,
    nodes.StatesOutput: outputs.lower_states,
    nodes.ForecastOutput: forecast.lower_forecast,
}
"""The types of nodes that there is C for."""
REFUSED: Mapping[type[Node], str] = {
    nodes.CharactersInput: "reads the characters of tokens",
    nodes.PerStep: "reads the characters of tokens",
    nodes.NestedInput: "has a sequence in each step",
    nodes.Unnest: "has a sequence in each step",
    nodes.CopiesInput: "may be copied into the answer",
    nodes.AudioInput: "is sound, whose features are not computed in C",
    nodes.WindowMoments: "is scaled by its own window",
    nodes.FutureInput: "has values ahead",
    nodes.LastValues: "are the values that differences are summed up from",
    nodes.Observed: "is read with the steps since its last known number",
    nodes.SeasonAgo: "is the last season of a row",
    nodes.Lags: "reads values of many steps before",
    nodes.LagsAhead: "reads values of many steps before",
    nodes.Latest: "keeps the last steps of a row",
    nodes.AddBase: "is added to the last season of a row",
    nodes.CalendarInput: "is read by the calendar",
    nodes.CalendarFuture: "is read by the calendar",
    nodes.CalendarEmbed: "is read by the calendar",
    nodes.CategoriesFuture: "has labels ahead",
    nodes.AheadFlat: "has labels ahead",
    nodes.StackSteps: "puts neighbouring steps side by side",
    nodes.Compare: "compares the vectors of several encoders",
    nodes.Places: "gives the places of a picture to an attention",
    nodes.Merge: "reads its steps in both directions",
    nodes.FinalState: "begins a decoder",
    nodes.Decoder: "is a decoder",
    nodes.ChainOutput: "is answered as a path of labels",
    nodes.PointerOutput: "is written step by step",
    nodes.Pointed: "is part of a decoder",
    nodes.Pointer: "is part of a decoder",
    nodes.PositionOutput: "is chosen among all steps of the row",
    nodes.TextOutput: "is written step by step",
    nodes.FramesOutput: "is written step by step",
    nodes.CtcOutput: "is written along the steps",
    nodes.TransducerOutput: "is written along the steps",
    nodes.Attend: "attends to all steps of a row",
    nodes.CopyMix: "is part of a decoder",
    nodes.Previous: "is part of a decoder",
    nodes.PreviousNumber: "is part of a decoder",
    nodes.PreviousFrame: "is part of a decoder",
    nodes.Delayed: "is part of a decoder",
}
"""Why there is no C for the other types."""
WITH_MATRICES = (
    nodes.Recurrent, nodes.Dense, nodes.Scores, nodes.Highway, nodes.Conv, nodes.Pool, nodes.Embed
)  # fmt: skip
CURE = "there is no C for that: export it with --onnx, for onnxruntime"


def to_c(plan: Plan, facts: Facts, weights: Weights, *, int8: bool = False) -> Program:
    """The program that computes `plan` with `weights`, by their canonical names, step by step.

    `int8`: matrices and embeddings have a byte a number, with a scale for each row: the program
    computes with the weights that `quantized` gives.
    Raises ExportError with the first node that a program cannot compute step by step.
    """
    for node in plan.every_node():
        if type(node) in REFUSED:
            raise ExportError(f"{_title(node)} {REFUSED[type(node)]}, and {CURE}")
    stream = stream_of(plan, ids=True)
    for name, lag in stream.lags.items():
        _check_at_once(stream, plan.node(name), lag)
    found = identifier(plan.name.lower())
    weights = quantized(plan, weights) if int8 else weights
    low = Lowering(plan, facts, weights, stream, shapes(plan), found, int8)
    low.names.taken |= {*FUNCTIONS, found, "v", "step", "state", "t", "g", "to", "at"}
    for node in plan.nodes:
        low.step += comment(node.name)
        low.values[node.name] = LOWERINGS[type(node)](low, node)
    title = f"{plan.name}, {plan.cardinality}"
    return program(low, title)


def quantized(plan: Plan, weights: Weights) -> dict[str, NDArray[np.float32]]:
    """The weights that a program of int8 computes with: those of matrices and embeddings are whole
    multiples of the scale of their row."""
    of_matrices = {
        weight.name
        for node in plan.nodes
        if isinstance(node, WITH_MATRICES)
        for weight in node.weights()
        if len(weight.shape) > 1
    }
    return {
        name: as_int8(np.asarray(value, np.float32))
        if name in of_matrices
        else np.asarray(value, np.float32)
        for name, value in weights.items()
    }


def _title(node: Node) -> str:
    column = getattr(node, "column", "")
    return f"column {column!r}" if column else node.name


def _check_at_once(stream: Stream, node: Node, lag: Lag) -> None:
    """Every step is answered when it comes."""
    if lag.ahead:
        steps = "a step" if lag.ahead == 1 else f"{lag.ahead} steps"
        cure = "with 'causal: true' there" if isinstance(node, nodes.Conv) else "without it"
        raise ExportError(
            f"{_title(node)} reads {steps} ahead, and a program in C answers each step when it"
            f" comes; train a model {cure}, or export this one with --onnx --stream"
        )
    if lag.stride > 1:
        raise ExportError(
            f"{_title(node)} answers one step in {lag.stride}, and a program in C answers each;"
            " train a model without 'stride' there, or export this one with --onnx --stream"
        )
