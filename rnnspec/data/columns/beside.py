"""Files that cells name: whether they are still those that were encoded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.columns.base import Arrays

FILES = ".files"
"""Ends the name of the array of sizes, times of change and paths of the files that were read."""


def stamp(path: Path) -> str:
    """What is kept of a file, to see whether it has changed; of one that is not there, too."""
    try:
        about = path.stat()
        size, changed = about.st_size, about.st_mtime_ns
    except (OSError, ValueError):
        size = changed = -1
    return f"{size} {changed} {path.absolute()}\0"


def stamped(stamps: Iterable[str]) -> NDArray[np.uint8]:
    """Stamps as the entries of an array."""
    return np.frombuffer("".join(stamps).encode(errors="surrogateescape"), np.uint8)


def files_changed(arrays: Arrays) -> bool:
    """Whether a file that the arrays were made of is another one by now, or gone."""
    for name, array in arrays.items():
        if name.endswith(FILES):
            stamps = array.tobytes().decode(errors="surrogateescape").split("\0")[:-1]
            if any(stamp(Path(each.split(" ", 2)[2])) != f"{each}\0" for each in stamps):
                return True
    return False
