"""Model files in onnxruntime, without torch."""

from rnnspec.run.interface import InputColumn, Interface, OutputColumn, interface
from rnnspec.run.model import Model
from rnnspec.run.session import Session

__all__ = ["InputColumn", "Interface", "Model", "OutputColumn", "Session", "interface"]
