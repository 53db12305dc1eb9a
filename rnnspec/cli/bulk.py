"""What `rnnspec run` needs for many rows: how they are computed, what is kept, how far it is."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from rnnspec.cli.progress import BAR_SECONDS, Pass
from rnnspec.cli.terminal import is_terminal
from rnnspec.errors import RnnspecError
from rnnspec.source.problems import did_you_mean

if TYPE_CHECKING:
    from rich.progress import Progress

    from rnnspec.run import Model

ALL = "all"
"""The value of --keep that stands for every column."""
Row = TypeVar("Row")
COLLECT_AFTER = 100_000
"""New objects after which Python looks for cycles, of which rows have none. By default it looks
after 700, and at all rows of two windows with every hundredth time: a tenth of what a row costs
(`benchmarks/bulk.py`)."""


@contextmanager
def few_collections() -> Iterator[None]:
    """Looks for cycles seldom, while rows by the million are answered."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(frozen=True, slots=True)
class Bulk:
    """The options for many rows, None or empty where they are left out."""

    batch: int | None = None
    threads: int | None = None
    keep: tuple[str, ...] = ()
    top: int = 0

    @property
    def workers(self) -> int:
        """Threads that answer batches."""
        from rnnspec.data.processors import processors

        return self.threads or processors()

    def check(self, *, several: bool, stream: bool, shown: bool) -> None:
        """Raises RnnspecError for an option without effect: on one row or a few (not `several`), on
        a `stream`, or where answers are `shown` as text."""
        if stream and (self.batch or self.keep or self.top):
            raise RnnspecError(
                "--batch, --keep and --top are for whole rows, and --stream answers chunks as they"
                " come; leave them out"
            )
        if self.batch and not several:
            raise RnnspecError(
                "--batch is for the rows of --data or of standard input; leave it out"
            )
        if (self.keep or self.top) and shown:
            option = "--keep" if self.keep else "--top"
            raise RnnspecError(f"{option} is for --json and --output; give one of them too")

    def check_top(self, model: Model) -> None:
        """Raises RnnspecError for --top where no labels are answered."""
        from rnnspec.run.interface import LABELLED

        if self.top and all(output.kind not in LABELLED for output in model.outputs):
            raise RnnspecError(
                f"--top is for models that answer labels, and {model.path} does not; leave it out"
            )

    def kept(self, names: Sequence[str], where: object) -> tuple[str, ...]:
        """The columns to keep, of those that a source has. Raises RnnspecError for others."""
        if self.keep == (ALL,):
            if not names:
                raise RnnspecError(f"--keep all: the columns of {where} have no names; name each")
            return tuple(names)
        for name in self.keep:
            if names and name not in names:
                hint = did_you_mean(name, names) or f"it has {', '.join(map(repr, names))}"
                if "," in name:
                    hint = "give --keep once for each column"
                raise RnnspecError(f"--keep {name}: {where} has no column {name!r}; {hint}")
        return tuple(dict.fromkeys(self.keep))


@dataclass(slots=True)
class Count:
    """Rows that have been answered, and the share of the files that has been read; drawn on a
    terminal."""

    bar: Progress | None = None
    clock: Callable[[], float] = time.monotonic
    rows: int = 0
    share: float = 0.0
    _began: float = 0.0
    _drawn: float = 0.0
    _pass: Pass = field(default_factory=Pass)

    def read(self, share: float) -> None:
        """To be told the share of the files that has been read."""
        self.share = share

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, counted."""
        self._began = self._drawn = self.clock()
        for row in rows:
            self.rows += 1
            if self.bar is not None and self.clock() - self._drawn >= BAR_SECONDS:
                self._draw(self.bar)
            yield row

    def text(self) -> str:
        """`12,345 rows, 8,230 rows/s`."""
        rate = self.rows / max(self.clock() - self._began, 1e-9)
        return f"{self.rows:,} rows, {rate:,.0f} rows/s"

    def _draw(self, bar: Progress) -> None:
        self._drawn = self.clock()
        self._pass.update(self.share, "answering")
        text = ", ".join(filter(None, (self.text(), self._pass.left)))
        bar.update(bar.task_ids[0], completed=int(100 * self.share), text=text)
        bar.refresh()


@contextmanager
def counting(wanted: bool) -> Iterator[Count]:
    """A count, drawn on standard error where that is a terminal and it is `wanted`; at the end it
    stays there as a line."""
    if not wanted or not is_terminal(sys.stderr):
        yield Count()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("answering", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        TextColumn("{task.fields[text]}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        bar.add_task("", total=100, text="")
        count = Count(bar)
        yield count
    print(count.text(), file=sys.stderr)
