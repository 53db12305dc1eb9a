"""Lowers a plan and its weights to C99: a step of a stream, without dependencies."""

from rnnspec.to_c.lower import quantized, to_c
from rnnspec.to_c.program import Program

__all__ = ["Program", "quantized", "to_c"]
