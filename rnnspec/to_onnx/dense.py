"""Dense layers."""

from __future__ import annotations

from rnnspec.plan.nodes import Dense
from rnnspec.to_onnx.functions import FUNCTIONS
from rnnspec.to_onnx.values import Lowering, Vector


def lower_dense(low: Lowering, node: Dense) -> Vector:
    """`activation(W v + b)` as one Gemm and the function."""
    emit = low.emit
    inputs = [
        low.vector(node.source),
        low.canonical(f"{node.name}.W"),
        low.canonical(f"{node.name}.b"),
    ]
    if node.activation == "none":
        return Vector(emit.op("Gemm", inputs, node.name, {"transB": 1}))
    affine = emit.op("Gemm", inputs, f"{node.name}.affine", {"transB": 1})
    return Vector(FUNCTIONS[node.activation](emit, [affine], node.name, node.units))
