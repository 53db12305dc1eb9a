"""Batches as tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnspec.data import Batch

Inputs = dict[str, tuple[Tensor, Tensor]]


def tensors(batch: Batch) -> tuple[Inputs, dict[str, Tensor]]:
    """Inputs and targets of a batch as tensors that share the arrays' memory."""
    inputs = {
        column: (torch.from_numpy(values), torch.from_numpy(lengths))
        for column, (values, lengths) in batch.inputs.items()
    }
    return inputs, {column: torch.from_numpy(values) for column, values in batch.targets.items()}
