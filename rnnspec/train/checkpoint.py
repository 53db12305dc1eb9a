"""Checkpoints: training continues from one to the same weights, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.errors import BuildError
from rnnspec.store.files import read_arrays, write_arrays
from rnnspec.to_torch.devices import PrecisionName
from rnnspec.train.distributed import ALONE, Processes
from rnnspec.train.optimizers import entries_of, load_entries
from rnnspec.train.schedules import PlateauState
from rnnspec.train.step import TrainStep

Arrays = dict[str, NDArray[Any]]


@dataclass(slots=True)
class Position:
    """Where training stands: `batches` steps of epoch number `epoch` (from 0) are done, and `steps`
    in all, the last one at the rate `lr`.

    Sums over the running epoch: of the loss over `weight` answers, of `rows`, of `real` steps and
    those with padding, of the gradient's norm and of how often it was `clipped`. `best` value of
    the monitored metric and the loss beside it, None before the first epoch's end; `improved`, its
    last value that early stopping counts as an improvement, and the `stale` epochs since; `lines`
    of metrics written; `seconds` spent on the epoch; warnings given already are in `warned`.
    """

    epoch: int = 0
    batches: int = 0
    steps: int = 0
    lr: float = 0.0
    loss_sum: float = 0.0
    weight: float = 0.0
    rows: int = 0
    real: int = 0
    padded: int = 0
    norm_sum: float = 0.0
    clipped: int = 0
    best: float | None = None
    best_loss: float | None = None
    best_epoch: int = 0
    improved: float = 0.0
    stale: int = 0
    lines: int = 0
    seconds: float = 0.0
    plateau: PlateauState = field(default_factory=PlateauState)
    warned: list[str] = field(default_factory=list)

    def next_epoch(self) -> Position:
        """The start of the epoch after this one."""
        return Position(
            epoch=self.epoch + 1,
            steps=self.steps,
            best=self.best,
            best_loss=self.best_loss,
            best_epoch=self.best_epoch,
            improved=self.improved,
            stale=self.stale,
            lines=self.lines + 1,
            plateau=self.plateau,
            warned=self.warned,
        )


def save(
    path: Path, position: Position, train_step: TrainStep, processes: Processes = ALONE
) -> None:
    """Write the checkpoint, whole or not at all.

    All processes call it; the first one writes.
    """
    randoms = processes.all(_random_states(train_step.precision.device))
    carried = _joined(processes.all(_held(train_step.carried or {})))
    if not processes.first:
        return
    arrays: Arrays = {f"model.{k}": _array(v) for k, v in train_step.model.state_dict().items()}
    arrays |= {f"optimizer.{k}": _array(v) for k, v in entries_of(train_step.optimizer).items()}
    arrays |= {f"average.{k}": _array(v) for k, v in train_step.average.arrays().items()}
    arrays |= {f"carried.{k}": v for k, v in carried.items()}
    for rank, states in enumerate(randoms):
        arrays |= {f"random.{rank}.{device}": value for device, value in states.items()}
    about = {
        "position": json.dumps(asdict(position)),
        "precision": train_step.precision.name,
        "scaler": json.dumps(train_step.scaler.state_dict()),
        "packed_below": json.dumps(train_step.model.packed_below()),
    }
    write_arrays(path, arrays, about)


def precision_of(path: Path) -> PrecisionName:
    """The precision that a checkpoint was trained in. Raises BuildError."""
    found = read_arrays(path)[1].get("precision")
    if found not in get_args(PrecisionName):
        raise BuildError(f"{path}: does not say its precision; start a new build without --resume")
    return cast(PrecisionName, found)


def packed_below_of(path: Path) -> dict[str, float]:
    """The packing of the kernels that a checkpoint was trained with: see `Model.pack_below`. Raises
    BuildError."""
    found: dict[str, float] = json.loads(read_arrays(path)[1].get("packed_below", "{}"))
    return found


def load(path: Path, train_step: TrainStep, processes: Processes = ALONE) -> Position:
    """Restore everything from `save`. Raises BuildError if the file does not fit.

    With another number of processes, those that were not there draw random numbers of their own.
    """
    arrays, about = read_arrays(path)
    try:
        found = json.loads(about["position"])
        if found["best"] is not None:  # a checkpoint of before 'improved' was kept
            found.setdefault("improved", found["best"])
        position = Position(**{**found, "plateau": PlateauState(**found["plateau"])})
        train_step.model.load_state_dict(_part(arrays, "model."))
        load_entries(train_step.optimizer, _part(arrays, "optimizer."))
        train_step.average.load(_part(arrays, "average."))
        train_step.scaler.load_state_dict(json.loads(about["scaler"]))
        carried = _part(arrays, "carried.")
        device = train_step.precision.device
        shares = {k: processes.share(v).contiguous().to(device) for k, v in carried.items()}
        train_step.carried = shares or None
        _set_random_states(_part(arrays, f"random.{processes.rank}."), device, position, processes)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BuildError(
            f"{path}: does not fit this build ({error}); start a new build without --resume"
        ) from error
    return position


def _random_states(device: torch.device) -> Arrays:
    states: Arrays = {"cpu": torch.get_rng_state().numpy()}
    if device.type == "cuda":
        states["gpu"] = torch.cuda.get_rng_state(device).numpy()
    return states


def _set_random_states(
    states: Mapping[str, Tensor], device: torch.device, position: Position, processes: Processes
) -> None:
    if not states:
        torch.manual_seed(position.steps * processes.count + processes.rank)
        return
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "gpu" in states:
        torch.cuda.set_rng_state(states["gpu"], device)


def _held(carried: Mapping[str, Tensor]) -> Arrays:
    narrow = (torch.bfloat16, torch.float16)  # NumPy has no bfloat16; nothing is lost in float32
    return {k: _array(v.float() if v.dtype in narrow else v) for k, v in carried.items()}


def _joined(parts: list[Arrays]) -> Arrays:
    """The lanes of all processes in their order: process r has lanes r, r + count, …

    With fewer lanes than processes, the last ones have none.
    """
    joined: Arrays = {}
    for name, first in parts[0].items():
        held = [part[name] for part in parts if name in part]
        whole = np.zeros((sum(map(len, held)), *first.shape[1:]), first.dtype)
        for rank, lanes in enumerate(held):
            whole[rank :: len(parts)] = lanes
        joined[name] = whole
    return joined


def _array(value: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = value.detach().cpu().numpy()
    return found


def _part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
