"""The events of a build, one by one, for a function: `Spec.build(on_event=…)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["stage", "reading", "begun", "epoch", "batch", "epoch_done", "note", "warning"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens while a model is built.

    By its `kind` it is `about`:

    - `stage`: a `text`; reading data, training or writing the report begins.
    - `reading`: the share `done` (0 to 1) of a pass over the data, named by `text`.
    - `begun`: the `folder` of the build, a Path.
    - `epoch`: `number` (from 1) of `of`, with `batches`, of which `done` are done already.
    - `batch`: the mean `loss` over the running epoch, after each step of the optimizer.
    - `epoch_done`: what was measured, as `train.loss` and `valid.accuracy`: a line of
      metrics.jsonl.
    - `note`, `warning`: a `text`.

    `str(event)` is a line for people.
    """

    kind: Kind
    about: Mapping[str, Any]

    def __str__(self) -> str:
        told = ", ".join(f"{name} {_shown(value)}" for name, value in self.about.items())
        return f"{self.kind}: {self.about['text'] if set(self.about) == {'text'} else told}"


OnEvent = Callable[[Event], object]


class Events:
    """A listener (`rnnspec.store.events.Listener`) that makes an `Event` of each call."""

    def __init__(self, tell: OnEvent) -> None:
        self.tell = tell

    def stage(self, text: str) -> None:
        self.tell(Event("stage", {"text": text}))

    def reading(self, done: float, text: str) -> None:
        self.tell(Event("reading", {"done": done, "text": text}))

    def begun(self, folder: Path) -> None:
        self.tell(Event("begun", {"folder": folder}))

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        about = {"number": number, "of": of, "batches": batches, "done": done}
        self.tell(Event("epoch", about))

    def batch(self, loss: float) -> None:
        self.tell(Event("batch", {"loss": loss}))

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        self.tell(Event("epoch_done", record))

    def note(self, text: str) -> None:
        self.tell(Event("note", {"text": text}))

    def warning(self, text: str) -> None:
        self.tell(Event("warning", {"text": text}))


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
