"""Plain text."""

from __future__ import annotations

import re

from rnnspec.report.html import Html, join, lines, tag
from rnnspec.report.model import Note


def note(section: Note) -> Html:
    if section.fixed:
        return tag("pre", {"tabindex": "0"}, lines(section.text))
    parts = re.split(r"\n\s*\n", section.text.replace("\r\n", "\n").strip())
    return join(tag("p", {"dir": "auto"}, lines(part)) for part in parts)
