"""Several processes that train one model: each takes its rows of every batch.

They are started by torchrun, which sets the environment that is read here. Gradients are added up
over all processes before each step, weighted as if all rows had been in one batch; weights,
optimizer and rates are then the same everywhere, and only the first process writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from rnnspec.errors import BuildError

CPU = torch.device("cpu")
T = TypeVar("T")

JOIN = timedelta(seconds=120)
"""How long the processes wait for each other at the start. A process that was killed is noticed at
once, by its closed connection; this is for machines that never come."""
WORK = timedelta(hours=12)
"""How long a process waits for another one's part: reading a large file, evaluating."""


class SaidElsewhere(BuildError):
    """An error of the first process, which reports it."""


@dataclass(frozen=True)
class Processes:
    """The processes of one training, and which of them this one is."""

    rank: int = 0
    count: int = 1
    group: dist.ProcessGroup | None = None
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, rows: T) -> T:
        """This process's part of an array of rows: every so many-th, so that lengths are alike."""
        return rows if self.count == 1 else rows[self.rank :: self.count]  # type: ignore[index]

    def total(self, values: Sequence[float]) -> list[float]:
        """Each value added up over the processes, in float64."""
        if self.count == 1:
            return list(values)
        held = torch.tensor(values, dtype=torch.float64, device=self.device)
        with _together():
            dist.all_reduce(held, group=self.group)
        return [float(value) for value in held.tolist()]

    def any(self, value: bool) -> bool:
        """Whether it is true in any of the processes."""
        return bool(self.total([value])[0])

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _together():
            dist.all_reduce(flat, group=self.group)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def all(self, value: T) -> list[T]:
        """The value of every process, in order."""
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        with _together():
            dist.all_gather_object(found, value, group=self.group)
        return found

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes; the others wait for it. An error there is an error here."""
        made: Any = None
        with self.first_then_others():
            if self.first:
                made = make()
        found: T = self._sent_by_first(made) if self.count > 1 else made
        return found

    @contextmanager
    def first_then_others(self) -> Iterator[None]:
        """The first process goes through the block alone, then the others do.

        Where it fails, they raise SaidElsewhere with its message.
        """
        if self.count == 1:
            yield
        elif not self.first:
            failed = self._sent_by_first("")
            if failed:
                raise SaidElsewhere(failed)
            yield
        else:
            try:
                yield
            except Exception as error:
                self._sent_by_first(str(error) or type(error).__name__)
                raise
            self._sent_by_first("")

    def _sent_by_first(self, value: Any) -> Any:
        """The value of the first process."""
        held = [value]
        with _together():
            dist.broadcast_object_list(held, 0, group=self.group)
        return held[0]


@contextmanager
def _together() -> Iterator[None]:
    """For what all processes do at once; it fails where one of them has ended."""
    try:
        yield
    except RuntimeError as error:
        raise BuildError(
            "another process of this training has ended; the last checkpoint is kept"
            f" ({str(error).splitlines()[0][:200]})"
        ) from error


ALONE = Processes()


def restarts() -> int:
    """How often this machine's torchrun has started the processes again; on one that joined later,
    less often than on the others."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def joined(gpu: bool = False) -> Iterator[Processes]:
    """The processes that torchrun started, joined; alone without it.

    Raises BuildError if the others do not come.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if gpu else "gloo", timeout=JOIN)
        group = dist.new_group(timeout=WORK)
    except (RuntimeError, ValueError) as error:
        raise BuildError(
            f"process {os.environ.get('RANK')} of {count} cannot join the others ({error});"
            " is MASTER_ADDR reachable from here?"
        ) from error
    try:
        yield Processes(dist.get_rank(), count, group, device)
    finally:
        dist.destroy_process_group()
