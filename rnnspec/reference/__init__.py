"""The NumPy interpreter of a plan: the oracle of every other back end."""

from rnnspec.reference.interpret import answers, layer, step

__all__ = ["answers", "layer", "step"]
