"""The progress of training: a bar on a terminal, plain lines elsewhere; a line an epoch in both.

Both are `rnnspec.store.events.Listener`s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rnnspec.cli.terminal import is_terminal, number

if TYPE_CHECKING:
    from rich.progress import Progress

    from rnnspec.store.events import Listener

Record = Mapping[str, float | int | bool]

PLAIN_SECONDS = 10.0
"""Least time between two lines within an epoch, where there is no terminal."""
BAR_SECONDS = 0.1
"""Time between two redraws of the bar: drawing at every batch would slow training down."""


@dataclass(slots=True)
class Pace:
    """The speed of training and the time left, ends of epochs included."""

    clock: Callable[[], float] = time.monotonic
    epoch: int = 0
    epochs: int = 0
    batches: int = 0
    done: int = 0
    """Batches done of this epoch's `batches`."""
    _began: float | None = None
    _passed: int = 0

    def begin(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        self.epoch, self.epochs, self.batches, self.done = epoch, epochs, batches, done
        if self._began is None:
            self._began = self.clock()

    def step(self) -> None:
        self.done += 1
        self._passed += 1

    @property
    def rate(self) -> float:
        """Batches per second since the first; 0 before one is done."""
        passed = self.clock() - self._began if self._began is not None else 0.0
        return self._passed / passed if passed > 0 else 0.0

    def text(self) -> str:
        """`45.2 batches/s, 0:01:10 left`: up to the last epoch, should none be saved."""
        rate = self.rate
        if not rate:
            return ""
        left = (self.batches * (self.epochs - self.epoch + 1) - self.done) / rate
        return f"{rate:.1f} batches/s, {_duration(left)} left"


@dataclass(slots=True)
class Pass:
    """The progress of a pass over the data, and the time left."""

    clock: Callable[[], float] = time.monotonic
    text: str = ""
    done: float = 0.0
    _began: float = 0.0
    _from: float = 0.0

    def update(self, done: float, text: str) -> bool:
        """Update; returns whether another pass begins."""
        begins = text != self.text or done < self.done
        if begins:
            self.text, self._began, self._from = text, self.clock(), done
        self.done = done
        return begins

    @property
    def left(self) -> str:
        """`0:01:10 left`; nothing before there is a rate."""
        passed, read = self.clock() - self._began, self.done - self._from
        return f"{_duration((1 - self.done) / read * passed)} left" if passed and read else ""


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def epoch_line(record: Record, epochs: int) -> str:
    """A record of metrics.jsonl as a line of text."""
    wide = len(str(epochs))
    parts = [
        f"epoch {record['epoch']:>{wide}}/{epochs}",
        f"train loss {number(record['train.loss'])}",
    ]
    for key, value in record.items():
        if key.startswith("valid."):
            name = key.removeprefix("valid.")
            parts.append(f"{'valid loss' if name == 'loss' else name} {number(value)}")
    kind = "rows" if "rows_per_second" in record else "tokens"
    parts.append(f"{record[f'{kind}_per_second']:,.0f} {kind}/s")
    return "  ".join(parts) + ("  best" if record["best"] else "")


class _Listener:
    """Says in lines what is said in lines by the bar, too."""

    def stage(self, text: str) -> None:
        self._say(text)

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def warning(self, text: str) -> None:
        self._say(f"warning: {text}", bold=True)

    def _say(self, text: str, bold: bool = False) -> None:
        print(text, flush=True)


@dataclass(slots=True)
class Lines(_Listener):
    """Plain lines, for a file or a log."""

    pace: Pace = field(default_factory=Pace)
    _said: float = 0.0
    _pass: Pass = field(default_factory=Pass)
    _due: float = 0.0
    """When the last line of a pass over the data was due."""

    def reading(self, done: float, text: str) -> None:
        now = self._pass.clock()
        if self._pass.update(done, text):
            self._due = now
        elif now - self._due >= PLAIN_SECONDS:
            self._due = now
            self._say(f"{text}: {done:.0%}, {self._pass.left}")

    def begun(self, folder: Path) -> None:
        pass

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        self.pace.begin(number, of, batches, done)
        self._said = self._said or self.pace.clock()

    def batch(self, loss: float) -> None:
        pace = self.pace
        pace.step()
        if pace.clock() - self._said < PLAIN_SECONDS or pace.done == pace.batches:
            return
        self._said = pace.clock()
        wide = len(str(pace.epochs))
        self._say(
            f"epoch {pace.epoch:>{wide}}/{pace.epochs}: batch {pace.done} of {pace.batches},"
            f" loss {number(loss)}, {pace.text()}"
        )

    def epoch_done(self, record: Record) -> None:
        self._said = self.pace.clock()
        self._say(epoch_line(record, self.pace.epochs))


@dataclass(slots=True)
class Bar(_Listener):
    """A bar that is redrawn in place, below the lines of the epochs."""

    progress: Progress
    pace: Pace = field(default_factory=Pace)
    _drawn: float = 0.0
    _pass: Pass = field(default_factory=Pass)

    def reading(self, done: float, text: str) -> None:
        if self._pass.update(done, text):
            self._begin(text, 100, 0)
        now = self._pass.clock()
        if now - self._drawn >= BAR_SECONDS:
            self._drawn = now
            task = self.progress.task_ids[0]
            text = ", ".join(filter(None, ("%", self._pass.left)))
            self.progress.update(task, completed=int(100 * done), text=text)
            self.progress.refresh()

    def begun(self, folder: Path) -> None:
        self._end()

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        self.pace.begin(number, of, batches, done)
        self._begin(f"epoch {number}/{of}", batches, done)

    def _begin(self, what: str, total: int, done: int) -> None:
        """Replaces the bar."""
        self._end()
        self.progress.add_task(what, total=total, completed=done, text="")

    def _end(self) -> None:
        for task in self.progress.task_ids:
            self.progress.remove_task(task)

    def batch(self, loss: float) -> None:
        pace = self.pace
        pace.step()
        now = pace.clock()
        if now - self._drawn < BAR_SECONDS and pace.done < pace.batches:
            return
        self._drawn = now
        task = self.progress.task_ids[0]
        text = f"loss {number(loss)}, {pace.text()}"
        self.progress.update(task, completed=pace.done, text=text)
        self.progress.refresh()

    def epoch_done(self, record: Record) -> None:
        self._say(epoch_line(record, self.pace.epochs), bold=bool(record["best"]))

    def say(self, text: str, bold: bool = False) -> None:
        """A line above the bar."""
        self._say(text, bold)

    def _say(self, text: str, bold: bool = False) -> None:
        style = "bold" if bold else None
        self.progress.console.print(text, style=style, markup=False, highlight=False)


@contextmanager
def progress_listener(prints: bool = True) -> Iterator[Listener]:
    """The listener for standard output; the terminal is restored when the block ends.

    Of several processes only the first prints.
    """
    if not prints:
        from rnnspec.store.events import Silent

        yield Silent()
        return
    if not is_terminal(sys.stdout):
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=Console(), auto_refresh=False, transient=True) as progress:
        yield Bar(progress)
