"""What a check of meaning finds."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.spec.explain import Loc


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found at `path`; `inside` is line, column and length within a text."""

    path: Loc
    message: str
    hint: str = ""
    key: bool = False
    inside: tuple[int, int, int] | None = None
