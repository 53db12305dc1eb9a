"""Where and in which precision a batch is computed; batches as tensors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rnnspec.data import Batch
from rnnspec.errors import BuildError
from rnnspec.spec import Train

PrecisionName = Literal["float32", "bfloat16", "float16", "float64"]
CPU = torch.device("cpu")
Inputs = dict[str, tuple[Tensor, Tensor]]
MIXED: dict[str, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}

TRIALS = 3
GAIN, LOSS = 0.9, 1.25
"""A mixed precision is chosen if a step takes at most this many times as long as in float32: for
'auto', and if the spec names it."""


def device_of(settings: Train) -> torch.device:
    """The device of a spec. Raises BuildError if it asks for a GPU and there is none."""
    available = torch.cuda.is_available()
    if settings.device == "gpu" and not available:
        raise BuildError("train.device is gpu, and torch finds none; write 'device: auto'")
    if settings.device == "cpu" or not available:
        return torch.device("cpu")
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@dataclass(frozen=True, slots=True)
class Precision:
    """The device, and the types of the weights and of mixed precision."""

    device: torch.device = CPU
    name: PrecisionName = "float32"

    @property
    def weights(self) -> torch.dtype:
        return torch.float64 if self.name == "float64" else torch.float32

    def mixed(self) -> AbstractContextManager[object]:
        """The context in which a loss is computed."""
        if self.name not in MIXED:
            return nullcontext()
        return torch.autocast(self.device.type, MIXED[self.name])

    def placed(self, value: Any) -> Any:
        """All tensors in dicts, tuples and lists moved to the device, float32 ones to the type of
        the weights. float64 ones keep their type, for they have to be scaled first."""
        match value:
            case Tensor():
                kind = self.weights if value.dtype == torch.float32 else value.dtype
                return value.to(self.device, kind, non_blocking=True)
            case dict():
                return {key: self.placed(inner) for key, inner in value.items()}
            case tuple() | list():
                return type(value)(self.placed(inner) for inner in value)
        return value


def tried(
    wanted: str, device: torch.device, step: Callable[[Precision], None], timed: bool = True
) -> tuple[PrecisionName, str]:
    """The precision to train in, and the reason if it is not the one `wanted`.

    `step` computes a loss and its gradient. On a processor without instructions for bfloat16, a
    step in it takes 20 times as long as in float32. Times differ from run to run: if not `timed`,
    "auto" is float32, and any precision that works is taken.
    """
    if wanted in ("float32", "float64"):
        return ("float64" if wanted == "float64" else "float32"), ""
    if wanted == "auto" and not timed:
        return "float32", ""
    mixed: PrecisionName = "float16" if wanted == "float16" else "bfloat16"
    plain = shortest(lambda: step(Precision(device)), device)
    try:
        found = shortest(lambda: step(Precision(device, mixed)), device)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:100]
        return "float32", f"training in float32, for {mixed} does not work here: {reason}"
    limit = GAIN if wanted == "auto" else LOSS
    if timed and found > limit * plain:
        return "float32", (
            f"training in float32, for a step in {mixed} takes {found / plain:.1f} times as long"
        )
    return mixed, ""


def shortest(step: Callable[[], None], device: torch.device) -> float:
    """The shortest time in seconds of `TRIALS` runs, after one that is not counted."""
    step()
    times = []
    for _ in range(TRIALS):
        began = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times)


def tensors(batch: Batch) -> tuple[Inputs, dict[str, Tensor]]:
    """Inputs and targets of a batch as tensors that share the arrays' memory."""
    inputs = {
        column: (torch.from_numpy(values), torch.from_numpy(lengths))
        for column, (values, lengths) in batch.inputs.items()
    }
    return inputs, {column: torch.from_numpy(values) for column, values in batch.targets.items()}
