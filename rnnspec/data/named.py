"""Files that cells and specs name: what is at a path, and arrays on disk.

Raises DataError without a place.
"""

from __future__ import annotations

from pathlib import Path
from stat import S_ISDIR, S_ISREG
from tokenize import TokenError
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import DataError

SHOWN = 200
"""Most characters of a path in a message: a text in the column of paths may be long."""


def check_file(path: Path) -> None:
    """Raises DataError, which does not name the path, where no file is there."""
    match what_is_at(path):
        case "nothing":
            raise DataError("is not there; paths in a data file are relative to it")
        case "folder":
            raise DataError("is a folder")
        case "other":
            raise DataError("is no file")


def what_is_at(path: Path) -> Literal["nothing", "file", "folder", "other"]:
    """Raises DataError where the system does not say, as of names that are too long."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    return "file" if S_ISREG(mode) else "folder" if S_ISDIR(mode) else "other"


def shown(path: Path) -> str:
    """A path as a message names it."""
    text = str(path)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def load_npy(file: Path) -> NDArray[Any]:
    """The array of an .npy file, memory-mapped: its header may promise more than there is.

    Raises DataError, which does not name the file, or OSError.
    """
    try:
        return np.asarray(np.lib.format.open_memmap(file, mode="r"))
    except (ValueError, EOFError, SyntaxError, TokenError, OverflowError) as error:
        raise DataError(f"is no whole .npy file of numbers: {error}") from error
