"""Plan and weights to an ONNX model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from rnnspec import __version__
from rnnspec.errors import ExportError
from rnnspec.plan import Facts
from rnnspec.plan import weights as weights_of_plan
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Elapsed,
    Embed,
    FramesInput,
    Highway,
    Merge,
    Node,
    Normalize,
    NumericOutput,
    Plan,
    Pool,
    Recurrent,
    Residual,
    TokensInput,
    VectorInput,
)
from rnnspec.to_onnx import combine, inputs, outputs
from rnnspec.to_onnx.dense import lower_dense
from rnnspec.to_onnx.embed import lower_dropout, lower_embed
from rnnspec.to_onnx.emitter import IR_OF_OPSET, Emitter
from rnnspec.to_onnx.pool import lower_pool
from rnnspec.to_onnx.recurrent import lower_recurrent, needs_a_step
from rnnspec.to_onnx.values import Demand, Lowering, Value, demands, reads_last

LOWERINGS: Mapping[type[Node], Callable[[Lowering, Any], Value]] = {
    TokensInput: inputs.lower_tokens,
    FramesInput: inputs.lower_frames,
    VectorInput: inputs.lower_vector,
    Elapsed: inputs.lower_elapsed,
    Embed: lower_embed,
    Dropout: lower_dropout,
    Recurrent: lower_recurrent,
    Merge: combine.lower_merge,
    Normalize: combine.lower_normalize,
    Residual: combine.lower_residual,
    Highway: combine.lower_highway,
    Pool: lower_pool,
    Dense: lower_dense,
    ClassOutput: outputs.lower_class,
    NumericOutput: outputs.lower_numeric,
}
"""One entry for each node type of a plan."""


def to_onnx(
    plan: Plan,
    facts: Facts,
    weights: Mapping[str, NDArray[np.floating]],
    *,
    generic: bool = False,
    ids: bool = False,
    opset: int = 21,
) -> ModelProto:
    """The model that computes `plan` with `weights`, by their canonical names.

    Inputs, with `batch` and `time` free: a text column is a string tensor `<column>` [batch], or
    with `ids` int64 `<column>.ids` [batch, time] and `<column>.lengths` [batch]; frames are float
    `<column>` [batch, time, width] and int64 `<column>.lengths` [batch]. Lengths go from 0 to
    `time`; what stands past a length changes nothing. A batch of no rows is an error of the run.

    Outputs: a class is `<column>` [batch], its label, and `<column>.probabilities`
    [batch, classes]; numbers are `<column>` [batch] or [batch, width].

    `generic` lowers every cell from its equations (Scan) instead of by a native operator. `opset`
    is 21 (file format IR 10) or 20 (IR 9).

    Raises ExportError if weights are missing or of another shape, if an input and an output have
    the same name, or for an opset that is not offered.
    """
    if opset not in IR_OF_OPSET:
        offered = " and ".join(map(str, sorted(IR_OF_OPSET)))
        raise ExportError(f"opset {opset} is not offered; choose one of {offered}")
    emit, asked = Emitter(), demands(plan)
    emit.reserve(_interface(plan, ids))
    low = Lowering(
        plan=plan,
        facts=facts,
        weights=_checked(plan, weights),
        emit=emit,
        demands=asked,
        ids=ids,
        generic=generic,
        padded=_padded(plan, generic, asked),
    )
    for node in plan.nodes:
        low.values[node.name] = LOWERINGS[type(node)](low, node)
    return emit.model(plan.name, opset, f"{plan.name}, {plan.cardinality}", __version__)


def add_metadata(model: ModelProto, metadata: Mapping[str, str]) -> None:
    """Set `metadata_props` of `model`; keys that are there already are replaced."""
    known = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, {**known, **metadata})


def _interface(plan: Plan, ids: bool) -> list[str]:
    """Names of all inputs and outputs. Raises ExportError if two are the same."""
    names = [name for node in plan.inputs for name in inputs.interface(node, ids)]
    names += [name for node in plan.outputs for name in outputs.interface(node)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ExportError(
            f"two inputs or outputs of the model would be called {', '.join(map(repr, twice))};"
            " rename the column in the data and in the spec"
        )
    return names


def _padded(plan: Plan, generic: bool, asked: Mapping[str, Demand]) -> bool:
    """Whether some operator of the graph will not take an empty time axis."""
    for node in plan.nodes:
        if isinstance(node, Recurrent):
            if generic or needs_a_step(node, asked[node.name]):
                return True
        elif isinstance(node, Pool) and node.kind == "last" and not reads_last(plan, node):
            return True
    return False


def _checked(
    plan: Plan, weights: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.float32]]:
    """The plan's weights in float32. Raises ExportError for missing ones and wrong shapes."""
    wrong = []
    for weight in weights_of_plan(plan):
        if weight.name not in weights:
            wrong.append(f"{weight.name} is missing")
        elif weights[weight.name].shape != weight.shape:
            found = list(weights[weight.name].shape)
            wrong.append(f"{weight.name} has shape {found}, the plan needs {list(weight.shape)}")
    if wrong:
        raise ExportError(f"the weights do not fit the model: {'; '.join(wrong)}")
    return {
        weight.name: np.asarray(weights[weight.name], np.float32)
        for weight in weights_of_plan(plan)
    }
