"""Times of calls on a device, in turns, and the most that its matrix products reach."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """The device, and how much is measured: `small` sizes prove the script without a GPU."""

    device: torch.device
    rounds: int
    small: bool

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def mixed(self, kind: str) -> AbstractContextManager[object]:
        """float32 weights, products in `kind`."""
        if kind == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, KINDS[kind])

    def seconds(self, call: Callable[[], object]) -> float:
        """Wall-clock seconds of one call, until the device has done its work."""
        self.wait()
        began = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - began

    def turns(self, calls: dict[str, Callable[[], object]]) -> dict[str, float]:
        """The median of each call over rounds in which all take turns, two rounds uncounted."""
        taken: dict[str, list[float]] = {who: [] for who in calls}
        names = list(calls)
        for turn in range(self.rounds + 2):
            for who in names:
                found = self.seconds(calls[who])
                if turn >= 2:
                    taken[who].append(found)
            names.append(names.pop(0))
        return {who: statistics.median(each) for who, each in taken.items()}

    def peak(self, kind: str) -> float:
        """Multiply-adds a second of a square product in `kind`."""
        size = 256 if self.small else 4096
        left = torch.randn(size, size, device=self.device, dtype=KINDS[kind])
        best = min(self.seconds(lambda: left @ left) for _ in range(5))
        return float(size**3 / best)
