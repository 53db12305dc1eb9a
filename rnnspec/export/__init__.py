"""From a trained build to an ONNX file that is proven equal to it."""

from rnnspec.export.parity import Parity
from rnnspec.export.variant import DEFAULT_STEPS
from rnnspec.export.write import export_onnx
from rnnspec.to_onnx.tokens import TOKENIZER_FILE

__all__ = ["DEFAULT_STEPS", "TOKENIZER_FILE", "Parity", "export_onnx"]
