"""What a finished file states of itself: its inputs and outputs, and what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import onnx
from onnx import TensorProto

from rnnspec.to_onnx.opsets import RUNTIME_OF_OPSET

TYPES: Mapping[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
    TensorProto.BOOL: "bool",
    TensorProto.STRING: "string",
}


def runtime(model: onnx.ModelProto) -> dict[str, Any]:
    """The opset, the file format and the first onnxruntime that loads the file."""
    opset = next(each.version for each in model.opset_import if not each.domain)
    return {"opset": opset, "ir": model.ir_version, "onnxruntime": RUNTIME_OF_OPSET[opset]}


def graph_of(model: onnx.ModelProto) -> dict[str, Any]:
    """Every input and output by name, with its type and shape: a number, or a name if it varies."""
    return {
        "inputs": [*map(_value, model.graph.input)],
        "outputs": [*map(_value, model.graph.output)],
    }


def _value(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "type": TYPES[tensor.elem_type],
        "shape": [*_shape(tensor.shape.dim)],
        "doc": value.doc_string,
    }


def _shape(extents: Iterable[Any]) -> Iterable[int | str]:
    return (each.dim_param or each.dim_value for each in extents)
