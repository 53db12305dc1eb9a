"""Plan and weights to an ONNX model: emitted node by node, never traced."""

from onnx import ModelProto

from rnnspec.to_onnx.lower import add_metadata, to_onnx, with_batch

__all__ = ["ModelProto", "add_metadata", "to_onnx", "with_batch"]
