"""Dense layers."""

from __future__ import annotations

from rnnspec.plan.nodes import Dense
from rnnspec.to_onnx.functions import FUNCTIONS
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Value, like


def lower_dense(low: Lowering, node: Dense) -> Value:
    """`activation(W v + b)` of each vector: one Gemm and the function, or, of a sequence, which
    Gemm does not take, a product and a sum."""
    emit, source = low.emit, low.values[node.source]
    plain = node.activation == "none"
    bias = low.canonical(f"{node.name}.b")
    title = node.name if plain else f"{node.name}.affine"
    if isinstance(source, PaddedSequence):
        matrix = emit.weight(f"{node.name}.W.transposed", low.weights[f"{node.name}.W"].T)
        product = emit.op("MatMul", [source.name, matrix], f"{node.name}.product")
        affine = emit.op("Add", [product, bias], title)
    else:
        inputs = [source.name, low.canonical(f"{node.name}.W"), bias]
        affine = emit.op("Gemm", inputs, title, {"transB": 1})
    if plain:
        return like(source, affine)
    return like(source, FUNCTIONS[node.activation](emit, [affine], node.name, node.units))
