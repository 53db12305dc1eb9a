"""Times in the form in which a file has its own."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal

import numpy as np

from rnnspec.data.calendar import Stamps

DIGITS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d"}
"""Dates of nothing but digits, by how many there are."""
_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<gap>.)\d{2}:\d{2}(?P<seconds>:\d{2}([.,](?P<part>\d+))?)?"
    r"(?P<zone>Z|[+-]\d{2}(?P<colon>:?)\d{2})?"
)
Spec = Literal["auto", "minutes", "seconds", "milliseconds", "microseconds"]


def like(example: object, times: Stamps) -> list[object]:
    """Each of `times` as `example`, the cell of another row, is written: numbers as numbers, dates
    as text. What its form cannot say, such as the seconds of a time of minutes, is added to it."""
    if times.shown.dtype.kind != "M":
        return list(times.shown.tolist())
    shown: list[datetime] = times.shown.astype("datetime64[us]").tolist()
    offsets = (times.shown - times.passed) / np.timedelta64(1, "us")
    return [
        _one(example, time, timedelta(microseconds=offset) if times.zoned else None)
        for time, offset in zip(shown, offsets.tolist(), strict=True)
    ]


def _one(example: object, time: datetime, offset: timedelta | None) -> object:
    zoned = time if offset is None else time.replace(tzinfo=timezone(offset))
    if isinstance(example, datetime):
        return zoned.isoformat() if example.tzinfo else time.isoformat()
    midnight = not (time.hour or time.minute or time.second or time.microsecond)
    if isinstance(example, date):
        return time.date().isoformat() if midnight else time.isoformat()
    text = str(example).strip()
    if midnight and text.isdigit() and len(text) in DIGITS:
        digits = time.strftime(DIGITS[len(text)]).zfill(len(text))
        return digits if isinstance(example, str) else int(digits)
    if midnight and _DATE.fullmatch(text) and (len(text) > 7 or time.day == 1):
        return time.date().isoformat()[: len(text)]
    form = _TIME.fullmatch(text)
    if form is None:
        return zoned.isoformat()
    return _clocked(form, time, zoned)


def _clocked(form: re.Match[str], time: datetime, zoned: datetime) -> str:
    spec: Spec = "minutes"
    if form["seconds"]:
        spec = "seconds"
    if form["part"]:
        spec = "milliseconds" if len(form["part"]) <= 3 else "microseconds"
    if form["zone"] is None or zoned.tzinfo is None:
        return _at_least(time, form["gap"], spec)
    if form["zone"] == "Z":
        text = _at_least(zoned.astimezone(UTC).replace(tzinfo=None), form["gap"], spec)
        return f"{text}Z"
    text = _at_least(zoned, form["gap"], spec)
    return text if form["colon"] else text[:-3] + text[-2:]


def _at_least(time: datetime, gap: str, spec: Spec) -> str:
    """The time to `spec`, and further where it would not be whole."""
    text = time.isoformat(gap, spec)
    return text if datetime.fromisoformat(text) == time else time.isoformat(gap)
