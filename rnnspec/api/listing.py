"""The builds of a folder."""

from __future__ import annotations

from pathlib import Path

from rnnspec.api.workbench import Build
from rnnspec.store.folder import builds_in


def builds(folder: Path) -> list[Build]:
    """The builds in `folder`, newest first: see `rnnspec.builds`."""
    return [Build(found) for found in builds_in(folder)]
