"""What a file of delimited text looks like: a guess for messages, never for reading."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from rnnspec.data.lines import Coding, head

DELIMITERS = (",", ";", "\t", "|")
LINES = 50
"""Lines that are looked at."""
_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")
_POINT = re.compile(r"[-+]?[0-9]+\.[0-9]+")


_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d")
_DAYS_IN_WORDS = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")


def date_forms(text: str) -> list[str]:
    """Forms of strptime in which a text is a time: several where day and month may be either."""
    forms = (day + clock for day in (*_DAYS, *_DAYS_IN_WORDS) for clock in _CLOCKS)
    return [form for form in forms if _is_written(text, form)]


def _is_written(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def settings_of(file: Path, coding: Coding) -> dict[str, object]:
    """The settings of CSV that `file` seems to need, by its first lines: the delimiter that stands
    in each line equally often, and the decimal comma where numbers have no other point."""
    lines = [line for line in head(file, coding).splitlines()[:LINES] if line.strip()]
    counts = {each: [line.count(each) for line in lines] for each in DELIMITERS}
    even = [each for each, found in counts.items() if found and min(found) == max(found) > 0]
    if not even:  # quoted fields may hold it as well
        even = [each for each, found in counts.items() if found and min(found) >= found[0] > 0]
    best = max(even, key=lambda each: counts[each][0], default=None)
    if best is None:
        return {}
    fields = [field.strip(' "') for line in lines[1:] for field in line.split(best)]
    comma = best != "," and any(map(_COMMA.fullmatch, fields))
    comma = comma and not any(map(_POINT.fullmatch, fields))
    return {"delimiter": best, **({"decimal": ","} if comma else {})}
