"""Nodes that give back what they read, once the number of rows is known.

A file of single steps turns `[batch, 1, width]` to `[1, batch, width]`; where the batch is one row,
that is the same. onnxruntime runs such a node all the same, for a microsecond of the twenty that a
step of 128 units takes (`benchmarks/stream.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from rnnspec.to_onnx.own_steps import nodes_of

SHAPING = frozenset({"Expand", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that give the numbers of their first input, in the same order where no dimension but
one of them is more than 1, and in the same shape."""


def without_idle(model: onnx.ModelProto) -> None:
    """Take out of the graph what gives a value of the same shape as it reads, where all dimensions
    are known. The names of inputs and outputs stay."""
    shapes = {name: shape for name, shape in known_shapes(model).items() if None not in shape}
    outputs = {each.name for each in model.graph.output}
    same: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type in SHAPING and node.output[0] not in outputs:
            read, given = node.input[0], node.output[0]
            if shapes.get(read) and shapes[read] == shapes.get(given) and _keeps(node, shapes):
                same[given] = same.get(read, read)
    kept = [node for node in model.graph.node if node.output[0] not in same]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for node in nodes_of(model.graph):
        node.input[:] = [same.get(name, name) for name in node.input]
    _drop_unread(model.graph)


def _keeps(node: onnx.NodeProto, shapes: Mapping[str, tuple[int | None, ...]]) -> bool:
    """Whether the order of the numbers is the same."""
    wide = [size for size in shapes[node.input[0]] if size != 1]
    return node.op_type != "Transpose" or len(wide) < 2


def known_shapes(model: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    """The shapes of values of the graph whose rank is known; None is a dimension that varies."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape"):
            found[value.name] = tuple(
                each.dim_value if each.HasField("dim_value") else None for each in kind.shape.dim
            )
    return found


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Initializers that nothing reads any longer."""
    read = {name for node in nodes_of(graph) for name in node.input}
    read |= {each.name for each in graph.output}
    kept = [each for each in graph.initializer if each.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
