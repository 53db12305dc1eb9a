"""The NumPy interpreter of a plan: the oracle of every other back end."""

from rnnspec.reference.interpret import Text, answers, scores
from rnnspec.reference.layers import layer, step

__all__ = ["Text", "answers", "layer", "scores", "step"]
