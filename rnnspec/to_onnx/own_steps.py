"""Inputs of a finished model with 0 past the length of each row, whatever the caller puts there.

A scale that brings a tensor to 8 bits is for all of it: arbitrary numbers past a length would
change answers. What the model itself makes of 0 there is no larger than what it makes of steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of the bodies in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes_of(attribute.g)


def clean_inputs(graph: onnx.GraphProto, lengths: str, time: str) -> None:
    """Numbers past a row's length as 0: they would be part of what the scale is for. `time` is the
    dimension whose steps `lengths` counts."""
    padded = [each for each in graph.input if lengths and _has_steps(each, time)]
    if lengths not in {each.name for each in graph.input} or not padded:
        return
    renamed = {each.name: f"{each.name}.own_steps" for each in padded}
    for node in nodes_of(graph):
        node.input[:] = [renamed.get(name, name) for name in node.input]
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*_cleaning(graph, padded, lengths, renamed), *others])


def _has_steps(value: onnx.ValueInfoProto, time: str) -> bool:
    """Whether an input is of numbers `[batch, time, …]`."""
    kind = value.type.tensor_type
    dims = [each.dim_param for each in kind.shape.dim]
    return kind.elem_type in (TensorProto.FLOAT, TensorProto.DOUBLE) and dims[1:2] == [time]


def _cleaning(
    graph: onnx.GraphProto,
    padded: Collection[onnx.ValueInfoProto],
    lengths: str,
    renamed: Mapping[str, str],
) -> Iterator[onnx.NodeProto]:
    """The nodes that put 0 past the lengths of each input."""
    own = f"{lengths}.own"

    def constant(name: str, value: NDArray[np.generic]) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"{own}.{name}"))
        return f"{own}.{name}"

    def node(kind: str, inputs: list[str], name: str) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [name], name=name)

    first, one = constant("first", np.array(0)), constant("one", np.array(1))
    last_axis = constant("last_axis", np.array([-1]))
    yield node("Shape", [next(iter(padded)).name], f"{own}.extents")
    yield node("Gather", [f"{own}.extents", one], f"{own}.steps")
    yield node("Range", [first, f"{own}.steps", one], f"{own}.range")
    yield node("Unsqueeze", [lengths, last_axis], f"{own}.column")
    yield node("Less", [f"{own}.range", f"{own}.column"], f"{own}.2")
    yield node("Unsqueeze", [f"{own}.2", last_axis], f"{own}.3")
    for value in padded:
        kind, rank = value.type.tensor_type.elem_type, len(value.type.tensor_type.shape.dim)
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        zero = constant(f"{value.name}.zero", np.zeros((), dtype))
        yield node("Where", [f"{own}.{rank}", value.name, zero], renamed[value.name])
