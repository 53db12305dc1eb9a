"""A plan as a PyTorch module that trains."""

from rnnspec.to_torch.model import Model

__all__ = ["Model"]
