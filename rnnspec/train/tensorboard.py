"""Curves for TensorBoard: every number of metrics.jsonl, and the loss within epochs.

Needs the extra `tensorboard`. The files are in `tensorboard/` in the build's folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rnnspec.errors import BuildError
from rnnspec.store.events import Silent

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
LOSS_SECONDS = 1.0
"""Least time between two points of the loss within an epoch: one takes 0.1 ms to write."""


class TensorBoard(Silent):
    """Writes curves as a build goes on. Raises BuildError if TensorBoard is not installed."""

    def __init__(self) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError as error:
            raise BuildError(
                f"--tensorboard needs the package tensorboard ({error});"
                " install it with: pip install 'rnnspec[tensorboard]'"
            ) from error
        self._folder: Path | None = None
        self._writer: SummaryWriter | None = None
        self._batches = self._done = self._epoch = 0
        self._written_at = 0.0

    def begun(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Points after the checkpoint that training goes on from are taken back.
            since = (number - 1) * batches + done
            assert self._folder is not None, "a folder is there before an epoch"
            self._writer = SummaryWriter(str(self._folder), purge_step=since)
        self._epoch, self._batches, self._done = number, batches, done

    def batch(self, loss: float) -> None:
        self._done += 1
        if time.monotonic() - self._written_at >= LOSS_SECONDS and self._writer is not None:
            self._written_at = time.monotonic()
            self._writer.add_scalar("loss of the running epoch", loss, self._step)

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        assert self._writer is not None
        for name, value in record.items():
            if name not in ("epoch", "best"):
                self._writer.add_scalar(name.replace(".", "/", 1), value, self._step)
        self._writer.flush()

    def warning(self, text: str) -> None:
        if self._writer is not None:
            self._writer.add_text("warnings", text, self._step)

    @property
    def _step(self) -> int:
        return (self._epoch - 1) * self._batches + self._done
