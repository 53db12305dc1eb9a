"""The builds of a folder."""

from __future__ import annotations

from pathlib import Path

from rnnspec.api.workbench import Build
from rnnspec.errors import BuildError
from rnnspec.store.folder import BuildFolder, all_builds


def builds(folder: Path) -> list[Build]:
    """The builds in `folder`, newest first: see `rnnspec.builds`."""
    if (folder / "build.json").exists():
        return [Build(BuildFolder(folder))]
    if not folder.is_dir():
        raise BuildError(f"{folder}: there is no such folder")
    return [
        Build(found)
        for found in (*all_builds(folder), *all_builds(folder.parent))
        if folder in found.path.parents
    ]
