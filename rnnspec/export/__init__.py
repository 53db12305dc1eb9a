"""From a trained build to an ONNX file that is proven equal to it."""

from rnnspec.export.parity import Parity
from rnnspec.export.write import export_onnx

__all__ = ["Parity", "export_onnx"]
