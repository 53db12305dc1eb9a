"""The files of a world: train, valid and test, and what their rows name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rnnspec.files import make_folder, write_bytes, write_lines


def write_splits(
    folder: Path, counts: Mapping[str, int], lines: Callable[[str, int], Iterable[str]]
) -> dict[str, Path]:
    """Write NAME.jsonl into `folder`, made if missing, for each name in `counts`, with the `lines`
    of so many rows. Returns the path of each. Raises OutputError if a file cannot be written."""
    paths = {split: folder / f"{split}.jsonl" for split in counts}
    for split, count in counts.items():
        write_lines(paths[split], lines(split, count))
    return paths


def write_named(folder: Path, name: str, content: bytes) -> str:
    """Write a file that a row names, relative to `folder`; its name. Raises OutputError if it
    cannot be written."""
    make_folder(folder / name)
    write_bytes(folder / name, content)
    return name
