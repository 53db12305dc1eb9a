"""Arrays that are mapped from disk: how much of them counts as the process's own memory."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

MOST = 128 << 20
"""Bytes of mapped files that may be resident before all of them are let go."""
EVERY = 64
"""Rows between two looks at how many there are: each may bring 2 MiB of every column with it."""
STATM = "/proc/self/statm"


@dataclass(slots=True)
class Maps:
    """The maps of some arrays, none of arrays that are no larger than MOST together.

    Pages that were read stay resident for as long as no one else wants the memory, and a memory
    limit, or whoever looks at the process, counts them. So beyond MOST they are let go: they stay
    in the system's cache of files, and reading them again costs less than a millisecond a MiB.
    Rows are read in random order, so that nothing is read ahead: where little memory is left for
    that cache, it would push out what the same buffer of rows asks for next.
    Where the system does not tell how many there are (it is not Linux), nothing is let go.
    """

    maps: tuple[mmap.mmap, ...]
    rows: int = 0
    """Read since the last look."""
    before: int = field(default_factory=lambda: resident())
    """Resident bytes of files when all maps had been let go, libraries for the most part."""

    @staticmethod
    def of(arrays: Iterable[NDArray[Any]]) -> Maps:
        found: dict[int, mmap.mmap] = {}
        for array in arrays:
            base: Any = array
            while base is not None and not isinstance(base, mmap.mmap):
                base = getattr(base, "base", None)
            if base is not None:
                found[id(base)] = base
        if sum(map(len, found.values())) <= MOST:  # they will never be let go
            found.clear()
        for each in found.values():
            with contextlib.suppress(AttributeError, OSError):  # only a hint
                each.madvise(mmap.MADV_RANDOM)
        return Maps(tuple(found.values()))

    def read(self, rows: int) -> None:
        """To be called where `rows` more have been read."""
        self.rows += rows
        if self.rows < EVERY or not self.maps:
            return
        self.rows = 0
        if resident() - self.before > MOST:
            for each in self.maps:
                each.madvise(mmap.MADV_DONTNEED)
            self.before = resident()


def resident() -> int:
    """Bytes of mapped files that are resident, 0 where the system does not tell."""
    with contextlib.suppress(OSError), open(STATM, "rb") as stream:
        return int(stream.read().split()[2]) * mmap.PAGESIZE
    return 0
