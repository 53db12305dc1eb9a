"""What nodes with the weights of others have made of them is there once."""

from __future__ import annotations

import onnx

from rnnspec.to_onnx.own_steps import nodes_of


def merge_equal(graph: onnx.GraphProto) -> None:
    """One initializer in place of several of the same type, shape and values."""
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for tensor in graph.initializer:
        content = onnx.TensorProto()
        content.CopyFrom(tensor)
        content.name = ""
        name = first.setdefault(content.SerializeToString(deterministic=True), tensor.name)
        if name == tensor.name:
            kept.append(tensor)
        else:
            renamed[tensor.name] = name
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in nodes_of(graph):
        node.input[:] = [renamed.get(each, each) for each in node.input]
