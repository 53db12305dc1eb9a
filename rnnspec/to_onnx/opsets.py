"""The lowest version of the standard that a file needs, and the least onnxruntime that loads it.

An operator that changed between two versions means the same in both as it stands in our files
(Cast, Shape, Reshape and their like took further types), or stands in a form that the older one
does not have: an attribute, an input more, an element type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import onnx
from onnx import TensorProto, defs

LOWEST, HIGHEST = 17, 21
IR_OF_OPSET: Mapping[int, int] = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
"""The opsets offered, each with the file format version of its time."""
RUNTIME_OF_OPSET: Mapping[int, str] = {17: "1.12", 18: "1.14", 19: "1.15", 20: "1.17", 21: "1.18"}
"""The first onnxruntime that knows an opset and its file format."""


def needed(model: onnx.ModelProto) -> dict[str, int]:
    """The lowest opset of each type of operator of the standard in `model`, of a lowest of 17."""
    texts = _texts(model)
    found: dict[str, int] = {}
    for node in _nodes(model.graph):
        if not node.domain:
            known = found.get(node.op_type, LOWEST)
            found[node.op_type] = max(known, _least(node, texts))
    return found


def _least(node: onnx.NodeProto, texts: set[str]) -> int:
    """The lowest opset whose operator has the form of `node`."""
    attributes = {each.name: each for each in node.attribute}
    for opset in range(LOWEST, HIGHEST + 1):
        if not _takes(node.op_type, opset, len(node.input), frozenset(attributes)):
            continue
        if node.op_type == "ScatterElements" and opset < 18:
            reduction = attributes.get("reduction")
            if reduction is not None and reduction.s in (b"max", b"min"):
                continue
        if node.op_type == "Equal" and opset < 19 and texts & {*node.input}:
            continue
        return opset
    raise AssertionError(f"no opset up to {HIGHEST} has {node.op_type} as it is in {node.name}")


@cache
def _takes(kind: str, opset: int, inputs: int, attributes: frozenset[str]) -> bool:
    """Whether an opset has an operator with so many inputs and these attributes."""
    try:
        schema = defs.get_schema(kind, opset, "")
    except defs.SchemaError:
        return False
    return inputs <= schema.max_input and attributes <= schema.attributes.keys()


def _texts(model: onnx.ModelProto) -> set[str]:
    """The values of `model` that are texts; none, where no text comes in."""
    graph = model.graph
    if all(each.type.tensor_type.elem_type != TensorProto.STRING for each in graph.input):
        return set()
    found: set[str] = set()
    for each in graphs_of(onnx.shape_inference.infer_shapes(model).graph):
        found |= {
            value.name
            for value in (*each.input, *each.value_info, *each.output)
            if value.type.tensor_type.elem_type == TensorProto.STRING
        }
        found |= {t.name for t in each.initializer if t.data_type == TensorProto.STRING}
    return found


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the bodies in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for each in graphs_of(graph):
        yield from each.node
