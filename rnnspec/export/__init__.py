"""From a trained build to an ONNX file that is proven equal to it."""

from rnnspec.export.file import Exported, OnnxOptions, answering, export_file
from rnnspec.export.parity import Parity
from rnnspec.export.sidecar import DESCRIPTION, SIDECAR
from rnnspec.export.variant import DEFAULT_STEPS
from rnnspec.export.write import export_onnx

__all__ = [
    "DEFAULT_STEPS",
    "DESCRIPTION",
    "SIDECAR",
    "Exported",
    "OnnxOptions",
    "Parity",
    "answering",
    "export_file",
    "export_onnx",
]
