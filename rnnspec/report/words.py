"""Texts and numbers as a reader sees them: on one line, visible, not too long."""

from __future__ import annotations

import unicodedata
from math import floor, isfinite, isnan, log10

from rnnspec.plan.diagram.measure import ems, shortened
from rnnspec.report.model import Value
from rnnspec.source.characters import shown

TITLE = 10_000
"""Most characters of a text in a tooltip."""
_SIGNS = {chr(code): chr(0x2400 + code) for code in range(32)} | {
    "\n": "↵", "\t": "⇥", "\x7f": "␡", "\u2028": "↵", "\u2029": "↵",
}  # fmt: skip
"""What stands for a character that would steer where the text goes on."""
_SHORT, _LONG = 1e-4, 1e7
"""Numbers between these are written without an exponent."""


def visible(text: str) -> str:
    """`text` on one line, with a sign for each character that has no shape of its own."""
    return shown("".join(_SIGNS.get(c, c) for c in text))


def token(text: str) -> str:
    """`text` where its spaces matter: those at either end are shown as `␣`."""
    inside = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    after = len(text) - before - len(inside)
    return "␣" * before + visible(inside) + "␣" * after


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, no accent parted from its letter, and `…` for the others."""
    if len(text) <= limit:
        return text
    end = limit
    while end > 1 and unicodedata.combining(text[end]):
        end -= 1
    return text[:end] + "…"


def fitted(text: str, size: float, room: float) -> str:
    """`text` shortened in its middle to `room` pixels, in letters `size` pixels high."""
    return shortened(cut(text, 200), room, lambda part: width(part, size))


def width(text: str, size: float) -> float:
    """An upper bound of the width of a text in pixels."""
    return size * ems(text)


def number(value: Value, digits: int = 4) -> str:
    """A number in `digits` significant digits, large ones with all digits before the point."""
    if value is None:
        return "–"
    if not isfinite(value):
        return "not a number" if isnan(value) else "∞" if value > 0 else "−∞"
    size = abs(value)
    if value == 0:
        return "0"
    if size < _SHORT or size >= 1e15:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    # From a hundredth up, all have the same places: a column of shares is easier to compare.
    places = digits if 0.01 <= size < 1 else max(0, digits - 1 - floor(log10(size)))
    written = f"{value:,.{places}f}"
    if isinstance(value, int) or value == int(value):
        written = f"{int(value):,}"
    elif size < 0.01:
        written = written.rstrip("0")
    return written.replace("-", "−")


def share(value: Value) -> str:
    """A share of 1 in per cent."""
    if value is None or not isfinite(value):
        return number(value)
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{100 * value:.1f} %".replace("-", "−")


def tick(value: float, step: float) -> str:
    """A tick's number, in as many digits as its distance `step` to the next one calls for."""
    if value == 0:
        return "0"
    size = max(abs(value), step)
    if size < _SHORT or size >= _LONG:
        digits = max(0, floor(log10(abs(value))) - floor(log10(step)))
        mantissa, _, exponent = f"{value:.{min(digits, 12)}e}".partition("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    places = next((p for p in range(13) if abs(round(step, p) - step) < step * 1e-6), 13)
    return f"{value:,.{places}f}".replace("-", "−")


def plural(count: int, one: str) -> str:
    """`1 row`, `2 rows`, `1,000 classes`; `one` may already be the plural (`rows`)."""
    single = one.removesuffix("es") if one.endswith("sses") else one
    single = single.removesuffix("s") if not single.endswith("ss") else single
    several = single + ("es" if single.endswith(("s", "x", "ch", "sh")) else "s")
    return f"{count:,} {single if count == 1 else several}"
