"""One file from which training continues to the same weights, bit for bit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rnnspec.errors import BuildError
from rnnspec.train.files import read_arrays, write_arrays


@dataclass(slots=True)
class Position:
    """Where training stands: `batches` of epoch number `epoch` (from 0) are done.

    `loss_sum` over `rows` of the running epoch; `best` value of the watched metric, None before
    the first epoch's end; `stale` epochs since; `lines` of metrics written; `seconds` spent.
    """

    epoch: int = 0
    batches: int = 0
    loss_sum: float = 0.0
    rows: int = 0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    lines: int = 0
    seconds: float = 0.0


def save(
    path: Path, position: Position, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write position, weights, optimizer and random state, whole or not at all."""
    state = optimizer.state_dict()
    arrays = {f"model.{k}": v.detach().cpu().numpy() for k, v in model.state_dict().items()}
    for number, entries in state["state"].items():
        for key, value in entries.items():
            if value is not None:
                arrays[f"optimizer.{number}.{key}"] = torch.as_tensor(value).cpu().numpy()
    arrays["random"] = torch.get_rng_state().numpy()
    write_arrays(path, arrays, {"position": json.dumps(asdict(position))})


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
    """Put everything back as it was at `save`. Raises BuildError if the file does not fit."""
    arrays, about = read_arrays(path)
    try:
        position = Position(**json.loads(about["position"]))
        model.load_state_dict(_part(arrays, "model."))
        entries: dict[int, dict[str, Any]] = {}
        for name, value in _part(arrays, "optimizer.").items():
            number, _, key = name.partition(".")
            entries.setdefault(int(number), {})[key] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})
        torch.set_rng_state(torch.from_numpy(arrays["random"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BuildError(
            f"{path}: does not fit this build ({error}); start a new build without --resume"
        ) from error
    return position


def _part(arrays: dict[str, np.ndarray[Any, Any]], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
