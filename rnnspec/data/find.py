"""The files of a spec, and those that a command names, as shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnspec.data.shards import Shards
from rnnspec.spec import Data
from rnnspec.spec.files import files_of, find_files


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a spec: `valid` is None where there are none, or a `share` of the training rows
    is kept for validation."""

    train: Shards
    valid: Shards | None = None
    share: float = 0.0

    @property
    def measured(self) -> Shards | None:
        """Where the rows to measure on are."""
        return self.train if self.share else self.valid


def find_sources(data: Data, folder: Path) -> Sources:
    """The files that a spec in `folder` names. Raises DataError: see `files_of`."""
    train, valid = files_of(data, folder)
    share = data.valid if isinstance(data.valid, float) else 0.0
    return Sources(
        _shards(train, data.train_files, folder),
        _shards(valid, data.valid_files, folder) if valid else None,
        share,
    )


def find_shards(names: Sequence[str], folder: Path = Path()) -> Shards:
    """The files that `names` name. Raises DataError: see `find_files`."""
    return _shards(find_files(names, folder), names, folder)


def _shards(files: tuple[Path, ...], names: Sequence[str], folder: Path) -> Shards:
    return Shards(files, folder / names[0], len(names) - 1)
