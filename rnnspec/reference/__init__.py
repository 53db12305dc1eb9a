"""The NumPy interpreter of a plan: the oracle of every other back end."""

from rnnspec.reference.interpret import Text, answers, raw_outputs
from rnnspec.reference.layers import step

__all__ = ["Text", "answers", "raw_outputs", "step"]
