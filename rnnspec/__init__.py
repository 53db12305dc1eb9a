"""rnnspec: a YAML spec of a recurrent network, compiled to PyTorch and to ONNX.

Importing the package loads nothing else; each layer (ARCHITECTURE.md) is imported where needed.
"""

__version__ = "0.1.0"
