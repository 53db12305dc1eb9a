"""The events of a build, for whoever listens: the terminal, a test, a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol


class Listener(Protocol):
    """Called with the events of a build, in order. A method that is not overridden does nothing."""

    def stage(self, text: str) -> None:
        """A new stage begins: reading data, training, evaluating."""
        return

    def reading(self, done: float, text: str) -> None:
        """The share `done` (0 to 1) of a pass over the data is done; `text` names the pass."""
        return

    def begun(self, folder: Path) -> None:
        """The build has its folder."""
        return

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        """Epoch `number` (from 1) begins, with `done` of its `batches` done already. A batch is a
        step of the optimizer."""
        return

    def batch(self, loss: float) -> None:
        """A batch is done; `loss` is the mean over the running epoch."""
        return

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        """The line that was added to metrics.jsonl."""
        return

    def note(self, text: str) -> None:
        """A fact about the data that is worth knowing, before training begins."""
        return

    def warning(self, text: str) -> None:
        """A problem that does not stop training."""
        return


class Silent(Listener):
    """Listens and says nothing."""


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
    """Passes events on to several listeners, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def __getattr__(self, event: str) -> Callable[..., None]:
        if not hasattr(Listener, event):
            raise AttributeError(f"listeners know no event {event!r}")

        def tell(*about: object) -> None:
            for listener in self.listeners:
                getattr(listener, event)(*about)

        return tell
