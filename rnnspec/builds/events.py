"""What training tells whoever watches: the terminal, a test, a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Listener(Protocol):
    """Told of each stage of a build, in order."""

    def stage(self, text: str) -> None:
        """A new stage begins: reading data, training, evaluating."""

    def reading(self, done: float, text: str) -> None:
        """The share `done` of a pass over the data is done, 0 to 1; `text` says what it does."""

    def begun(self, folder: Path) -> None:
        """The build has its folder."""

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        """Epoch `number` (from 1) begins with `done` of its `batches` done already.

        A batch here is a step of the optimizer.
        """

    def batch(self, loss: float) -> None:
        """A batch is done; `loss` is the mean over the running epoch."""

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        """The line that was added to metrics.jsonl."""

    def note(self, text: str) -> None:
        """Something of the data that is worth knowing, before training begins."""

    def warning(self, text: str) -> None:
        """Something that training goes on in spite of."""


class Silent:
    """Listens and says nothing."""

    def stage(self, text: str) -> None:
        pass

    def reading(self, done: float, text: str) -> None:
        pass

    def begun(self, folder: Path) -> None:
        pass

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        pass

    def batch(self, loss: float) -> None:
        pass

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        pass


class Heard(Silent):
    """Keeps the notes and the warnings, in order, and the build's folder once it has one."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.folder: Path | None = None

    def begun(self, folder: Path) -> None:
        self.folder = folder

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


class Several:
    """Tells several listeners, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def stage(self, text: str) -> None:
        for listener in self.listeners:
            listener.stage(text)

    def reading(self, done: float, text: str) -> None:
        for listener in self.listeners:
            listener.reading(done, text)

    def begun(self, folder: Path) -> None:
        for listener in self.listeners:
            listener.begun(folder)

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        for listener in self.listeners:
            listener.epoch(number, of, batches, done)

    def batch(self, loss: float) -> None:
        for listener in self.listeners:
            listener.batch(loss)

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        for listener in self.listeners:
            listener.epoch_done(record)

    def note(self, text: str) -> None:
        for listener in self.listeners:
            listener.note(text)

    def warning(self, text: str) -> None:
        for listener in self.listeners:
            listener.warning(text)
