"""What the names of data files tell before anything is read."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePath

_MAGIC = re.compile(r"[*?[]")


def is_pattern(name: str) -> bool:
    """Whether a name that is not that of a file is a pattern for files."""
    return bool(_MAGIC.search(name))


def covers(name: str, other: str) -> bool:
    """Whether the file or folder named `other` is among those that `name` names, as far as the
    texts tell: it is named so, lies in the folder named so, or matches the pattern."""
    one, two = PurePath(name), PurePath(other)
    if one == two or one == two.parent:
        return True
    files = (*one.parts, "*") if one.name == "**" else one.parts
    return is_pattern(name) and not is_pattern(other) and _match(files, two.parts)


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**" and _match(pattern[1:], parts):
        return True
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if hidden or not (pattern[0] == "**" or fnmatchcase(parts[0], pattern[0])):
        return False
    return _match(pattern if pattern[0] == "**" else pattern[1:], parts[1:])
